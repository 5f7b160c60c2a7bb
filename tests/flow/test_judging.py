"""A message is judged: by what each recipient has taught the filter, and by what the house has."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from daemon.config import Config
from daemon.flow import knowledge
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.judging import Judge
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.address import parse_address
from daemon.store import accounts, spam
from daemon.store.spool import Body
from tests.flow.house import House
from tests.trust.answers import Answers

ANN, BOB = "ann@here.example", "bob@here.example"
PILLS, PICNIC = "cheap pills, buy them now", "the picnic on sunday"
QUIET = {"trust.check": "no"}


def letter(text: str) -> bytes:
    return f"From: <x@far.example>\r\nSubject: {text}\r\n\r\n{text}\r\n".encode()


async def judged(house: House, data: bytes, *to: str, peer: str = "192.0.2.1", **settings: str) -> Judged:
    judge = getattr(house, "judge", None) or Judge(house.store, Answers())
    house.judge = judge  # type: ignore[attr-defined]
    config = Config([*house.config.rows.items(), *{**QUIET, **settings}.items()])
    envelope = Envelope(parse_address("x@far.example"), [Recipient(parse_address(each)) for each in to])
    found, body = await judge.judge(Origin("smtp", peer, "far.example"), envelope, Body.of(data), config)
    body.close()
    return found


def account(house: House, user: str) -> int:
    return house.store.peek(accounts.get, parse_address(user)).id


def train(house: House, owner: int, times: int = 20) -> None:
    def work(tx: Any) -> None:
        for number in range(times):
            for text, kind in ((PILLS, "spam"), (PICNIC, "ham")):
                data = letter(f"{text} {number}")
                spam.learn(tx, owner, f"{kind}{number}".encode(), kind, tokens.ids(tokens.tokenize(data)))

    house.store.write_now(work)


async def test_what_one_has_taught_counts_for_him_alone(house: House) -> None:
    train(house, account(house, ANN))
    found = await judged(house, letter(PILLS), ANN, BOB)
    ann, bob = found.of(account(house, ANN)), found.of(account(house, BOB))
    assert (ann.action, ann.reason) == ("junk", "spam") and ann.score > bob.score
    assert bob == found.others
    assert [group.recipients for group in found.groups] == [(ANN,), (BOB,)]
    nice = await judged(house, letter(PICNIC), ANN)
    assert nice.of(account(house, ANN)).action == "accept" and nice.of(account(house, ANN)).score < 0


async def test_what_the_house_has_taught_counts_for_all(house: House) -> None:
    before = (await judged(house, letter(PILLS), ANN)).others.score
    train(house, spam.HOUSE)
    found = await judged(house, letter(PILLS), ANN, BOB)
    assert len(found.groups) == 1 and found.others.score > before


async def test_own_training_counts_for_so_many_recipients(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in (ANN, BOB):
        train(house, account(house, user))
    monkeypatch.setattr(knowledge, "LIMITS", dataclasses.replace(LIMITS, judge_learners=1))
    found = await judged(house, letter(PILLS), ANN, BOB)
    assert [found.of(account(house, each)).action for each in (ANN, BOB)] == ["junk", found.others.action]


async def test_recipients_are_known_by_the_ways_to_them(house: House) -> None:
    house.alias("team@here.example", ANN, BOB)
    house.alias("out@here.example", "x@far.example")
    house.forward(BOB, "b@far.example")
    found = await judged(house, letter(PICNIC), "team@here.example", ANN, "out@here.example")
    assert found.groups[0].recipients == ("team@here.example", ANN, "out@here.example")
    assert set(found.verdicts) == {account(house, ANN), account(house, BOB)}


async def test_much_more_than_usual_weighs(house: House) -> None:
    scores = [(await judged(house, letter(PICNIC), ANN)).others.score for _ in range(150)]
    assert scores[0] == scores[10] < scores[60] <= scores[-1] <= scores[0] + 1.5
    assert (await judged(house, letter(PICNIC), ANN, peer="198.51.100.1")).others.score == scores[0]
    settings = {"limits.exempt_networks": "192.0.2.0/24"}
    assert (await judged(house, letter(PICNIC), ANN, **settings)).others.score == scores[0]


async def test_a_long_message_is_read_in_a_thread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = []

    async def noted(work: Any, *args: Any, _aside: Any = house.store.aside) -> Any:
        aside.append(work.__name__)
        return await _aside(work, *args)

    monkeypatch.setattr(house.store, "aside", noted)
    await judged(house, letter(PICNIC), ANN)
    assert aside == []
    await judged(house, letter(PICNIC) + b"x\r\n" * LIMITS.parse_inline, ANN)
    assert aside == ["_read"]
