"""A message is judged: by what each recipient has taught the filter, and by what the house has."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.config import Config
from daemon.flow import knowledge, receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.judging import Judge
from daemon.flow.learning import Learning
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.address import parse_address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, correspondents, mailboxes, messages, sender_lists, spam, standing
from daemon.store.spool import Body
from daemon.trust.sign import Key, public_record
from tests.flow.house import House
from tests.trust.answers import Answers
from tests.trust.crafting import signature

ANN, BOB = "ann@here.example", "bob@here.example"
PILLS, PICNIC = "cheap pills, buy them now", "the picnic on sunday"
QUIET = {"trust.check": "no"}


def letter(text: str) -> bytes:
    return f"From: <x@far.example>\r\nSubject: {text}\r\n\r\n{text}\r\n".encode()


async def judged(
    house: House, data: bytes, *to: str, peer: str = "192.0.2.1", sender: str = "x@far.example", **settings: str
) -> Judged:
    judge = getattr(house, "judge", None) or Judge(house.store, Answers(), greylist=getattr(house, "greylist", None))
    house.judge = judge  # type: ignore[attr-defined]
    config = Config([*house.config.rows.items(), *{**QUIET, **settings}.items()])
    envelope = Envelope(parse_address(sender) if sender else None, [Recipient(parse_address(each)) for each in to])
    found, _, body = await judge.judge(Origin("smtp", peer, "far.example"), envelope, Body.of(data), config)
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
    assert sorted(aside) == ["_read", "check"], "its words, its attachments"


# ------------------------------------------------------------------------------------------------- who writes, and whom


def action(found: Judged, house: House, user: str) -> tuple[str, str]:
    verdict = found.of(account(house, user))
    return verdict.action, verdict.reason


async def test_whom_a_user_has_written_to_is_never_junked_by_words(house: House) -> None:
    train(house, spam.HOUSE)
    friend = parse_address("x@far.example")
    house.store.write_now(lambda tx: correspondents.wrote(tx, account(house, ANN), [friend], "m1@here.example"))
    found = await judged(house, letter(PILLS), ANN, BOB)
    assert action(found, house, ANN) == ("accept", "correspondent") and action(found, house, BOB) == ("junk", "spam")
    other = letter(PILLS).replace(b"x@far", b"y@far")
    found = await judged(house, other, ANN)
    assert action(found, house, ANN) == ("junk", "spam")
    for name in (b"In-Reply-To: <m1@here.example>", b"References: <a@b>\r\n <m1@here.example>"):
        found = await judged(house, name + b"\r\n" + other, ANN, BOB)
        assert action(found, house, ANN) == ("accept", "correspondent") and action(found, house, BOB)[0] == "junk"


async def test_local_lists_count_for_one_or_for_all(house: House) -> None:
    train(house, spam.HOUSE)

    def put(owner: int, sender: str, *, allowed: bool) -> None:
        house.store.write_now(lambda tx: sender_lists.put(tx, owner, sender, allowed=allowed))

    put(account(house, ANN), "192.0.2.0/24", allowed=True)
    put(account(house, BOB), "far.example", allowed=False)
    found = await judged(house, letter(PILLS), ANN, BOB)
    assert action(found, house, ANN) == ("accept", "allowed") and action(found, house, BOB) == ("refuse", "blocked")
    put(sender_lists.EVERYBODY, "bad.example", allowed=False)
    found = await judged(house, letter(PICNIC), ANN, BOB, peer="198.51.100.1", sender="x@bad.example")
    assert found.whole is not None and found.whole.reason == found.others.reason == "blocked"
    put(account(house, ANN), "far.example", allowed=True)
    found = await judged(house, letter(PILLS), ANN, peer="198.51.100.1")
    assert action(found, house, ANN) == ("junk", "spam"), "a name that nothing proves lets nobody in"


async def test_what_came_before_counts_and_fades(house: House) -> None:
    first = (await judged(house, letter(PICNIC), ANN)).others
    assert "first-contact" in {each.name for each in first.contributions}
    source = standing.Source("far.example", "x@far.example", "192.0.2.1")
    house.store.write_now(lambda tx: standing.note(tx, source, bad=30.0))
    worse = (await judged(house, letter(PICNIC), ANN)).others
    names = {each.name for each in worse.contributions}
    assert {"known-address", "known-network"} <= names and "known-domain" not in names, "nothing proves the domain"
    house.clock.now += 400 * 86_400_000
    assert (await judged(house, letter(PICNIC), ANN)).others.score == first.score


async def arrives(house: House, text: str, head: bytes = b"", peer: str = "192.0.2.1") -> None:
    config = Config([*house.config.rows.items(), *QUIET.items()])
    origin = Origin("smtp", peer, "far.example", trace=receive.new_trace(house.store))
    envelope = Envelope(parse_address("x@far.example"), [Recipient(parse_address(ANN))])
    body = Body.of(head + letter(text))
    found, envelope, body = await Judge(house.store, Answers()).judge(origin, envelope, body, config)
    await receive.accept(house.store, origin, envelope, body, config=config, judged=found)


def repute(house: House) -> tuple[float, float]:
    return house.store.peek(standing.of, standing.Source(ip="192.0.2.1")).of_address


async def test_verdicts_make_a_reputation(house: House) -> None:
    train(house, spam.HOUSE)
    await arrives(house, PICNIC)
    assert repute(house) == (1.0, 0.0)
    await arrives(house, PILLS)
    assert repute(house) == (1.0, 1.0)
    house.store.write_now(lambda tx: sender_lists.put(tx, sender_lists.EVERYBODY, "far.example", allowed=False))
    await arrives(house, PICNIC)
    assert repute(house) == (1.0, 1.0), "what a user blocks says nothing of the mail"


async def test_a_user_who_moves_a_message_has_the_last_word_on_its_source(house: House) -> None:
    await arrives(house, PICNIC)

    async def says(lesson: Literal["ham", "spam"]) -> None:
        found = "select id from email where account_id = ?"
        owner = account(house, ANN)
        house.store.write_now(lambda tx: spam.teach(tx, owner, tx.value(found, owner), lesson))
        await Learning(house.store)._some()

    await says("ham")
    assert repute(house) == (1.0, 0.0), "he agrees with the verdict"
    await says("spam")
    assert repute(house) == (0.0, float(LIMITS.standing_word))


async def test_the_same_when_a_client_moves_it_by_append(house: House) -> None:
    """As mbsync does: another message to the store, with our fields in it and the Message-ID of the one before."""
    train(house, spam.HOUSE)
    owner, numbered = account(house, ANN), b"Message-ID: <%d@far.example>\r\n"

    async def moves(number: int, mailbox: str) -> None:
        data = b"Return-Path: <x@far.example>\r\n" + numbered % number + letter(PILLS)
        body, summary = Body.of(data), summarize(data)

        def work(tx: Any) -> None:
            placed = messages.put(tx, owner, mailbox, blobs.keep(tx, body, summary), len(data), trace=f"copy{number}")
            role = mailboxes.role(tx, mailboxes.get(tx, owner, mailbox))
            spam.appended(tx, owner, role, placed.email_id, (), summary.message_id)

        house.store.write_now(work, bodies=[body])
        await Learning(house.store)._some()

    await arrives(house, PILLS, numbered % 1)
    assert repute(house) == (0.0, 1.0)
    await moves(1, "Junk")
    assert repute(house) == (0.0, 1.0), "he agrees with the verdict"
    await moves(1, "INBOX")
    assert repute(house) == (float(LIMITS.standing_word), 0.0)
    await moves(2, "Junk")
    assert repute(house) == (float(LIMITS.standing_word), 0.0), "nobody knows where that came from"
    await arrives(house, PILLS, numbered % 3)
    await arrives(house, PILLS, numbered % 3, peer="198.51.100.1")
    before = repute(house)
    await moves(3, "INBOX")
    assert repute(house) == before, "it may be either of two"


async def test_a_stranger_in_doubt_is_put_off_once(house: House) -> None:
    tried: list[tuple[str, str, str]] = []

    def greylist(tx: Any, network: str, sender: str, recipient: str, delay: int) -> bool:
        assert delay == 300
        tried.append((network, sender, recipient))
        return tried.count((network, sender, recipient)) > 1

    house.greylist = greylist  # type: ignore[attr-defined]
    doubt = {"spam.doubt": "0.1", "spam.junk": "9"}
    text = letter("nothing that anybody has met")
    found = await judged(house, text, ANN, BOB, **doubt)
    assert found.whole is not None and found.whole.reason == "greylisted"
    denial = found.denial(found.whole, "t" * 16)
    assert (denial.code, denial.enhanced) == (451, "4.7.1") and "who tries again in some minutes" in denial.text
    assert tried == [("192.0.2.0/24", "x@far.example", ANN), ("192.0.2.0/24", "x@far.example", BOB)]
    again = await judged(house, text, BOB, peer="192.0.2.200", **doubt)
    assert again.whole is None and again.others.reason == "clean"
    friend = parse_address("x@far.example")
    house.store.write_now(lambda tx: correspondents.wrote(tx, account(house, ANN), [friend], None))
    found = await judged(house, text, ANN, BOB, sender="other@far.example", **doubt)
    assert found.whole is None and len(tried) == 3, "one who takes it, and it is taken for all"
    row: dict[str, str]
    for row in ({"spam.greylist": "no"}, {"limits.exempt_networks": "192.0.2.0/24"}):
        found = await judged(house, text, BOB, sender="other@far.example", **doubt, **row)
        assert found.whole is None and len(tried) == 3


async def test_the_welcome_of_a_domain_counts_when_its_signature_proves_it(house: House) -> None:
    key = Key("friend.example", "s", "ed25519-sha256", Ed25519PrivateKey.generate())
    zone = Answers("test.dwl.test A 127.0.0.2\nfriend.example.dwl.test A 127.0.5.3")
    zone.add("s._domainkey.friend.example", "TXT", public_record(key))
    house.judge = Judge(house.store, zone)  # type: ignore[attr-defined]
    rows = {"trust.check": "yes", "spam.welcome_domains": "dwl.test"}
    rows |= dict.fromkeys(("spam.blocklists", "spam.domain_lists", "spam.link_lists", "spam.welcome_lists"), "")
    data = letter("good morning")
    for message, points in ((signature(key, data) + data, -4.0), (signature(key, data) + data + b"more\r\n", None)):
        found = await judged(house, message, ANN, **rows)
        good = {each.name: each.points for each in found.others.contributions}.get("listed-good")
        assert good == points and ("friend.example.dwl.test", "A") in zone.asked
