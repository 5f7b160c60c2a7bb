"""What this server can, and the commands for any state: CAPABILITY, NOOP, ID, ENABLE, LOGOUT and their like.

Announced is exactly what works. The setting `imap.capabilities_off` takes names out of the announcement, for a
client's sake, for all or for one user (traps I7).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from daemon import log
from daemon.serve.imap import happened
from daemon.serve.imap.answer import DONE, Answer, Goodbye, No
from daemon.wire import imap_commands as said
from daemon.wire import imap_reply

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_ALWAYS = ("IMAP4rev1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE")
_AFTER_LOGIN = (
    "UIDPLUS", "MOVE", "NAMESPACE", "CHILDREN", "SPECIAL-USE", "CREATE-SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS",
    "STATUS=SIZE", "UNSELECT", "CONDSTORE", "ESEARCH", "WITHIN", "OBJECTID",
    "METADATA", "LIST-METADATA", "FILTER=SIEVE",
)  # fmt: skip


def names(session: Session) -> list[str]:
    """What can be done now, on this connection."""
    service, conn = session.service, session.conn
    found = list(_ALWAYS)
    if session.identity is None:
        mechanisms = service.mechanisms(conn)
        if not conn.tls and service.tls_context() is not None:
            found.append("STARTTLS")
        found += [f"AUTH={name}" for name in mechanisms]
        if not mechanisms:
            found.append("LOGINDISABLED")  # RFC 2595 §3.2
    else:
        found += _AFTER_LOGIN
        found.append(f"APPENDLIMIT={service.message_size}")
        found += happened.capability(service.config())
        if service.config()["listen.https"]:
            found.append("JMAPACCESS")
        if not conn.compressed:
            found.append("COMPRESS=DEFLATE")
    off = service.capabilities_off(session.user)
    return [name for name in found if name.upper() not in off] if off else found


def text(session: Session) -> str:
    return " ".join(names(session))


async def capability(session: Session, asked: said.Capability, tag: str) -> Answer:
    session.say(b"* CAPABILITY %b\r\n" % text(session).encode())
    return DONE


async def noop(session: Session, asked: said.Noop, tag: str) -> Answer:
    """The news that come with every command are its purpose (RFC 3501 §6.1.2)."""
    return DONE


async def jmap_access(session: Session, asked: said.GetJmapAccess, tag: str) -> Answer:
    """Where the same mail is to be had by JMAP, with the same ids (RFC 9698)."""
    config = session.service.config()
    places = config["listen.https"]
    if not places:
        raise No("there is no JMAP here", status="BAD")
    port = "" if places[0].port == 443 else f":{places[0].port}"
    session.say(imap_reply.jmap_access_line(f"https://{config.hostname}{port}/jmap/session"))
    return DONE


async def check(session: Session, asked: said.Check, tag: str) -> Answer:
    """Everything answered is on disk already (RFC 3501 §6.4.1)."""
    return DONE


async def logout(session: Session, asked: said.Logout, tag: str) -> Answer:
    session.say(imap_reply.tagged("*", "BYE", "logging out"))
    return Answer(ends=True)


async def identify(session: Session, asked: said.Id, tag: str) -> Answer:
    """ID (RFC 2971), before and after login; what the client says of itself is only logged (traps I8)."""
    if asked.fields:
        told = {name.lower(): value for name, value in asked.fields if value}
        client = f"{told.get('name', '?')} {told.get('version', '')}"[:100]
        log.event("imap-id", ip=session.conn.peer, user=session.user, client=client.strip())
    session.say(imap_reply.id_line({"name": "mailctl"}))
    return DONE


async def enable(session: Session, asked: said.Enable, tag: str) -> Answer:
    """CONDSTORE and METADATA are what can be enabled; the rest is passed over (RFC 5161 §3.1)."""
    enabled = []
    if "CONDSTORE" in asked.capabilities:
        enabled.append("CONDSTORE")
    if "METADATA" in asked.capabilities:
        enabled.append("METADATA")
        session.service.watchers.enter(session)
    session.say(b"* ENABLED%b\r\n" % "".join(f" {name}" for name in enabled).encode())
    return DONE


async def namespace(session: Session, asked: said.Namespace, tag: str) -> Answer:
    """One namespace, the user's own, at the top (RFC 2342)."""
    session.say(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return DONE


async def start_tls(session: Session, asked: said.StartTls, tag: str) -> Answer:
    """What arrived before the handshake is forgotten by the connection (traps S4, D16)."""
    conn = session.conn
    context = session.service.tls_context()
    if conn.tls or context is None:
        raise No("encrypted already" if conn.tls else "no certificate here", "", "BAD")

    async def handshake() -> None:
        try:
            await conn.start_tls(context)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            reason = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
            log.event("tls-failed", ip=conn.peer, reason=reason)
            raise Goodbye("no encryption") from None

    return Answer("begin TLS negotiation now", after=handshake)


async def compress(session: Session, asked: said.Compress, tag: str) -> Answer:
    """DEFLATE both ways, from after this answer on (RFC 4978)."""
    conn = session.conn
    if conn.compressed:
        raise No("compressed already", "COMPRESSIONACTIVE")

    async def begin() -> None:
        conn.compress()

    return Answer("DEFLATE active", after=begin)
