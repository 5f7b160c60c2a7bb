"""POP3 as clients speak it, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import poplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.serve import hashers, maildrop, pop3, tls
from daemon.serve.listen import POP3_WORDS, Doors, Service, bind
from daemon.serve.login import Door
from daemon.serve.pop3 import Pop3
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.store import accounts, blobs, domains, events, mailboxes, messages
from daemon.store.db import Store, StoreBusy
from daemon.store.keywords import SEEN
from daemon.store.segments import SegmentDamaged
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.wire import sasl

ALICE = Address("alice", "example.org")
SALT = b"0123456789abcdef"
ONE = b"Subject: one\r\n\r\nfirst\r\n.\r\n..dots\r\n.at the start\r\nlast\r\n"
TWO = b"Subject: two\r\nX: y\r\n\r\nline 1\r\nline 2\r\nline 3\r\n"


class House:
    """Alice's INBOX behind a plain door and one with TLS."""

    def __init__(self, path: Path) -> None:
        self.settings = {
            "hostname": "mail.example.org",
            "auth.require_tls": "no",
            "auth.scram_plus": "yes",
            "listen.pop3": "127.0.0.1:0",
            "listen.pop3s": "127.0.0.1:0",
        }
        self.clients: list[Client] = []
        self.store = Store.open(DataDir(path))
        self.store.attach(asyncio.get_running_loop())
        self.store.write_now(domains.add, "example.org")
        kept = accounts.Password(*passwords.keep("secret", SALT, 4096))
        self.alice: int = self.store.write_now(accounts.add, ALICE, kept)
        self.keyring = Keyring(self.store, self.config)
        self.bans = Bans(self.store)
        self.refusals = Refusals(self.store)
        self.door = Door(self.store, self.config, self.bans, self.refusals, sleep=_no_wait)
        self.pop3 = Pop3(self.store, self.config, self.door, lambda: self.keyring.context, tls.end_point_of)
        self.doors = Doors(self.config, self.keyring, self.bans, self.refusals)
        names = {name: Service(name, _connection, self.pop3.serve, POP3_WORDS, name == "pop3s") for name in DOORS}
        self.doors.open(names, bind(self.config(), names, {}))

    def config(self) -> Config:
        return Config(self.settings.items())

    def put(self, data: bytes, prefix: bytes = b"", mailbox: str = "INBOX") -> int:
        """The UID of a new message."""
        body = Body.of(data)

        def work(tx: Tx) -> int:
            blob = blobs.keep(tx, body)
            return messages.put(tx, self.alice, mailbox, blob, len(data), prefix=prefix).uid

        return self.store.write_now(work, bodies=[body])

    @property
    def inbox(self) -> mailboxes.Mailbox:
        return self.store.peek(mailboxes.get, self.alice, "INBOX")

    def uids(self, flags: int = 0) -> list[int]:
        rows = self.store.peek(messages.fetch, self.inbox.id, messages.ALL, ("uid", "flags"))
        return [row[0] for row in rows if not flags or row[1] & flags]

    def port(self, name: str) -> int:
        return next(d.port for d in self.doors.listeners if d.name == name)

    async def dial(self, name: str = "pop3") -> Client:
        context = anyone() if name == "pop3s" else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port(name), ssl=context, limit=1 << 24)
        client = Client(reader, writer)
        self.clients.append(client)
        assert await client.line() == "+OK mail.example.org POP3 server ready"
        return client

    async def enter(self) -> Client:
        """Logged in."""
        client = await self.dial()
        assert (await client.says("USER alice@example.org")).startswith("+OK")
        assert (await client.says("PASS secret")).startswith("+OK")
        return client


DOORS = ("pop3", "pop3s")


def _connection(owner: Any) -> Any:
    from daemon.serve.connection import Connection

    return Connection(owner)


async def _no_wait(seconds: float) -> None:
    return None


def anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """Talks POP3 without knowing it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *lines: str | bytes) -> None:
        self.writer.write(b"".join((x.encode() if isinstance(x, str) else x) + b"\r\n" for x in lines))

    async def line(self) -> str:
        async with asyncio.timeout(10):
            return (await self.reader.readline()).decode("latin-1").removesuffix("\r\n")

    async def says(self, line: str | bytes) -> str:
        self.send(line)
        return await self.line()

    async def body(self) -> bytes:
        """A multi-line reply without its head, dots taken off."""
        lines = []
        async with asyncio.timeout(10):
            while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def asks(self, line: str) -> list[str]:
        """The lines of a multi-line reply."""
        assert (await self.says(line)).startswith("+OK")
        return (await self.body()).decode().split("\r\n")[:-1]

    async def end(self) -> bytes:
        """What is still said until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    def cut(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    house = House(tmp_path / "data")
    yield house
    for client in house.clients:
        client.cut()
    await house.doors.drain(0.2)
    await house.door.close()
    await house.refusals.flush()
    house.bans.close()
    house.keyring.close()
    house.store.close()
    passwords._nobody.cache_clear()


# -- logging in --------------------------------------------------------------------------------------------------------


async def test_user_and_pass(house: House) -> None:
    client = await house.dial()
    assert await client.says("PASS secret") == "-ERR USER first"
    assert await client.says("USER ") == "-ERR a name is needed"
    assert (await client.says("STAT")).startswith("-ERR log in first")
    assert await client.says("user alice@example.org") == "+OK send PASS"
    assert await client.says("PASS wrong") == "-ERR [AUTH] authentication failed"
    assert await client.says("PASS secret") == "-ERR USER first"
    assert await client.says("USER alice@example.org") == "+OK send PASS"
    assert await client.says("pass secret") == "+OK 0 messages (0 octets)"
    assert (await client.says("USER bob")).startswith("-ERR not after login")
    assert await client.says("QUIT") == "+OK goodbye"
    assert await client.end() == b""


async def test_passwords_with_spaces_and_letters_of_any_alphabet(house: House) -> None:
    word = ' two  "spaces" and \\ ü '
    kept = accounts.Password(*passwords.keep(word, SALT, 4096))
    house.store.write_now(accounts.set_password, house.alice, kept)
    for spelling in (word.encode(), word.encode("latin-1")):
        client = await house.dial()
        await client.says("USER alice@example.org")
        assert (await client.says(b"PASS " + spelling)).startswith("+OK")
        client.cut()


async def test_sasl_in_all_its_ways(house: House) -> None:
    plain = sasl.encode(b"\0alice@example.org\0secret").decode()
    for lines in (
        [f"AUTH PLAIN {plain}"],
        [f"auth plain  {plain}"],
        ["AUTH PLAIN", plain],
        ["AUTH LOGIN", sasl.encode(b"alice@example.org").decode(), sasl.encode(b"secret").decode()],
        ["AUTH LOGIN " + sasl.encode(b"alice@example.org").decode(), sasl.encode(b"secret").decode()],
    ):
        client = await house.dial()
        for line in lines[:-1]:
            assert (await client.says(line)).startswith("+ ")
        assert (await client.says(lines[-1])) == "+OK 0 messages (0 octets)"
        client.cut()


async def test_scram_and_scram_plus(house: House) -> None:
    client = await house.dial()
    exchange = sasl.client_scram("alice@example.org", "secret", "clientnonce0123456789")
    first = next(exchange)
    assert isinstance(first, bytes)
    answer = await client.says(b"AUTH SCRAM-SHA-256 " + sasl.encode(first))
    for _ in range(2):
        assert answer.startswith("+ ")
        said = exchange.send(sasl.decode(answer[2:].encode()))
        if isinstance(said, sasl.Derive):
            said = exchange.send(sasl.salted(said.password, said.salt, said.iterations))
        assert isinstance(said, bytes)
        answer = await client.says(sasl.encode(said))
    assert answer.startswith("+OK")
    client.cut()
    client = await house.dial("pop3s")
    assert "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in await client.asks("CAPA")


async def test_exchanges_that_lead_nowhere(house: House) -> None:
    client = await house.dial()
    assert await client.asks("AUTH") == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    assert await client.says("AUTH CRAM-MD5") == "-ERR authentication mechanism is not supported"
    assert await client.says("AUTH PLAIN") == "+ "
    assert await client.says("*") == "-ERR authentication cancelled"
    assert await client.says("AUTH PLAIN !") == "-ERR malformed authentication response"
    assert (await client.says("AUTH PLAIN " + "A" * 12000)).startswith("-ERR malformed")


async def test_three_wrong_passwords_end_the_connection(house: House) -> None:
    client = await house.dial()
    for _ in range(LIMITS.pop3_failed_logins):
        await client.says("USER alice@example.org")
        assert (await client.says("PASS wrong")) == "-ERR [AUTH] authentication failed"
    assert await client.end() == b""


async def test_what_may_pass_later_has_a_response_code_that_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashers, "LIMITS", dataclasses.replace(LIMITS, login_queue=0))
    client = await house.dial()
    await client.says("USER alice@example.org")
    assert (await client.says("PASS secret")).startswith("-ERR [SYS/TEMP] too many logins")


