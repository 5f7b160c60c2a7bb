"""CREATE, DELETE, RENAME, SUBSCRIBE, LIST in all its forms, LSUB, STATUS; SELECT and what closes it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.serve.imap import change
from daemon.store import mailboxes
from daemon.store.snapshot import Snapshot
from daemon.store.tx import Tx
from tests.serve.imap.conftest import ALICE, MailHouse, numbers
from tests.serve.imap.test_traps import LOGIN, SELECT


async def names(house: MailHouse) -> set[str]:
    rows = house.store.read_now(mailboxes.everyone, house.accounts[ALICE])
    return {box.name for box in rows} - {name for name, _ in mailboxes.STANDARD}


async def test_create_makes_the_levels_above_and_refuses_what_is_there(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a CREATE Work/2026/Old
S: a OK …
C: b CREATE Work
S: b NO [ALREADYEXISTS] …
C: c CREATE Later/
S: c OK …
C: d CREATE "a//b"
S: d NO [CANNOT] …
C: e CREATE "bad*name"
S: e NO [CANNOT] …
C: f CREATE Mine (USE (\Sent))
S: f OK …
C: g CREATE Yours (USE (\Sent \Trash))
S: g NO [USEATTR] …
C: h CREATE Theirs (USE (\Flagged))
S: h NO [USEATTR] …
C: i CREATE Small (USE (\archive))
S: i OK …
C: j LIST (SPECIAL-USE) "" (Mine Small)
S: * LIST (\HasNoChildren \Sent) "/" Mine
S: * LIST (\HasNoChildren \Archive) "/" Small
S: j OK …
"""
    )
    assert await names(house) == {"Work", "Work/2026", "Work/2026/Old", "Later", "Mine", "Small"}


async def test_delete_leaves_what_lies_below(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a CREATE Top/Sub
S: a OK …
C: b DELETE Top
S: b OK …
C: c LIST "" %
S* * LIST (\NonExistent \Noselect \HasChildren) "/" Top
S* c OK …
C: d LIST "" Top*
S: * LIST (\NonExistent \Noselect \HasChildren) "/" Top
S: * LIST (\HasNoChildren) "/" Top/Sub
S: d OK …
C: e SELECT Top
S: e NO [NONEXISTENT] …
C: f DELETE Top
S: f NO [NONEXISTENT] …
C: g DELETE INBOX
S: g NO [CANNOT] …
C: h DELETE inbox
S: h NO [CANNOT] …
C: i CREATE Top
S: i OK …
C: j DELETE Top/Sub
S: j OK …
C: k LIST "" Top*
S: * LIST (\HasNoChildren) "/" Top
S: k OK …
"""
    )


async def test_delete_of_a_full_mailbox_takes_its_messages_in_steps(
    house: MailHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_STEP", 7)
    await house.store.write(mailboxes.create, house.accounts[ALICE], "Full")
    await house.fill(30, mailbox="Full")
    async with house.client() as client:
        await client.ok("DELETE Full")
        await client.fails("SELECT Full")
    row = house.store.read_now(
        lambda tx: tx.one("select used, messages from account where id = ?", house.accounts[ALICE])
    )
    assert row == (0, 0)


async def test_a_mailbox_deleted_under_a_session_ends_it_and_its_own_delete_does_not(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + LOGIN.replace("S:", "S2:").replace("C:", "C2:")
        + LOGIN.replace("S:", "S3:").replace("C:", "C3:")
        + """
C: a CREATE Doomed
S: a OK …
C: b SELECT Doomed
S* b OK …
C2: a SELECT Doomed
S2* a OK …
C3: a SELECT Doomed
S3* a OK …
C3: b IDLE
S3: + …
C: c DELETE Doomed
S: c OK …
C: d FETCH 1 UID
S: d BAD …
C: e NOOP
S: e OK …
S3: * BYE the selected mailbox is gone; it was deleted
S3.
C2: b NOOP
S2: * BYE …
S2.
"""
    )


async def test_rename_takes_what_lies_below_and_a_session_inside_goes_on(house: MailHouse) -> None:
    await house.store.write(mailboxes.create, house.accounts[ALICE], "Old/Sub")
    await house.fill(2, mailbox="Old")
    before = house.box("Old").uidvalidity
    await house.says(
        LOGIN
        + r"""
C: a SELECT Old
S* a OK …
C: b RENAME Old New/Deep
S: b OK …
C: c FETCH 1:* UID
S: * 1 FETCH (UID 1)
S: * 2 FETCH (UID 2)
S: c OK …
C: d RENAME New/Deep Sent
S: d NO [ALREADYEXISTS] …
C: e RENAME Nothing Else
S: e NO [NONEXISTENT] …
C: f RENAME New/Deep New/Deep/Deeper
S: f NO [CANNOT] …
C: g LIST "" New*
S: * LIST (\HasChildren) "/" New
S: * LIST (\HasChildren) "/" New/Deep
S: * LIST (\HasNoChildren) "/" New/Deep/Sub
S: g OK …
"""
    )
    assert house.box("New/Deep").uidvalidity > before


async def test_rename_of_inbox_moves_its_messages_away(house: MailHouse) -> None:
    await house.fill(3)
    await house.says(
        SELECT
        + """
C: a RENAME INBOX Before
S: * 1 EXPUNGE
S: * 1 EXPUNGE
S: * 1 EXPUNGE
S: a OK …
C: b STATUS Before (MESSAGES)
S: * STATUS Before (MESSAGES 3)
S: b OK …
C: c STATUS INBOX (MESSAGES UIDNEXT)
S: * STATUS INBOX (MESSAGES 0 UIDNEXT 4)
S: c OK …
"""
    )


async def test_subscriptions_outlive_their_mailboxes(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a SUBSCRIBE Gone/Away
S: a OK …
C: b UNSUBSCRIBE Junk
S: b OK …
C: c LSUB "" *
S! * LSUB … Junk
S* * LSUB (\Noselect) "/" Gone/Away
S* c OK …
C: d LSUB "" %
S* * LSUB (\Noselect) "/" Gone
S* d OK …
C: e LIST (SUBSCRIBED) "" *
S! * LIST … Junk
S* * LIST (\NonExistent \Noselect \HasNoChildren \Subscribed) "/" Gone/Away
S* e OK …
C: f LIST (SUBSCRIBED RECURSIVEMATCH) "" %
S* * LIST (\NonExistent \Noselect \HasNoChildren) "/" Gone ("CHILDINFO" ("SUBSCRIBED"))
S* f OK …
C: g LIST "" (INBOX Junk) RETURN (SUBSCRIBED CHILDREN)
S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
S: * LIST (\HasNoChildren \Junk) "/" Junk
S: g OK …
C: h UNSUBSCRIBE Gone/Away
S: h OK …
C: i LSUB "" Gone*
S: i OK …
C: j LIST (SPECIAL-USE) "" *
S! * LIST … INBOX
S* * LIST (\HasNoChildren \Drafts) "/" Drafts
S* j OK …
"""
    )


