"""The mailboxes of a user: CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS.

All names are looked up below the account that logged in: there is no way to name another's mailbox, and a foreign name
is a name that does not exist (D19).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.serve.imap import change
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.store import mailboxes, messages, metadata
from daemon.store.mailboxes import INBOX, SEPARATOR, Mailbox
from daemon.store.tx import Tx
from daemon.wire import imap_commands as said
from daemon.wire import imap_reply
from daemon.wire.imap_list import List, Lsub
from daemon.wire.mailbox_name import MailboxPattern

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session


async def create(session: Session, asked: said.Create, tag: str) -> Answer:
    """Also the levels above it; with a special use (RFC 6154 §3), one at most."""
    if len(asked.use) > 1:
        raise No("a mailbox has one special use", "USEATTR")
    use = asked.use[0] if asked.use else None
    if use is not None:
        use = next((known for known in mailboxes.SPECIAL_USES if known.lower() == use.lower()), None)
        if use is None:
            raise No("no mailbox is made for that use", "USEATTR")
    made = await session.service.store.write(mailboxes.create, session.account_id, asked.mailbox, use)
    return Answer("CREATE completed", f"MAILBOXID (m{made.id})")  # RFC 8474 §4.1


async def delete(session: Session, asked: said.Delete, tag: str) -> Answer:
    """The mailbox with its messages; those below it stay (RFC 3501 §6.3.4)."""
    store = session.service.store
    if asked.mailbox == INBOX:
        raise No("INBOX stays", "CANNOT")
    box = store.peek(mailboxes.get, session.account_id, asked.mailbox)
    if session.box is not None and session.box.id == box.id:
        session.leave()
    await change.empty(session, box)
    await store.write(_delete, session.account_id, asked.mailbox, session.conn.peer)
    return DONE


def _delete(tx: Tx, account_id: int, name: str, peer: str) -> None:
    box = mailboxes.get(tx, account_id, name)
    gone = messages.remove(tx, box.id)
    if gone:
        change.record(tx, change.trace_of(tx, box.id, ()), "expunged", box.id, gone, peer)
    messages.remove_mailbox(tx, box)


async def rename(session: Session, asked: said.Rename, tag: str) -> Answer:
    """With all that lies below. INBOX stays and gives its messages away (RFC 3501 §6.3.5)."""
    store = session.service.store
    if asked.mailbox == INBOX:
        await store.write(_give_away, session.account_id, asked.to, session.conn.peer)
    else:
        await store.write(mailboxes.rename, session.account_id, asked.mailbox, asked.to)
    return DONE


def _give_away(tx: Tx, account_id: int, name: str, peer: str) -> None:
    inbox = mailboxes.get(tx, account_id, INBOX)
    box = mailboxes.create(tx, account_id, name)
    metadata.copy(tx, inbox.id, box.id)  # INBOX keeps its own too (RFC 5464 §4.1)
    done = messages.move(tx, inbox.id, messages.ALL, box.id)
    if done.sources:
        change.record(tx, change.trace_of(tx, inbox.id, ()), "moved", inbox.id, done.sources, peer, to=name)


async def subscribe(session: Session, asked: said.Subscribe, tag: str) -> Answer:
    await session.service.store.write(mailboxes.subscribe, session.account_id, asked.mailbox, True)
    return DONE


async def unsubscribe(session: Session, asked: said.Unsubscribe, tag: str) -> Answer:
    await session.service.store.write(mailboxes.subscribe, session.account_id, asked.mailbox, False)
    return DONE


# -- LIST --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Names:
    """The mailboxes of an account, what is subscribed, and the levels that exist only because something is below."""

    boxes: Mapping[str, Mailbox]
    subscribed: frozenset[str]
    parents: frozenset[str]  # names with something below them
    parents_of_subscribed: frozenset[str]

    def attributes(self, name: str, *, subscribed: bool = False) -> list[str]:
        box = self.boxes.get(name)
        found = [] if box is not None else ["\\NonExistent", "\\Noselect"]  # RFC 5258 §3; old clients know the second
        found.append("\\HasChildren" if name in self.parents else "\\HasNoChildren")
        if box is not None and box.special_use:
            found.append(box.special_use)  # in plain LIST too (traps I3)
        if subscribed and name in self.subscribed:
            found.append("\\Subscribed")
        return found


def _names(tx: Tx, account_id: int) -> _Names:
    boxes = {box.name: box for box in mailboxes.everyone(tx, account_id)}
    subscribed = frozenset(mailboxes.subscriptions(tx, account_id))
    return _Names(boxes, subscribed, _levels_above(boxes), _levels_above(subscribed))


def _levels_above(names: Iterable[str]) -> frozenset[str]:
    above = set[str]()
    for name in names:
        while SEPARATOR in name:
            name = name.rpartition(SEPARATOR)[0]
            if name in above:
                break
            above.add(name)
    return frozenset(above)


async def list_mailboxes(session: Session, asked: List, tag: str) -> Answer:
    """Plain and extended (RFC 5258), with STATUS (RFC 5819) and METADATA (RFC 9590) after each mailbox when asked
    for."""
    if asked.asks_separator:
        session.say(imap_reply.list_line(["\\Noselect"], ""))
        return DONE
    session.say(await session.service.store.read(_list, session, asked))
    return DONE


def _list(tx: Tx, session: Session, asked: List) -> bytes:
    """All lines of the answer; in a reader thread, for an account may have many mailboxes and a LIST many patterns."""
    known = _names(tx, session.account_id)
    patterns = asked.matchers()
    names = _candidates(known, asked)
    matching = {name for name in names if any(pattern.matches(name) for pattern in patterns)}
    chosen = {name for name in names if _selected(known, name, asked.select)}
    above = frozenset[str]()
    if "RECURSIVEMATCH" in asked.select:  # RFC 5258 §3.5: levels whose chosen children do not match themselves
        above = _levels_above(chosen - matching)
    criteria = " ".join(f'"{option}"' for option in sorted(asked.select & {"SUBSCRIBED", "SPECIAL-USE"}))
    annotated = metadata.of_mailboxes(tx, session.account_id, asked.metadata) if asked.metadata else {}
    lines: list[bytes] = []
    for name in names:
        if name not in matching or (name not in chosen and name not in above):
            continue
        extended = f'("CHILDINFO" ({criteria}))'.encode() if name in above else b""
        attributes = known.attributes(name, subscribed="SUBSCRIBED" in asked.returns)
        lines.append(imap_reply.list_line(attributes, name, extended=extended))
        box = known.boxes.get(name)
        if asked.status and box is not None:
            lines.append(imap_reply.status_line(name, _counts(tx, session, box, asked.status)))
        if asked.metadata and box is not None:
            values = annotated.get(box.id, {})
            lines.append(imap_reply.metadata_line(name, [(entry, values.get(entry)) for entry in asked.metadata]))
    return b"".join(lines)


def _candidates(known: _Names, asked: List) -> list[str]:
    """INBOX first, then by name: existing ones, levels above them, and with SUBSCRIBED names that do not exist."""
    names = set(known.boxes) | known.parents
    if "SUBSCRIBED" in asked.select:
        names |= known.subscribed | known.parents_of_subscribed
    return sorted(names, key=lambda name: (name != INBOX, name))


def _selected(known: _Names, name: str, select: frozenset[str]) -> bool:
    """Whether the selection options let it pass."""
    box = known.boxes.get(name)
    if "SUBSCRIBED" in select and name not in known.subscribed:
        return False
    if "SPECIAL-USE" in select and (box is None or not box.special_use):
        return False
    return True


async def list_subscribed(session: Session, asked: Lsub, tag: str) -> Answer:
    session.say(await session.service.store.read(_lsub, session.account_id, asked.matcher()))
    return DONE


def _lsub(tx: Tx, account_id: int, pattern: MailboxPattern) -> bytes:
    """A level that is not subscribed itself, but something below it, is shown with \\Noselect when `%` matches it
    (RFC 3501 §6.3.9)."""
    known = _names(tx, account_id)
    lines: list[bytes] = []
    below = known.parents_of_subscribed - known.subscribed if "%" in pattern.text else frozenset()
    for name in sorted(known.subscribed | below, key=lambda name: (name != INBOX, name)):
        if pattern.matches(name):
            attributes = [] if name in known.subscribed and name in known.boxes else ["\\Noselect"]
            lines.append(imap_reply.list_line(attributes, name, word=b"LSUB"))
    return b"".join(lines)


# -- STATUS ------------------------------------------------------------------------------------------------------------


async def status(session: Session, asked: said.Status, tag: str) -> Answer:
    """From stored counters, so also of the open mailbox (traps I33)."""
    store = session.service.store
    box = store.peek(mailboxes.find, session.account_id, asked.mailbox)
    if box is None:
        raise No("there is no such mailbox", "NONEXISTENT")
    session.say(imap_reply.status_line(box.name, store.peek(_counts, session, box, asked.items)))
    return DONE


def _counts(tx: Tx, session: Session, box: Mailbox, items: Iterable[str]) -> dict[str, int | str | None]:
    found: dict[str, int | str | None] = {}
    for item in items:
        match item:
            case "MESSAGES":
                found[item] = box.total
            case "RECENT":
                found[item] = mailboxes.count_recent(tx, box.id, session.service.views.recent_from(box))
            case "UIDNEXT":
                found[item] = box.uidnext
            case "UIDVALIDITY":
                found[item] = box.uidvalidity
            case "UNSEEN":
                found[item] = box.unseen
            case "SIZE":
                found[item] = box.size
            case "MAILBOXID":
                found[item] = f"(m{box.id})"
            case "HIGHESTMODSEQ":
                found[item] = box.modseq
            case "APPENDLIMIT":
                found[item] = session.service.message_size
    return found