async def test_a_user_without_an_inbox_is_told_so(house: House) -> None:
    house.store.write_now(lambda tx: tx.run("update mailbox set name = 'elsewhere' where name = 'INBOX'"))
    client = await house.dial()
    await client.says("USER alice@example.org")
    assert await client.says("PASS secret") == "-ERR [SYS/PERM] there is no INBOX"


async def test_pop6_no_password_and_no_apop_before_tls(house: House) -> None:
    house.settings["auth.require_tls"] = "yes"
    client = await house.dial()
    for line in ("USER alice@example.org", "PASS secret", "APOP alice c4c9334bac560ecc979e58001b3e22fb", "AUTH PLAIN"):
        assert await client.says(line) == "-ERR [AUTH] TLS required: send STLS first, or connect to port 995"
    assert "STLS" in await client.asks("CAPA")
    client.cut()
    client = await house.dial("pop3s")
    assert (await client.says("APOP alice c4c9")).startswith("-ERR [AUTH] APOP is not supported")
    await client.says("USER alice@example.org")
    assert (await client.says("PASS secret")).startswith("+OK")


# -- STLS and CAPA -----------------------------------------------------------------------------------------------------


async def test_s4_stls_forgets_what_came_before(house: House) -> None:
    house.settings["auth.require_tls"] = "yes"
    client = await house.dial()
    client.send("STLS", "USER mallory", "PASS injected")
    assert await client.line() == "+OK begin TLS"
    await client.writer.start_tls(anyone())
    assert await client.says("PASS secret") == "-ERR USER first"
    assert await client.says("STLS") == "-ERR TLS is active already"
    listed = await client.asks("CAPA")
    assert "STLS" not in listed and "USER" in listed
    await client.says("USER alice@example.org")
    assert (await client.says("PASS secret")).startswith("+OK")
    assert (await client.says("STLS")).startswith("-ERR")


async def test_a_name_said_in_clear_does_not_count_after_tls(house: House) -> None:
    client = await house.dial()
    await client.says("USER alice@example.org")
    assert await client.says("STLS") == "+OK begin TLS"
    await client.writer.start_tls(anyone())
    assert await client.says("PASS secret") == "-ERR USER first"


async def test_a_handshake_that_fails_is_the_end(house: House) -> None:
    client = await house.dial()
    assert await client.says("STLS") == "+OK begin TLS"
    client.send("USER alice@example.org, who forgot to begin TLS")
    with contextlib.suppress(ConnectionError):
        await client.end()


async def test_without_a_certificate_there_is_no_stls(house: House) -> None:
    house.pop3.context = lambda: None
    client = await house.dial()
    assert "STLS" not in await client.asks("CAPA")
    assert (await client.says("STLS")).startswith("-ERR [SYS/TEMP]")


async def test_pop2_capabilities_before_and_after_login(house: House) -> None:
    client = await house.dial()
    before = await client.asks("CAPA")
    for name in ("TOP", "UIDL", "USER", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "STLS", "EXPIRE NEVER", "LANG"):
        assert name in before
    assert any(c.startswith("SASL ") for c in before) and any(c.startswith("IMPLEMENTATION") for c in before)
    client.cut()
    client = await house.enter()
    assert await client.asks("CAPA") == before


async def test_pop2_two_sessions_at_once_have_the_same_uidl(house: House) -> None:
    house.put(ONE)
    house.put(TWO)
    first, second = await house.enter(), await house.enter()
    assert await first.asks("UIDL") == await second.asks("UIDL")
    assert await first.says("DELE 1") == "+OK message 1 marked"
    assert (await second.says("UIDL 1")).startswith("+OK 1 ")
    assert (await first.says("QUIT")).startswith("+OK")
    assert await second.says("RETR 1") == "-ERR that message is gone"
    assert (await second.says("DELE 1")).startswith("+OK")
    assert (await second.says("QUIT")).startswith("+OK")
    assert len(house.uids()) == 1


