"""APPEND: a message of the client's own, into a mailbox (RFC 3501 §6.3.11, UIDPLUS of RFC 4315).

The literal goes to a `Body` while it arrives, is looked at once, and is stored with its UID and its event in one
write: OK is a receipt. The bytes are kept as they came, bare line feeds too (traps D7, I25).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import log
from daemon.limits import LIMITS
from daemon.mail.summary import Summary, summarize
from daemon.serve.imap import flags
from daemon.serve.imap.answer import Answer, No
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
    """One message on its way into the store."""

    body: Body
    summary: Summary
    bits: int
    keywords: Sequence[str]
    received_at: int | None


async def append(session: Session, asked: said.Append, tag: str) -> Answer:
    service = session.service
    if service.store.peek(mailboxes.find, session.account_id, asked.mailbox) is None:
        raise No("there is no such mailbox", "TRYCREATE")
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
        bits, keywords = flags.split(message.flags)
        new.append(_New(body, summary, bits, keywords, message.internal_date))
    try:
        placed = await service.store.write(
            _put, session.account_id, asked.mailbox, new, service.config()["limits.quota"], session.conn.peer,
            bodies=[one.body for one in new],
        )  # fmt: skip
    except Missing:
        raise No("there is no such mailbox", "TRYCREATE") from None
    return Answer(code=imap_reply.appenduid(placed[0].uidvalidity, [one.uid for one in placed]))


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
            account=account_id, mailbox=mailbox, uid=put.uid, size=one.body.size,
        )  # fmt: skip
        spam.appended(tx, account_id, role, put.email_id, one.keywords, one.summary.message_id)
        placed.append(put)
    return placed
