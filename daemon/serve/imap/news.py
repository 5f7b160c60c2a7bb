"""What happened to the open mailbox, told to one client (RFC 3501 §7.3, §7.4; mod-sequences: RFC 7162 §3.1).

The order is EXPUNGE, EXISTS with RECENT, FETCH, so that every number counts what was said before it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from daemon.serve.imap.flags import SYSTEM
from daemon.serve.imap.places import runs
from daemon.store import messages, snapshot
from daemon.store.snapshot import Snapshot
from daemon.wire import imap_reply

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

NOTHING = Snapshot(0, 0, 1, 0, 0, array("I"), array("I"))
_FEW = 50  # mod-sequences that are looked up on the loop

Known = Callable[[int, int, int], bool]
"""Whether the client knows already that the message at this place went from one state to another."""


async def tell(session: Session, *, gone: bool, added: bool, known: Known | None = None) -> None:
    """Say what changed since the client was told last; after it `session.known` is what it knows.

    Without `gone` it does not hear of expunges now, without `added` not of new messages: those stay news. Raises
    `Missing` when the mailbox is gone.
    """
    box = session.selected
    if box.is_current(session.known):
        return
    before, latest = session.known, await box.current()
    if latest is before:
        return
    news = box.news(before, latest)
    after = snapshot.blend(before, latest, news, gone=gone, added=added)
    say_words(session)
    if gone:
        session.say(*[b"* %d EXPUNGE\r\n" % (at + 1 - passed) for passed, at in enumerate(news.gone)])
    session.known = after
    if added and news.added:
        claim_recent(session)
        session.say(b"* %d EXISTS\r\n" % len(after), recent_line(session))
    if news.changed:
        places: Sequence[int] = snapshot.after(news.changed, news.gone) if gone else news.changed
        if known is not None:
            places = [
                place
                for old, place in zip(news.changed, places, strict=True)
                if not known(place, before.states[old], after.states[place])
            ]
        await _say_flags(session, places)


def say_words(session: Session) -> None:
    """FLAGS anew when there are keywords the client has not heard of."""
    words = session.selected.words
    if words is not session.told_words:
        session.told_words = words
        session.say(*flags_lines(session))


def flags_lines(session: Session) -> tuple[bytes, bytes]:
    """`* FLAGS` and PERMANENTFLAGS for the open mailbox (RFC 3501 §7.1, §7.2.6)."""
    names = [*SYSTEM, *session.told_words]
    settable = imap_reply.permanentflags([] if session.read_only else names, more=not session.read_only)
    return (
        b"* FLAGS " + imap_reply.flag_list(names) + b"\r\n",
        imap_reply.tagged("*", "OK", "flags that can be changed for good", settable),
    )


def recent_line(session: Session) -> bytes:
    return b"* %d RECENT\r\n" % sum(stop - start for start, stop in session.recent_slices())


def claim_recent(session: Session) -> None:
    """What nobody was told of yet is \\Recent here. A session that only reads leaves it so for others."""
    box, known = session.selected, session.known
    if session.read_only:
        first = min([box.recent_from, *(first for first, _ in session.recent)])
        session.recent = [(first, known.uidnext)]
        return
    first, end = box.claim_recent(known)
    if first < end:
        if session.recent and session.recent[-1][1] == first:
            first = session.recent.pop()[0]
        session.recent.append((first, end))


async def _say_flags(session: Session, places: Sequence[int]) -> None:
    """`* n FETCH (UID u FLAGS (...))`, with MODSEQ for those who want it."""
    after, text = session.known, session.service.views.labels.text
    modseqs: dict[int, int] | None = None
    if session.condstore and places:
        modseqs = await modseqs_of(session, places)
    for place in places:
        uid = after.uids[place]
        label = text(session.states(place, place + 1)[0])
        if modseqs is None:
            session.say(b"* %d FETCH (UID %d FLAGS %b)\r\n" % (place + 1, uid, label))
        elif uid in modseqs:
            session.say(b"* %d FETCH (UID %d FLAGS %b MODSEQ (%d))\r\n" % (place + 1, uid, label, modseqs[uid]))


async def modseqs_of(session: Session, places: Sequence[int]) -> dict[int, int]:
    """The mod-sequence of each message at these ascending places that is still there, by UID."""
    ranges = session.ranges(runs(places))
    store, box = session.service.store, session.selected
    if len(places) <= _FEW:
        rows = store.peek(messages.fetch, box.id, ranges, ("uid", "modseq"))
    else:
        rows = await store.read(messages.fetch, box.id, ranges, ("uid", "modseq"))
    return {uid: modseq for uid, modseq in rows}