async def test_patterns_and_the_separator(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a LIST "" ""
S: * LIST (\Noselect) "/" ""
S: a OK …
C: b CREATE A/B/C
S: b OK …
C: c LIST A/ %
S: * LIST (\HasChildren) "/" A/B
S: c OK …
C: d LIST "" ("A/*" "Tr%")
S: * LIST (\HasChildren) "/" A/B
S: * LIST (\HasNoChildren) "/" A/B/C
S: * LIST (\HasNoChildren \Trash) "/" Trash
S: d OK …
C: e LIST "" inbox
S: * LIST (\HasNoChildren) "/" INBOX
S: e OK …
C: f LIST (REMOTE) "" Trash
S: * LIST …
S: f OK …
C: g LIST "" nothing
S: g OK …
C: h NAMESPACE
S: * NAMESPACE (("" "/")) NIL NIL
S: h OK …
"""
    )


async def test_status_counts(house: MailHouse) -> None:
    await house.fill(3, flags=1)
    await house.fill(2)
    box = house.box()
    async with house.client() as client:
        (line,) = await client.ok(
            "STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ APPENDLIMIT)"
        )
        assert line == (
            b"* STATUS INBOX (MESSAGES 5 RECENT 5 UIDNEXT 6 UIDVALIDITY %d UNSEEN 2 SIZE %d HIGHESTMODSEQ %d"
            b" APPENDLIMIT 52428800)" % (box.uidvalidity, box.size, box.modseq)
        )
        await client.fails("STATUS Nothing (MESSAGES)", b"NO [NONEXISTENT]")


async def test_recent_is_told_to_one_session_and_remembered_when_it_leaves(house: MailHouse) -> None:
    await house.fill(2)
    async with house.client(select="INBOX") as first:
        assert await first.ok("SEARCH RECENT") == [b"* SEARCH 1 2"]
        async with house.client() as second:
            assert b"* 0 RECENT" in await second.ok("SELECT INBOX")
            assert (await second.ok("FETCH 1 FLAGS")) == [b"* 1 FETCH (FLAGS ())"]
        await house.fill(1)
        async with house.client() as reader:
            assert b"* 1 RECENT" in await reader.ok("EXAMINE INBOX")
            assert (await reader.ok("FETCH 3 FLAGS")) == [b"* 3 FETCH (FLAGS (\\Recent))"]
        assert b"* 3 RECENT" in await first.ok("NOOP")
        await first.ok("UNSELECT")
        await asyncio.gather(*house.imap.views._tasks)
    assert house.box().recent_from == 4


async def test_select_tells_where_things_stand_and_examine_changes_nothing(house: MailHouse) -> None:
    await house.fill(2, flags=1)
    await house.fill(1, keyword_names=["Work"])
    await house.says(
        LOGIN
        + r"""
C: a EXAMINE INBOX
S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft Work)
S: * OK [PERMANENTFLAGS ()] …
S: * 3 EXISTS
S: * 3 RECENT
S: * OK [UNSEEN 3] …
S: * OK [UIDVALIDITY {{v}}] …
S: * OK [UIDNEXT 4] …
S: * OK [HIGHESTMODSEQ {{m}}] …
S: * OK [MAILBOXID (m{{box}})] …
S: a OK [READ-ONLY] …
C: b STORE 1 +FLAGS (\Deleted)
S: b NO [NOPERM] …
C: c EXPUNGE
S: c NO [NOPERM] …
C: d MOVE 1 Trash
S: d NO [NOPERM] …
C: e FETCH 3 BODY[TEXT]
S: * 3 FETCH (BODY[TEXT] {15}
S: Good morning.
S: )
S: e OK …
C: f FETCH 3 FLAGS
S: * 3 FETCH (FLAGS (\Recent Work))
S: f OK …
C: g SELECT Nothing
S: * OK [CLOSED] …
S: g NO [NONEXISTENT] …
C: h FETCH 1 UID
S: h BAD …
C: i SELECT INBOX (CONDSTORE)
S* i OK [READ-WRITE] …
C: j STORE 1 +FLAGS (\Flagged)
S: * 1 FETCH (FLAGS (\Recent \Seen \Flagged) MODSEQ ({{n:[0-9]+}}))
S: j OK …
"""
    )


async def test_close_expunges_in_silence_and_unselect_does_not(house: MailHouse) -> None:
    await house.fill(4)
    await house.says(
        SELECT
        + r"""
