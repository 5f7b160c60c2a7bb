"""No virus reaches a mailbox, no program comes as an attachment; a scanner that cannot say is seen, and mail waits."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon import passwords
from daemon.admin import trace as telling
from daemon.flow import checks, dangers
from daemon.mail.address import parse_address
from daemon.store import accounts, correspondents, sender_lists
from daemon.store.tx import Tx
from daemon.trust import attachments
from daemon.trust.results import Scan
from daemon.trust.turns import Turns
from tests.instruments.clamd import DROP, EICAR, STALL, Clamd
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.trust.answers import Answers
from tests.trust.test_attachments import OLE, PROGRAM, encrypted, mail, zipped

HEAD = b"From: <one@far.example>\r\nMessage-ID: <1@far.example>\r\n"
GOOD = HEAD + b"\r\nGood morning.\r\n"
BAD = HEAD + b"\r\n" + EICAR + b"\r\n"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    office = PostOffice(tmp_path, Answers(), trust__check="no")
    office.add_user(ALICE, accounts.Password(*passwords.keep("secret")))
    office.add_user(BOB)
    yield office
    await office.close()


async def gives(
    office: PostOffice, message: bytes, *want: str, answer: bytes | None = None, to: str = ALICE, port: str = "smtp"
) -> str:
    """Hand a message in while the scanner answers like that; the reply to the dot."""
    async with Clamd(answer) as scanner:
        office.set(virus__scanner=scanner.setting)
        async with office.greeted(port) as c:
            return await c.gives(message, *want, to=to)


def told(office: PostOffice, trace: str) -> list[str]:
    (story,) = telling.stories(office.store, trace)
    return [step.text for step in story.steps]


def mails(office: PostOffice, who: str = ALICE) -> int:
    return len(office.mail_of(who)) + len(office.mail_of(who, "Junk"))


async def test_a_virus_is_refused_with_its_name(office: PostOffice) -> None:
    reply = await gives(office, BAD, "550 5.7.1")
    assert "Not taken: the virus scanner found something in it (Eicar-Test-Signature) (trace " in reply
    assert mails(office) == 0
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    assert office.story(trace) == [("judged", "virus"), ("refused", "virus"), ("held", "quarantine")]
    assert "Eicar-Test-Signature" in " ".join(told(office, trace))
    await gives(office, GOOD, "250")
    assert mails(office) == 1 and b"X-Virus" not in office.mail_of(ALICE)[0]


async def test_no_list_no_acquaintance_and_no_other_setting_lets_a_virus_in(office: PostOffice) -> None:
    def known(tx: Tx) -> None:
        alice = accounts.get(tx, parse_address(ALICE)).id
        for owner in (0, alice):
            sender_lists.put(tx, owner, "127.0.0.0/8", allowed=True)
        correspondents.wrote(tx, alice, [parse_address("one@far.example")], "x@y")

    office.store.write_now(known)

    for setting, value in (("spam__refuse", "0"), ("spam__check", "no"), ("attachments__action", "accept")):
        office.set(**{setting: value})
        await gives(office, BAD, "550 5.7.1", to=f"{ALICE} {BOB}")
    assert mails(office) == mails(office, BOB) == 0


async def test_a_virus_is_not_forwarded(office: PostOffice) -> None:
    account = office.store.peek(accounts.get, parse_address(BOB)).id
    office.store.write_now(lambda tx: accounts.set_forwards(tx, account, [parse_address("b@far.example")], keep=True))
    await gives(office, BAD, "550 5.7.1", to=BOB)
    assert office.queued() == [] and mails(office, BOB) == 0


@pytest.mark.parametrize("answer,why", [(DROP, "without an answer"), (STALL, "within 1 s"), (b"?\0", "it says")])
async def test_a_scanner_that_cannot_say(office: PostOffice, answer: bytes, why: str, caplog: Any) -> None:
    caplog.set_level("INFO")
    office.set(virus__timeout="1s")
    reply = await gives(office, GOOD, "451 4.7.1", answer=answer)
    assert "it could not be looked into for viruses for now" in reply and mails(office) == 0
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    assert office.story(trace)[0] == ("judged", "unscanned") and why in told(office, trace)[0]
    office.set(virus__on_error="deliver")
    trace = (await gives(office, GOOD, "250", answer=answer)).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert b"\r\nX-Virus-Error: not scanned: " in mail and why.encode() in mail.partition(b"X-Virus-Error")[2][:60]
    assert f"no answer from the virus scanner ({'no answer ' if 'within' in why else ''}" in told(office, trace)[1]


async def test_what_is_too_large_for_the_scanner_is_delivered_and_told(office: PostOffice) -> None:
    office.set(virus__size="1K")
    trace = (await gives(office, GOOD + b"x\r\n" * 1000, "250")).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert b"X-Virus-Error: not scanned: it has over 1024 octets" in mail and "too large" in told(office, trace)[1]


async def test_a_check_that_ends_without_a_word_is_an_error(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Scan:
        raise RuntimeError("a fault")

    monkeypatch.setattr(dangers.virus, "scan", broken)
    await gives(office, GOOD, "451 4.7.1")
    monkeypatch.undo()
    monkeypatch.setattr(attachments, "files", lambda data: 1 // 0)
    await gives(office, GOOD, "451 4.7.1")
    office.set(virus__on_error="deliver")
    trace = (await gives(office, GOOD, "250")).split()[2]
    (mail,) = office.mail_of(ALICE)
    assert b"\r\nX-Virus-Error: its attachments could not be looked at for now\r\n" in mail
    assert b"attachments that are not taken" not in mail, "nobody has seen any"
    assert "no answer from the attachment policy" in told(office, trace)[1]
    assert {part.field for part in checks.PARTS} >= {"scan", "attachments"}


async def test_what_users_hand_in_is_scanned_unless_that_is_switched_off(office: PostOffice) -> None:
    office.set(auth__require_tls="no")
    letter = b"From: <alice@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <2@x>\r\n\r\n" + EICAR
    secret = base64.b64encode(b"\0alice@example.test\0secret").decode()
    async with Clamd() as scanner:
        office.set(virus__scanner=scanner.setting)
        for outgoing, want in (("yes", "550 5.7.1"), ("no", "250")):
            office.set(virus__outgoing=outgoing)
            async with office.greeted("submission") as c:
                await c.says(f"AUTH PLAIN {secret}", "235")
                await c.gives(letter + b"\r\n", want, sender=ALICE, to="x@far.example")
    assert len(office.queued()) == 1


async def test_a_trusted_network_and_lmtp_bring_no_virus_in(office: PostOffice) -> None:
    office.set(smtp__trusted_networks="127.0.0.0/8")
    await gives(office, BAD, "550 5.7.1")
    await gives(office, GOOD, "250")
    async with Clamd() as scanner:
        office.set(virus__scanner=scanner.setting)
        async with office.greeted("lmtp") as c:
            await c.gives(BAD, "550 5.7.1")
    assert mails(office) == 1


@pytest.mark.parametrize(
    "content,name,box",
    [
        (PROGRAM, "setup.exe", None),
        (PROGRAM, "report.pdf", None),
        (zipped({"a.js": b"x"}), "a.zip", None),
        (zipped({"[Content_Types].xml": b"", "word/vbaProject.bin": b""}), "a.docm", "Junk"),
        (encrypted(zipped({"a.pdf": b""})), "a.zip", "INBOX"),
        (OLE, "a.doc", "INBOX"),
    ],
    ids=["program", "disguised", "zip", "macro", "encrypted", "document"],
)
async def test_attachments_by_the_policy(office: PostOffice, content: bytes, name: str, box: str | None) -> None:
    async with office.greeted() as c:
        reply = await c.gives(HEAD + mail(content, name), "550 5.7.1" if box is None else "250")
    assert mails(office) == (box is not None) and (box is None or len(office.mail_of(ALICE, box)) == 1)
    if box is None:
        assert f"it has an attachment that is not taken here ({name.partition('.')[0]}" in reply
    elif box == "Junk":
        assert b"reason=attachment" in office.mail_of(ALICE, "Junk")[0]


async def test_the_policy_is_a_setting(office: PostOffice) -> None:
    program, macro, closed = (
        HEAD + mail(content, "a.x")
        for content in (PROGRAM, OLE + "_VBA_PROJECT".encode("utf-16-le"), b"Rar!\x1a\x07" + bytes(50))
    )
    office.set(spam__check="no", attachments__action="junk", attachments__macros="refuse", attachments__closed="junk")
    async with office.greeted() as c:
        await c.gives(program, "250")
        await c.gives(macro, "550 5.7.1")
        await c.gives(closed, "250")
    assert len(office.mail_of(ALICE, "Junk")) == 2 and office.mail_of(ALICE) == []
    office.set(attachments__action="accept", attachments__macros="accept", attachments__closed="accept")
    async with office.greeted() as c:
        for message in (program, macro, closed):
            await c.gives(message, "250")
    assert len(office.mail_of(ALICE)) == 3


async def test_so_many_messages_are_unpacked_at_a_time(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dangers, "_turns", Turns(1))
    now = most = 0
    check = attachments.check

    def counted(*args: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        found = check(*args)
        now -= 1
        return found

    monkeypatch.setattr(attachments, "check", counted)
    message = HEAD + mail(zipped({f"{n}.txt": b"x" * 100 for n in range(500)}), "a.zip")

    async def one() -> None:
        async with office.greeted() as c:
            await c.gives(message, "250")

    await asyncio.gather(*(one() for _ in range(6)))
    assert (now, most) == (0, 1) and len(office.mail_of(ALICE)) == 6
