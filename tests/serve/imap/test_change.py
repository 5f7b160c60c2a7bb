"""STORE, COPY, MOVE, EXPUNGE, and what is told of them and recorded."""

from __future__ import annotations

import pytest

from daemon.serve.imap import change
from daemon.store import events, messages
from daemon.store.db import StoreBusy, StoreFull
from tests.serve.imap.conftest import ALICE, MailHouse, numbers
from tests.serve.imap.test_traps import SELECT


async def test_store_answers_with_all_of_the_set_and_silent_with_nothing(house: MailHouse) -> None:
    await house.fill(3)
    await house.says(
        SELECT
        + r"""
C: a STORE 1 +FLAGS (\Seen)
S: * 1 FETCH (FLAGS (\Recent \Seen))
S: a OK …
C: b STORE 1:2 +FLAGS (\Seen Work)
S: * FLAGS …
S: * OK [PERMANENTFLAGS …
S: * 1 FETCH (FLAGS (\Recent \Seen Work))
S: * 2 FETCH (FLAGS (\Recent \Seen Work))
S: b OK …
C: c STORE 1:2 +FLAGS (\Seen)
S: * 1 FETCH (FLAGS (\Recent \Seen Work))
S: * 2 FETCH (FLAGS (\Recent \Seen Work))
S: c OK …
C: d STORE 1:3 -FLAGS.SILENT (work \Seen)
S: d OK …
C: e UID STORE 3 FLAGS (\Flagged \Draft)
S: * 3 FETCH (UID 3 FLAGS (\Recent \Flagged \Draft))
S: e OK …
C: f STORE 3 FLAGS.SILENT ()
S: f OK …
C: g FETCH 1:* FLAGS
S: * 1 FETCH (FLAGS (\Recent))
S: * 2 FETCH (FLAGS (\Recent))
S: * 3 FETCH (FLAGS (\Recent))
S: g OK …
"""
    )


async def test_a_silent_store_still_tells_what_others_did(house: MailHouse) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        await house.store.write(messages.set_flags, house.box().id, [(2, 3)], "+", 4)
        lines = await client.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)")
        assert lines == [
            b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged))",
            b"* 3 FETCH (UID 3 FLAGS (\\Recent \\Flagged))",
        ]
        assert await client.ok("FETCH 2 FLAGS") == [b"* 2 FETCH (FLAGS (\\Recent \\Seen \\Flagged))"]


async def test_conditional_store(house: MailHouse) -> None:
    await house.fill(4)
    modseq = house.box().modseq
    async with house.client(select="INBOX") as client:
        await house.store.write(messages.set_flags, house.box().id, [(2, 3)], "+", 1)
        *lines, last = await client.command(f"STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Deleted)")
        assert last.startswith(b"OK [MODIFIED 2:3] ")
        assert [b"MODSEQ" in line for line in lines] == [True] * len(lines)
        assert [line for line in lines if b"* 1 " in line] == [b"* 1 FETCH (MODSEQ (%d))" % (modseq + 2)]
        *_, last = await client.command("UID STORE 2,4 (UNCHANGEDSINCE 0) FLAGS (\\Seen)")
        assert last.startswith(b"OK [MODIFIED 2,4] ")
        lines = await client.ok(f"UID STORE 4 (UNCHANGEDSINCE {modseq}) FLAGS (\\Seen)")
        assert lines == [b"* 4 FETCH (UID 4 FLAGS (\\Recent \\Seen) MODSEQ (%d))" % (modseq + 3)]
        lines = await client.ok("STORE 4 FLAGS (\\Answered)")
        assert lines == [b"* 4 FETCH (FLAGS (\\Recent \\Answered) MODSEQ (%d))" % (modseq + 4)]


async def test_copy_keeps_flags_and_dates_and_says_where(house: MailHouse) -> None:
    placed = await house.fill(3, flags=5, keyword_names=["Work"], received_at=1_000_000_000_000)
    async with house.client(select="INBOX") as client:
        *_, last = await client.command("COPY 1,3 Archive")
        assert last.startswith(b"OK [COPYUID %d 1,3 1:2] " % house.box("Archive").uidvalidity)
        *_, last = await client.command("UID COPY 2 Archive")
        assert last.startswith(b"OK [COPYUID %d 2 3] " % house.box("Archive").uidvalidity)
        assert (await client.fails("COPY 1 Nowhere")).startswith(b"NO [TRYCREATE] ")
        await client.fails("COPY 9 Archive", b"BAD")
        await client.ok("SELECT Archive")
        (line,) = await client.ok("FETCH 2 (FLAGS INTERNALDATE)")
        assert line == b'* 2 FETCH (FLAGS (\\Recent \\Seen \\Flagged Work) INTERNALDATE " 9-Sep-2001 01:46:40 +0000")'
    rows = house.store.read_now(messages.fetch, house.box("Archive").id, messages.ALL, ("email_id",))
    assert [row[0] for row in rows] == [placed[0].email_id, placed[2].email_id, placed[1].email_id]


async def test_move_tells_copyuid_before_the_expunges(house: MailHouse) -> None:
    await house.fill(4)
    uidvalidity = house.box("Trash").uidvalidity
    await house.says(
        SELECT
        + r"""
C: a MOVE 2:3 Trash
S: * OK [COPYUID {{v}} 2:3 1:2] …
S: * 2 EXPUNGE
S: * 2 EXPUNGE
S: a OK …
C: b UID MOVE 4 Trash
S: * OK [COPYUID {{v}} 4 3] …
S: * 2 EXPUNGE
S: b OK …
C: c MOVE 1 INBOX
S: * OK [COPYUID {{w}} 1 5] …
S: * 1 EXPUNGE
S: * 1 EXISTS
S: * 1 RECENT
S: c OK …
C: d MOVE 1 Nowhere
S: d NO [TRYCREATE] …
""",
        v=str(uidvalidity),
    )
    assert house.box("Trash").total == 3


