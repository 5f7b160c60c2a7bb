"""Lessons are learnt soon, also after a restart; a message that cannot be read holds up no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from daemon.flow import learning
from daemon.flow.learning import Learning
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.identity import identity
from daemon.store import accounts, messages, spam
from daemon.store.errors import StoreBusy
from daemon.store.tx import Tx
from tests.flow.house import House
from tests.instruments.until import soon
from tests.store.stage import address, clean, deliver, message


@contextlib.asynccontextmanager
async def worker(house: House, every: float = 60) -> AsyncIterator[None]:
    house.store.attach(asyncio.get_running_loop())
    task = asyncio.create_task(Learning(house.store, every=every).run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def account(house: House, user: str = "ann@here.example") -> int:
    return house.store.read_now(accounts.get, address(user)).id


def lesson(house: House, text: str, lesson: spam.Class = "spam", user: str = "ann@here.example") -> int:
    """A message of a user that is queued to be learnt; its id."""
    owner = account(house, user)
    email = deliver(house.store, owner, message(text)).email_id
    house.store.write_now(spam.teach, owner, email, lesson)
    return email


def learnt(house: House, user: str = "ann@here.example") -> dict[bytes, str]:
    rows = house.store.read_now(
        Tx.all, "select identity, class from spam_trained where account_id = ?", account(house, user)
    )
    return dict(rows)


def waiting(house: House) -> int:
    count: int = house.store.read_now(Tx.value, "select count(*) from spam_lesson")
    return count


async def test_what_waits_and_what_comes_is_learnt(house: House) -> None:
    lesson(house, "before the start")
    async with worker(house):
        await soon(lambda: len(learnt(house)) == 1)
        lesson(house, "told at once", "ham")
        await soon(lambda: len(learnt(house)) == 2)
    data = message("told at once")
    assert learnt(house) == {identity(message("before the start")): "spam", identity(data): "ham"}
    ids = tokens.ids(tokens.tokenize(data))
    found = house.store.read_now(spam.counts, account(house), ids)
    assert found is not None and found[:2] == (1, 1)
    assert set(found.tokens) == set(ids) and all(ham == 1 for ham, _ in found.tokens.values())
    clean(house.store)


async def test_lessons_that_nobody_told_of_are_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A doorbell may be missed: the worker looks now and then."""
    monkeypatch.setattr(house.store, "listen", lambda listener: lambda: None)
    async with worker(house, every=0.01):
        lesson(house, "untold")
        await soon(lambda: not waiting(house))
    assert Learning(house.store)._every == LIMITS.spam_round


async def test_there_and_back_is_as_if_it_were_ham_from_the_first(house: House) -> None:
    email = lesson(house, "moved", "ham")

    def dump() -> list[tuple[object, ...]]:
        return house.store.read_now(
            Tx.all, "select token, ham, spam from spam_token union all select account_id, ham, spam from spam_learnt"
        )

    async with worker(house):
        await soon(lambda: not waiting(house))
        before = dump()
        for kind in ("spam", "ham"):
            house.store.write_now(spam.teach, account(house), email, kind)
            await soon(lambda: not waiting(house))
        assert dump() == before


async def test_a_message_that_cannot_be_read_is_dropped_and_said(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = tokens.tokenize

    def tokenize(data: bytes) -> tuple[bytes, ...]:
        if b"poison" in data:
            raise RecursionError("too deep")
        return real(data)

    monkeypatch.setattr(learning.tokens, "tokenize", tokenize)
    for text in ("good", "poison", "better"):
        lesson(house, text)
    house.store.write_now(messages.purge, account(house), 10)
    async with worker(house):
        await soon(lambda: not waiting(house))
    assert learnt(house) == {identity(message(text)): "spam" for text in ("good", "better")}
    assert "event=lesson-dropped" in caplog.text and "too deep" in caplog.text


async def test_a_lesson_that_ended_the_server_some_times_is_given_up(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Each claim below is a server that died with it."""
    lesson(house, "fatal")
    for _ in range(LIMITS.spam_tries):
        assert len(house.store.write_now(spam.claim, account(house), 10)) == 1
    lesson(house, "harmless")
    async with worker(house):
        await soon(lambda: not waiting(house))
    assert learnt(house) == {identity(message("harmless")): "spam"}
    assert "event=lesson-dropped" in caplog.text and "never ended" in caplog.text


async def test_one_who_moves_many_keeps_nobody_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(LIMITS), "spam_batch", 5)
    for number in range(30):
        lesson(house, f"one of many {number}")
    lesson(house, "the only one", user="bob@here.example")
    order: list[int] = []
    real = spam.claim

    def claim(tx: Tx, account_id: int, limit: int) -> list[spam.Lesson]:
        order.append(account_id)
        return real(tx, account_id, limit)

    monkeypatch.setattr(spam, "claim", claim)
    async with worker(house):
        await soon(lambda: not waiting(house))
    assert order.index(account(house, "bob@here.example")) == 1
    assert len(learnt(house)) == 30


async def test_faults_of_the_store_do_not_end_the_worker(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, faults = spam.learn_all, [StoreBusy("held"), RuntimeError("a fault of ours")]

    def learn_all(tx: Tx, account_id: int, read: list[spam.Learnt]) -> None:
        if faults:
            raise faults.pop(0)
        real(tx, account_id, read)

    monkeypatch.setattr(spam, "learn_all", learn_all)
    lesson(house, "in the end")
    async with worker(house, every=0.01):
        await soon(lambda: not waiting(house))
    assert len(learnt(house)) == 1 and not faults
    assert "event=learning" in caplog.text


def test_no_transaction_counts_many_tokens() -> None:
    """Some long messages make a step of their own, many short ones share one."""
    assert [len(step) for step in learning.steps((n, LIMITS.spam_step) for n in range(3))] == [1, 1, 1]
    short = list(learning.steps((n, 99) for n in range(100)))
    assert [len(step) for step in short] == [30, 30, 30, 10] and sum(short, []) == list(range(100))
    assert list(learning.steps([])) == []
