"""What a client does with Junk is a lesson for the filter, in the same transaction; to Trash it is none (trap P7)."""

from __future__ import annotations

import pytest

from daemon.mail.identity import identity
from daemon.store import events, spam
from daemon.store.tx import Tx
from tests.serve.imap.conftest import ALICE, HELLO, MailHouse


def queue(house: MailHouse) -> list[tuple[str, str]]:
    """What waits, and it is forgotten."""
    rows: list[tuple[str, str]] = house.store.read_now(
        Tx.all, "select lesson, source from spam_lesson order by blob_id"
    )
    house.store.write_now(lambda tx: tx.run("delete from spam_lesson"))
    return rows


@pytest.mark.parametrize(
    "source,target,lesson",
    [
        ("INBOX", "Junk", "spam"), ("Archive", "Junk", "spam"), ("Trash", "Junk", "spam"),
        ("INBOX", "Junk/Old", "spam"),
        ("Junk", "INBOX", "ham"), ("Junk", "Archive", "ham"), ("Junk", "Work", "ham"), ("Junk/Old", "INBOX", "ham"),
        ("Junk", "Trash", ""), ("Junk", "Trash/Old", ""), ("Junk/Old", "Trash", ""), ("Junk", "Junk/Old", ""),
        ("Junk/Old", "Junk", ""), ("Junk", "Junk", ""),
        ("INBOX", "Trash", ""), ("Trash", "INBOX", ""), ("INBOX", "Archive", ""), ("INBOX", "INBOX", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["MOVE", "COPY"])
async def test_where_a_message_goes_says_what_it_is(
    house: MailHouse, verb: str, source: str, target: str, lesson: str
) -> None:
    async with house.client() as client:
        for name in ("Junk/Old", "Trash/Old", "Work"):
            await client.ok(f"CREATE {name}")
        await house.fill(3, mailbox=source)
        await client.ok(f"SELECT {source}")
        await client.ok(f"{verb} 1,3 {target}")
    assert queue(house) == ([(lesson, "moved")] * 2 if lesson else [])


async def test_deliveries_teach_nothing(house: MailHouse) -> None:
    await house.deliver(HELLO, mailbox="Junk")
    await house.deliver(HELLO, mailbox="INBOX", keyword_names=("$Junk",))
    assert queue(house) == []


@pytest.mark.parametrize(
    "mailbox,flags,lesson",
    [
        ("Junk", "", ("spam", "moved")), ("Junk", r"(\Seen $Junk)", ("spam", "moved")),
        ("Junk", "(NonJunk)", ("ham", "keyword")), ("INBOX", "($JUNK)", ("spam", "keyword")),
        ("INBOX", "($NotJunk)", ("ham", "keyword")), ("INBOX", r"(\Seen)", None), ("Sent", "", None),
        ("Trash", "", None), ("Trash", "(Junk)", None), ("INBOX", "($Junk $NotJunk)", None),
    ],
)  # fmt: skip
async def test_an_append_teaches_too(
    house: MailHouse, mailbox: str, flags: str, lesson: tuple[str, str] | None
) -> None:
    async with house.client() as client:
        await client.ok(b"APPEND %s %s {%d+}\r\n%s" % (mailbox.encode(), flags.encode(), len(HELLO), HELLO))
    assert queue(house) == ([lesson] if lesson else [])


async def test_a_store_of_keywords_is_a_lesson_for_each_message(house: MailHouse) -> None:
    await house.fill(4)
    async with house.client(select="INBOX") as client:
        await client.ok("STORE 1:3 +FLAGS (JUNK)")
        assert queue(house) == [("spam", "keyword")] * 3
        await client.ok("STORE 2:4 +FLAGS (Junk)")
        assert queue(house) == [("spam", "keyword")], "the others have it"
        await client.ok(r"STORE 1:4 FLAGS (\Seen $NotJunk)")
        assert queue(house) == [("ham", "keyword")] * 4
        await client.ok("STORE 1:4 -FLAGS ($NotJunk)")
        assert queue(house) == [("not-ham", "keyword")] * 4
        await client.ok(r"STORE 1:4 -FLAGS (\Seen Junk)")
        assert queue(house) == []


MAIL = HELLO.replace(b"Subject", b"Message-ID: <%d@example.org>\r\nSubject")


def delivered_to_junk(house: MailHouse, number: int) -> None:
    """What the trace has of a message that the server took for junk."""

    def work(tx: Tx) -> None:
        events.record(tx, f"trace {number}", "accepted", message_id=f"{number}@example.org")
        events.record(tx, f"trace {number}", "delivered", user=str(ALICE), mailbox="Junk", uid=1)

    house.store.write_now(work)


@pytest.mark.parametrize("target,lesson", [("INBOX", "ham"), ("Work", "ham"), ("Trash", ""), ("Sent", "")])
async def test_mail_that_a_client_moves_by_append_has_left_junk(house: MailHouse, target: str, lesson: str) -> None:
    """As mbsync does it, in whatever order it takes the mailboxes."""
    delivered_to_junk(house, 1)
    learnt, other = MAIL % 2, MAIL % 3
    account = house.accounts[ALICE]
    house.store.write_now(spam.learn, account, identity(learnt), "spam", (1,))
    house.store.write_now(spam.learn, account, identity(other), "ham", (1,))
    async with house.client() as client:
        await client.ok("CREATE Work")
        for data in (MAIL % 1, learnt, other, MAIL % 4):
            await client.ok(b"APPEND %s {%d+}\r\n%s" % (target.encode(), len(data), data))
    assert queue(house) == ([(lesson, "moved")] * 2 if lesson else [])


async def test_junk_of_others_is_not_mine(house: MailHouse) -> None:
    """Bob's copy was delivered to his INBOX, whatever became of mine."""
    delivered_to_junk(house, 1)
    async with house.client() as client:
        await client.ok("RENAME Junk Other")
        await client.ok("CREATE Junk")
        await client.ok(b"APPEND INBOX {%d+}\r\n%s" % (len(MAIL % 1), MAIL % 1))
    assert queue(house) == []
