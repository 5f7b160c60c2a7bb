"""Scripts see what is done over IMAP (RFC 6785)."""

from __future__ import annotations

import pytest

from daemon.config import Config
from daemon.flow import lying
from daemon.serve.imap import happened
from daemon.store import events, mailboxes, messages, metadata, sieve
from daemon.store.db import StoreBusy
from daemon.store.tx import Tx
from tests.serve.imap.conftest import ALICE, BOB, HELLO, MailHouse
from tests.serve.imap.test_filtering import state, waiting

REQUIRE = 'require ["environment", "variables", "imap4flags", "fileinto", "mailbox", "copy", "imapsieve"];\n'
TELLING = (  # what it sees becomes keywords of a copy
    REQUIRE + 'if environment :matches "imap.cause" "*" { set "cause" "${1}"; }\n'
    'if environment :matches "imap.mailbox" "*" { set "box" "${1}"; }\n'
    'if environment :matches "imap.user" "*@*" { set "user" "${1}"; }\n'
    'if environment :matches "imap.email" "*@*" { set "email" "${1}"; }\n'
    'if environment :matches "imap.changedflags" "*" { set "flags" "${1}"; }\n'
    'if string "${flags}" "" { set "flags" "none"; }\n'
    'set "seen" "unseen"; if hasflag "\\\\Seen" { set "seen" "seen"; }\n'
    'set :quotewildcard "all" "${cause}-${box}-${user}-${email}-${seen}";\n'
    'fileinto :copy :create :flags ["${all}", "${flags}"] "Told";\n'
)
"""`hello APPEND-INBOX-alice-alice-unseen none`"""


def script(house: MailHouse, text: str, *boxes: str | None, name: str = "mine") -> None:
    """A script, and where it sees what happens; None: everywhere."""

    def work(tx: Tx) -> None:
        account = house.accounts[ALICE]
        sieve.put(tx, account, name, text)
        for box in boxes:
            number = None if box is None else mailboxes.get(tx, account, box).id
            metadata.set(tx, account, number, {"/shared/imapsieve/script": name.encode()})

    house.store.write_now(work)


def append(mailbox: str, octets: bytes = HELLO, flags: str = "") -> bytes:
    return b"APPEND %b (%b) {%d+}\r\n%b" % (mailbox.encode(), flags.encode(), len(octets), octets)


def told(house: MailHouse) -> list[str]:
    """What the copies say, and they are removed."""
    found = [" ".join(each.split(" ")[1:]).removeprefix("1 ").removeprefix("4 ") for each in state(house, "Told")]
    house.store.write_now(lambda tx: messages.remove(tx, mailboxes.get(tx, house.accounts[ALICE], "Told").id))
    return found


async def test_what_a_script_is_told_of_each_event(house: MailHouse) -> None:
    await house.fill(1)
    script(house, TELLING, None)
    async with house.client() as client:
        await client.ok(append("Archive", flags="\\Seen"))
        assert told(house) == ["APPEND-Archive-alice-alice-seen none"]
        await client.ok("SELECT INBOX")
        await client.ok("COPY 1 Drafts")
        assert told(house) == ["COPY-Drafts-alice-alice-unseen none"]
        await client.ok("STORE 1 +FLAGS (Later \\Seen)")
        assert state(house, "Told") == ["number 1 1 FLAG-INBOX-alice-alice-seen Later"]
        told(house)
        await client.ok("STORE 1 +FLAGS (Later)")  # it has it
        assert state(house, "Told") == []
        await client.ok("STORE 1 -FLAGS.SILENT (Later)")
        assert told(house) == ["FLAG-INBOX-alice-alice-seen Later"]
        await client.ok("STORE 1 FLAGS ()")
        assert state(house, "Told") == ["number 1 1 FLAG-INBOX-alice-alice-unseen"]
        told(house)
        await client.ok("FETCH 1 BODY[]")
        assert state(house, "Told") == ["number 1 1 FLAG-INBOX-alice-alice-seen"]
        told(house)
        await client.ok("FETCH 1 BODY[]")
        assert state(house, "Told") == []
        await client.ok("MOVE 1 Sent")
        assert told(house) == ["COPY-Sent-alice-alice-seen none"]
        await client.ok("UID EXPUNGE 1")
        await client.ok("SEARCH ALL")
        assert state(house, "Told") == []


async def test_which_script_it_is(house: MailHouse) -> None:
    def flag(word: str) -> str:
        return f'require "imap4flags"; addflag "{word}";'

    script(house, flag("Everywhere"), None, name="server")
    script(house, flag("Here"), "Archive", name="here")
    script(house, flag("Unused"), name="unused")
    script(house, flag("None"), "Sent", "Drafts", name="gone")

    def work(tx: Tx) -> None:
        account = house.accounts[ALICE]
        sieve.remove(tx, account, "gone")
        drafts = mailboxes.get(tx, account, "Drafts").id
        metadata.set(tx, account, drafts, {"/shared/imapsieve/script": b""})

    house.store.write_now(work)
    async with house.client() as client:
        for name in ("INBOX", "Archive", "Sent", "Drafts"):
            await client.ok(append(name))
    async with house.client(BOB) as client:
        await client.ok(append("INBOX"))
    assert state(house) == ["hello Everywhere"]
    assert state(house, "Archive") == ["hello Here"]
    assert state(house, "Sent") == ["hello"] and state(house, "Drafts") == ["hello"]
    assert state(house, of=BOB) == ["hello"]