async def test_utf8_and_lang(house: House) -> None:
    client = await house.dial()
    assert (await client.says("UTF8")).startswith("+OK")
    assert await client.asks("LANG") == ["en English"]
    for known in ("en", "*", "EN-gb", "i-default"):
        assert (await client.says(f"LANG {known}")).startswith("+OK en ")
    assert (await client.says("LANG tlh")).startswith("-ERR")


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_pop1_uidl_is_stable_and_never_used_again(house: House) -> None:
    for data in (ONE, TWO, ONE + b"3\r\n"):
        house.put(data)
    client = await house.enter()
    ids = [line.split()[1] for line in await client.asks("UIDL")]
    assert ids == [f"{house.inbox.uidvalidity}.{uid}" for uid in house.uids()]
    assert all(len(i) <= 70 and all("!" <= c <= "~" for c in i) for i in ids)
    assert await client.says("UIDL 2") == f"+OK 2 {ids[1]}"
    await client.says("RETR 2")
    await client.body()
    await client.says("DELE 3")
    assert (await client.says("QUIT")).startswith("+OK 1 messages removed")
    house.store.write_now(messages.set_flags, house.inbox.id, messages.ALL, "+", SEEN)
    new = house.put(b"Subject: new\r\n\r\n")
    client = await house.enter()
    assert [line.split()[1] for line in await client.asks("UIDL")] == [*ids[:2], f"{house.inbox.uidvalidity}.{new}"]
    assert f"{house.inbox.uidvalidity}.{new}" not in ids


async def test_pop3_only_quit_deletes(house: House) -> None:
    house.put(ONE)
    house.put(TWO)
    client = await house.enter()
    assert await client.says("DELE 1") == "+OK message 1 marked"
    assert await client.says("STAT") == f"+OK 1 {len(TWO)}"
    client.cut()  # without QUIT: nothing is deleted
    while house.doors.counts.total:
        await asyncio.sleep(0)
    assert len(house.uids()) == 2
    client = await house.enter()
    assert await client.says("DELE 1") == "+OK message 1 marked"
    assert await client.says("DELE 1") == "-ERR that message is marked as deleted"
    for line in ("RETR 1", "TOP 1 0", "LIST 1", "UIDL 1"):
        assert await client.says(line) == "-ERR that message is marked as deleted"
    assert await client.says("RSET") == f"+OK 2 messages ({len(ONE) + len(TWO)} octets)"
    assert (await client.says("DELE 2")).startswith("+OK")
    assert await client.asks("LIST") == [f"1 {len(ONE)}"]
    assert await client.says("QUIT") == "+OK 1 messages removed, goodbye"
    assert await client.end() == b""
    assert len(house.uids()) == 1
    [event] = house.store.peek(lambda tx: [tx.one("select kind, reason from event where kind = 'expunged'")])
    assert event == ("expunged", "pop3")


async def test_pop4_octets_are_exact(house: House) -> None:
    prefix = b"Return-Path: <x@example.net>\r\nReceived: by us\r\n"
    samples = [
        ONE,
        TWO,
        b".\r\n",
        b"\r\n",
        bytes(range(256)).replace(b"\n", b"\r\n") + b"\r\n",
        b"A: b\r\n\r\n" + b"." * 9,
    ]
    for data in samples:
        house.put(data, prefix)
    client = await house.enter()
    sizes = [int(line.split()[1]) for line in await client.asks("LIST")]
    assert await client.says("STAT") == f"+OK {len(samples)} {sum(sizes)}"
    for number, (data, size) in enumerate(zip(samples, sizes, strict=True), 1):
        assert size == len(prefix + data)
        assert await client.says(f"LIST {number}") == f"+OK {number} {size}"
        assert await client.says(f"RETR {number}") == f"+OK {size} octets"
        ended = prefix + data if data.endswith(b"\r\n") else prefix + data + b"\r\n"
        assert await client.body() == ended


