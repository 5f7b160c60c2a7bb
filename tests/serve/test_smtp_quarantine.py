"""Port 25 and the quarantine: what is refused is kept, and what goes to Junk is noted; the sender hears 550."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import quarantine as admin
from daemon.admin import trace as telling
from daemon.admin.errors import NotPermitted
from daemon.flow import checks, keeping
from daemon.flow.checks import Part
from daemon.limits import LIMITS
from daemon.store import quarantine
from daemon.store.tx import Tx
from daemon.trust import bayes
from daemon.trust.results import Scan
from daemon.trust.rules import GTUBE
from daemon.trust.verdict import REASONS
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.serve.test_smtp_spam import _words, gives
from tests.store.stage import clean
from tests.trust.answers import Answers

HEAD = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@far.example>\r\nSubject: Your =?utf-8?q?c=C3=B6de?=\r\nMessage-ID: <1@far>\r\n"
)


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(bayes, "judge", _words)
    office = PostOffice(tmp_path, Answers(), trust__check="no")
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    clean(office.store)
    await office.close()


def certain(more: bytes = b"") -> bytes:
    return HEAD + b"\r\n" + more + GTUBE + b"\r\n"


def rows(office: PostOffice, **asked: Any) -> list[quarantine.Row]:
    return office.store.read_now(lambda tx: quarantine.find(tx, **asked))


async def test_a_refused_message_is_kept_found_and_released(office: PostOffice) -> None:
    reply = await gives(office, certain(), "550 5.7.1")
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    (kept,) = admin.found(office.store, sender="jörg")
    assert (kept.user, kept.state, kept.reason, kept.trace) == (ALICE, "refused", "spam-certain", trace)
    assert (kept.author, kept.author_name, kept.subject) == ("joerg@far.example", "Jörg", "Your cöde")
    assert (kept.sender, kept.message_id) == ("one@remote.example", "1@far")
    assert kept.score > 15 and "test string" in kept.why
    assert office.mail_of(ALICE) == []
    shown = admin.show(office.store, str(kept.id))
    assert ("Subject", "Your cöde") in shown.headers and GTUBE.decode() in shown.text
    raw = admin.raw(office.store, str(kept.id))
    done = admin.release(office.store, str(kept.id), allow=True)
    assert done == kept
    (mail,) = office.mail_of(ALICE)
    assert mail == raw and mail.endswith(certain())
    head = mail[: -len(certain())]
    assert head.startswith(b"Return-Path: <one@remote.example>\r\nDelivered-To: alice@example.test\r\n")
    assert b"reason=spam-certain" in head and b"X-Spam-Reasons:" in head and b"X-Spam-Flag" not in head
    (story,) = telling.stories(office.store, trace)
    assert [step.text for step in story.steps][-3:] == [
        f"kept in the quarantine for {ALICE} (entry {kept.id})", f"delivered to INBOX of {ALICE}",
        f"released to INBOX of {ALICE}, by hand; joerg@far.example is let in from now on",
    ]  # fmt: skip
    assert office.store.read_now(Tx.all, "select lesson from spam_lesson") == [("ham",)]


async def test_each_user_it_was_for_has_his_own(office: PostOffice) -> None:
    team = "team@example.test"
    office.add_alias(team, ALICE, BOB)
    await gives(office, certain(), "550", to=team)
    assert {row.user for row in rows(office)} == {ALICE, BOB} and {row.kept.recipient for row in rows(office)} == {team}
    assert office.store.read_now(Tx.all, "select refs from blob") == [(2,)], "its bytes lie there once"
    admin.release(office.store, str(rows(office, limit=1)[0].id))
    assert len(rows(office)) == 1


async def test_junk_is_noted_and_released_by_a_move(office: PostOffice) -> None:
    await gives(office, HEAD + b"\r\ncheap pills\r\n", "250")
    (row,) = rows(office)
    assert (row.junked, row.kept.reason, row.kept.subject) == (True, "spam", "Your cöde")
    admin.release(office.store, str(row.id))
    assert len(office.mail_of(ALICE)) == 1 and office.mail_of(ALICE, "Junk") == [] and rows(office) == []


@pytest.mark.parametrize(
    "setting", [{"quarantine.keep": "0s"}, {"quarantine.limit": "100"}, {"quarantine.user_limit": "1"}]
)
async def test_a_setting_keeps_nothing(office: PostOffice, setting: dict[str, str]) -> None:
    office.set(**setting)
    await gives(office, certain(), "550 5.7.1")
    assert rows(office) == []
    assert not office.store.read_now(Tx.value, "select count(*) from blob where refs > 0")


async def test_what_is_too_large_is_not_kept(office: PostOffice) -> None:
    long = b"Subject: " + b"a" * 900 + b"\r\n"
    await gives(office, long + certain(), "550")
    (row,) = rows(office)
    assert row.kept.subject == "a" * LIMITS.quarantine_text
    admin.remove(office.store, str(row.id))
    large = certain(b"x" * 76 + b"\r\n") + (b"y" * 76 + b"\r\n") * (LIMITS.quarantine_message // 78)
    await gives(office, large, "550")
    assert rows(office) == []


async def test_a_virus_is_kept_and_nobody_gets_it_out(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scan(case: Any) -> Scan:
        return Scan("infected", "Eicar-Test-Signature")

    monkeypatch.setattr(checks, "PARTS", (Part("scan", lambda case: True, scan, 5, Scan("error")),))
    await gives(office, HEAD + b"\r\nfine\r\n", "550")
    (row,) = rows(office)
    assert row.kept.reason == "virus"
    assert office.store.read_now(quarantine.untold, office.store.clock() + 1, 9) == []
    with pytest.raises(NotPermitted, match="has a virus"):
        admin.release(office.store, str(row.id))
    assert len(office.mail_of(ALICE)) == 0


async def test_a_disk_without_room_changes_no_answer(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    office.store.reserve = 1 << 60
    monkeypatch.setattr(type(office.post), "has_room", lambda *_: True)
    await gives(office, certain(), "550 5.7.1")
    assert rows(office) == []


@pytest.mark.parametrize("forged", ["yes", "no"])
async def test_what_a_policy_refuses_is_kept_only_when_that_is_asked_for(office: PostOffice, forged: str) -> None:
    office.set(quarantine__forged=forged)
    assert keeping.wanted(office.config, "dmarc-reject", 100) == (forged == "yes")
    assert not keeping.wanted(office.config, "greylisted", 100)


def test_rules_are_of_reasons_that_there_are() -> None:
    assert set(keeping.RULES) <= set(REASONS)
