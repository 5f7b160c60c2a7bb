"""FILTER: scripts look at messages that lie in a mailbox (draft-bosch-imap-filter-sieve-00)."""

from __future__ import annotations

import pytest

from daemon.flow import amending, lying
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import events, mailboxes, messages, sieve
from daemon.store.check import check
from daemon.store.tx import Tx
from tests.serve.imap.conftest import ALICE, BOB, HELLO, Client, MailHouse


async def run(client: Client, script: str, keys: str = "ALL", verb: str = "FILTER") -> list[bytes]:
    """The answers to FILTER with this script, each with its literal; the tagged one last."""
    return await client.command(b"%b SIEVE SCRIPT {%d+}\r\n%b %b" % (
        verb.encode(), len(script.encode()), script.encode(), keys.encode(),
    ))  # fmt: skip


def results(lines: list[bytes]) -> list[tuple[int, str]]:
    """Which messages were told of, and what."""
    return [
        (int(line.split()[1]), line.decode().partition("UID ")[2].partition(" ")[2].replace("\r\n", " "))
        for line in lines
        if b" FILTERED " in line
    ]


def state(house: MailHouse, name: str = "INBOX", of: Address = ALICE) -> list[str]:
    """Subject, flags and keywords of what is in a mailbox."""

    def work(tx: Tx) -> list[str]:
        box = mailboxes.find(tx, house.accounts[of], name)
        rows = messages.fetch(tx, box.id, messages.ALL, ("subject", "flags", "keywords")) if box else []
        words = [
            (tx.value("select names from keyword_set where id = ?", keywords) or "").split() for _, _, keywords in rows
        ]
        return [
            " ".join([subject, *(str(flags) if flags else "").split(), *names])
            for (subject, flags, _), names in zip(rows, words, strict=True)
        ]

    assert [*check(house.store)] == []
    return house.store.read_now(work)


def waiting(house: MailHouse) -> list[tuple[str, str]]:
    """Sender and recipient of what is in the queue."""
    rows: list[tuple[str, str]] = house.store.read_now(
        Tx.all,
        "select m.sender, r.address from queue_recipient r join queue_message m on m.id = r.message_id order by r.id",
    )
    return rows


@pytest.mark.parametrize(
    "script,inbox,filed",
    [
        ("keep;", ["number 1 1", "number 2"], []),
        ("", ["number 1 1", "number 2"], []),
        ("stop;", ["number 1 1", "number 2"], []),
        ("discard;", ["number 1 9", "number 2 8"], []),
        ("discard; keep;", ["number 1 1", "number 2"], []),
        ('require "fileinto"; fileinto "Work";', ["number 1 9", "number 2 8"], ["number 1 1", "number 2"]),
        ('require ["fileinto", "copy"]; fileinto :copy "Work";', ["number 1 1", "number 2"],
         ["number 1 1", "number 2"]),
        ('require "fileinto"; fileinto "INBOX";', ["number 1 1", "number 2"], []),
        ('require "fileinto"; fileinto "Work"; keep;', ["number 1 1", "number 2"], ["number 1 1", "number 2"]),
        ('require "imap4flags"; addflag ["\\\\Flagged", "Later"];', ["number 1 5 Later", "number 2 4 Later"], []),
        ('require "imap4flags"; removeflag "\\\\Seen";', ["number 1", "number 2"], []),
        ('require "imap4flags"; setflag "\\\\Answered";', ["number 1 2", "number 2 2"], []),
        ('require "imap4flags"; keep :flags "Fine";', ["number 1 Fine", "number 2 Fine"], []),
        ('require "imap4flags"; if hasflag "\\\\Seen" { discard; }', ["number 1 9", "number 2"], []),
        (
            'require ["imap4flags", "fileinto", "copy"]; fileinto :copy :flags "Filed" "Work";',
            ["number 1 1", "number 2"], ["number 1 Filed", "number 2 Filed"],
        ),
        ('require ["fileinto", "mailbox"]; fileinto :create "Work";', ["number 1 9", "number 2 8"],
         ["number 1 1", "number 2"]),
        ('require "environment"; if allof (environment "location" "MS", environment "phase" "post",'
         ' environment "imap.cause" "") { discard; }', ["number 1 9", "number 2 8"], []),
        ('require "envelope"; if envelope "from" "carl@far.example" { discard; }', ["number 1 9", "number 2 8"], []),
        ('require "vacation"; vacation "away";', ["number 1 1", "number 2"], []),
        ('require "reject"; reject "no";', ["number 1 1", "number 2"], []),
    ],
)  # fmt: skip
async def test_what_a_script_wants_is_done_where_the_message_lies(
    house: MailHouse, script: str, inbox: list[str], filed: list[str]
) -> None:
    await house.fill(2, prefix=b"Return-Path: <carl@far.example>\r\nDelivered-To: alice@example.test\r\n")
    async with house.client(select="INBOX") as client:
        if "create" not in script:
            await client.ok("CREATE Work")
        await client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        lines = await run(client, script)
        assert lines[-1] == b"OK FILTER completed"
    assert state(house) == inbox
    assert state(house, "Work") == filed
    assert waiting(house) == []


