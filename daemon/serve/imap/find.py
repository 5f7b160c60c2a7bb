"""SEARCH (RFC 3501 §6.4.4, ESEARCH of RFC 4731, WITHIN of RFC 5032).

Sets of messages are masks, one octet a message. Keys on numbers and flags are answered out of memory at once; the
others ask `store.search` about what is left after those, in batches; where a text is sought, about what the full-text
index does not rule out or know for sure. Whatever may take long runs in a reader thread, a little at a time, and ends
with its connection.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from daemon.mail import object_ids
from daemon.serve.imap import news
from daemon.serve.imap.answer import DONE, Answer
from daemon.serve.imap.places import batches, both, either, mask_of, places_of, runs, without
from daemon.store import fulltext, keywords
from daemon.store.search import Between, Condition, Contains, Field, matching
from daemon.store.search import Text as TextIn
from daemon.wire import imap_reply
from daemon.wire import imap_search as key
from daemon.wire.imap_search import Key, Search

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_AT_ONCE = 500_000  # messages times keys that are looked at on the loop, out of memory
_SLICE = 0.02  # seconds of searching before the loop may look whether the client is still there
_ROWS = 2000  # messages asked about at once when rows answer
_READ = 50  # when the messages themselves must be read
_FEW = 100  # messages that are looked at without asking the index
_DAY = 86_400_000  # milliseconds
_EPOCH = date(1970, 1, 1).toordinal()
_COLUMNS = {"FROM": "from_text", "TO": "to_text", "CC": "cc_text", "BCC": "bcc_text", "SUBJECT": "subject"}
_OBJECTS = {"EMAILID": (object_ids.EMAIL, "email_id"), "THREADID": (object_ids.THREAD, "thread_id")}
_SIMPLE = (key.All, key.Numbers, key.Flag)

Finding = Generator[None, None, bytes]
"""A search under way: yields now and then, returns the mask of what it found."""


async def search(session: Session, asked: Search, tag: str) -> Answer:
    places = await matching_places(session, asked.key)
    modseq = None
    if asked.modseq and places:
        if asked.returns is not None and not set(asked.returns) & {"ALL", "COUNT"}:  # RFC 4731 §3.2
            ends = {"MIN": places[0], "MAX": places[-1]}
            told: Sequence[int] = sorted({ends[item] for item in asked.returns})
        else:
            told = places
        modseq = max((await news.modseqs_of(session, told)).values(), default=None)
    uids = session.known.uids
    numbers = [uids[place] for place in places] if asked.uid else [place + 1 for place in places]
    if asked.returns is None:
        session.say(imap_reply.search_line(numbers, modseq))
    else:
        session.say(imap_reply.esearch_line(tag, asked.returns, numbers, uid=asked.uid, modseq=modseq))
    return DONE


async def matching_places(session: Session, wanted: Key) -> Sequence[int]:
    """Where the messages stand that fit, of those that the client knows."""
    count = len(session.known)
    return places_of(await _run(session, _Finder(session).find(wanted, b"\1" * count), _is_quick(wanted, count)))


async def _run(session: Session, finding: Finding, quick: bool) -> bytes:
    store = session.service.store
    found = _for_a_while(finding, quick) if quick else await store.aside(_for_a_while, finding)
    while found is None:
        await session.flush()  # raises when the client is gone
        found = await store.aside(_for_a_while, finding)
    return found


def _for_a_while(finding: Finding, quick: bool = False) -> bytes | None:
    """The result, or None when it is not there yet."""
    end = time.monotonic() + _SLICE
    try:
        while True:
            next(finding)
            if not quick and time.monotonic() >= end:
                return None
    except StopIteration as stop:
        result: bytes = stop.value
        return result


def _rank(wanted: Key) -> int:
    """What a key costs: 0 out of memory, 1 out of rows, 2 out of headers, 3 out of whole messages."""
    match wanted:
        case key.All() | key.Numbers() | key.Flag():
            return 0
        case key.Not(inner):
            return _rank(inner)
        case key.And(keys) | key.Or(keys):
            return max(map(_rank, keys))
        case key.Header(name, text):
            return 1 if name in _COLUMNS and text else 2
        case key.Text():
            return 3
    return 1


def _is_quick(wanted: Key, count: int) -> bool:
    """Whether it may be answered on the loop at once."""
    return _rank(wanted) == 0 and _size(wanted) * count < _AT_ONCE


def _size(wanted: Key) -> int:
    match wanted:
        case key.Not(inner):
            return 1 + _size(inner)
        case key.And(keys) | key.Or(keys):
            return 1 + sum(map(_size, keys))
    return 1


class _Finder:
    """One search in the messages as the client knows them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = session.service.store
        self.known = session.known
        self.now = self.store.clock()

    def find(self, wanted: Key, within: bytes) -> Finding:
        """Those of `within` that fit."""
        if 1 not in within:
            return within
        yield
        match wanted:
            case key.Not(inner):
                return without(within, (yield from self.find(inner, within)))
            case key.And(keys):
                for inner in sorted(keys, key=_rank):  # the cheap ones first: they leave less to the others
                    within = yield from self.find(inner, within)
                return within
            case key.Or(keys):
                found, rest = bytes(len(within)), within
                for inner in sorted(keys, key=_rank):
                    some = yield from self.find(inner, rest)
                    found, rest = either(found, some), without(rest, some)
                return found
        if isinstance(wanted, _SIMPLE):
            return both(within, self._simple(wanted))
        return (yield from self._asked(_condition(wanted, self.now), _ROWS if _rank(wanted) == 1 else _READ, within))

    def _simple(self, wanted: key.All | key.Numbers | key.Flag) -> bytes:
        """Out of memory."""
        count = len(self.known)
        match wanted:
            case key.Numbers(numbers, uid):
                return mask_of(numbers.slices_of_uids(self.known.uids) if uid else numbers.slices(count), count)
            case key.Flag("\\Recent"):
                return mask_of(self.session.recent_slices(), count)
            case key.Flag(name) if name.lower() in keywords.SYSTEM:
                bit = keywords.SYSTEM[name.lower()]
                return self.known.flags().translate(bytes(1 if flags & bit else 0 for flags in range(256)))
            case key.Flag(name):
                return self._keyword(name.lower())
        return b"\1" * count

    def _keyword(self, name: str) -> bytes:
        labels, states = self.session.service.views.labels, self.known.states
        having = {state for state in set(states) if name in (word.lower() for word in labels.words(state))}
        return bytes(1 if state in having else 0 for state in states) if having else bytes(len(states))

    def _asked(self, condition: Condition, most: int, within: bytes) -> Finding:
        """Out of the store, a batch at a time."""
        within, sure = self._narrowed(condition, within)
        yield
        found = bytearray(sure)
        box, position = self.session.selected, self.known.position
        for group in _groups(within, most):
            for uid in matching(self.store, box.id, self.session.ranges(group), condition):
                place = position(uid)
                if place is not None:
                    found[place] = 1
            yield
        return bytes(found)

    def _narrowed(self, condition: Condition, within: bytes) -> tuple[bytes, bytes]:
        """What of `within` must be looked at, and what surely fits, as the full-text index knows it."""
        nothing = bytes(len(within))
        match condition:
            case Contains(_, text) | Field(_, text):
                halves: tuple[str, ...] = ("head",)
            case TextIn(text, header):
                halves = ("head", "body") if header else ("body",)
            case _:
                return within, nothing
        if not text or within.count(1) <= _FEW:
            return within, nothing
        known = self.store.read_now(fulltext.look, self.session.account_id, text, halves)
        if known is None:
            return within, nothing
        sure = both(within, self._mask(known.sure)) if isinstance(condition, TextIn) else nothing
        return without(both(within, self._mask(known.maybe)), sure), sure

    def _mask(self, emails: set[int]) -> bytes:
        mask = bytearray(len(self.known))
        for uid in self.store.read_now(fulltext.uids, self.session.selected.id, emails) if emails else ():
            place = self.known.position(uid)
            if place is not None:
                mask[place] = 1
        return bytes(mask)


