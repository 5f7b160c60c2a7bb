"""ManageSieve as clients speak it, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from daemon import passwords, sieve
from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.serve import managesieve, tls
from daemon.serve.connection import Connection
from daemon.serve.listen import MANAGESIEVE_WORDS, Doors, Service, bind
from daemon.serve.login import Door
from daemon.serve.managesieve import ManageSieve
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.store import accounts, domains, settings
from daemon.store import sieve as scripts
from daemon.store.db import Store, StoreBusy
from daemon.store.errors import Invalid
from daemon.wire import sasl
from daemon.wire.managesieve import Bounds

ALICE = Address("alice", "example.org")
SALT = b"0123456789abcdef"
FILE = 'require "fileinto"; fileinto "INBOX";'


class House:
    """Alice, her scripts and the door to them."""

    def __init__(self, path: Path) -> None:
        self.settings = {
            "hostname": "mail.example.org",
            "auth.require_tls": "no",
            "auth.scram_plus": "yes",
            "listen.managesieve": "127.0.0.1:0",
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
        self.service = ManageSieve(
            self.store, self.config, self.door, lambda: self.keyring.context, tls.end_point_of
        )  # fmt: skip
        self.doors = Doors(self.config, self.keyring, self.bans, self.refusals)
        service = Service("managesieve", Connection, self.service.serve, MANAGESIEVE_WORDS)
        self.doors.open({"managesieve": service}, bind(self.config(), ["managesieve"], {}))

    def config(self) -> Config:
        return Config(self.settings.items())

    def scripts(self) -> list[tuple[str, bool]]:
        return self.store.peek(scripts.names, self.alice)

    async def dial(self) -> Client:
        (door,) = self.doors.listeners
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1 << 24)
        client = Client(reader, writer)
        self.clients.append(client)
        greeting = await client.answer()
        assert greeting[-1] == 'OK "mail.example.org ManageSieve server ready"'
        client.announced = greeting[:-1]
        return client

    async def enter(self) -> Client:
        """Logged in."""
        client = await self.dial()
        assert await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"') == 'OK "logged in"'
        return client


def plain(password: str = "secret") -> str:
    return b64encode(f"\0alice@example.org\0{password}".encode()).decode()


async def _no_wait(seconds: float) -> None:
    return None


def anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """Talks ManageSieve without knowing it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.announced: list[str] = []

    def send(self, *lines: str | bytes) -> None:
        self.writer.write(b"".join((x.encode() if isinstance(x, str) else x) + b"\r\n" for x in lines))

    async def line(self) -> str:
        """With the literal that it ends in."""
        async with asyncio.timeout(10):
            line = (await self.reader.readline()).decode().removesuffix("\r\n")
            if line.endswith("}"):
                size = int(line[line.rindex("{") + 1 : -1])
                line += "\r\n" + (await self.reader.readexactly(size + 2)).decode().removesuffix("\r\n")
        return line

    async def answer(self) -> list[str]:
        """Everything up to OK, NO or BYE."""
        lines = [await self.line()]
        while lines[-1] and not lines[-1].startswith(("OK", "NO", "BYE")):
            lines.append(await self.line())
        return lines

    async def says(self, *lines: str | bytes) -> str:
        """The one line that answers."""
        self.send(*lines)
        return await self.line()

    async def asks(self, *lines: str | bytes) -> list[str]:
        self.send(*lines)
        return await self.answer()

    async def put(self, name: str, script: str, verb: str = "PUTSCRIPT") -> str:
        data = script.encode()
        return await self.says(f"{verb}{' ' if name else ''}{name} {{{len(data)}+}}".encode(), data)

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


# -- who is it? --------------------------------------------------------------------------------------------------------


async def test_capabilities_before_and_after_login(house: House) -> None:
    client = await house.dial()
    assert client.announced[0] == '"IMPLEMENTATION" "mailctl"'
    assert {
        f'"SIEVE" "{" ".join(sieve.CAPABILITIES)}"', '"SASL" "SCRAM-SHA-256 PLAIN LOGIN"', '"NOTIFY" "mailto"',
        f'"MAXREDIRECTS" "{LIMITS.sieve_redirects}"', '"LANGUAGE" "en"', '"STARTTLS"', '"UNAUTHENTICATE"',
        '"VERSION" "1.0"',
    } < set(client.announced)  # fmt: skip
    assert await client.asks("CAPABILITY") == [*client.announced, "OK"]
    assert await client.says("LISTSCRIPTS") == 'NO "log in first"'
    assert await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"') == 'OK "logged in"'
    after = await client.asks("capability")
    assert set(after) == {*client.announced, '"OWNER" "alice@example.org"', "OK"}
    for late in ('AUTHENTICATE "PLAIN"', "STARTTLS"):
        assert await client.says(late) == 'NO "not after login"'
    assert await client.says("LOGOUT") == 'OK "goodbye"'
    assert await client.end() == b""


