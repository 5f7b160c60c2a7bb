"""SELECT and EXAMINE, CLOSE and UNSELECT: which mailbox is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.serve.imap import change, news
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.store import mailboxes
from daemon.store.keywords import SEEN
from daemon.store.snapshot import Snapshot
from daemon.wire import imap_commands as said
from daemon.wire import imap_reply

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_UNSEEN = bytes(0 if flags & SEEN else 1 for flags in range(256))


async def select(session: Session, asked: said.Select, tag: str) -> Answer:
    """Open a mailbox; one that was open is closed first, also if this fails (RFC 3501 §6.3.1)."""
    if session.box is not None:
        session.leave()
        session.say(imap_reply.tagged("*", "OK", "the mailbox before is closed", "CLOSED"))  # RFC 7162 §3.2.11
    service = session.service
    found = service.store.peek(mailboxes.find, session.account_id, asked.mailbox)
    if found is None:
        raise No("there is no such mailbox", "NONEXISTENT")
    box, known = await service.views.open(found)
    session.enter(box, found.name, known, read_only=asked.read_only)
    news.claim_recent(session)
    session.say(
        *news.flags_lines(session),
        b"* %d EXISTS\r\n" % len(known),
        news.recent_line(session),
    )
    unseen = first_unseen(known)
    if unseen is not None:
        session.say(imap_reply.tagged("*", "OK", "the first one not read", f"UNSEEN {unseen + 1}"))
    session.say(
        imap_reply.tagged("*", "OK", "UIDs are valid", f"UIDVALIDITY {known.uidvalidity}"),
        imap_reply.tagged("*", "OK", "the next UID", f"UIDNEXT {known.uidnext}"),
        imap_reply.tagged("*", "OK", "the latest change", f"HIGHESTMODSEQ {known.modseq}"),
        imap_reply.tagged("*", "OK", "its id", f"MAILBOXID (m{box.id})"),
    )
    what = "EXAMINE" if asked.read_only else "SELECT"
    return Answer(f"{what} completed", "READ-ONLY" if asked.read_only else "READ-WRITE")


async def close(session: Session, asked: said.Close, tag: str) -> Answer:
    """EXPUNGE without saying so, then as UNSELECT (RFC 3501 §6.4.2)."""
    if not session.read_only:
        await change.remove_deleted(session)
    session.leave()
    return DONE


async def unselect(session: Session, asked: said.Unselect, tag: str) -> Answer:
    """RFC 3691."""
    session.leave()
    return DONE


def first_unseen(known: Snapshot) -> int | None:
    """Where the first message without \\Seen stands."""
    if not known.unseen:
        return None
    place = known.flags().translate(_UNSEEN).find(1)
    return place if place >= 0 else None
