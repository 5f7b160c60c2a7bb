"""LOGIN and AUTHENTICATE: the mechanisms are in `wire.sasl`, the passwords behind `serve.login`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.serve.imap import capability
from daemon.serve.imap.answer import Answer, Goodbye, No
from daemon.serve.login import Identity, LoginRefused
from daemon.wire import imap_commands as said
from daemon.wire import sasl
from daemon.wire.imap import Bad
from daemon.wire.stream import TooLong

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_CODES = {  # RFC 5530 §3
    "tls-required": "PRIVACYREQUIRED",
    "wrong-password": "AUTHENTICATIONFAILED",
    "unknown-user": "AUTHENTICATIONFAILED",
    "authzid": "AUTHORIZATIONFAILED",
    "disabled": "AUTHORIZATIONFAILED",
    "scope": "AUTHORIZATIONFAILED",
    "channel-binding": "AUTHENTICATIONFAILED",
    "mechanism": "CANNOT",
}


async def login(session: Session, asked: said.Login, tag: str) -> Answer:
    conn = session.conn
    try:
        identity = await session.service.door.plain("imap", conn.peer, asked.user, asked.password, conn.tls)
    except LoginRefused as refused:
        raise _no(session, refused) from None
    return _welcome(session, identity)


async def authenticate(session: Session, asked: said.Authenticate, tag: str) -> Answer:
    conn = session.conn
    initial = None if asked.initial is None else sasl.encode(asked.initial) or b"="

    async def ask(challenge: bytes) -> bytes:
        session.say(b"+ %b\r\n" % challenge)  # "+ " also before nothing (traps I28)
        await session.flush()
        try:
            return await conn.take(
                conn.stream.line(LIMITS.imap_literal_before_login), LIMITS.imap_patience_before_login,
                within=LIMITS.imap_patience_before_login,
            )  # fmt: skip
        except TooLong:
            raise Bad("response too long", in_sync=False) from None

    try:
        identity = await session.service.door.sasl(
            "imap", conn.peer, conn.tls, asked.mechanism, initial, ask, session.service.end_point(conn)
        )
    except LoginRefused as refused:
        raise _no(session, refused) from None
    return _welcome(session, identity)


def _welcome(session: Session, identity: Identity) -> Answer:
    session.identity = identity
    session.service.logged_in(session)
    return Answer("logged in", f"CAPABILITY {capability.text(session)}")


def _no(session: Session, refused: LoginRefused) -> Exception:
    """A refusal, or the end after too many (each was delayed by the door)."""
    if refused.reason in ("cancelled", "malformed"):
        return Bad(refused.text)  # RFC 3501 §6.2.2
    if not refused.temporary:
        session.failed_logins += 1
        if session.failed_logins > LIMITS.imap_failed_logins:
            return Goodbye("too many failed logins")
    code = "UNAVAILABLE" if refused.temporary else _CODES.get(refused.reason, "")
    return No(refused.text, code)
