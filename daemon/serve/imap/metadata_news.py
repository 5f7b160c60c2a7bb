"""Which entries somebody else changed, told to clients that asked for it (ENABLE METADATA; RFC 5464 §4.4.2).

Only names are told. News wait in the session until something may be said: at the end of a command, or at once in IDLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.store import mailboxes
from daemon.store.db import Store
from daemon.store.tx import Changes
from daemon.wire import imap_reply

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session


class Watchers:
    """All sessions of this process that want to hear it. Close it before the store."""

    def __init__(self, store: Store) -> None:
        self._watching: dict[int, set[Session]] = {}  # by account
        self.close = store.listen(self._changed)

    def enter(self, session: Session) -> None:
        self._watching.setdefault(session.account_id, set()).add(session)

    def leave(self, session: Session) -> None:
        if session.identity is not None and (mine := self._watching.get(session.account_id)) is not None:
            mine.discard(session)
            if not mine:
                del self._watching[session.account_id]

    def _changed(self, changes: Changes) -> None:
        for account_id, mailbox_id, entry, by in changes.metadata:
            for session in self._watching.get(account_id, ()):
                if by != session.number:
                    hear(session, mailbox_id, entry)


def hear(session: Session, mailbox_id: int, entry: str) -> None:
    """What is not told yet is not more than a user may have: a client that says nothing is not remembered for ever."""
    if len(session.unheard) < LIMITS.metadata_total:
        session.unheard.add((mailbox_id, entry))
    if session.idling:
        session.nudge()


def tell(session: Session) -> None:
    """Say what waits, a line for each mailbox that is still there."""
    entries: dict[int, list[str]] = {}
    for mailbox_id, entry in sorted(session.unheard):
        entries.setdefault(mailbox_id, []).append(entry)
    for mailbox_id, names in entries.items():
        box = session.service.store.peek(mailboxes.by_id, mailbox_id) if mailbox_id else None
        if box is not None or not mailbox_id:
            session.say(imap_reply.metadata_names_line("" if box is None else box.name, names))
    session.unheard.clear()