async def test_pop4_top(house: House) -> None:
    house.put(ONE)
    house.put(TWO)
    client = await house.enter()
    for line, want in (
        ("TOP 1 0", b"Subject: one\r\n\r\n"),
        ("TOP 1 2", b"Subject: one\r\n\r\nfirst\r\n.\r\n"),
        ("TOP 2 1", b"Subject: two\r\nX: y\r\n\r\nline 1\r\n"),
        ("TOP 2 99999999", TWO),
    ):
        assert (await client.says(line)).startswith("+OK")
        assert await client.body() == want
    for line in ("TOP 1", "TOP", "TOP 3 0", "TOP 0 0", "TOP 1 -1", "RETR x", "RETR", "LIST 9", "DELE 0", "UIDL 1 2"):
        assert (await client.says(line)).startswith("-ERR")
    await client.says("QUIT")
    assert house.uids(SEEN) == []  # TOP is no delivery


async def test_pop5_a_message_that_imap_removed_is_gone_and_no_other_in_its_place(house: House) -> None:
    uids = [house.put(b"Subject: %d\r\n\r\n%d\r\n" % (n, n)) for n in range(200)]
    client = await house.enter()
    house.store.write_now(messages.remove, house.inbox.id, [(uids[0], uids[0]), (uids[150], uids[150])])
    assert await client.says("RETR 1") == "-ERR that message is gone"
    assert await client.says("TOP 1 0") == "-ERR that message is gone"
    assert (await client.says("RETR 2")).startswith("+OK")
    assert await client.body() == b"Subject: 1\r\n\r\n1\r\n"
    assert await client.says("RETR 151") == "-ERR that message is gone"
    assert (await client.says("STAT")).startswith("+OK 200 ")  # the snapshot stays
    assert (await client.says("DELE 1")).startswith("+OK")
    assert (await client.says("QUIT")).startswith("+OK")
    assert len(house.uids()) == 198


async def test_what_arrives_meanwhile_is_seen_by_the_next_session(house: House) -> None:
    house.put(ONE)
    client = await house.enter()
    house.put(TWO)
    assert await client.says("STAT") == f"+OK 1 {len(ONE)}"
    client.cut()
    client = await house.enter()
    assert (await client.says("STAT")).startswith("+OK 2 ")


async def test_what_was_fetched_is_seen_after_quit(house: House) -> None:
    uids = [house.put(b"Subject: %d\r\n\r\n" % n) for n in range(5)]
    client = await house.enter()
    for number in (2, 4):
        await client.says(f"RETR {number}")
        await client.body()
    assert await client.says("DELE 4")
    assert (await client.says("QUIT")).startswith("+OK")
    assert house.uids(SEEN) == [uids[1]]


async def test_pipelined_commands_are_answered_in_order(house: House) -> None:
    count = 300
    for n in range(count):
        house.put(b"Subject: %d\r\n\r\n.%d\r\n" % (n, n))
    client = await house.enter()
    client.send("NOOP", "STAT", *(f"RETR {n}" for n in range(1, count + 1)), "DELE 300", "BOGUS", "QUIT")
    assert await client.line() == "+OK"
    assert (await client.line()).startswith(f"+OK {count} ")
    for n in range(count):
        assert (await client.line()).startswith("+OK")
        assert await client.body() == b"Subject: %d\r\n\r\n.%d\r\n" % (n, n)
    assert await client.line() == "+OK message 300 marked"
    assert await client.line() == "-ERR unknown command"
    assert await client.line() == "+OK 1 messages removed, goodbye"


async def test_messages_in_order_are_read_ahead_in_few_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(130):
        house.put(b"Subject: %d\r\n\r\n" % n)
    reads = 0
    real = maildrop.Maildrop._letters

    def counted(self: Any, tx: Tx, wanted: Any) -> Any:
        nonlocal reads
        reads += 1
        return real(self, tx, wanted)

    monkeypatch.setattr(maildrop.Maildrop, "_letters", counted)
    client = await house.enter()
    await client.says("DELE 7")
    for number in range(1, 131):
        if number != 7:
            await client.says(f"TOP {number} 0")
            await client.body()
            await client.says(f"RETR {number}")
            await client.body()
    assert reads == 3
    for number in (90, 60, 30):  # out of order: one at a time
        await client.says(f"RETR {number}")
        await client.body()
    assert reads == 6