@pytest.mark.parametrize(
    "text,archive,elsewhere",
    [
        ("keep;", "hello", []),
        ("discard;", "hello 8", []),
        ('require "fileinto"; fileinto "Sent";', "hello 8", ["hello"]),
        ('require ["copy", "fileinto"]; fileinto :copy "Sent";', "hello", ["hello"]),
        ('require "fileinto"; fileinto "Archive";', "hello", []),
        ('require "editheader"; addheader "X-New" "x";', "hello", []),
        ('require ["editheader", "fileinto"]; deleteheader "subject"; addheader "Subject" "new"; fileinto "Sent";',
         "hello 8", ["new"]),
        ('require ["editheader", "copy", "fileinto"]; addheader "X-New" "x"; fileinto :copy "Sent";', "hello",
         ["hello"]),
    ],
)  # fmt: skip
async def test_what_a_script_wants_is_done(house: MailHouse, text: str, archive: str, elsewhere: list[str]) -> None:
    script(house, text, "Archive")
    async with house.client() as client:
        await client.ok(append("Archive"))
    assert state(house, "Archive") == [archive]
    assert state(house, "Sent") == elsewhere


async def test_the_example_of_the_rfc(house: MailHouse) -> None:
    """Section 5, example 1."""
    text = """require ["copy", "environment", "imapsieve"];
      if anyof (environment :is "imap.cause" "APPEND", environment :is "imap.cause" "COPY") {
        if environment :is "imap.mailbox" "ActionItems" { redirect :copy "actionitems@example.com"; }
      }"""
    async with house.client(select="INBOX") as client:
        await client.ok("CREATE ActionItems")
        script(house, text, "ActionItems", None)
        await client.ok(append("ActionItems"))
        await client.ok(append("INBOX"))
        await client.ok("COPY 1 ActionItems")
        await client.ok("STORE 1 +FLAGS (X)")
    assert state(house, "ActionItems") == ["hello"] * 2
    assert waiting(house) == [("alice@example.test", "actionitems@example.com")] * 2


async def test_what_scripts_do_is_no_event(house: MailHouse) -> None:
    script(house, REQUIRE + 'addflag "Passed"; fileinto :copy "Sent";', "Archive", name="one")
    script(house, REQUIRE + 'addflag "Back"; fileinto :copy "Archive";', "Sent", name="two")
    async with house.client(select="Archive") as client:
        await client.ok(append("Archive"))
        await client.ok("STORE 1 +FLAGS (X)")
    assert state(house, "Archive") == ["hello Passed X"]
    assert state(house, "Sent") == ["hello Passed", "hello Passed X"]


@pytest.mark.parametrize(
    "text,fault",
    [
        ('require "reject"; if false { reject "no"; }', "reject is for mail that comes"),
        ('require "ereject"; keep;', "ereject is for mail that comes"),
        ('require ["vacation", "fileinto"]; fileinto "Sent";', "vacation is for mail that comes"),
        ('require "envelope"; if envelope "from" "x" { discard; } discard;', "has no envelope"),
        ('require "fileinto"; discard; fileinto "Nowhere";', "no mailbox 'Nowhere'"),
        ('redirect "nobody@example.test";', "cannot be redirected"),
        ("discard; nonsense;", "nonsense"),
    ],
)
async def test_what_goes_wrong_leaves_the_message_and_its_owner_is_told_once(
    house: MailHouse, text: str, fault: str
) -> None:
    script(house, text, "Archive")
    async with house.client(select="Archive") as client:
        await client.ok(append("Archive"))
        await client.ok(append("Archive"))
        await client.ok("STORE 1:2 +FLAGS (X)")
    assert state(house, "Archive") == ["hello X"] * 2
    assert state(house, "Sent") == [] and waiting(house) == []
    assert state(house) == ["Your mail rules do not work"]
    async with house.client(select="INBOX") as client:
        (line,) = await client.ok("FETCH 1 BODY.PEEK[TEXT]")
        assert fault in " ".join(line.decode().split()) and "Archive" in line.decode()


async def test_a_store_out_of_order_fails_no_command(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    script(house, "discard;", "Archive")

    def busy(*_: object) -> list[str | None]:
        raise StoreBusy("later")

    monkeypatch.setattr(lying, "amend", busy)
    async with house.client(select="Archive") as client:
        await client.ok(append("Archive"))
        await client.ok("STORE 1 +FLAGS (X)")
    assert state(house, "Archive") == ["hello X"]


async def test_the_client_hears_what_the_script_did(house: MailHouse) -> None:
    script(house, REQUIRE + 'addflag "Sorted"; fileinto "Sent";', "Archive")
    await house.deliver(HELLO, mailbox="Archive")
    async with house.client(select="Archive") as client:
        lines = await client.ok("STORE 1 +FLAGS (X)")
        assert lines[-1] == b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted X))"
    steps = house.store.read_now(Tx.value, "select detail from event where kind = 'ruled'")
    assert "filed into Sent" in steps and events.KINDS["ruled"]


async def test_many_at_once(house: MailHouse) -> None:
    await house.fill(120)
    script(house, REQUIRE + 'if header :contains "subject" "7" { addflag "Seven"; }', "Archive")
    async with house.client(select="INBOX") as client:
        await client.ok("MOVE 1:* Archive")
    assert sum(each.endswith("Seven") for each in state(house, "Archive")) == 21
    assert len(state(house, "Archive")) == 120


@pytest.mark.parametrize(
    "listen,want",
    [
        ("off", []),
        (":4190", ["IMAPSIEVE=sieve://mx.example.test"]),
        ("127.0.0.1:2000", ["IMAPSIEVE=sieve://mx.example.test:2000"]),
        ("127.0.0.1:2000, :4190", ["IMAPSIEVE=sieve://mx.example.test"]),
    ],
)
def test_where_scripts_are_kept_is_announced(listen: str, want: list[str]) -> None:
    config = Config({"hostname": "mx.example.test", "listen.managesieve": listen}.items())
    assert happened.capability(config) == want
