"""One connection that speaks SMTP or LMTP: its state, its command loop, its budgets.

It is aiosmtpd's `SMTP`, with its `Session`, its `Envelope` and its handler hooks, over our own `Connection`: what
aiosmtpd does between these (the loop, the commands, DATA, TLS, exceptions) is done here instead, and its constructor,
which looks for hooks anew for every connection, is not run. Each deviation has its test in `tests/serve`, named after
what it mends.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import aiosmtpd
from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session

from daemon import log
from daemon.config import contains
from daemon.flow.envelope import Recipient
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.serve.connection import Connection, Draining, Owner
from daemon.serve.login import Identity
from daemon.serve.sessions import Live
from daemon.serve.smtp.commands import COMMANDS, FORBIDDEN, Answer, Door
from daemon.serve.smtp.content import Incoming
from daemon.serve.smtp.post import Post, Rules, rules_of
from daemon.store.db import StoreFull
from daemon.wire.smtp import Refused, Reply, command, skip_line
from daemon.wire.stream import BareNewline, EndOfStream, Reading, TooLong

T = TypeVar("T")
NEEDED = (1, 4, 6)  # before it: smuggling (CVE-2024-27305) and STARTTLS injection (CVE-2024-34083)

SILENT = Reply(421, "4.4.2", "Nothing heard for too long")
TOO_LONG = Reply(500, "5.5.6", "The line is too long")
BARE_LF = Reply(500, "5.5.2", "A line must end with CRLF, not with a bare LF (RFC 5321 section 2.3.8)")
UNKNOWN = Reply(500, "5.5.1", "No such command")
NOT_HERE = Reply(502, "5.5.1", "Not at this door")
NOT_NOW = Reply(503, "5.5.1", "Not between two chunks; BDAT LAST or RSET first")
HELLO_FIRST = Reply(503, "5.5.1", "Say hello first")
TLS_FIRST = Reply(530, "5.7.0", "Encryption comes first: STARTTLS")
LOGIN_FIRST = Reply(530, "5.7.0", "Authentication required")
ENOUGH_ERRORS = Reply(421, "4.7.0", "Too many errors")
ENOUGH_UNKNOWN = Reply(421, "4.7.0", "Too many unknown recipients")
ENOUGH_IDLE = Reply(421, "4.7.0", "Too many commands without a message")
ENOUGH_MESSAGES = Reply(421, "4.7.0", "Enough messages for one connection; come again")
ENOUGH_TIME = Reply(421, "4.7.0", "This session took long enough; come again")
CLOSING = Reply(421, "4.3.2", "The server is being stopped; come again")
NO_HTTP = Reply(421, "4.7.0", "This is a mail server")
NO_ROOM = Reply(452, "4.3.1", "No room for new mail just now")


def check_engine(version: str = aiosmtpd.__version__) -> None:
    """Refuses an aiosmtpd with known holes, whatever the package's metadata said. Raises `RuntimeError`."""
    numbers = tuple(int(n) if n.isdigit() else 0 for n in version.split(".")[:3])
    if numbers < NEEDED:
        raise RuntimeError(f"aiosmtpd {version} is too old: 1.4.6 or newer is needed; install it with pip")


check_engine()
logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's own: one line a command, with addresses


class Hangup(Exception):
    """The connection ends now, with a last word or without."""

    def __init__(self, reply: Reply | None) -> None:
        super().__init__(reply)
        self.reply = reply


class Client(Session):
    """aiosmtpd's session: who the peer says it is, and who it proved to be."""

    auth_data: Identity | None  # type: ignore[assignment]
    ssl: dict[str, Any] | None
    peer: tuple[str, int]  # type: ignore[assignment]


class Transaction(Envelope):
    """aiosmtpd's envelope and what it has no room for. `sender` None is the null reverse-path."""

    def __init__(self) -> None:
        super().__init__()
        self.open = False  # MAIL was taken
        self.failed = False  # a chunk was refused: the rest is thrown away
        self.sender: Address | None = None
        self.size = 0
        self.ret: str | None = None
        self.envid: str | None = None
        self.requiretls = False
        self.recipients: list[Recipient] = []
        self.incoming: Incoming | None = None

    def fail(self) -> None:
        self.failed = True
        self.close()

    def close(self) -> None:
        if self.incoming is not None:
            self.incoming.body.close()
            self.incoming = None


@lru_cache(maxsize=64)
def _hooks(handler: Any) -> dict[str, Callable[..., Any]]:
    """The `handle_*` methods of a handler, looked for once."""
    return {name[len("handle_") :]: getattr(handler, name) for name in dir(handler) if name.startswith("handle_")}


