"""ManageSieve: a user's scripts for the programs that edit them (RFC 5804).

What is stored has been compiled, and seen to fit in the user's room: a script with a fault, or one too many, is refused
here and not when mail comes. Compiling runs in a thread of the store's readers, over one view of it: a script may
include others.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon import log, sieve
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.connection import Connection, Draining
from daemon.serve.login import Door, Identity, LoginRefused
from daemon.serve.sessions import Live
from daemon.sieve.hints import hints
from daemon.store import mailboxes
from daemon.store import sieve as scripts
from daemon.store.db import Store, StoreError
from daemon.store.errors import Exists, InUse, Missing, Refusal
from daemon.store.sieve import NoRoom
from daemon.store.tx import Tx
from daemon.wire import managesieve
from daemon.wire.managesieve import BadCommand, Bounds, Code, Value, bye, no, ok
from daemon.wire.stream import EndOfStream, TooLong

SERVICE = "sieve"  # in an app password's scopes, and in the list of sessions
BEFORE = Bounds(LIMITS.managesieve_line_before_login, LIMITS.managesieve_literal_before_login)
AFTER = Bounds(LIMITS.managesieve_line, LIMITS.sieve_script, LIMITS.managesieve_skip)
_JOINED = 64 * 1024  # octets of replies that are sent at once
_HTTP = frozenset(("GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT"))
_TLS_FIRST = no("encryption is needed before a password: send STARTTLS first", "ENCRYPT-NEEDED")
_CODES: dict[type[Refusal], Code] = {Missing: "NONEXISTENT", Exists: "ALREADYEXISTS", InUse: "ACTIVE"}
_QUOTAS: dict[str, Code] = {"too-many": "QUOTA/MAXSCRIPTS", "too-large": "QUOTA/MAXSIZE"}


class Goodbye(Exception):
    """Say this, then close."""


class ManageSieve:
    """One per process: `serve` is the whole life of one connection."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        door: Door,
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
        end_point: Callable[[ssl.SSLObject], bytes | None] = lambda tls: None,
    ) -> None:
        """`config` gives the settings as they are now, `context` the TLS context for STARTTLS, `end_point` the hash of
        the certificate that a TLS connection shows."""
        self.store = store
        self.config = config
        self.door = door
        self.context = context
        self._end_point = end_point

    async def serve(self, conn: Connection) -> None:
        """Talk with one client until all is said; the caller closes the connection."""
        session = Session(conn, self)
        try:
            await session.run()
        finally:
            session.leave()

    def end_point(self, conn: Connection) -> bytes | None:
        return None if conn.ssl_object is None else self._end_point(conn.ssl_object)