async def test_reading_ahead_is_bounded_in_octets(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(8):
        house.put(b"Subject: %d\r\n\r\n" % n + b"x" * 100_000 + b"\r\n")
    held: list[int] = []
    real = maildrop.Maildrop._letters

    def counted(self: Any, tx: Tx, wanted: Any) -> Any:
        found = real(self, tx, wanted)
        held.append(sum(len(letter.data or b"") for letter in found.values()))
        return found

    monkeypatch.setattr(maildrop.Maildrop, "_letters", counted)
    client = await house.enter()
    for number in range(1, 9):
        assert (await client.says(f"RETR {number}")).startswith("+OK")
        await client.body()
    assert max(held) <= LIMITS.pop3_ahead_bytes


async def test_a_long_message_comes_whole_and_its_top_in_part(house: House) -> None:
    data = b"Subject: long\r\n\r\n" + b"".join(b".line %07d\r\n" % n for n in range(100_000))
    house.put(data, b"Received: by us\r\n")
    client = await house.enter()
    assert await client.says("RETR 1") == f"+OK {len(data) + 17} octets"
    assert await client.body() == b"Received: by us\r\n" + data
    assert (await client.says("TOP 1 2")).startswith("+OK")
    assert await client.body() == b"Received: by us\r\nSubject: long\r\n\r\n.line 0000000\r\n.line 0000001\r\n"
    assert (await client.says("TOP 1 999999999")).startswith("+OK")
    assert await client.body() == b"Received: by us\r\n" + data
    assert await client.says("NOOP") == "+OK"


async def test_long_listings(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3, "_LISTED", 10)
    for n in range(35):
        house.put(b"Subject: %d\r\n\r\n" % n)
    client = await house.enter()
    await client.says("DELE 20")
    numbers = [n for n in range(1, 36) if n != 20]
    assert [int(line.split()[0]) for line in await client.asks("LIST")] == numbers
    assert [int(line.split()[0]) for line in await client.asks("UIDL ")] == numbers


# -- when things go wrong ----------------------------------------------------------------------------------------------


async def test_a_damaged_message_is_said_to_be_so_and_the_others_are_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [house.put(b"Subject: %d\r\n\r\n" % n) for n in range(3)]
    [row] = house.store.peek(messages.fetch, house.inbox.id, [(uids[1], uids[1])], ("offset",))
    real = house.store.segments.read

    def read(segment: int, offset: int, length: int) -> bytes:
        if offset <= row[0] < offset + length:
            raise SegmentDamaged("checksum differs")
        return real(segment, offset, length)

    monkeypatch.setattr(house.store.segments, "read", read)
    client = await house.enter()
    for number, answer in ((1, "+OK"), (2, "-ERR [SYS/PERM] the message is damaged"), (3, "+OK")):
        assert (await client.says(f"RETR {number}")).startswith(answer)
        if answer == "+OK":
            await client.body()


async def test_a_long_message_that_breaks_off_ends_the_connection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put(b"Subject: long\r\n\r\n" + b"x" * 600_000)
    real = house.store.segments.read
    times = 0

    def read(segment: int, offset: int, length: int) -> bytes:
        nonlocal times
        times += 1
        if times > 1:
            raise SegmentDamaged("segment ends")
        return real(segment, offset, length)

    monkeypatch.setattr(house.store.segments, "read", read)
    client = await house.enter()
    assert (await client.says("RETR 1")).startswith("+OK")
    with contextlib.suppress(ConnectionError):
        assert not (await client.end()).endswith(b".\r\n")


async def test_a_store_that_cannot_write_keeps_the_messages_and_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put(ONE)
    client = await house.enter()
    await house.door.close()

    async def busy(*args: Any, **options: Any) -> None:
        raise StoreBusy("another process holds the database")

    await client.says("DELE 1")
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "write", busy)
        assert (await client.says("QUIT")).startswith("-ERR [SYS/TEMP] some messages")
    assert len(house.uids()) == 1


async def test_faults_of_ours_are_temporary_and_without_details(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put(ONE)
    client = await house.enter()

    async def fault(*args: Any, **options: Any) -> None:
        raise RuntimeError("a secret path")

    async def busy(*args: Any, **options: Any) -> None:
        raise StoreBusy("another process holds the database")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "read", fault)
        answer = await client.says("RETR 1")
        assert answer.startswith("-ERR [SYS/TEMP] internal error (ref ") and "secret" not in answer
        patch.setattr(house.store, "read", busy)
        assert await client.says("RETR 1") == "-ERR [SYS/TEMP] temporary failure"
    assert (await client.says("RETR 1")).startswith("+OK")