async def test_without_tls_no_password_travels(house: House) -> None:
    house.settings["auth.require_tls"] = "yes"
    client = await house.dial()
    assert '"SASL" ""' in client.announced
    assert (await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"')).startswith("NO (ENCRYPT-NEEDED) ")


@pytest.mark.parametrize(
    "lines",
    [
        ['AUTHENTICATE "PLAIN" "%s"'],
        ['AUTHENTICATE "plain"', '"%s"'],
        ['AUTHENTICATE "PLAIN" {SIZE+}\r\n%s'],
        ['AUTHENTICATE "PLAIN"', "{SIZE+}\r\n%s"],
        ['AUTHENTICATE "LOGIN"', '"YWxpY2VAZXhhbXBsZS5vcmc="', '"c2VjcmV0"'],
        ['AUTHENTICATE "LOGIN" "YWxpY2VAZXhhbXBsZS5vcmc="', "{8}\r\nc2VjcmV0"],
    ],
)
async def test_passwords_in_every_form(house: House, lines: list[str]) -> None:
    client = await house.dial()
    answers = [await client.says(line.replace("SIZE", str(len(plain()))).replace("%s", plain())) for line in lines]
    assert answers[-1] == 'OK "logged in"'


async def test_scram_says_its_last_word_with_the_ok(house: House) -> None:
    client = await house.dial()
    exchange = sasl.client_scram("alice@example.org", "secret", "clientnonce0123456789")
    first = next(exchange)
    assert isinstance(first, bytes)
    answer = await client.says(b'AUTHENTICATE "SCRAM-SHA-256" "' + sasl.encode(first) + b'"')
    said = exchange.send(sasl.decode(answer.strip('"').encode()))
    assert isinstance(said, sasl.Derive)
    said = exchange.send(sasl.salted(said.password, said.salt, said.iterations))
    assert isinstance(said, bytes)
    answer = await client.says(b'"' + sasl.encode(said) + b'"')
    assert answer.startswith('OK (SASL "') and answer.endswith('")')
    assert exchange.send(sasl.decode(answer[10:-2].encode())) == b""
    sasl.finish(exchange)
    assert await client.says("LISTSCRIPTS") == "OK"


async def test_exchanges_that_lead_nowhere(house: House) -> None:
    client = await house.dial()
    assert await client.says('AUTHENTICATE "CRAM-MD5"') == 'NO "authentication mechanism is not supported"'
    for cancelled in ('"*"', "*", "{1+}\r\n*"):
        assert await client.says('AUTHENTICATE "PLAIN"') == '""'
        assert await client.says(cancelled) == 'NO "authentication cancelled"'
    assert await client.says('AUTHENTICATE "PLAIN" "!"') == 'NO "malformed authentication response"'
    assert await client.says('AUTHENTICATE "PLAIN" ""') == 'NO "malformed authentication response"'
    assert await client.says('AUTHENTICATE "PLAIN"') == '""'
    assert await client.says("12") == 'NO "an answer is one string"'
    assert (await client.says("AUTHENTICATE 12")).startswith('NO "AUTHENTICATE takes a string')


async def test_wrong_passwords_end_the_session(house: House) -> None:
    client = await house.dial()
    for _ in range(LIMITS.managesieve_failed_logins - 1):
        assert await client.says(f'AUTHENTICATE "PLAIN" "{plain("wrong")}"') == 'NO "authentication failed"'
    assert await client.says(f'AUTHENTICATE "PLAIN" "{plain("wrong")}"') == 'BYE "authentication failed"'
    assert await client.end() == b""


async def test_when_many_log_in_one_may_come_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.login.LIMITS", dataclasses.replace(LIMITS, login_queue=0))
    monkeypatch.setattr("daemon.serve.hashers.LIMITS", dataclasses.replace(LIMITS, login_queue=0))
    client = await house.dial()
    assert (await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"')).startswith("NO (TRYLATER) ")


async def test_s4_starttls_forgets_what_came_before_and_announces_anew(house: House) -> None:
    house.settings["auth.require_tls"] = "yes"
    client = await house.dial()
    client.send("STARTTLS", f'AUTHENTICATE "PLAIN" "{plain()}"', 'PUTSCRIPT "injected" {5+}', "keep;")
    assert await client.line() == 'OK "begin TLS"'
    await client.writer.start_tls(anyone())
    announced = await client.answer()
    assert announced[-1] == 'OK "TLS is active"' and '"STARTTLS"' not in announced
    assert '"SASL" "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"' in announced
    assert await client.says("LISTSCRIPTS") == 'NO "log in first"'
    assert await client.says("STARTTLS") == 'NO "TLS is active already"'
    assert await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"') == 'OK "logged in"'
    assert house.scripts() == []


async def test_a_handshake_that_fails_is_the_end(house: House) -> None:
    client = await house.dial()
    assert await client.says("STARTTLS") == 'OK "begin TLS"'
    client.send("NOOP", "NOOP", "NOOP")
    with contextlib.suppress(ConnectionError):
        await client.end()


async def test_without_a_certificate_there_is_no_starttls(house: House) -> None:
    house.service.context = lambda: None
    client = await house.dial()
    assert '"STARTTLS"' not in client.announced
    assert (await client.says("STARTTLS")).startswith("NO (TRYLATER)")


async def test_a_session_is_known_and_can_be_ended(house: House) -> None:
    client = await house.enter()
    (live,) = house.door.sessions._live[house.alice].values()
    assert live.row.protocol == "sieve"
    assert await client.says("UNAUTHENTICATE") == "OK"
    assert house.alice not in house.door.sessions._live
    assert await client.says("LISTSCRIPTS") == 'NO "log in first"'
    assert await client.says(f'AUTHENTICATE "PLAIN" "{plain()}"') == 'OK "logged in"'
    house.store.write_now(lambda tx: accounts.change(tx, house.alice, enabled=0))
    assert await client.line() == 'BYE "this account is disabled"'
    assert await client.end() == b""


async def test_a_drain_says_goodbye(house: House) -> None:
    client = await house.enter()
    drained = asyncio.create_task(house.doors.drain(5))
    assert (await client.line()).startswith("BYE (TRYLATER) ")
    await drained


# -- scripts -----------------------------------------------------------------------------------------------------------


async def test_a_script_is_put_listed_read_activated_renamed_and_deleted(house: House) -> None:
    client = await house.enter()
    assert await client.put('"first"', FILE) == "OK"
    assert await client.put('"a \\"second\\""', "keep;\n") == "OK"
    assert await client.asks("LISTSCRIPTS") == ['"a \\"second\\""', '"first"', "OK"]
    assert await client.asks('GETSCRIPT "first"') == [f"{{{len(FILE)}}}\r\n{FILE}", "OK"]
    assert await client.asks('GETSCRIPT "a \\"second\\""') == ["{6}\r\nkeep;\n", "OK"]
    assert await client.says('SETACTIVE "first"') == "OK"
    assert await client.asks("LISTSCRIPTS") == ['"a \\"second\\""', '"first" ACTIVE', "OK"]
    assert (await client.says('DELETESCRIPT "first"')).startswith("NO (ACTIVE) ")
    assert await client.says('RENAMESCRIPT "first" "third"') == "OK"
    assert house.scripts() == [('a "second"', False), ("third", True)]
    assert (await client.says('RENAMESCRIPT "third" {10+}', 'a "second"')).startswith("NO (ALREADYEXISTS) ")
    assert await client.put('"third"', "discard;") == "OK"
    assert house.store.peek(scripts.active, house.alice) == ("third", "discard;")
    assert await client.says('SETACTIVE ""') == "OK"
    assert await client.says('SETACTIVE ""') == "OK"
    assert await client.says('DELETESCRIPT "third"') == "OK"
    for lost in ('GETSCRIPT "x"', 'SETACTIVE "x"', 'DELETESCRIPT "x"', 'RENAMESCRIPT "x" "y"', 'GETSCRIPT ""'):
        assert (await client.says(lost)).startswith("NO (NONEXISTENT) "), lost


async def test_names_are_composed_and_checked(house: House) -> None:
    client = await house.enter()
    assert await client.put('"Bu\u0308ro"', "keep;") == "OK"
    assert await client.says('SETACTIVE "B\u00fcro"') == "OK"
    assert house.scripts() == [("B\u00fcro", True)]
    with pytest.raises(Invalid, match="NFC"):
        house.store.write_now(scripts.put, house.alice, "Bu\u0308ro", "keep;")
    assert (await client.says(b'SETACTIVE "\xff"')) == 'NO "that is not UTF-8"'
    longest = "ü" * LIMITS.sieve_script_name
    assert await client.put(f'"{longest}"', "keep;") == "OK"
    for bad in ('""', f'"{longest}u"', '"a\x07b"', '"a\u2028b"', "{3+}\r\na\nb"):
        assert (await client.put(bad, "keep;")).startswith('NO "the name of a script'), bad
        assert (await client.says(f"HAVESPACE {bad} 5")).startswith('NO "the name of a script')
        assert (await client.says(f'RENAMESCRIPT "B\u00fcro" {bad}')).startswith('NO "the name of a script')


async def test_what_is_wrong_is_told_with_its_place_and_nothing_is_kept(house: House) -> None:
    client = await house.enter()
    assert await client.put('"a"', "keep;") == "OK"
    for name, verb in (('"a"', "PUTSCRIPT"), ("", "CHECKSCRIPT")):
        answer = await client.put(name, "keep;\r\nbogus;\r\n  nope;\r\n", verb)
        assert answer.startswith("NO {") and "line 2, column 1: " in answer and "\r\nline 3, column 3: " in answer
        assert (await client.put(name, "if", verb)).startswith('NO "line 1, column ')
        assert (
            await client.says(f"{verb}{' ' if name else ''}{name} {{1+}}".encode(), b"\xff") == 'NO "that is not UTF-8"'
        )
    assert await client.put("", FILE, "CHECKSCRIPT") == "OK"
    assert await client.asks('GETSCRIPT "a"') == ["{5}\r\nkeep;", "OK"]


async def test_what_is_probably_not_meant_is_a_warning(house: House) -> None:
    client = await house.enter()
    script = 'require ["fileinto", "mailbox", "variables"];\nif true { stop; keep; }\nfileinto "none";\n'
    script += 'fileinto :create "new"; fileinto "inbox"; fileinto "${x}";'
    warned = await client.put("", script, "CHECKSCRIPT")
    assert warned == (
        'OK (WARNINGS) "line 2, column 17: this is never reached: a stop stands before it; '
        "line 3, column 1: there is no mailbox 'none': make it, or write :create\""
    )
    assert house.scripts() == []
    assert await client.put('"a"', script) == warned
    assert house.scripts() == [("a", False)]
    many = 'require "fileinto";' + f'fileinto "{"x" * 200}";' * 10
    warned = await client.put('"a"', many)
    assert warned.startswith('OK (WARNINGS) "line 1, ') and warned.endswith('more"') and len(warned) < 1100


async def test_scripts_include_those_of_their_owner(house: House) -> None:
    client = await house.enter()
    script = 'require "include"; include "other";'
    assert "'other'" in await client.put('"a"', script)
    assert await client.put('"other"', "keep;") == "OK"
    assert await client.put('"a"', script) == "OK"


async def test_what_can_be_run_no_more_is_not_made_active(house: House) -> None:
    client = await house.enter()
    await client.put('"other"', "keep;")
    await client.put('"a"', 'require "include";\r\ninclude "other";')
    assert await client.says('DELETESCRIPT "other"') == "OK"
    refused = await client.says('SETACTIVE "a"')
    assert refused.startswith('NO "line 2, column 9: ') and "'other'" in refused
    assert house.scripts() == [("a", False)]
    assert await client.says('SETACTIVE ""') == "OK"
    assert await client.says('SETACTIVE "gone"') == "NO (NONEXISTENT) \"there is no script 'gone'\""
    await client.put('"other"', "keep;")
    assert await client.says('SETACTIVE "a"') == "OK"
    assert house.scripts() == [("a", True), ("other", False)]


async def test_quotas(house: House) -> None:
    client = await house.enter()
    most = LIMITS.sieve_script
    assert await client.says(f'HAVESPACE "a" {most}') == "OK"
    assert (await client.says(f'HAVESPACE "a" {most + 1}')).startswith("NO (QUOTA/MAXSIZE) ")
    assert (await client.says('HAVESPACE "a" 4294967295')).startswith("NO (QUOTA/MAXSIZE) ")
    assert (await client.says('HAVESPACE "a" 4294967296')) == 'NO "that number is too large"'
    assert await client.put('"a"', "#" * (most - 6) + "\nkeep;") == "OK"
    assert (await client.put('"b"', "#" * (most + 1))).startswith("NO (QUOTA/MAXSIZE) ")
    assert (await client.put('"b"', "#" * (1 << 20))).startswith("NO (QUOTA/MAXSIZE) ")
    house.store.write_now(settings.put, "sieve.scripts", "2", "test")
    assert await client.put('"b"', "keep;") == "OK"
    assert (await client.says('HAVESPACE "c" 5')).startswith("NO (QUOTA/MAXSCRIPTS) ")
    assert (await client.put('"c"', "nonsense")).startswith("NO (QUOTA/MAXSCRIPTS) ")
    assert await client.put('"b"', "stop;") == "OK"


async def test_noop_gives_the_tag_back(house: House) -> None:
    client = await house.dial()
    assert await client.says("NOOP") == 'OK "done"'
    assert await client.says('noop "STARTTLS-SYNC-42"') == 'OK (TAG "STARTTLS-SYNC-42") "done"'
    client.send("NOOP {4+}", "a\r\nb")
    assert await client.reader.readexactly(23) == b'OK (TAG {4}\r\na\r\nb) "don'


async def test_pipelined_commands_are_answered_in_order(house: House) -> None:
    client = await house.enter()
    client.send('PUTSCRIPT "a" {5+}', "keep;", 'SETACTIVE "a"', "LISTSCRIPTS", 'NOOP "x"')
    assert [await client.line() for _ in range(5)] == ["OK", "OK", '"a" ACTIVE', "OK", 'OK (TAG "x") "done"']


# -- whoever does not know how it goes ---------------------------------------------------------------------------------


async def test_a_literal_of_four_gigabytes_is_refused_before_it_comes(house: House) -> None:
    for client in (await house.dial(), await house.enter()):
        answer = await client.says('PUTSCRIPT "a" {4294967296+}')
        assert answer.startswith('BYE "a string may have ')
        assert await client.end() == b""
    client = await house.dial()
    size = LIMITS.managesieve_literal_before_login
    assert (await client.says(f"NOOP {{{size}+}}", b"x" * size)).startswith("OK (TAG {")
    client.cut()
    client = await house.dial()
    assert (await client.says(f'AUTHENTICATE "PLAIN" {{{size + 1}+}}')).startswith("BYE ")


async def test_what_is_thrown_away_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managesieve, "AFTER", Bounds(1000, 100, 1000))
    client = await house.enter()
    assert (await client.put('"a"', "#" * 1000)).startswith("NO (QUOTA/MAXSIZE) ")
    assert (await client.says('PUTSCRIPT "a" {1001+}')).startswith("BYE ")
    assert managesieve.BEFORE.skip == 0


async def test_an_endless_line_ends_the_session(house: House) -> None:
    client = await house.dial()
    client.writer.write(b'NOOP "' + b"x" * LIMITS.managesieve_line_before_login)
    assert (await client.line()).startswith("BYE ")
    client = await house.enter()
    client.writer.write(b'NOOP "' + b"x" * LIMITS.managesieve_line)
    assert (await client.line()).startswith("BYE ")


async def test_too_many_nos_in_a_row(house: House) -> None:
    client = await house.dial()
    client.send(*["bogus"] * (LIMITS.managesieve_errors + 1))
    answers = (await client.end()).decode().split("\r\n")
    assert answers == ['NO "unknown command"'] * LIMITS.managesieve_errors + ['BYE "too many errors"', ""]
    client = await house.dial()
    assert await client.says("GET / HTTP/1.1") == 'NO "that is no string, no number and no name"'
    assert await client.says("GET") == 'BYE "this is a mail server"'


async def test_silence_ends_the_session(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(LIMITS, managesieve_patience_before_login=0.05, managesieve_patience=0.05)
    client = await house.enter()
    silent = await house.dial()
    monkeypatch.setattr(managesieve, "LIMITS", short)
    client.send("NOOP")
    silent.send("NOOP")
    assert await client.end() == await silent.end() == b'OK "done"\r\n'
    assert managesieve.LIMITS.managesieve_patience < LIMITS.managesieve_patience


async def test_what_breaks_inside_is_no_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await house.enter()

    def broken(*args: Any) -> Any:
        raise StoreBusy("held")

    monkeypatch.setattr(scripts, "names", broken)
    assert await client.says("LISTSCRIPTS") == 'NO (TRYLATER) "temporary failure"'
    monkeypatch.setattr(scripts, "names", lambda tx, account_id: 1 // 0)
    assert (await client.says("LISTSCRIPTS")).startswith('NO (TRYLATER) "internal error (ref ')
    monkeypatch.undo()
    assert await client.says("LISTSCRIPTS") == "OK"