class Session:
    """One connection."""

    __slots__ = ("conn", "service", "identity", "live", "errors", "failed_logins", "ended", "_said", "_size")

    def __init__(self, conn: Connection, service: ManageSieve) -> None:
        self.conn = conn
        self.service = service
        self.identity: Identity | None = None
        self.live: Live | None = None
        self.errors = 0
        self.failed_logins = 0
        self.ended = False
        self._said: list[bytes] = []
        self._size = 0

    async def run(self) -> None:
        """From the greeting to the end. Raises what ended the connection, if not a goodbye."""
        self.say(self.announcement() + ok(f"{self.service.config().hostname} ManageSieve server ready"))
        try:
            await self._talk()
            await self.flush()
        except TooLong as error:
            await self._last(bye(str(error)))
        except EndOfStream:  # in the middle of a command; those before it are answered
            await self.flush()
            raise
        except Goodbye as goodbye:
            await self._last(bye(str(goodbye)))
        except Draining:
            await self._last(bye("the server is being stopped", "TRYLATER"))

    def end(self, text: str) -> None:
        """Say goodbye and close: BYE may come at any time (RFC 5804 section 1.2)."""
        self.ended = True
        self.conn.write(bye(text))
        self.conn.close()

    def leave(self) -> None:
        """Nobody is logged in here any more."""
        self.service.door.sessions.leave(self.live)
        self.identity = self.live = None

    async def _talk(self) -> None:
        """Command after command."""
        conn = self.conn
        while not self.ended:
            if self._said and (b"\n" not in conn.stream.buffer or self._size > _JOINED):
                await self.flush()
            known = self.identity is not None
            patience = LIMITS.managesieve_patience if known else LIMITS.managesieve_patience_before_login
            reading = managesieve.read_command(conn.stream, AFTER if known else BEFORE)
            try:
                command = await conn.take(reading, patience, within=None if known else patience, resting=True)
                reply = await self._obey(command.verb, command)
            except BadCommand as error:
                reply = no(str(error), error.code)
            if reply.startswith(b"NO"):
                self.errors += 1
                if self.errors > LIMITS.managesieve_errors:
                    raise Goodbye("too many errors")
            else:
                self.errors = 0
            self.say(reply)

    async def _obey(self, verb: str, command: managesieve.Command) -> bytes:
        row = COMMANDS.get(verb)
        if row is None:
            if verb in _HTTP:
                raise Goodbye("this is a mail server")
            return no("unknown command")
        if not row.before if self.identity is None else not row.after:
            return no("log in first" if self.identity is None else "not after login")
        managesieve.check_arguments(command, row.form, row.optional)
        try:
            return await row.run(self, *command.values)
        except (BadCommand, Goodbye, Draining, TooLong, EndOfStream, ConnectionError, TimeoutError, ssl.SSLError):
            raise
        except sieve.ScriptErrors as errors:
            return no(str(errors))
        except Refusal as refusal:
            return no(str(refusal), _CODES.get(type(refusal)))
        except StoreError as error:
            log.trouble("managesieve-store", ip=self.conn.peer, error=error)
            return no("temporary failure", "TRYLATER")
        except Exception as error:
            reference = secrets.token_hex(4)
            log.fault("managesieve-fault", error, ref=reference, ip=self.conn.peer)
            return no(f"internal error (ref {reference})", "TRYLATER")

    # -- speaking ------------------------------------------------------------------------------------------------------

    def say(self, reply: bytes) -> None:
        """Add to what is sent next."""
        self._said.append(reply)
        self._size += len(reply)

    async def flush(self) -> None:
        """Send what was said, and wait for room. Raises `ConnectionError` and `TimeoutError`."""
        if self._said:
            data = b"".join(self._said)
            self._said.clear()
            self._size = 0
            self.conn.write(data)
            await self.conn.drain()

    async def _last(self, reply: bytes) -> None:
        self.say(reply)
        await self.flush()

    def announcement(self) -> bytes:
        """The capabilities as they are now."""
        conn, service = self.conn, self.service
        return managesieve.capabilities(
            sieve.CAPABILITIES,
            service.door.offered(conn.tls, service.end_point(conn)),
            start_tls=not conn.tls and service.context() is not None,
            redirects=LIMITS.sieve_redirects,
            owner=str(self.identity.address) if self.identity is not None else "",
        )

    @property
    def account_id(self) -> int:
        assert self.identity is not None
        return self.identity.account_id


# -- who is it? --------------------------------------------------------------------------------------------------------


async def capability(session: Session) -> bytes:
    return session.announcement() + ok()


async def starttls(session: Session) -> bytes:
    """Section 2.2. What was sent before the handshake is forgotten (traps S4); then the capabilities are told anew."""
    conn = session.conn
    context = session.service.context()
    if conn.tls:
        return no("TLS is active already")
    if context is None:
        return no("TLS is not available", "TRYLATER")
    session.say(ok("begin TLS"))
    await session.flush()
    try:
        await conn.start_tls(context)
    except OSError as error:
        log.event("tls-failed", ip=conn.peer, reason=getattr(error, "reason", None) or type(error).__name__)
        raise ConnectionResetError("TLS handshake failed") from None
    return session.announcement() + ok("TLS is active")


async def authenticate(session: Session, mechanism: Value, initial: Value | None = None) -> bytes:
    """Section 2.1. The last word of SCRAM goes with the OK."""
    conn, service = session.conn, session.service
    if not service.door.offered(conn.tls):
        return _TLS_FIRST
    last: list[str] = []

    async def ask(challenge: bytes) -> bytes:
        session.say(managesieve.challenge(challenge))
        await session.flush()
        patience = LIMITS.managesieve_patience_before_login
        return await conn.take(managesieve.read_response(conn.stream, BEFORE), patience, within=patience)

    try:
        identity = await service.door.sasl(
            SERVICE, conn.peer, conn.tls, managesieve.text(mechanism), _initial(initial), ask, service.end_point(conn),
            lambda data: last.append(data.decode("ascii")),
        )  # fmt: skip
    except LoginRefused as refused:
        return _refused(session, refused)
    session.identity = identity
    session.live = service.door.sessions.enter(identity, SERVICE, conn, session.end)
    return ok(code="SASL", value=last[0]) if last else ok("logged in")


def _initial(value: Value | None) -> bytes | None:
    """An empty string is an empty response here (section 2.1), which elsewhere is written `=`."""
    assert not isinstance(value, int)
    return value or (None if value is None else b"=")


def _refused(session: Session, refused: LoginRefused) -> bytes:
    if refused.reason == "tls-required":
        return _TLS_FIRST
    if refused.temporary:
        return no(refused.text, "TRYLATER")
    if refused.reason not in ("cancelled", "malformed", "mechanism"):
        session.failed_logins += 1
        if session.failed_logins >= LIMITS.managesieve_failed_logins:
            session.ended = True
            return bye(refused.text)
    return no(refused.text)


async def unauthenticate(session: Session) -> bytes:
    """Section 2.14.1: as if nobody had logged in, but for TLS."""
    session.leave()
    return ok()