async def test_a_disabled_user_loses_his_session(house: House) -> None:
    client = await house.enter()
    await house.store.write(lambda tx: accounts.change(tx, house.alice, display_name="Alice"))
    assert await client.says("NOOP") == "+OK"
    await house.store.write(lambda tx: accounts.change(tx, house.alice, enabled=0))
    with contextlib.suppress(ConnectionError):
        assert await client.end() == b""


async def test_an_endless_line_ends_the_connection(house: House) -> None:
    for enter, size in ((house.dial, LIMITS.pop3_auth_line), (house.enter, LIMITS.pop3_line)):
        client = await enter()
        client.send(b"NOOP " + b"x" * size)
        assert (await client.end()).startswith(b"-ERR line too long\r\n")
        client.cut()


async def test_a_long_line_before_login_is_for_auth_and_pass_only(house: House) -> None:
    client = await house.dial()
    client.send(b"USER " + b"x" * 2000)
    assert (await client.end()) == b"-ERR line too long\r\n"
    client.cut()
    client = await house.dial()
    await client.says("USER alice@example.org")
    assert await client.says(b"PASS " + b"x" * 5000) == "-ERR [AUTH] authentication failed"


async def test_too_many_errors_end_the_connection(house: House) -> None:
    client = await house.dial()
    for _ in range(LIMITS.pop3_errors):
        assert await client.says("XYZZY") == "-ERR unknown command"
    assert await client.says("XYZZY") == "-ERR too many errors"
    assert await client.end() == b""


async def test_web_browsers_are_sent_away(house: House) -> None:
    client = await house.dial()
    client.send("POST / HTTP/1.1", "Host: mail", "", "USER alice@example.org")
    assert await client.line() == "-ERR this is a mail server"
    assert await client.end() == b""


async def test_silence_ends_the_connection_and_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put(ONE)
    client = await house.enter()
    await client.says("DELE 1")
    short: Any = {"pop3_patience": 0.05, "pop3_patience_before_login": 0.05}
    monkeypatch.setattr(pop3, "LIMITS", dataclasses.replace(LIMITS, **short))
    await client.says("NOOP")
    assert await client.end() == b""  # RFC 1939 §3: without a word
    assert len(house.uids()) == 1
    stranger = await house.dial()
    assert await stranger.end() == b""


async def test_the_drain_says_goodbye_and_deletes_nothing(house: House) -> None:
    house.put(ONE)
    client = await house.enter()
    await client.says("DELE 1")
    await house.doors.drain(2)
    assert await client.end() == b"-ERR [SYS/TEMP] the server is being stopped\r\n"
    assert len(house.uids()) == 1


async def test_refused_logins_are_in_the_trace(house: House) -> None:
    client = await house.dial()
    await client.says("USER alice@example.org")
    await client.says("PASS wrong")
    await house.refusals.flush()
    [row] = house.store.peek(events.refusals)
    assert (row["reason"], row["sender"]) == ("login-wrong-password", "alice@example.org")


# -- a real client -----------------------------------------------------------------------------------------------------


async def test_poplib_reads_and_deletes_over_tls(house: House) -> None:
    for data in (ONE, TWO):
        house.put(data)

    def session() -> tuple[Any, ...]:
        box = poplib.POP3("127.0.0.1", house.port("pop3"))
        box.stls(anyone())
        assert b"STLS" not in b"".join(k.encode() for k in box.capa())
        box.user("alice@example.org")
        box.pass_("secret")
        seen = (box.stat(), [b"\r\n".join(box.retr(n)[1]) + b"\r\n" for n in (1, 2)], box.uidl()[1], box.top(1, 0)[1])
        box.dele(1)
        box.quit()
        return seen

    stat, read, ids, top = await asyncio.to_thread(session)
    assert stat == (2, len(ONE) + len(TWO))
    assert read == [ONE, TWO]
    assert len(ids) == 2 and top == [b"Subject: one", b""]
    assert len(house.uids()) == 1
