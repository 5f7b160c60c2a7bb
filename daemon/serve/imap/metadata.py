"""GETMETADATA and SETMETADATA: what clients keep with a mailbox or with the server (RFC 5464).

Server metadata are each user's own too: what one client of his sets the others see, and nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.store import mailboxes, metadata
from daemon.store.metadata import Entry
from daemon.store.tx import Tx
from daemon.wire import imap_metadata as said
from daemon.wire import imap_reply

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_CODES = {"too-large": f"METADATA MAXSIZE {LIMITS.metadata_value}", "too-many": "METADATA TOOMANY"}


async def get(session: Session, asked: said.GetMetadata, tag: str) -> Answer:
    """Values longer than the client wants are passed over; the longest is told (RFC 5464 §4.2.1). An entry that is not
    there is NIL, where nothing below it was asked for."""
    found = await session.service.store.read(_get, session.account_id, asked)
    fitting = [each for each in found if asked.max_size is None or len(each.value) <= asked.max_size]
    values: list[tuple[str, bytes | None]] = [*fitting]
    if not asked.depth:
        known = {each.name for each in found}
        values += [(name, None) for name in asked.entries if name not in known]
    if values:
        session.say(imap_reply.metadata_line(asked.mailbox, values))
    if len(fitting) < len(found):
        return Answer(code=f"METADATA LONGENTRIES {max(len(each.value) for each in found)}")
    return DONE


def _get(tx: Tx, account_id: int, asked: said.GetMetadata) -> list[Entry]:
    return metadata.get(tx, account_id, _mailbox(tx, account_id, asked.mailbox), asked.entries, depth=asked.depth)


async def set(session: Session, asked: said.SetMetadata, tag: str) -> Answer:
    """All entries or none (RFC 5464 §4.3). Other clients of this user may hear of it (`metadata_news`)."""
    try:
        await session.service.store.write(_set, session.account_id, asked.mailbox, dict(asked.values), session.number)
    except metadata.NoRoom as error:
        raise No(str(error), _CODES.get(error.reason, "OVERQUOTA")) from None
    except metadata.BadUse as error:
        raise No(str(error), "USEATTR") from None
    return DONE


def _set(tx: Tx, account_id: int, mailbox: str, values: dict[str, bytes | None], by: int) -> None:
    metadata.set(tx, account_id, _mailbox(tx, account_id, mailbox), values, by=by)


def _mailbox(tx: Tx, account_id: int, name: str) -> int | None:
    return mailboxes.get(tx, account_id, name).id if name else None