def _groups(within: bytes, most: int) -> Iterator[list[tuple[int, int]]]:
    yield from batches(runs(places_of(within)), most)


def _condition(wanted: Key, now: int) -> Condition:
    match wanted:
        case key.Header(name, text) if name in _COLUMNS and text:
            return Contains(_COLUMNS[name], text.lower())
        case key.Header(name, text):
            return Field(name, text.lower())
        case key.Text(text, header):
            return TextIn(text.lower(), header)
        case key.Size(octets, larger):
            return Between("size", octets + 1) if larger else Between("size", None, octets)
        case key.ObjectId(what, text):
            kind, column = _OBJECTS[what]
            number = object_ids.number(kind, text) or 0  # 0: nobody's
            return Between(column, number, number + 1)
        case key.ModSeq(least):
            return Between("modseq", least)
        case key.Age(seconds, older):
            at = now - seconds * 1000
            return Between("received_at", None, at + 1) if older else Between("received_at", at)
        case key.Day(when, day, sent):
            number = day.toordinal() - _EPOCH
            column, unit = ("sent_day", 1) if sent else ("received_at", _DAY)
            low, high = number * unit, (number + 1) * unit
            return Between(column, None if when == "BEFORE" else low, {"BEFORE": low, "ON": high}.get(when))
    raise ValueError(f"no such search key: {wanted!r}")