async def test_expunge_takes_what_is_marked_and_uid_expunge_only_what_is_named(
    house: MailHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_STEP", 3)
    await house.fill(12)
    async with house.client(select="INBOX") as client:
        await client.ok("STORE 1:10 +FLAGS.SILENT (\\Deleted)")
        assert numbers(await client.ok("UID EXPUNGE 2,4:5,11:*"), b"EXPUNGE") == [2, 3, 3]
        assert len(numbers(await client.ok("EXPUNGE"), b"EXPUNGE")) == 7
        assert await client.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 11)", b"* 2 FETCH (UID 12)"]
        assert await client.ok("EXPUNGE") == []


async def test_one_event_a_command_under_the_trace_of_a_message_alone(house: MailHouse) -> None:
    await house.fill(1, trace="0123456789abcdef")
    await house.fill(2)
    async with house.client(select="INBOX") as client:
        await client.ok("COPY 1 Archive")
        await client.ok("COPY 1:3 Archive")
        await client.ok("MOVE 2:3 Trash")
        await client.ok("STORE 1 +FLAGS (\\Deleted)")
        await client.ok("EXPUNGE")
        await client.ok(b"APPEND Sent {41+}\r\nMessage-ID: <x@y>\r\nSubject: c\r\n\r\nbody...")
    told = house.store.read_now(lambda tx: events.of_trace(tx, "0123456789abcdef"))
    assert [(one.kind, one.detail["mailbox"], one.detail.get("to")) for one in told] == [
        ("copied", "INBOX", "Archive"), ("expunged", "INBOX", None),
    ]  # fmt: skip
    everything = house.store.read_now(
        lambda tx: tx.all("select kind, message_id, detail, peer from event where kind <> 'login' order by id")
    )
    assert [row[0] for row in everything] == ["copied", "copied", "moved", "expunged", "appended"]
    assert everything[-1][1] == "x@y" and '"uids": "2:3"' in everything[2][2] and everything[0][3] == "127.0.0.1"


@pytest.mark.parametrize(
    "error,want",
    [
        (StoreFull("x"), b"NO [UNAVAILABLE] the disk is full"),
        (StoreBusy("x"), b"NO [UNAVAILABLE] the store is busy"),
        (ValueError("secret"), b"NO [SERVERBUG] internal error, reference "),
    ],
)
async def test_trouble_is_answered_and_the_session_goes_on(
    house: MailHouse, monkeypatch: pytest.MonkeyPatch, error: Exception, want: bytes
) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:

        def fail(*args: object) -> None:
            raise error

        monkeypatch.setattr(messages, "set_flags", fail)
        line = await client.fails("STORE 1 +FLAGS (\\Seen)")
        assert line.startswith(want) and b"secret" not in line
        lines = await client.command("FETCH 1 BODY[TEXT]<0.4>")
        assert lines[-1].startswith(b"OK" if want.startswith(b"NO [UNAV") else b"NO [SERVERBUG]")
        await client.ok("NOOP")


async def test_a_large_store_is_made_in_steps(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "_STORE_STEP", 3)
    await house.fill(10)
    modseq = house.box().modseq
    async with house.client(select="INBOX") as client:
        assert numbers(await client.ok("STORE 1:* +FLAGS (\\Seen)"), b"FETCH") == list(range(1, 11))
        *_, last = await client.command(f"STORE 2:9 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Deleted)")
        assert last.startswith(b"OK [MODIFIED 2:9] ")
    assert house.box().unseen == 0


async def test_a_fault_in_reading_a_command_is_ours(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr("daemon.serve.imap.session.parse", lambda command, limits: 1 // 0)
            await client.fails("NOOP", b"NO [SERVERBUG]")
        await client.ok("NOOP")


async def test_deleting_and_renaming_are_recorded(house: MailHouse) -> None:
    await house.fill(2)
    async with house.client() as client:
        await client.ok("RENAME INBOX Before")
        await client.ok("DELETE Before")
    kinds = house.store.read_now(lambda tx: tx.all("select kind, detail from event where kind <> 'login' order by id"))
    assert [kind for kind, _ in kinds] == ["moved", "expunged"]
    assert all('"count": 2' in detail for _, detail in kinds)


async def test_keywords_have_limits(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:
        await client.fails("STORE 1 +FLAGS (" + " ".join(f"k{n}" for n in range(65)) + ")", b"NO [")
        await client.fails(f"STORE 1 +FLAGS ({'k' * 200})", b"NO [LIMIT]")
        await client.fails("STORE 1 +FLAGS (\\Strange)", b"BAD")
        await client.ok("STORE 1 +FLAGS (" + " ".join(f"k{n}" for n in range(64)) + ")")


async def test_memory_of_mailboxes_is_counted_by_account(house: MailHouse) -> None:
    await house.fill(2)
    async with house.client(select="INBOX") as client:
        await client.ok("COPY 1:2 Archive")
        await client.ok("STORE 1 +FLAGS (\\Deleted)")
        await client.ok("EXPUNGE")
    row = house.store.read_now(lambda tx: tx.one("select messages from account where id = ?", house.accounts[ALICE]))
    assert row == (2,)