async def test_the_client_is_told_of_what_changed_and_of_nothing_else(house: MailHouse) -> None:
    await house.fill(3)
    script = 'require "imap4flags"; if header :contains "subject" ["1", "3"] { addflag "\\\\Flagged"; }'
    async with house.client(select="INBOX") as client:
        lines = await run(client, script, "2:3")
        assert [line for line in lines if b"FILTERED" in line] == [b'* 3 FILTERED (TAG "t3") UID 3 OK']
        assert b"* 3 FETCH (UID 3 FLAGS (\\Recent \\Flagged))" in lines
        lines = await run(client, script, "UNFLAGGED", "UID FILTER")
        assert [line for line in lines if b"FILTERED" in line] == [b'* 1 FILTERED (TAG "t4") UID 1 OK']
        assert lines[-1] == b"OK UID FILTER completed"
        assert results(await run(client, script)) == []
        assert results(await run(client, script, "SUBJECT nothing")) == []


@pytest.mark.parametrize(
    "command,told,refusal",
    [
        ("FILTER SIEVE DELIVERY ALL", [], "NO [NONEXISTENT] …"),
        ("FILTER SIEVE PERSONAL none ALL", [], "NO [NONEXISTENT] …"),
        ("FILTER SIEVE GLOBAL none ALL", [], "NO [NONEXISTENT] …"),
        ('FILTER SIEVE PERSONAL "" ALL', [], "NO [CANNOT] …"),
        ('FILTER SIEVE SCRIPT "keep; nonsense;" ALL', ["line 1, column 7"], "NO …"),
        ('FILTER SIEVE SCRIPT "require \\"imapsieve\\";" ALL', ["imapsieve is for"], "NO …"),
        ('FILTER SIEVE SCRIPT "keep;" CHARSET x-none SUBJECT x', [], "NO [BADCHARSET …"),
        ('FILTER SIEVE SCRIPT "keep;"', [], "BAD …"),
        ("FILTER SIEVE NONSENSE ALL", [], "BAD …"),
        ("FILTER PROCMAIL DELIVERY ALL", [], "BAD …"),
    ],
)
async def test_what_keeps_a_filter_from_running(house: MailHouse, command: str, told: list[str], refusal: str) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:
        *lines, last = await client.command(command)
        assert last.decode().startswith(refusal.rstrip("…"))
        shown = [line.decode() for line in lines if line.startswith(b'* FILTER (TAG "t3") ERRORS {')]
        assert len(shown) == len(told) and all(want in line for want, line in zip(told, shown, strict=True))
        assert results(lines) == []
    assert state(house) == ["number 1"]