async def noop(session: Session, tag: Value | None = None) -> bytes:
    """Section 2.13: the client's string comes back, so that he knows which answer this is."""
    return ok("done") if tag is None else ok("done", "TAG", managesieve.text(tag))


async def logout(session: Session) -> bytes:
    session.ended = True
    return ok("goodbye")


# -- scripts -----------------------------------------------------------------------------------------------------------


async def havespace(session: Session, name: Value, size: Value) -> bytes:
    assert isinstance(size, int)
    full = session.service.store.peek(_room, session.account_id, managesieve.script_name(name), size)
    return ok() if full is None else _full(full)


async def putscript(session: Session, name: Value, script: Value) -> bytes:
    store, account_id = session.service.store, session.account_id
    called, text = managesieve.script_name(name), managesieve.text(script)
    assert isinstance(script, bytes)
    full = store.peek(_room, account_id, called, len(script))
    if full is not None:  # before it is compiled
        return _full(full)
    found = await store.read_long(_compiled, account_id, text)
    await store.write(scripts.put, account_id, called, text)
    return _told(found)


async def checkscript(session: Session, script: Value) -> bytes:
    return _told(await session.service.store.read_long(_compiled, session.account_id, managesieve.text(script)))


async def listscripts(session: Session) -> bytes:
    return managesieve.listing(session.service.store.peek(scripts.names, session.account_id)) + ok()


async def setactive(session: Session, name: Value) -> bytes:
    """Section 2.8: without a name none is active. What can be run no more, since another script that it includes has
    changed, is not made active."""
    store, account_id = session.service.store, session.account_id
    called = managesieve.script_name(name) or None
    if called is not None:
        await store.read_long(_runs, account_id, called)
    await store.write(scripts.activate, account_id, called)
    return ok()


async def getscript(session: Session, name: Value) -> bytes:
    text = session.service.store.peek(scripts.get, session.account_id, managesieve.script_name(name))
    return managesieve.script(text) + ok()


async def deletescript(session: Session, name: Value) -> bytes:
    await session.service.store.write(scripts.remove, session.account_id, managesieve.script_name(name))
    return ok()


async def renamescript(session: Session, old: Value, new: Value) -> bytes:
    names = managesieve.script_name(old), managesieve.script_name(new)
    await session.service.store.write(scripts.rename, session.account_id, *names)
    return ok()


def _full(full: NoRoom) -> bytes:
    return no(full.text, _QUOTAS[full.reason])


def _told(found: list[str]) -> bytes:
    return ok(managesieve.in_a_line(found), "WARNINGS") if found else ok()


def _room(tx: Tx, account_id: int, name: str, size: int) -> NoRoom | None:
    scripts.check_name(name)
    return scripts.room(tx, account_id, name, size)


def _compiled(tx: Tx, account_id: int, text: str) -> list[str]:
    """What is probably not meant in a script that can be run. Raises `ScriptErrors`."""

    def there(mailbox: str) -> bool:
        try:
            mailboxes.get(tx, account_id, mailbox)
        except Refusal:
            return False
        return True

    sieve.compile(text, _library(tx, account_id))
    return hints(text, there)


def _runs(tx: Tx, account_id: int, name: str) -> None:
    """Raises `Missing`, `ScriptErrors`."""
    sieve.compile(scripts.get(tx, account_id, name), _library(tx, account_id))


def _library(tx: Tx, account_id: int) -> sieve.Library:
    return lambda name, everyone: scripts.included(tx, account_id, name, everyone)


@dataclass(frozen=True, slots=True)
class Row:
    """In which states a command may be given, and its arguments (`managesieve.check_arguments`)."""

    before: bool
    after: bool
    run: Callable[..., Awaitable[bytes]]
    form: str = ""
    optional: int = 0


COMMANDS = {
    # verb           before login, after, what runs, arguments
    "AUTHENTICATE": Row(True, False, authenticate, "ss", 1),
    "STARTTLS": Row(True, False, starttls),
    "LOGOUT": Row(True, True, logout),
    "CAPABILITY": Row(True, True, capability),
    "NOOP": Row(True, True, noop, "s", 1),
    "UNAUTHENTICATE": Row(False, True, unauthenticate),
    "HAVESPACE": Row(False, True, havespace, "sn"),
    "PUTSCRIPT": Row(False, True, putscript, "ss"),
    "CHECKSCRIPT": Row(False, True, checkscript, "s"),
    "LISTSCRIPTS": Row(False, True, listscripts),
    "SETACTIVE": Row(False, True, setactive, "s"),
    "GETSCRIPT": Row(False, True, getscript, "s"),
    "DELETESCRIPT": Row(False, True, deletescript, "s"),
    "RENAMESCRIPT": Row(False, True, renamescript, "ss"),
}
