"""APPEND: a message of the client's own, into a mailbox (RFC 3501 §6.3.11, UIDPLUS of RFC 4315).

The literal goes to a `Body` while it arrives, is looked at once, by the virus scanner too where there is one, and is
stored with its UID and its event in one write: OK is a receipt. The bytes are kept as they came, bare line feeds too
(traps D7, I25).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import log
from daemon.flow import dangers
from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.mail.summary import Summary, summarize
from daemon.serve.imap import flags
from daemon.serve.imap.answer import Answer, No
from daemon.serve.imap.happened import happened
from daemon.store import accounts, blobs, events, mailboxes, messages, spam
from daemon.store.errors import Missing, OverQuota
from daemon.store.messages import Placed
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.wire import imap_commands as said
from daemon.wire import imap_reply
from daemon.wire.imap import Bad

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session


class Incoming:
    """A message while it arrives. When the spool fails, the rest is read and dropped: the place is not lost."""

    __slots__ = ("body", "error")

    def __init__(self, body: Body) -> None:
        self.body = body
        self.error: Exception | None = None

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        if self.error is None:
            try:
                self.body.write(data)
            except (OSError, MemoryError) as error:
                self.error = error


def incoming(session: Session, size: int) -> Incoming:
    """Where a message of `size` octets goes. Raises `Bad` when it need not be sent at all."""
    store, quota = session.service.store, session.service.config()["limits.quota"]
    try:
        store.peek(accounts.check_room, session.account_id, size, quota)
    except OverQuota as error:
        raise Bad(str(error), status="NO", code="OVERQUOTA") from None  # RFC 5530
    if not store.has_room(size):
        raise Bad("no room for new mail just now", status="NO", code="UNAVAILABLE")
    return Incoming(Body(store.data.spool))


@dataclass(frozen=True, slots=True)
class _New:
    """One message on its way into the store. `unscanned`: why nobody could look for a virus in it."""

    body: Body
    summary: Summary
    bits: int
    keywords: Sequence[str]
    received_at: int | None
    unscanned: str = ""


async def append(session: Session, asked: said.Append, tag: str) -> Answer:
    service = session.service
    if service.store.peek(mailboxes.find, session.account_id, asked.mailbox) is None:
        raise No("there is no such mailbox", "TRYCREATE")
    origin = Origin("append", session.conn.peer, account_id=session.account_id)
    scans = dangers.scans(service.config(), origin)
    new = []
    for message in asked.messages:
        sink = message.body.sink
        assert isinstance(sink, Incoming)
        if sink.error is not None:
            log.trouble("no-room", ip=session.conn.peer, user=session.user, error=sink.error)
            raise No("the message could not be kept; try again later", "UNAVAILABLE")
        body = sink.body
        if body.size > LIMITS.parse_inline:
            summary = await service.store.aside(summarize, body.view())
        else:
            summary = summarize(body.view())
        unscanned = await _scanned(session, asked.mailbox, body, summary.message_id) if scans else ""
        bits, keywords = flags.split(message.flags)
        new.append(_New(body, summary, bits, keywords, message.internal_date, unscanned))
    try:
        placed = await service.store.write(
            _put, session.account_id, asked.mailbox, new, service.config()["limits.quota"], session.conn.peer,
            bodies=[one.body for one in new],
        )  # fmt: skip
    except Missing:
        raise No("there is no such mailbox", "TRYCREATE") from None
    await happened(session, "APPEND", placed[0].mailbox_id, [one.uid for one in placed])
    return Answer(code=imap_reply.appenduid(placed[0].uidvalidity, [one.uid for one in placed]))


async def _scanned(session: Session, mailbox: str, body: Body, message_id: str) -> str:
    """Why nobody could look for a virus in a message that is kept all the same, '' when there is none in it. Raises
    `No` for one that is not kept."""
    config = session.service.config()
    found = await dangers.scanned(config, body.view())
    about = {"ip": session.conn.peer, "user": session.user, "mailbox": mailbox}
    if found.result == "infected":
        text = f"the virus scanner found {found.name} in it"
        trace = await session.service.store.write(
            _refused, session.account_id, mailbox, text, session.conn.peer, message_id or None
        )
        log.event("refused", id=trace, reason="virus", **about, text=text)
        raise No(f"{text}: it is not kept", "CANNOT")
    if found.reason:
        log.event("unscanned", **about, reason=found.reason)
    if found.result == "error" and config["virus.on_error"] == "defer":
        raise No(f"it could not be looked into for viruses for now ({found.reason}); try again later", "UNAVAILABLE")
    return found.reason


def _refused(tx: Tx, account_id: int, mailbox: str, text: str, peer: str, message_id: str | None) -> str:
    """What is not kept leaves its story; the trace."""
    trace = events.new_trace(tx.now, os.urandom)
    events.record(
        tx, trace, "refused", "virus", message_id=message_id, peer=peer, account=account_id, mailbox=mailbox, text=text
    )
    return trace


def _put(tx: Tx, account_id: int, mailbox: str, new: Sequence[_New], quota: int, peer: str) -> list[Placed]:
    """All of them, or none. Raises `Missing` and `OverQuota`."""
    placed = []
    role = mailboxes.role(tx, mailboxes.get(tx, account_id, mailbox))
    for one in new:
        trace = events.new_trace(tx.now, os.urandom)
        blob_id = blobs.keep(tx, one.body, one.summary)
        put = messages.put(
            tx, account_id, mailbox, blob_id, one.body.size,
            flags=one.bits, keyword_names=one.keywords, received_at=one.received_at, trace=trace, default_quota=quota,
        )  # fmt: skip
        events.record(
            tx, trace, "appended", message_id=one.summary.message_id or None, peer=peer,
            account=account_id, mailbox=mailbox, uid=put.uid, size=one.body.size, unscanned=one.unscanned or None,
        )  # fmt: skip
        spam.appended(tx, account_id, role, put.email_id, one.keywords, one.summary.message_id)
        placed.append(put)
    return placed
