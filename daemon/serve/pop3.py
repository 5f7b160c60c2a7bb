"""POP3: INBOX for clients that fetch it (RFC 1939), with STLS, SASL and the response codes of its extensions.

States: authorization, then transaction; QUIT there is the update. What DELE marks is removed by QUIT alone: a
connection that is cut changes nothing (traps POP3). Replies to pipelined commands are joined into large writes.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon import log
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.connection import Connection, Draining
from daemon.serve.login import Door, Identity, LoginRefused
from daemon.serve.maildrop import Letter, Maildrop
from daemon.serve.sessions import Live
from daemon.store.db import Store, StoreError
from daemon.store.errors import Missing
from daemon.store.segments import SegmentDamaged
from daemon.wire import pop3
from daemon.wire.pop3 import BadArgument, Beginning, Stuffer, err, ok
from daemon.wire.stream import EndOfStream, TooLong

_JOINED = 128 * 1024  # octets of replies that are sent at once
_PIECE = 192 * 1024  # octets of a long message read at once
_LISTED = 5000  # lines of LIST and UIDL made before others get their turn
_HTTP = frozenset((b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT"))
_TLS_FIRST = err("TLS required: send STLS first, or connect to port 995", "AUTH")


class Goodbye(Exception):
    """Say this, then close."""


class Pop3:
    """One per process: `serve` is the whole life of one connection."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        door: Door,
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
        end_point: Callable[[ssl.SSLObject], bytes | None] = lambda tls: None,
    ) -> None:
        """`config` gives the settings as they are now, `context` the TLS context for STLS, `end_point` the hash of
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
            self.door.sessions.leave(session.live)

    def end_point(self, conn: Connection) -> bytes | None:
        return None if conn.ssl_object is None else self._end_point(conn.ssl_object)


class Session:
    """One connection."""

    __slots__ = (
        "conn", "pop3", "identity", "live", "drop", "user", "errors", "failed_logins", "ended", "_said", "_size",
    )  # fmt: skip

    def __init__(self, conn: Connection, service: Pop3) -> None:
        self.conn = conn
        self.pop3 = service
        self.identity: Identity | None = None
        self.live: Live | None = None
        self.drop: Maildrop | None = None
        self.user: str | None = None
        self.errors = 0
        self.failed_logins = 0
        self.ended = False
        self._said: list[bytes] = []
        self._size = 0

    async def run(self) -> None:
        """From the greeting to the end. Raises what ended the connection, if not a goodbye."""
        self.say(ok(f"{self.pop3.config().hostname} POP3 server ready"))
        try:
            await self._talk()
            await self.flush()
        except TooLong:
            await self._last(err("line too long"))
        except Goodbye as goodbye:
            await self._last(err(str(goodbye)))
        except Draining:
            await self._last(err("the server is being stopped", "SYS/TEMP"))

    def end(self, text: str) -> None:
        """No command more. Nothing is said: the client asked nothing."""
        self.ended = True
        self.conn.nudge()
        self.conn.abort()

    async def _talk(self) -> None:
        """Command after command."""
        conn = self.conn
        while not self.ended:
            if self._said and (b"\n" not in conn.stream.buffer or self._size > _JOINED):
                await self.flush()
            known = self.drop is not None
            patience = LIMITS.pop3_patience if known else LIMITS.pop3_patience_before_login
            limit = LIMITS.pop3_line if known else LIMITS.pop3_auth_line
            reading = pop3.read_command(conn.stream, limit)
            verb, argument = await conn.take(reading, patience, within=None if known else patience, resting=True)
            reply = await self._obey(verb, argument)
            if reply[:1] == b"-":
                self.errors += 1
                if self.errors > LIMITS.pop3_errors:
                    raise Goodbye("too many errors")
            else:
                self.errors = 0
            self.say(reply)

    async def _obey(self, verb: bytes, argument: bytes) -> bytes:
        row = COMMANDS.get(verb)
        if row is None:
            if verb in _HTTP:
                raise Goodbye("this is a mail server")
            return err("unknown command")
        if not row.before if self.drop is None else not row.after:
            return err("log in first" if self.drop is None else "not after login")
        if len(argument) > LIMITS.pop3_line and verb not in (b"AUTH", b"PASS"):
            raise TooLong("line too long")
        try:
            return await row.run(self, argument)
        except BadArgument as error:
            return err(str(error))
        except (Goodbye, Draining, TooLong, EndOfStream, ConnectionError, TimeoutError, ssl.SSLError):
            raise
        except StoreError as error:
            log.trouble("pop3-store", ip=self.conn.peer, error=error)
            return err("temporary failure", "SYS/TEMP")
        except SegmentDamaged as error:
            log.trouble("message-damaged", ip=self.conn.peer, error=error)
            return err("the message is damaged; the administrator has been told", "SYS/PERM")
        except Exception as error:
            reference = secrets.token_hex(4)
            log.fault("pop3-fault", error, ref=reference, ip=self.conn.peer)
            return err(f"internal error (ref {reference})", "SYS/TEMP")

    # -- speaking ------------------------------------------------------------------------------------------------------

    def say(self, reply: bytes) -> None:
        """Add to what is sent next."""
        self._said.append(reply)
        self._size += len(reply)

    async def flush(self) -> None:
        """Send what was said, and wait for room. Raises `ConnectionError` and `TimeoutError`."""
        if self._said:
            data = self._said[0] if len(self._said) == 1 else b"".join(self._said)
            self._said.clear()
            self._size = 0
            self.conn.write(data)
            await self.conn.drain()

    async def _last(self, reply: bytes) -> None:
        self.say(reply)
        await self.flush()

    @property
    def may_log_in(self) -> bool:
        """Whether a password may travel here now."""
        return bool(self.pop3.door.offered(self.conn.tls))

    @property
    def messages(self) -> Maildrop:
        assert self.drop is not None
        return self.drop

    def number(self, argument: bytes) -> int:
        """The index of the message a command names. Raises `BadArgument`."""
        return self.there(pop3.message_number(argument, len(self.messages.uids)))

    def there(self, number: int) -> int:
        if number - 1 in self.messages.deleted:
            raise BadArgument("that message is marked as deleted")
        return number - 1


# -- authorization -----------------------------------------------------------------------------------------------------


async def capa(session: Session, argument: bytes) -> bytes:
    conn, service = session.conn, session.pop3
    listed = pop3.capabilities(
        tls=conn.tls,
        may_start_tls=service.context() is not None,
        may_log_in=session.may_log_in,
        mechanisms=service.door.offered(conn.tls, service.end_point(conn)),
    )
    return pop3.multi_line("Capability list follows", listed)


async def stls(session: Session, argument: bytes) -> bytes:
    """RFC 2595 §4. What was sent before the handshake is forgotten (traps S4)."""
    conn = session.conn
    context = session.pop3.context()
    if conn.tls:
        return err("TLS is active already")
    if context is None:
        return err("TLS is not available", "SYS/TEMP")
    session.say(ok("begin TLS"))
    await session.flush()
    session.user = None
    try:
        await conn.start_tls(context)
    except OSError as error:
        log.event("tls-failed", ip=conn.peer, reason=getattr(error, "reason", None) or type(error).__name__)
        raise ConnectionResetError("TLS handshake failed") from None
    return b""


async def user(session: Session, argument: bytes) -> bytes:
    if not session.may_log_in:
        return _TLS_FIRST  # before the password is sent
    if not argument.strip():
        return err("a name is needed")
    session.user = pop3.text(argument.strip())
    return ok("send PASS")


async def password(session: Session, argument: bytes) -> bytes:
    if not session.may_log_in:
        return _TLS_FIRST
    name, session.user = session.user, None
    if name is None:
        return err("USER first")
    conn = session.conn
    try:
        identity = await session.pop3.door.plain("pop3", conn.peer, name, pop3.text(argument), conn.tls)
    except LoginRefused as refused:
        return _refused(session, refused)
    return await _welcome(session, identity)


async def auth(session: Session, argument: bytes) -> bytes:
    """RFC 5034; without a mechanism the list of them, as clients older than CAPA ask."""
    conn, service = session.conn, session.pop3
    end_point = service.end_point(conn)
    if not session.may_log_in:
        return _TLS_FIRST
    words = argument.split(None, 1)
    if not words:
        return pop3.multi_line("", service.door.offered(conn.tls, end_point))

    async def ask(challenge: bytes) -> bytes:
        session.say(pop3.challenge(challenge))
        await session.flush()
        patience = LIMITS.pop3_patience_before_login
        return await conn.take(conn.stream.line(LIMITS.pop3_auth_line), patience, within=patience)

    try:
        identity = await service.door.sasl(
            "pop3", conn.peer, conn.tls, pop3.text(words[0]), words[1] if len(words) > 1 else None, ask, end_point
        )
    except LoginRefused as refused:
        return _refused(session, refused)
    return await _welcome(session, identity)


async def apop(session: Session, argument: bytes) -> bytes:
    """It needs passwords kept in clear; say what to do instead (traps POP6)."""
    if not session.may_log_in:
        return _TLS_FIRST
    return err("APOP is not supported; use AUTH, or USER and PASS", "AUTH")


def _refused(session: Session, refused: LoginRefused) -> bytes:
    if refused.reason == "tls-required":
        return _TLS_FIRST
    if refused.temporary:
        return err(refused.text, "SYS/TEMP")  # RFC 3206 §4
    if refused.reason in ("cancelled", "malformed", "mechanism"):
        return err(refused.text)
    session.failed_logins += 1
    if session.failed_logins >= LIMITS.pop3_failed_logins:
        session.ended = True
    return err(refused.text, "AUTH")  # RFC 3206 §4


async def _welcome(session: Session, identity: Identity) -> bytes:
    try:
        session.drop = await Maildrop.open(session.pop3.store, identity.account_id)
    except Missing:
        return err("there is no INBOX", "SYS/PERM")
    session.identity = identity
    session.live = session.pop3.door.sessions.enter(identity, "pop3", session.conn, session.end)
    count, octets = session.drop.total()
    return ok(f"{count} messages ({octets} octets)")


async def utf8(session: Session, argument: bytes) -> bytes:
    """RFC 6856 §2. Messages are sent as they are in any case: downgrading them would break signatures."""
    return ok("UTF-8 it is")


async def lang(session: Session, argument: bytes) -> bytes:
    """RFC 6856 §3: there is one language."""
    wanted = pop3.text(argument.strip()).lower()
    if not wanted:
        return pop3.multi_line("Language listing follows", ["en English"])
    if wanted in ("*", "en", "i-default") or wanted.startswith("en-"):
        return ok("en Language is English")
    return err("that language is not spoken here")


# -- transaction -------------------------------------------------------------------------------------------------------


async def stat(session: Session, argument: bytes) -> bytes:
    count, octets = session.messages.total()
    return ok(f"{count} {octets}")


async def list_(session: Session, argument: bytes) -> bytes:
    drop = session.messages
    if argument.strip():
        index = session.number(argument)
        return ok(f"{index + 1} {drop.sizes[index]}")
    count, octets = drop.total()
    return await _listing(session, f"{count} messages ({octets} octets)", lambda index: drop.sizes[index])


async def uidl(session: Session, argument: bytes) -> bytes:
    drop = session.messages
    if argument.strip():
        index = session.number(argument)
        return ok(f"{index + 1} {drop.unique_id(index)}")
    return await _listing(session, "unique ids follow", drop.unique_id)


async def _listing(session: Session, head: str, tell: Callable[[int], object]) -> bytes:
    """A line for each message, some thousands at a time; the rest of the reply is returned."""
    session.say(ok(head))
    lines: list[str] = []
    for index in session.messages.present():
        lines.append(f"{index + 1} {tell(index)}\r\n")
        if len(lines) == _LISTED:
            session.say("".join(lines).encode())
            lines.clear()
            await session.flush()
    session.say("".join(lines).encode())
    return pop3.END


async def retr(session: Session, argument: bytes) -> bytes:
    drop = session.messages
    index = session.number(argument)
    letter = await drop.letter(index, more=b"\n" in session.conn.stream.buffer)
    if letter is None:
        return err("that message is gone")  # traps POP5
    if letter.data is not None:
        return pop3.message(b"+OK %d octets\r\n" % len(letter.data), letter.data)
    return await _send_long(session, letter, f"{len(letter.prefix) + letter.length} octets")


async def top(session: Session, argument: bytes) -> bytes:
    drop = session.messages
    number, lines = pop3.number_and_lines(argument, len(drop))
    letter = await drop.letter(session.there(number), more=False, keep=True)
    if letter is None:
        return err("that message is gone")
    beginning = Beginning(lines)
    if letter.data is not None:
        return pop3.message(ok("top of message follows"), beginning.piece(bytes(letter.data)))
    return await _send_long(session, letter, "top of message follows", beginning)


async def _send_long(session: Session, letter: Letter, head: str, beginning: Beginning | None = None) -> bytes:
    """A long message as it is read. When it breaks off in the middle, so does the connection."""
    stuffer = Stuffer()
    piece = letter.prefix + await session.messages.piece(letter, 0, min(_PIECE, letter.length))
    session.say(ok(head))
    at = _PIECE
    while True:
        session.say(stuffer.piece(piece if beginning is None else beginning.piece(piece)))
        if at >= letter.length or (beginning is not None and beginning.done):
            return stuffer.end()
        await session.flush()
        try:
            piece = await session.messages.piece(letter, at, min(_PIECE, letter.length - at))
        except SegmentDamaged as error:
            log.trouble("message-damaged", ip=session.conn.peer, error=error)
            session.conn.abort()
            raise ConnectionResetError("message damaged") from None
        at += len(piece)


async def dele(session: Session, argument: bytes) -> bytes:
    index = session.number(argument)
    session.messages.deleted.add(index)
    return ok(f"message {index + 1} marked")


async def rset(session: Session, argument: bytes) -> bytes:
    session.messages.reset()
    count, octets = session.messages.total()
    return ok(f"{count} messages ({octets} octets)")


async def noop(session: Session, argument: bytes) -> bytes:
    return ok()


async def quit_(session: Session, argument: bytes) -> bytes:
    session.ended = True
    if session.drop is not None:
        marked = len(session.drop.deleted)
        try:
            await session.drop.update(session.conn.peer)
        except StoreError as error:
            log.trouble("pop3-store", ip=session.conn.peer, error=error)
            return err("some messages marked as deleted were not removed", "SYS/TEMP")  # RFC 1939 §6
        if marked:
            return ok(f"{marked} messages removed, goodbye")
    return ok("goodbye")


@dataclass(frozen=True, slots=True)
class Row:
    """In which states a command may be given."""

    before: bool
    after: bool
    run: Callable[[Session, bytes], Awaitable[bytes]]


COMMANDS = {
    # verb       before login, after, what runs
    b"CAPA": Row(True, True, capa),
    b"NOOP": Row(False, True, noop),
    b"QUIT": Row(True, True, quit_),
    b"STLS": Row(True, False, stls),
    b"USER": Row(True, False, user),
    b"PASS": Row(True, False, password),
    b"APOP": Row(True, False, apop),
    b"AUTH": Row(True, False, auth),
    b"UTF8": Row(True, False, utf8),
    b"LANG": Row(True, True, lang),
    b"STAT": Row(False, True, stat),
    b"LIST": Row(False, True, list_),
    b"UIDL": Row(False, True, uidl),
    b"RETR": Row(False, True, retr),
    b"TOP": Row(False, True, top),
    b"DELE": Row(False, True, dele),
    b"RSET": Row(False, True, rset),
}
