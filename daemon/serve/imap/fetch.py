"""FETCH (RFC 3501 §6.4.5, CONDSTORE of RFC 7162): what is told of messages, in pieces.

What is asked decides the road. UID and FLAGS come from the generation in memory; columns prepared at delivery are read
in batches; octets (`octets`) are read where the tree of the message says. Each piece is made whole before it is sent,
so that no transaction waits for the client; long answers are made in a reader thread, ahead of what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import add
from typing import TYPE_CHECKING, Any

from daemon.serve.imap import news
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.serve.imap.happened import happened
from daemon.serve.imap.octets import Octets
from daemon.serve.imap.places import batches, both, mask_of, places_of, runs
from daemon.store import messages
from daemon.store.db import StoreError
from daemon.store.keywords import SEEN
from daemon.wire import imap_reply
from daemon.wire.imap_fetch import BodySection, Fetch, Item
from daemon.wire.imap_set import Slice

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_FROM_ARRAYS = frozenset(("UID", "FLAGS"))
_LINES = 4096  # messages in a piece told out of memory
_ROWS = 500  # messages in a piece read from the store
_AT_ONCE = 8  # messages that are read on the loop
_COLUMNS = {
    "UID": "uid",
    "FLAGS": "uid",
    "INTERNALDATE": "received_at",
    "RFC822.SIZE": "size",
    "ENVELOPE": "envelope",
    "BODY": "body",
    "BODYSTRUCTURE": "bodystructure",
    "MODSEQ": "modseq",
    "EMAILID": "email_id",
    "THREADID": "thread_id",
}
_UNSEEN = bytes(0 if flags & SEEN else 1 for flags in range(256))


@dataclass(frozen=True, slots=True)
class Seen:
    """The messages that a FETCH has made \\Seen, as a mask and by UID, and their mod-sequence."""

    mask: bytes = b""
    modseq: int = 0
    uids: Sequence[int] = ()


NOTHING_SEEN = Seen()


async def fetch(session: Session, asked: Fetch, tag: str) -> Answer:
    slices = session.slices(asked.numbers, asked.uid)
    if asked.changed_since is not None:
        slices = await _changed(session, slices, asked.changed_since)
    seen = NOTHING_SEEN
    if any(isinstance(item, BodySection) and not item.peek for item in asked.items) and not session.read_only:
        seen = await _mark_seen(session, slices)
    told = await say(session, slices, asked.items, seen)
    if seen.uids:
        await happened(session, "FLAG", session.selected.id, seen.uids, lambda: dict.fromkeys(seen.uids, ("\\Seen",)))
    if told.damaged:
        raise No(f"{told.damaged} messages are damaged on disk", "CORRUPTION")  # RFC 5530
    if told.missing:
        status = "OK" if asked.uid else "NO"  # RFC 2180 §4.1, RFC 5530: somebody else expunged them
        return Answer("some of the messages are gone", "EXPUNGEISSUED", status)
    return DONE


async def _changed(session: Session, slices: Sequence[Slice], modseq: int) -> list[Slice]:
    """Those changed after `modseq` (RFC 7162 §3.1.4.1)."""
    rows = await session.service.store.read(messages.changed_since, session.selected.id, modseq)
    places = [place for place in (session.known.position(uid) for uid, _ in rows) if place is not None]
    count = len(session.known)
    return runs(places_of(both(mask_of(slices, count), mask_of(runs(places), count))))


async def _mark_seen(session: Session, slices: Sequence[Slice]) -> Seen:
    """Set \\Seen where it is missing, in one write. Reading goes on when the disk is full."""
    known = session.known
    mask = both(known.flags().translate(_UNSEEN), mask_of(slices, len(known)))
    unseen = runs(places_of(mask))
    if not unseen:
        return NOTHING_SEEN
    store = session.service.store
    try:
        done = await store.write(messages.set_flags, session.selected.id, session.ranges(unseen), "+", SEEN)
    except StoreError:
        return NOTHING_SEEN
    await news.tell(session, gone=False, added=False, known=lambda place, old, new: bool(mask[place]))
    return Seen(mask, done.modseq, done.changed)


async def say(session: Session, slices: Sequence[Slice], items: Sequence[Item], seen: Seen = NOTHING_SEEN) -> Telling:
    """`* n FETCH (...)` for the messages in the slices; of those in `seen` the flags are told in any case."""
    telling = Telling(session, items, seen)
    count = sum(stop - start for start, stop in slices)
    if telling.in_memory:
        await session.send(telling.from_arrays(slices), aside=False)
    else:
        await session.send(telling.from_rows(slices), aside=count > _AT_ONCE)
    return telling


class Telling:
    """One FETCH under way. `missing` messages were expunged by others, `damaged` ones could not be read."""

    def __init__(self, session: Session, items: Sequence[Item], seen: Seen) -> None:
        self.session = session
        self.store = session.service.store
        self.label = session.service.views.labels.text
        self.items = [item for item in items if isinstance(item, str)]
        self.sections = [item for item in items if isinstance(item, BodySection)]
        self.seen = seen
        self.missing = self.damaged = 0
        self.in_memory = not self.sections and _FROM_ARRAYS.issuperset(self.items)

    def from_arrays(self, slices: Iterable[Slice]) -> Iterator[bytes]:
        """Out of the generation in memory: one template a state, filled in all at once."""
        known = self.session.known
        with_uid = "UID" in self.items
        templates: dict[int, bytes] = {}
        for group in batches(slices, _LINES):
            lines: list[bytes] = []
            numbers: list[int] = []
            for start, stop in group:
                states = self.session.states(start, stop)
                for state in set(states) - templates.keys():
                    templates[state] = self._template(state)
                lines += map(templates.__getitem__, states)
                if with_uid:
                    numbers += chain.from_iterable(zip(range(start + 1, stop + 1), known.uids[start:stop], strict=True))
                else:
                    numbers += range(start + 1, stop + 1)
            yield b"".join(lines) % tuple(numbers)

    def _template(self, state: int) -> bytes:
        told = b" ".join(
            b"UID %d" if item == "UID" else b"FLAGS " + self.label(state) for item in self.items
        )  # no %: store.keywords
        return b"* %%d FETCH (%b)\r\n" % told

    def from_rows(self, slices: Iterable[Slice]) -> Iterator[bytes]:
        """Out of the columns, a batch of rows a piece; with octets smaller or larger ones."""
        session = self.session
        columns = ["uid", *(_COLUMNS[item] for item in self.items)]
        octets = Octets(self, self.sections) if self.sections else None
        if octets is not None:
            columns += octets.columns
        template = b"* %d FETCH (" + b" ".join(_TEMPLATES[item] for item in self.items)
        if octets is not None and self.items:
            template += b" "
        for group in batches(slices, _ROWS):
            ranges = session.ranges(group)
            rows = self.store.read_now(messages.fetch, session.selected.id, ranges, columns)
            places = self._places(group, rows)
            if not rows:
                continue
            values = list(zip(*rows, strict=True))
            heads = self._heads(template, values, places)
            if octets is not None:
                if self.seen.mask:
                    heads = list(map(add, heads, map(self._seen_now, places)))
                yield from octets.pieces(heads, values[1 + len(self.items) :])
            else:
                yield b")\r\n".join(heads) + b")\r\n"

    def _places(self, group: Sequence[Slice], rows: Sequence[tuple[Any, ...]]) -> Sequence[int]:
        """Where the messages of these rows stand."""
        places = [place for start, stop in group for place in range(start, stop)]
        if len(rows) == len(places):
            return places
        self.missing += len(places) - len(rows)
        uids = self.session.known.uids
        place_of = {uids[place]: place for place in places}
        return [place_of[row[0]] for row in rows]

    def _heads(self, template: bytes, columns: Sequence[Sequence[Any]], places: Sequence[int]) -> list[bytes]:
        """What is told of each row, but for octets and the closing parenthesis."""
        values: list[Iterable[Any]] = [[place + 1 for place in places]]
        for number, item in enumerate(self.items, 1):
            convert = _CONVERSIONS.get(item)
            if item == "FLAGS":
                values.append(self._labels(places))
            elif convert is not None:
                values.append(map(convert, columns[number]))
            else:
                values.append(columns[number])
        return [template % told for told in zip(*values, strict=True)]

    def _labels(self, places: Sequence[int]) -> list[bytes]:
        states, label = self.session.states, self.label
        return [label(state) for start, stop in runs(places) for state in states(start, stop)]

    def _seen_now(self, place: int) -> bytes:
        """What is told of a message because this FETCH made it \\Seen, unless it is told anyway."""
        told = b""
        if self.seen.mask[place]:
            if "FLAGS" not in self.items:
                told += b"FLAGS %b " % self.label(self.session.states(place, place + 1)[0])
            if self.session.condstore and "MODSEQ" not in self.items:
                told += b"MODSEQ (%d) " % self.seen.modseq
        return told


_TEMPLATES = {
    "UID": b"UID %d",
    "FLAGS": b"FLAGS %b",
    "INTERNALDATE": b"INTERNALDATE %b",
    "RFC822.SIZE": b"RFC822.SIZE %d",
    "ENVELOPE": b"ENVELOPE %b",
    "BODY": b"BODY %b",
    "BODYSTRUCTURE": b"BODYSTRUCTURE %b",
    "MODSEQ": b"MODSEQ (%d)",
    "EMAILID": b"EMAILID (e%d)",
    "THREADID": b"THREADID (t%d)",
}
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"INTERNALDATE": imap_reply.internal_date}