C: a STORE 1 +FLAGS.SILENT (\Deleted)
S: a OK …
C: b UNSELECT
S: b OK …
C: c SELECT INBOX
S* * 4 EXISTS
S* c OK …
C: d CLOSE
S: d OK …
C: e EXAMINE INBOX
S* * 3 EXISTS
S* e OK …
C: f CLOSE
S: f OK …
C: g CLOSE
S: g BAD …
"""
    )
    assert house.box().total == 3


async def test_views_forget_mailboxes_that_nobody_has_open(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.view._SPARE", 2)
    async with house.client() as client:
        for name in ("INBOX", "Sent", "Junk", "Trash", "INBOX"):
            await client.ok(f"SELECT {name}")
        assert len(house.imap.views._boxes) <= 3
        await house.fill(1)
        assert numbers(await client.ok("SELECT INBOX"), b"EXISTS") == [1]


async def test_views_forget_large_mailboxes_first_of_all(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.view.LIMITS", replace(LIMITS, imap_kept_messages=5))
    views = house.imap.views
    for name in ("Sent", "Junk", "Trash"):
        await house.fill(3, mailbox=name)
    async with house.client() as client:
        for name in ("Sent", "Junk", "Trash", "Drafts", "Sent", "Drafts"):
            await client.ok(f"SELECT {name}")
            assert views._spare_messages == sum(views._spare.values()) <= 5
    assert house.box("Junk").id not in views._boxes and house.box("Sent").id in views._boxes


async def test_a_large_mailbox_is_read_in_a_thread(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.view._LARGE", 3)
    await house.fill(10)
    async with house.client(select="INBOX") as one, house.client(select="INBOX") as other:
        await house.fill(2)
        assert numbers(await one.ok("NOOP"), b"EXISTS") == [12]
        await one.ok("STORE 1:12 +FLAGS.SILENT (\\Seen)")
        assert numbers(await other.ok("NOOP"), b"FETCH") == list(range(1, 11))
        assert re.search(rb"Seen", (await other.ok("FETCH 12 FLAGS"))[0])


async def test_a_mailbox_that_vanishes_while_it_is_opened(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.client() as client:
        with monkeypatch.context() as gone:
            gone.setattr("daemon.serve.imap.view._step", lambda tx, mailbox_id, before: None)
            await client.fails("SELECT INBOX", b"NO [NONEXISTENT]")
        await client.ok("SELECT INBOX")


async def test_a_mailbox_that_was_replaced_ends_the_session(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:

        def restored(tx: Tx, mailbox_id: int, before: Snapshot | None) -> Snapshot:
            assert before is not None
            return replace(before, uids=before.uids[1:] + before.uids[:1], states=before.states[:])

        monkeypatch.setattr("daemon.serve.imap.view._step", restored)
        await house.fill(1)
        assert (await client.command_until_closed("NOOP")).startswith(b"* BYE ")


async def test_labels_are_remembered_within_bounds(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.flags._MOST", 2)
    for n in range(6):
        await house.fill(1, keyword_names=[f"word{n}"])
    async with house.client(select="INBOX") as client:
        for _ in range(2):
            lines = await client.ok("FETCH 1:* FLAGS")
            assert [line.split()[-1] for line in lines] == [b"word%d))" % n for n in range(6)]
    labels = house.imap.views.labels
    assert len(labels._texts) <= 4 and len(labels._words) <= 4
