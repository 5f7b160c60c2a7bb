"""BODY[...] and its old names: octets of messages, found by the offsets that were kept at delivery.

A client sees the prefix and then the original, byte for byte; a section is a stretch of that. Messages that lie beside
one another in a segment are read together; long ones are sent in pieces as the client takes them. What is known of a
batch of messages is kept in columns, so that a step is taken for all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import add, sub
from typing import TYPE_CHECKING, Any

from daemon.mail.message import unpack, unpack_root
from daemon.mail.section import Stretch, cut, locate, pick_fields
from daemon.serve.imap.answer import Torn
from daemon.store.segments import SegmentDamaged
from daemon.wire.imap_fetch import BodySection

if TYPE_CHECKING:
    from daemon.serve.imap.fetch import Telling

_PIECE = 224 * 1024  # octets read and sent at once: a block that is used again (`listen.tune` keeps larger ones apart)
_NIL = (1 << 62, -1)  # the stretch of a part that is not there: it begins after any other and ends before any

Bytes = bytes | memoryview


@dataclass(slots=True)
class _Places:
    """One section of many messages: its stretches, and which octets of the segment are in them."""

    starts: Sequence[int]
    stops: Sequence[int]
    begins: list[int]
    ends: list[int]


@dataclass(slots=True)
class _Batch:
    """Many messages: what must be read of the segment for each, from `begins` to `ends`, and `sizes`, the octets
    that are read or told, whichever are more."""

    heads: Sequence[bytes]
    prefixes: Sequence[bytes]
    segments: Sequence[int]
    offsets: Sequence[int]
    sections: list[_Places]
    begins: list[int]
    ends: list[int]
    sizes: list[int]


class Octets:
    """The sections of one FETCH."""

    def __init__(self, telling: Telling, sections: Sequence[BodySection]) -> None:
        self.telling = telling
        self.sections = sections
        self.echoes = [b" " * bool(number) + section.echo for number, section in enumerate(sections)]
        self.segments = telling.store.segments
        self.whole = all(not s.section.path and not s.section.kind for s in sections)
        self.unpack = unpack if any(s.section.path for s in sections) else unpack_root
        self.columns = ["prefix", "segment_id", "offset", "length"] + ([] if self.whole else ["parts"])

    def pieces(self, heads: Sequence[bytes], columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
        """Whole answers, up to `_PIECE` octets at a time: `heads`, each with the octets that `columns` say."""
        batch = self._batch(heads, *columns)
        for first, end in _groups(batch):
            if batch.sizes[first] > _PIECE:
                yield from self._alone(batch, first)
            else:
                yield self._together(batch, first, end)

    # -- where they are ------------------------------------------------------------------------------------------------

    def _batch(
        self,
        heads: Sequence[bytes],
        prefixes: Sequence[bytes],
        segments: Sequence[int],
        offsets: Sequence[int],
        lengths: Sequence[int],
        trees: Sequence[bytes] = (),
    ) -> _Batch:
        before = list(map(len, prefixes))
        shifts = list(map(sub, offsets, before))  # where a message would begin, were its prefix in the segment
        roots = list(map(self.unpack, trees))
        sections = []
        for item in self.sections:
            found: list[Stretch | None]
            if self.whole:
                found = [(0, size) for size in map(add, before, lengths)]
            else:
                path, kind = item.section.path, item.section.kind
                found = [locate(root, path, kind, prefix) for root, prefix in zip(roots, before, strict=True)]
            if item.partial is not None and not item.section.fields:
                first, count = item.partial
                found = [stretch and cut(stretch, first, count) for stretch in found]
            starts, stops = zip(*(stretch or _NIL for stretch in found), strict=True)
            begins = list(map(max, map(add, starts, shifts), offsets))
            ends = list(map(max, map(add, stops, shifts), offsets))
            sections.append(_Places(starts, stops, begins, ends))
        begins = [min(each) for each in zip(*(places.begins for places in sections), strict=True)]
        ends = [max(each) for each in zip(begins, *(places.ends for places in sections), strict=True)]
        told = zip(*(map(max, map(sub, p.stops, p.starts), repeat(0)) for p in sections), strict=True)
        sizes = list(map(max, map(sub, ends, begins), map(sum, told)))
        return _Batch(heads, prefixes, segments, offsets, sections, begins, ends, sizes)

    # -- some messages at once -----------------------------------------------------------------------------------------

    def _together(self, batch: _Batch, first: int, end: int) -> bytes:
        """Whole answers of some messages. One that is damaged harms no other."""
        try:
            return self._answers(batch, first, end)
        except SegmentDamaged:
            if end - first > 1:
                return b"".join(self._together(batch, at, at + 1) for at in range(first, end))
            self.telling.damaged += 1
            return b""

    def _answers(self, batch: _Batch, first: int, end: int) -> bytes:
        some = slice(first, end)
        begins = batch.begins[some]
        read = self.segments.read_many(batch.segments[some], begins, batch.ends[some])
        columns: list[Sequence[Bytes]] = [batch.heads[some]]
        for item, echo, places in zip(self.sections, self.echoes, batch.sections, strict=True):
            starts, stops = places.starts[some], places.stops[some]
            of_prefix = [
                prefix[start:stop] for prefix, start, stop in zip(batch.prefixes[some], starts, stops, strict=True)
            ]
            octets = [
                data[low - begin : high - begin]
                for data, begin, low, high in zip(read, begins, places.begins[some], places.ends[some], strict=True)
            ]
            sizes = map(sub, stops, starts)
            if item.section.fields:
                blocks = map(b"".join, zip(of_prefix, octets, strict=True))
                columns.append([_fields(item, echo, *told) for told in zip(sizes, blocks, strict=True)])
            else:
                columns += ([_opening(echo, size) for size in sizes], of_prefix, octets)
        columns.append([b")\r\n"] * (end - first))
        return b"".join(chain.from_iterable(zip(*columns, strict=True)))

    # -- a long message ------------------------------------------------------------------------------------------------

    def _alone(self, batch: _Batch, at: int) -> Iterator[bytes]:
        """One long message, sent as it is read. Raises `Torn` when it breaks off in the middle."""
        begun, said = False, batch.heads[at]
        try:
            for item, echo, places in zip(self.sections, self.echoes, batch.sections, strict=True):
                for more in self._parts(batch, at, item, echo, places.starts[at], places.stops[at]):
                    said += more
                    if len(said) > _PIECE:
                        yield said
                        begun, said = True, b""
            yield said + b")\r\n"
        except SegmentDamaged as error:
            if begun:
                raise Torn(str(error)) from None
            self.telling.damaged += 1

    def _parts(self, batch: _Batch, at: int, item: BodySection, echo: bytes, start: int, stop: int) -> Iterator[bytes]:
        """One section of it."""
        if item.section.fields:
            yield _fields(item, echo, stop - start, self._octets(batch, at, start, stop))
            return
        yield _opening(echo, stop - start)
        for first in range(start, stop, _PIECE):
            yield self._octets(batch, at, first, min(first + _PIECE, stop))

    def _octets(self, batch: _Batch, at: int, start: int, stop: int) -> bytes:
        """A stretch of a message."""
        prefix, begin = batch.prefixes[at], batch.offsets[at]
        first, size = max(start - len(prefix), 0), stop - max(start, len(prefix))
        data = self.segments.read(batch.segments[at], begin + first, size) if size > 0 else b""
        return prefix[start:stop] + data


def _groups(batch: _Batch) -> Iterator[tuple[int, int]]:
    """The messages of each piece, as [first, end). A long one is by itself."""
    first = told = 0
    for at, size in enumerate(map(add, map(len, batch.heads), batch.sizes)):
        if told + size > _PIECE and at > first:
            yield first, at
            first, told = at, 0
        told += size
    yield first, len(batch.sizes)


def _opening(echo: bytes, size: int) -> bytes:
    """What stands before the octets of a section; all there is when there is no such part, which has no size."""
    return b"%b {%d}\r\n" % (echo, size) if size >= 0 else echo + b" NIL"


def _fields(item: BodySection, echo: bytes, size: int, block: bytes) -> bytes:
    """The fields that HEADER.FIELDS or .NOT asks for, as a literal; `size` is that of the header."""
    if size < 0:
        return _opening(echo, size)
    picked = pick_fields(block, item.section.fields, but=item.section.kind.endswith("NOT"))
    if item.partial is not None:
        first, count = item.partial
        picked = picked[first : first + count]
    return _opening(echo, len(picked)) + picked
