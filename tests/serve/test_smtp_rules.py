"""The doors and the owners' rules: who hears a refusal, and what is done with junk. Spam is set by words, as there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from daemon.admin import trace as telling
from daemon.mail.address import parse_address
from daemon.store import accounts, sieve
from daemon.store.check import check
from daemon.store.tx import Tx
from daemon.trust import bayes
from daemon.trust.results import Content
from daemon.trust.weights import LOGIT_OF_JUNK
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.trust.answers import Answers

PILLS = b"From: One <one@remote.example>\r\nTo: alice@example.test\r\nMessage-ID: <1@remote.example>\r\n\r\npills\r\n"
MAIL = PILLS.replace(b"pills", b"Good morning.")
REFUSE = 'require "ereject";\nereject "Write to me on paper.";'


def _words(tokens: Sequence[bytes], counts: object, numbers: object = None) -> Content:
    return Content(2 * LOGIT_OF_JUNK, 2, (("pills", 9.0),)) if b"pills" in b" ".join(tokens) else Content()


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(bayes, "judge", _words)
    office = PostOffice(tmp_path, Answers(), trust__check="no")
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    assert [*check(office.store)] == []
    await office.close()


def script(office: PostOffice, user: str, text: str) -> None:
    account = office.store.peek(accounts.get, parse_address(user)).id

    def work(tx: Tx) -> None:
        sieve.put(tx, account, "main", text)
        sieve.activate(tx, account, "main")

    office.store.write_now(work)


def found(office: PostOffice, user: str, *names: str) -> list[int]:
    return [len(office.mail_of(user, name)) for name in names]


# ----------------------------------------------------------------------------------------------------------- refusals


async def test_smtp_answers_what_the_only_recipient_says(office: PostOffice) -> None:
    script(office, ALICE, REFUSE)
    async with office.greeted() as c:
        await c.gives(MAIL, "550 5.7.1 Write to me on paper.")
        await c.says("NOOP", "250")
    assert found(office, ALICE, "INBOX") == [0] and office.queued() == []
    (story,) = telling.stories(office.store, sender="one@remote.example") or telling.stories(office.store)
    told = [step.text for step in story.steps]
    assert f"rules of {ALICE}: rejected: Write to me on paper. (script main, line 2)" in told


async def test_smtp_takes_it_when_another_does_and_a_notice_tells(office: PostOffice) -> None:
    script(office, ALICE, REFUSE)
    async with office.greeted() as c:
        await c.gives(MAIL, to=f"{ALICE} {BOB}")
    assert found(office, BOB, "INBOX") == [1]
    assert [(row[0], row[1], row[2]) for row in office.queued()] == [("", "one@remote.example", "notice")]


async def test_lmtp_answers_each_recipient_what_his_rules_say(office: PostOffice) -> None:
    script(office, ALICE, REFUSE)
    async with office.greeted("lmtp") as c:
        await c.gives(MAIL, "250 2.0.0", "550 5.7.1 Write", "250 2.0.0", to=f"{BOB} {ALICE} bob+x@example.test")
    assert found(office, BOB, "INBOX") == [1] and office.queued() == []


async def test_discarded_mail_gets_a_receipt(office: PostOffice) -> None:
    script(office, ALICE, "discard;")
    async with office.greeted() as c:
        trace = (await c.gives(MAIL)).split()[2]
    assert ("ruled", "script") in office.story(trace) and found(office, ALICE, "INBOX") == [0]


# --------------------------------------------------------------------------------------------------------------- junk


async def test_rules_do_not_see_junk(office: PostOffice) -> None:
    script(
        office, ALICE,
        'require ["fileinto", "vacation", "copy"]; redirect :copy "x@far.example"; vacation "away";'
        'fileinto "Archive";',
    )  # fmt: skip
    async with office.greeted() as c:
        trace = (await c.gives(PILLS)).split()[2]
        assert found(office, ALICE, "Junk", "Archive") == [1, 0] and office.queued() == []
        assert not [kind for kind, _ in office.story(trace) if kind == "ruled"]
        await c.gives(MAIL)
    assert found(office, ALICE, "Junk", "Archive") == [1, 1] and len(office.queued()) == 2


async def test_a_script_that_asks_for_spam_decides_itself(office: PostOffice) -> None:
    script(
        office, ALICE,
        'require ["spamtest", "relational", "comparator-i;ascii-numeric", "fileinto", "vacation"]; vacation "away";'
        'if spamtest :value "ge" :comparator "i;ascii-numeric" "5" { fileinto "Archive"; }',
    )  # fmt: skip
    async with office.greeted() as c:
        await c.gives(PILLS)
        assert office.queued() == []  # junk is not answered
        await c.gives(MAIL.replace(b"<1@", b"<2@"))
    assert found(office, ALICE, "INBOX", "Junk", "Archive") == [1, 0, 1] and len(office.queued()) == 1
    assert office.store.read_now(Tx.value, "select count(*) from quarantine") == 0  # what a script files is not listed


async def test_what_such_a_script_keeps_stays_in_junk_and_is_listed(office: PostOffice) -> None:
    script(office, ALICE, 'require ["spamtest", "imap4flags"]; keep :flags "\\\\Seen";')
    async with office.greeted() as c:
        await c.gives(PILLS)
    assert found(office, ALICE, "INBOX", "Junk") == [0, 1]
    assert office.store.read_now(Tx.value, "select count(*) from quarantine") == 1


async def test_a_refusal_of_junk_is_never_a_notice(office: PostOffice) -> None:
    script(office, ALICE, REFUSE.replace('"ereject"', '["ereject", "spamtest"]'))
    async with office.greeted() as c:
        await c.gives(PILLS, "550 5.7.1")
        await c.gives(PILLS, to=f"{ALICE} {BOB}")
    assert office.queued() == [] and found(office, BOB, "Junk") == [1]


async def test_an_error_on_junk_leaves_it_there(office: PostOffice) -> None:
    script(office, ALICE, 'require ["spamtest", "fileinto"]; fileinto "Nowhere";')
    async with office.greeted() as c:
        await c.gives(PILLS)
    assert found(office, ALICE, "INBOX", "Junk") == [1, 1]  # the note, and the message


async def test_nobody_is_notified_of_junk(office: PostOffice) -> None:
    script(office, ALICE, 'require ["spamtest", "enotify"]; notify "mailto:dora@remote.example";')
    async with office.greeted() as c:
        await c.gives(PILLS)
        assert office.queued() == []
        await c.gives(MAIL.replace(b"<1@", b"<2@"))
    assert len(office.queued()) == 1
