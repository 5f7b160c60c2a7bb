"""The full-text index follows the mail: it loses nothing, joins its blocks, and forgets what went."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemon.flow import indexing
from daemon.flow.indexing import Indexing
from daemon.limits import LIMITS
from daemon.store import accounts, fulltext, messages
from daemon.store.db import Store
from daemon.store.search import texts
from daemon.store.segments import path_of
from daemon.store.tx import Changes, Tx
from tests.flow.house import House
from tests.instruments.until import soon
from tests.store.stage import add_user, address, box_id, clean, deliver, message

_WORDS = (
    "plan planet invoice invoices reinvoiced grüße straße café cafe\u0301 İstanbul ısı ὈΔΥΣΣΕΎΣ 日本語のテスト 中文搜索"
    " 한국말 สวัสดีครับ привет שלום don't e-mail user@host.example https://x.example/a?b=c_d 20261128 a1b2c3d4e5f6g7"
    " ﬁnal x yy"
).split()


def letter(chance: random.Random) -> bytes:
    some = [chance.choice(_WORDS) for _ in range(chance.randrange(1, 8))]
    subject, body, name = some[0], chance.choice((" ", "\r\n", ", ")).join(some), chance.choice(_WORDS)
    return (
        f"From: {chance.choice(_WORDS)} <a@b.example>\r\nSubject: {subject}\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<p>{body[: len(body) // 2]}<b>{body[len(body) // 2 :]}</b>\r\n--b\r\n"
        f'Content-Type: application/pdf; name="{name}.pdf"\r\n\r\nhidden\r\n--b--\r\n'
    ).encode()


def account(house: House, user: str = "ann@here.example") -> int:
    return house.store.read_now(accounts.get, address(user)).id


def worker(house: House, tail: int = 1) -> Indexing:
    return Indexing(house.store, tail=tail, rest=0)


def found(store: Store, owner: int, text: str, *halves: str) -> fulltext.Found:
    answer = store.read_now(fulltext.look, owner, text, halves or fulltext.HALVES)
    assert answer is not None
    return answer


def all_texts(store: Store, owner: int) -> dict[int, tuple[str, str]]:
    rows = store.read_now(fulltext.waiting, owner, 0, 100_000)
    return {row.email_id: texts(store, row.place, row.prefix, row.parts) for row in rows}


def agrees(house: House, owner: int, chance: random.Random, rounds: int = 150) -> None:
    """Nothing is lost, and what is sure is so, for pieces cut out of the mail at random."""
    kept = all_texts(house.store, owner)
    for _ in range(rounds):
        half = chance.randrange(2)
        text = chance.choice(list(kept.values()))[half]
        start = chance.randrange(len(text))
        sought = text[start : start + chance.randrange(1, 20)]
        answer = house.store.read_now(fulltext.look, owner, sought, fulltext.HALVES[half : half + 1])
        there = {email for email, own in kept.items() if sought in own[half]}
        if answer is not None:
            assert there <= answer.maybe, sought
            assert answer.sure & kept.keys() <= there, sought


def block_sizes(house: House, owner: int) -> list[int]:
    return [block.emails for block in house.store.read_now(fulltext.blocks, owner)]


async def test_the_index_follows_and_loses_nothing(house: House) -> None:
    chance, owner = random.Random(8314), account(house)
    house.store.attach(asyncio.get_running_loop())
    following = worker(house, tail=4)
    assert house.store.read_now(fulltext.look, owner, "plan") is None
    for count in (1, 3, 40, 9, 2, 70):
        for _ in range(count):
            deliver(house.store, owner, letter(chance), prefix=b"Received: by grusse.example\r\n")
        await following.round()
        if house.store.read_now(fulltext.blocks, owner):
            agrees(house, owner, chance)
    standing = house.store.read_now(fulltext.standing)
    assert standing.emails == 125 and standing.indexed > 120 and standing.size > 0
    assert block_sizes(house, owner) == sorted(block_sizes(house, owner), reverse=True)
    assert len(block_sizes(house, owner)) < 6
    clean(house.store)


async def test_blocks_stay_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, owner = random.Random(2), account(house)
    house.store.attach(asyncio.get_running_loop())
    small = replace(LIMITS, fulltext_block=20, fulltext_batch=5, fulltext_part=300)
    for module in (indexing, fulltext):
        monkeypatch.setattr(module, "LIMITS", small)
    for _ in range(90):
        deliver(house.store, owner, letter(chance))
    await worker(house).round()
    assert block_sizes(house, owner) == [20, 20, 20, 20, 10]
    agrees(house, owner, chance)
    clean(house.store)


async def test_heavy_messages_make_blocks_of_few(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, owner = random.Random(3), account(house)
    house.store.attach(asyncio.get_running_loop())
    monkeypatch.setattr(indexing, "LIMITS", replace(LIMITS, fulltext_weight=800, fulltext_batch=1))
    for _ in range(20):
        deliver(house.store, owner, letter(chance))
    await worker(house).round()
    assert len(block_sizes(house, owner)) > 2
    assert all(block.weight < 2 * 800 for block in house.store.read_now(fulltext.blocks, owner))
    agrees(house, owner, chance)


async def test_names_of_attachments_are_found_in_bodies_and_what_is_attached_is_not(house: House) -> None:
    owner = account(house)
    house.store.attach(asyncio.get_running_loop())
    with_name = deliver(
        house.store, owner,
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n"
        b" filename*=utf-8''R%C3%A9sum%C3%A9.pdf\r\n"
        b"\r\ninside\r\n--b--\r\n",
    ).email_id  # fmt: skip
    await worker(house).round()
    assert found(house.store, owner, "R\u00c9SUM\u00c9.p", "body").maybe == {with_name}
    assert found(house.store, owner, "inside").maybe == set()


async def test_what_went_is_never_found_and_forgotten_later(house: House) -> None:
    owner, inbox = account(house), box_id(house.store, account(house))
    house.store.attach(asyncio.get_running_loop())
    for number in range(40):
        deliver(house.store, owner, message(f"secret{number}"))
    following = worker(house)
    await following.round()
    house.store.write_now(messages.remove, inbox, [(1, 2)])
    await following.exorcise(owner)
    assert block_sizes(house, owner) == [40], "two of forty may stay for a day"
    house.store.write_now(messages.remove, inbox, [(3, 20)])
    await following.exorcise(owner)
    assert block_sizes(house, owner) == [20]
    assert found(house.store, owner, "secret7").maybe == set()
    assert len(found(house.store, owner, "secret39").maybe) == 1
    house.store.write_now(messages.remove, inbox)
    await following.exorcise(owner)
    assert pages(house) == 0
    clean(house.store)


async def test_one_that_went_is_forgotten_within_a_day(house: House) -> None:
    owner, inbox = account(house), box_id(house.store, account(house))
    house.store.attach(asyncio.get_running_loop())
    for number in range(40):
        deliver(house.store, owner, message(f"secret{number}"))
    await worker(house).round()
    house.store.write_now(messages.remove, inbox, [(1, 1)])
    house.store.write_now(Tx.run, "update fulltext_block set made_at = made_at - 86400001")
    await worker(house).round()  # a new worker looks for what went at once
    assert block_sizes(house, owner) == [39]


def pages(house: House) -> int:
    count: int = house.store.read_now(
        Tx.value, "select (select count(*) from fulltext_numbers) + (select count(*) from fulltext_block)"
    )
    return count


async def test_the_index_is_made_anew_and_searches_go_on(house: House) -> None:
    owner = account(house)
    house.store.attach(asyncio.get_running_loop())
    for number in range(20):
        deliver(house.store, owner, message(f"secret{number}"))
    following = worker(house)
    await following.round()
    assert house.store.write_now(fulltext.forget, owner) == 1
    assert house.store.read_now(fulltext.look, owner, "secret7") is None
    assert house.store.read_now(fulltext.narrow, owner, ["secret7"]) is None
    await following.round()
    assert len(found(house.store, owner, "secret7").sure) == 1
    assert house.store.read_now(fulltext.narrow, owner, ["secret7", "secret8"]) == set()
    assert len(house.store.read_now(fulltext.narrow, owner, ["\n", "secret7"]) or ()) == 1
    clean(house.store)


async def test_a_block_is_not_used_when_the_index_was_forgotten_meanwhile(house: House) -> None:
    owner = account(house)
    for number in range(20):
        deliver(house.store, owner, message(f"secret{number}"))
    block = house.store.write_now(fulltext.begin, owner, [1], 1, 1)
    assert not house.store.write_now(fulltext.finish, owner, block, [], 7, 1), "it goes up to 0, not 7"
    block = house.store.write_now(fulltext.begin, owner, [1], 1, 1)
    assert not house.store.write_now(fulltext.finish, owner, block, [block - 1], 0, 1), "the other one is gone"
    block = house.store.write_now(fulltext.begin, 99, [1], 1, 1)
    assert not house.store.write_now(fulltext.finish, 99, block, [], 0, 1), "there is no such account"
    assert house.store.read_now(fulltext.blocks, owner) == []


async def test_after_a_kill_it_goes_on_where_it_was(house: House) -> None:
    owner, chance = account(house), random.Random(5)
    house.store.attach(asyncio.get_running_loop())
    for _ in range(30):
        deliver(house.store, owner, letter(chance))
    half_made = house.store.write_now(fulltext.begin, owner, [1, 2], 2, 9)  # what a killed server leaves
    house.store.write_now(fulltext.add_numbers, half_made, "body", 0, [b"abc"])
    async with running(house):
        await soon(lambda: block_sizes(house, owner) == [30])
        await soon(lambda: pages(house) == 3)
        deliver(house.store, owner, message("late"))  # it is told of news
        await soon(lambda: sum(block_sizes(house, owner)) == 31)
    agrees(house, owner, chance)
    clean(house.store)


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    house.store.attach(asyncio.get_running_loop())
    task = asyncio.create_task(Indexing(house.store, every=60, tail=1, rest=0).run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_message_that_cannot_be_read_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner = account(house)
    house.store.attach(asyncio.get_running_loop())
    for word in ("fine", "bad", "damaged"):
        deliver(house.store, owner, message(word))
    place = house.store.read_now(fulltext.waiting, owner, 0, 9)[2].place
    os.truncate(path_of(house.store.data.segments, place.segment), place.offset)

    def broken(store: Store, place: object, *rest: object) -> tuple[str, str]:
        head, body = texts(store, place, *rest)  # type: ignore[arg-type]
        if "bad" in body:
            raise ValueError("a fault of ours")
        return head, body

    monkeypatch.setattr(indexing, "texts", broken)
    await worker(house).round()
    assert block_sizes(house, owner) == [3]
    assert len(found(house.store, owner, "nowhere").maybe) == 2, "whoever searches may try them"
    assert len(found(house.store, owner, "fine").sure) == 1
    assert "a fault of ours" in caplog.text


async def test_a_user_who_goes_takes_his_index_along(house: House) -> None:
    owner = account(house)
    house.store.attach(asyncio.get_running_loop())
    for number in range(20):
        deliver(house.store, owner, message(f"secret{number}"))
    following = worker(house)
    await following.round()
    while house.store.write_now(messages.purge, owner, 100):
        pass
    house.store.write_now(accounts.remove, owner)
    await following.round()
    assert pages(house) == 0
    clean(house.store)


async def test_it_rests_longer_while_others_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rests = list[float]()

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(indexing.asyncio, "sleep", rest)
    following = Indexing(house.store, tail=1, rest=1)
    following._now = iter(range(1000)).__next__  # type: ignore[method-assign, assignment]

    async def alone() -> None: ...
    async def with_others() -> None:
        following._heard(Changes(mailboxes={1}))

    await following._gently(alone)
    await following._gently(with_others)
    assert 0 < rests[0] < rests[1] <= 1


async def test_few_new_messages_are_read_by_who_searches(house: House) -> None:
    owner = account(house)
    house.store.attach(asyncio.get_running_loop())
    following = Indexing(house.store, rest=0)
    assert following.every == LIMITS.fulltext_round
    for number in range(LIMITS.fulltext_tail - 1):
        deliver(house.store, owner, message(f"secret{number}"))
    await following.round()
    assert house.store.read_now(fulltext.look, owner, "secret7") is None
    deliver(house.store, owner, message("another"))
    await following.round()
    assert block_sizes(house, owner) == [LIMITS.fulltext_tail]
    late = deliver(house.store, owner, message("late")).email_id
    assert late in found(house.store, owner, "secret7").maybe


async def test_what_is_gone_is_looked_for_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, inbox = account(house), box_id(house.store, account(house))
    house.store.attach(asyncio.get_running_loop())
    for number in range(20):
        deliver(house.store, owner, message(f"secret{number}"))
    following, now = worker(house), [1000.0]
    following._now = lambda: now[0]
    await following.round()
    house.store.write_now(messages.remove, inbox, [(1, 20)])
    await following.round()
    assert block_sizes(house, owner) == [20]
    now[0] += LIMITS.fulltext_ghosts
    await following.round()
    assert block_sizes(house, owner) == []


@pytest.mark.parametrize(
    "damage",
    [
        "delete from fulltext_half where half = 'body'",
        "delete from fulltext_numbers where half = 'body'",
        "update fulltext_half set offsets = x'00' where half = 'body'",
        "update fulltext_numbers set octets = x'' where half = 'body'",
    ],
)
async def test_a_damaged_index_loses_no_message(house: House, damage: str) -> None:
    owner, other = account(house), house.store.write_now(add_user, "zoe", "here.example")
    house.store.attach(asyncio.get_running_loop())
    for number in range(20):
        deliver(house.store, owner, message(f"secret{number}"))
    following = worker(house)
    await following.round()
    house.store.write_now(Tx.run, damage)
    assert len(found(house.store, owner, "secret7", "body").maybe) == 20
    deliver(house.store, owner, message("late"))
    deliver(house.store, other, message("late"))
    await following.round()
    assert block_sizes(house, other) == [1], "the others' indexes are made"
    assert len(found(house.store, owner, "late", "body").maybe) >= 1