class Smtp(Connection, SMTP):
    """What the module says. `handler` has the hooks of its door."""

    NOTHING: Answer = []
    session: Client
    envelope: Transaction
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport | None

    def __init__(self, listener: Owner, post: Post, door: Door, handler: Any) -> None:
        Connection.__init__(self, listener)
        self.post = post
        self.door = door
        self.rules: Rules = rules_of(post.config())
        self.event_handler = handler
        self._handle_hooks = _hooks(handler)
        self.session = Client(self.loop)
        self.envelope = Transaction()
        self.exempt = False
        self.trusted = False
        self.normalizes = True
        self.live: Live | None = None  # while somebody is logged in
        self.errors = 0
        self.unknown = 0
        self.auth_failures = 0
        self.messages = 0
        self.idle = 0  # commands since the last message that brought none nearer
        self._said: list[bytes] = []
        self._ended = False
        self._until = self.loop.time() + LIMITS.smtp_session

    # -- the dialogue --------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """The whole connection, from the greeting on. Returns when it is closed, whatever happened."""
        self._learn_peer()
        try:
            await self._converse()
        except Hangup as end:
            if end.reply is not None:
                self.say(end.reply)
        finally:
            self._write_said()
            self.log_out()
            self.envelope.close()
            self.close()

    def _learn_peer(self) -> None:
        rules, peer = self.rules, self.peer
        self.session.peer = (peer, self.peer_port)
        self.session.ssl = {"ssl_object": self.ssl_object} if self.tls else None
        self.exempt = contains(rules.exempt, peer)
        self.trusted = contains(rules.trusted, peer)
        self.normalizes = self.door != "mx" or rules.normalize or contains(rules.normalize_from, peer)

    async def _converse(self) -> None:
        self.say(Reply(220, "", f"{self.rules.hostname} {'LMTP' if self.door == 'lmtp' else 'ESMTP'}"))
        while not self._ended:
            try:
                line = await self._line()
            except BareNewline:
                self.say(self._counted(BARE_LF))
            except TooLong:
                await self._skip()
            else:
                answer = await self._obey(line)
                if isinstance(answer, Reply):
                    self.say(answer)
                else:
                    for reply in answer:
                        self.say(reply)
        await self.flush()

    async def _line(self) -> bytes:
        """The next command line. What was said is sent before anything is waited for: pipelined replies go together."""
        stream = self.stream
        limit = LIMITS.smtp_auth_line if self.may_authenticate else LIMITS.smtp_command_line
        reading = stream.line(limit, strict=not self.normalizes)
        if b"\n" in stream.buffer:
            return await self.take(reading, LIMITS.smtp_command_patience)
        return await self.hear(reading, LIMITS.smtp_command_patience, resting=not self.envelope.open)

    async def _skip(self) -> None:
        try:
            await self.hear(skip_line(self.stream, LIMITS.smtp_skipped), LIMITS.smtp_command_patience)
        except TooLong:
            raise Hangup(TOO_LONG) from None
        self.say(self._counted(TOO_LONG))

    async def _obey(self, line: bytes) -> Answer:
        """Do what a line asks, and answer. Faults of ours end here (A5)."""
        try:
            asked = command(line)
            row = COMMANDS.get(asked.verb)
            if row is None:
                raise Refused(NO_HTTP if asked.verb in FORBIDDEN else UNKNOWN)
            if self.door not in row.doors:
                raise Refused(NOT_HERE)
            if len(line) > LIMITS.smtp_command_line and asked.verb != "AUTH":
                raise Refused(TOO_LONG)
            if row.hello and not self.session.host_name:
                raise Refused(HELLO_FIRST)
            if row.login and self.door == "submission" and not self.session.authenticated:
                raise Refused(LOGIN_FIRST if self.may_authenticate else TLS_FIRST)
            if not row.chunks and (self.envelope.incoming is not None or self.envelope.failed):
                raise Refused(NOT_NOW)
            if not self.exempt:
                self._be_brief(row.idle)
            return await row.run(self, asked.argument)
        except Refused as refusal:
            return self._counted(refusal.reply)
        except Hangup:
            raise
        except Exception as error:
            return self.fault(error)

    def _be_brief(self, idle: bool) -> None:
        """A session that only passes the time ends, one that goes on too long ends between two messages (and a little
        later anywhere). Raises `Refused`."""
        if idle:
            self.idle += 1
            if self.idle > LIMITS.smtp_idle_commands:
                raise Refused(ENOUGH_IDLE)
        late = self.loop.time() - self._until
        if late > 0 and (not self.envelope.open or late > LIMITS.smtp_command_patience):
            raise Refused(ENOUGH_TIME)

    # -- speaking and hearing ------------------------------------------------------------------------------------------

    def say(self, reply: Reply) -> None:
        """Add a reply to what is sent next. 421 and 221 end the connection (A20)."""
        if not self._ended:
            self._said.append(bytes(reply))
            self._ended = reply.closes

    async def flush(self) -> None:
        """Send what was said. Raises `Hangup` when nobody listens any more."""
        self._write_said()
        try:
            await self.drain()
        except (ConnectionError, TimeoutError):
            raise Hangup(None) from None

    def _write_said(self) -> None:
        if self._said:
            self.write(b"".join(self._said))
            self._said.clear()

    async def hear(self, reading: Reading[T], patience: float, *, resting: bool = False) -> T:
        """What the peer says next; what was said to it is sent before. Raises `Hangup` for silence and for the end.

        `resting`: between two messages, where the server may be stopped.
        """
        self._write_said()
        try:
            if self._write_held:
                await self.drain()
            return await self.take(reading, patience, resting=resting)
        except TimeoutError:
            raise Hangup(SILENT) from None
        except Draining:
            raise Hangup(CLOSING) from None
        except (EndOfStream, ConnectionError):
            raise Hangup(None) from None

    def hangup(self, reply: Reply) -> Hangup:
        """`raise smtp.hangup(reply)`: say this, then close, whatever the code."""
        return Hangup(reply)

    # -- what commands ask of the session ------------------------------------------------------------------------------

    async def hook(self, name: str, *args: Any) -> Any:
        """Call the handler's `handle_NAME(server, session, envelope, *args)`; None when it has none."""
        found = self._handle_hooks.get(name)
        return MISSING if found is None else await found(self, self.session, self.envelope, *args)

    def forget_envelope(self) -> None:
        if self.envelope.open or self.envelope.failed:
            self.envelope.close()
            self.envelope = Transaction()

    def for_each(self, transaction: Transaction, answer: Answer) -> Answer:
        """An answer to a whole message: on LMTP one for each recipient that was taken (RFC 2033 §4.2)."""
        if self.door == "lmtp" and isinstance(answer, Reply) and transaction.recipients:
            return [answer] * len(transaction.recipients)
        return answer

    def next_message(self) -> None:
        """Count one. Raises `Refused` for one too many."""
        self.messages += 1
        self.idle = 0
        if self.messages > LIMITS.smtp_messages and not self.exempt:
            raise Refused(ENOUGH_MESSAGES)
        self.look_at_settings()

    def look_at_settings(self) -> None:
        """Settings that changed hold from here on."""
        rules = rules_of(self.post.config())
        if rules is not self.rules:
            self.rules = rules
            self._learn_peer()

    @property
    def may_authenticate(self) -> bool:
        """Whether AUTH is due (A6): only where users hand in mail, only encrypted unless the settings say otherwise."""
        return self.door == "submission" and not self.session.authenticated and (self.tls or not self.rules.require_tls)

    def mechanisms(self) -> tuple[str, ...]:
        return self.post.door.offered(self.tls, self.end_point())

    def end_point(self) -> bytes | None:
        return self.post.end_point(self.ssl_object) if self.ssl_object is not None else None

    def starttls_context(self) -> ssl.SSLContext | None:
        return self.post.port25_context() if self.door == "mx" else self.post.context()

    async def secure(self, context: ssl.SSLContext) -> None:
        """Change to TLS and know nothing of what was said before. Raises `Hangup` when the handshake fails."""
        peer = self.session.peer
        self.log_out()
        self.forget_envelope()
        try:
            await self.start_tls(context)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.event("tls-failed", ip=self.peer, reason=getattr(error, "reason", None) or type(error).__name__)
            raise Hangup(None) from None
        self.session = Client(self.loop)
        self.session.peer = peer
        self.session.ssl = {"ssl_object": self.ssl_object}

    def log_in(self, identity: Identity) -> None:
        self.session.authenticated = True
        self.session.auth_data = identity
        self.live = self.post.door.sessions.enter(identity, "smtp", self, self.end)

    def log_out(self) -> None:
        if self.live is not None:
            self.post.door.sessions.leave(self.live)
            self.live = None

    def end(self, text: str) -> None:
        """The user may not be here any more: no command more, whatever of them came already."""
        self.say(Reply(421, "4.7.0", text[0].upper() + text[1:]))
        self._write_said()
        self.close()

    @property
    def tls_version(self) -> str:
        return self.ssl_object.version() or "TLS" if self.ssl_object is not None else ""

    def note_refusal(self, reason: str, recipient: str, reply: Reply) -> None:
        """For the log and for `mailctl trace`: who was refused, and why."""
        sender = str(self.envelope.sender) if self.envelope.sender is not None else "<>"
        log.event("refused", reason=reason, ip=self.peer, sender=sender, to=recipient or None, code=reply.code)
        self.post.refusals.add(self.peer, reason, sender=sender, recipient=recipient, reply=str(reply))

    def _counted(self, reply: Reply) -> Reply:
        """A refusal, or 421 in its place when there were too many."""
        if self.exempt or not reply.permanent:
            return reply
        if reply.enhanced == "5.1.1":
            self.unknown += 1
            return reply if self.unknown <= LIMITS.smtp_recipients_unknown else ENOUGH_UNKNOWN
        self.errors += 1
        return reply if self.errors <= LIMITS.smtp_errors else ENOUGH_ERRORS

    def fault(self, error: Exception) -> Reply:
        """A fault of ours, told without details and logged with all of them. Always temporary (A5)."""
        if isinstance(error, StoreFull) or (isinstance(error, OSError) and error.errno in (28, 122)):  # ENOSPC, EDQUOT
            self.post.ran_full()
            log.trouble("no-room", ip=self.peer, error=error)
            return NO_ROOM
        reference = secrets.token_hex(4)
        log.fault("smtp-fault", error, ref=reference, ip=self.peer)
        return Reply(451, "4.3.0", f"Temporary failure (ref {reference})")