async def test_a_mailbox_that_is_only_read_is_not_filtered(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client() as client:
        await client.ok("EXAMINE INBOX")
        assert (await run(client, "discard;"))[-1].startswith(b"NO [NOPERM]")
        await client.ok("UNSELECT")
        assert (await run(client, "discard;"))[-1].startswith(b"BAD")
    assert state(house) == ["number 1"]


async def test_the_scripts_that_have_a_name(house: MailHouse) -> None:
    await house.fill(1)
    flag = 'require "imap4flags"; addflag "%s";'

    def work(tx: Tx) -> None:
        sieve.put(tx, house.accounts[ALICE], "mine", flag % "Mine")
        sieve.put(tx, house.accounts[ALICE], "other", flag % "Other")
        sieve.put(tx, house.accounts[BOB], "bobs", flag % "Bobs")
        sieve.activate(tx, house.accounts[ALICE], "mine")
        sieve.put_global(tx, "first", flag % "First", place="before")
        sieve.put_global(tx, "shelf", flag % "Shelf", place="library")

    house.store.write_now(work)
    async with house.client(select="INBOX") as client:
        assert results(await client.command("FILTER SIEVE PERSONAL other ALL")) == [(1, "OK")]
        assert state(house) == ["number 1 Other"]
        assert (await client.fails("FILTER SIEVE PERSONAL bobs ALL")).startswith(b"NO [NONEXISTENT]")
        assert results(await client.command('FILTER SIEVE GLOBAL "shelf" ALL')) == [(1, "OK")]
        assert state(house) == ["number 1 Other Shelf"]
        assert results(await client.command("FILTER SIEVE DELIVERY ALL")) == [(1, "OK")]
        assert state(house) == ["number 1 First Mine Other Shelf"]
    told = house.store.read_now(Tx.all, "select kind, detail from event where kind = 'ruled' order by id")
    assert len(told) == 3 and "other" in told[0][1]


@pytest.mark.parametrize(
    "script,result,inbox",
    [
        ('require "fileinto"; fileinto "Nowhere";', "ERRORS {37} line 1: there is no mailbox 'Nowhere'", "hello"),
        ('require ["fileinto", "imap4flags"]; addflag "X"; fileinto "Nowhere"; keep;', "ERRORS", "hello"),
        ('redirect "nobody@example.test";', "ERRORS", "hello"),
        ('require ["ihave"]; error "so";', "ERRORS", "hello"),
        ('require "reject"; reject "no";', "WARNINGS", "hello"),
        ('require "vacation"; vacation "gone"; discard;', "WARNINGS", "hello 8"),
    ],
)
async def test_after_a_fault_the_message_is_as_it_was(house: MailHouse, script: str, result: str, inbox: str) -> None:
    await house.deliver(HELLO)
    async with house.client(select="INBOX") as client:
        lines = await run(client, script)
        ((number, told),) = results(lines)
        assert number == 1 and told.startswith(result)
        assert lines[-1] == b"OK FILTER completed"
    assert state(house) == [inbox]
    assert waiting(house) == []
    assert house.store.read_now(sieve.may_be_told, house.accounts[ALICE])  # he was: by his client


async def test_what_is_sent_on_is_the_owners_mail_and_counts_as_such(house: MailHouse) -> None:
    house.set(allowance__messages_per_hour="2")
    delivered = b"Return-Path: <carl@far.example>\r\nDelivered-To: alice@example.test\r\n"
    await house.fill(3, prefix=delivered)
    async with house.client(select="INBOX") as client:
        assert results(await run(client, 'redirect "c@far.example";')) == [(1, "OK"), (2, "OK"), (3, "OK")]
    assert state(house) == ["number 1 8", "number 2 8", "number 3 8"]
    assert waiting(house) == [("alice@example.test", "c@far.example")] * 3
    states = house.store.read_now(Tx.all, "select state from queue_recipient order by id")
    assert states == [("due",), ("due",), ("held",)]


async def test_what_is_notified_elsewhere_counts_too(house: MailHouse) -> None:
    house.set(allowance__messages_per_hour="2")
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        lines = await run(client, 'require "enotify"; notify "mailto:c@far.example";')
        assert results(lines) == [(1, "OK"), (2, "OK"), (3, "OK")]
    assert waiting(house) == [("", "c@far.example")] * 3
    states = house.store.read_now(Tx.all, "select state from queue_recipient order by id")
    assert states == [("due",), ("due",), ("held",)]


async def test_to_somebody_here_and_never_in_a_circle(house: MailHouse) -> None:
    await house.deliver(HELLO, b"Delivered-To: alice@example.test\r\n" + HELLO)
    async with house.client(select="INBOX") as client:
        await run(client, 'redirect "bob@example.test";')
        assert state(house, of=BOB) == ["hello"] * 2
        assert state(house) == ["hello 8"] * 2
        await client.ok("STORE 1:2 -FLAGS.SILENT (\\Deleted)")
        await run(client, 'require "imap4flags"; addflag "X"; redirect "alice@example.test";')
        assert state(house) == ["hello"] * 2
        await run(client, 'redirect "out@far.example";')
    assert state(house) == ["hello 8", "hello"]
    assert waiting(house) == [("alice@example.test", "out@far.example")]


async def test_a_changed_message_is_a_new_one(house: MailHouse) -> None:
    await house.deliver(HELLO)
    script = 'require ["editheader", "fileinto", "copy"]; deleteheader "Subject"; addheader "Subject" "new";'
    async with house.client(select="INBOX") as client:
        await client.ok("CREATE Work")
        lines = await run(client, f'{script} fileinto :copy "Work";')
        assert results(lines) == [(1, "OK")]
        assert b"* 2 EXISTS" in lines
    assert state(house) == ["hello 8", "new"]
    assert state(house, "Work") == ["new"]


async def test_without_room_the_message_stays(house: MailHouse) -> None:
    placed = await house.fill(2)
    async with house.client(select="INBOX") as client:
        house.set(limits__quota=str(2 * len(HELLO) + 40))
        lines = await run(client, 'require "editheader"; addheader "X-New" "x";')
        assert [text[:6] for _, text in results(lines)] == ["ERRORS"] * 2
        assert lines[-1] == b"OK FILTER completed"
    assert len(placed) == len(state(house)) and state(house) == ["number 1", "number 2"]


async def test_what_duplicate_remembers(house: MailHouse) -> None:
    same = HELLO.replace(b"Subject", b"Message-ID: <1@example.org>\r\nSubject")
    await house.deliver(same, same, HELLO)
    async with house.client(select="INBOX") as client:
        lines = await run(client, 'require "duplicate"; if duplicate { discard; }', "1:2")
        assert results(lines) == [(2, "OK")]
    assert state(house) == ["hello", "hello 8", "hello"]


async def test_notices_are_sent(house: MailHouse) -> None:
    await house.deliver(HELLO)
    async with house.client(select="INBOX") as client:
        assert results(await run(client, 'require "enotify"; notify "mailto:bob@example.test";')) == [(1, "OK")]
    assert len(state(house, of=BOB)) == 1 and state(house) == ["hello"]


async def test_the_score_that_was_found_at_delivery(house: MailHouse) -> None:
    await house.deliver(HELLO, prefix=b"X-Spam-Status: Yes, score=7.2 required=5.0 reason=content\r\n")
    await house.deliver(b"X-Spam-Status: Yes, score=7.2 required=5.0\r\n" + HELLO)  # a forged one
    script = 'require ["spamtest", "relational", "comparator-i;ascii-numeric"];'
    script += 'if spamtest :value "ge" :comparator "i;ascii-numeric" "5" { discard; }'
    async with house.client(select="INBOX") as client:
        assert results(await run(client, script)) == [(1, "OK")]


async def test_long_sets_are_filtered_some_at_a_time(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages of one transaction, and the time that one thread takes, are bounded."""
    steps: list[int] = []

    def amend(tx: Tx, account_id: int, mailbox_id: int, some: list[amending.Amendment]) -> list[str | None]:
        steps.append(len(some))
        return amending.amend(tx, account_id, mailbox_id, some)

    monkeypatch.setattr(lying, "amend", amend)
    monkeypatch.setattr("daemon.flow.lying.LIMITS", LIMITS.__class__(sieve_again=4, sieve_again_slice=10_000))
    await house.fill(10)
    async with house.client(select="INBOX") as client:
        assert len(results(await run(client, "discard;"))) == 10
        assert steps == [4, 4, 2]
        monkeypatch.setattr("daemon.flow.lying.LIMITS", LIMITS.__class__(sieve_again_slice=0))
        assert len(results(await run(client, 'require "imap4flags"; setflag "X";'))) == 10
    assert steps[3:] == [1] * 10


async def test_all_that_one_command_may_take(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.fill(3)
    monkeypatch.setattr("daemon.flow.lying.LIMITS", LIMITS.__class__(sieve_again_slice=0, sieve_again_all=0))
    async with house.client(select="INBOX") as client:
        lines = await run(client, "discard;")
        assert results(lines) == [(1, "OK")]
        assert lines[-1] == b"NO [LIMIT] the script takes too long: 2 messages are left as they are"
    assert state(house) == ["number 1 8", "number 2", "number 3"]


async def test_what_goes_meanwhile_is_passed_over(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        await house.store.write(messages.remove, house.box().id, [(1, 1)])
        decide = lying._decide

        def gone(store, asked, config, uid):  # type: ignore[no-untyped-def]
            one = decide(store, asked, config, uid)
            if uid == 2:
                store.write_now(messages.remove, asked.mailbox_id, [(2, 2)])
            return one

        monkeypatch.setattr(lying, "_decide", gone)
        lines = await run(client, 'require ["editheader", "fileinto"]; addheader "X-New" "x"; fileinto "Archive";')
        assert results(lines) == [(3, "OK")]
    assert state(house) == ["number 3 8"]
    assert state(house, "Archive") == ["number 3"]


async def test_a_mailbox_that_goes_meanwhile(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.fill(1)
    some = lying._some

    def gone(store, asked, config, uids):  # type: ignore[no-untyped-def]
        found = some(store, asked, config, uids)
        store.write_now(lambda tx: messages.remove_mailbox(tx, mailboxes.get(tx, asked.account_id, "Work")))
        return found

    async with house.client(select="INBOX") as client:
        await client.ok("CREATE Work")
        monkeypatch.setattr(lying, "_some", gone)
        ((_, told),) = results(await run(client, 'require "fileinto"; fileinto "Work";'))
        assert told.startswith("ERRORS") and "no mailbox 'Work'" in told
    assert state(house) == ["number 1"]


async def test_the_trace_tells(house: MailHouse) -> None:
    await house.deliver(HELLO, trace="t" * 16)
    async with house.client(select="INBOX") as client:
        await run(client, 'require "fileinto"; fileinto "Archive";')
    told = house.store.read_now(events.of_trace, "t" * 16)
    assert [event.kind for event in told] == ["ruled"]
    assert told[0].detail["cause"] == "FILTER"
    assert told[0].detail["steps"] == [{"script": "the script", "line": 1, "did": "filed into Archive"}]
