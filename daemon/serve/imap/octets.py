"""BODY[...] and its old names: octets of messages, found by the offsets that were kept at delivery.

A client sees the prefix and then the original, byte for byte. Messages that lie beside one another in a segment are
read together; long ones are sent in pieces as the client takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.mail.message import unpack, unpack_root
from daemon.mail.section import Span, Spans, cut, locate, pick_fields, size
from daemon.serve.imap.answer import Torn
from daemon.store.segments import SegmentDamaged
from daemon.wire.imap_fetch import BodySection

if TYPE_CHECKING:
    from daemon.serve.imap.fetch import Telling

_PIECE = 256 * 1024  # octets read and sent at once
_GAP = 1024  # octets between two messages that are read along rather than apart

Bytes = bytes | memoryview


@dataclass(slots=True)
class _Wanted:
    """What is wanted of one message: for each section where its octets are, None for NIL.

    `low` to `high` is what must be read of the original.
    """

    place: int
    head: bytes
    prefix: bytes
    segment: int
    offset: int
    spans: Sequence[Spans | None]
    low: int
    high: int


class Octets:
    """The sections of one FETCH."""

    def __init__(self, telling: Telling, sections: Sequence[BodySection]) -> None:
        self.telling = telling
        self.sections = sections
        self.read = telling.store.segments.read
        self.whole = all(not s.section.path and not s.section.kind for s in sections)
        self.unpack = unpack if any(s.section.path for s in sections) else unpack_root
        self.columns = ["prefix", "segment_id", "offset", "length"] + ([] if self.whole else ["parts"])

    def pieces(
        self, heads: Sequence[bytes], rows: Sequence[tuple[Any, ...]], places: Sequence[int], first: int
    ) -> Iterator[bytes]:
        """Whole answers, about `_PIECE` octets at a time. `first` is the first of our columns in `rows`."""
        waiting: list[_Wanted] = []
        room = _PIECE
        for head, row, place in zip(heads, rows, places, strict=True):
            wanted = self._wanted(place, head, row[first:])
            length = max(wanted.high - wanted.low, sum(size(spans) for spans in wanted.spans if spans))
            if length > _PIECE:
                if waiting:
                    yield self._together(waiting)
                    waiting, room = [], _PIECE
                yield from self._alone(wanted)
                continue
            waiting.append(wanted)
            room -= length + len(head)
            if room <= 0:
                yield self._together(waiting)
                waiting, room = [], _PIECE
        if waiting:
            yield self._together(waiting)

    def _wanted(self, place: int, head: bytes, row: Sequence[Any]) -> _Wanted:
        prefix, segment, offset, length, *parts = row
        spans: list[Spans | None] = []
        low, high = length, 0
        root = None if self.whole else self.unpack(parts[0])
        for item in self.sections:
            if root is None:
                found: Spans | None = locate_whole(len(prefix), length)
            else:
                found = locate(root, item.section.path, item.section.kind, len(prefix))
            if found is not None and item.partial is not None and not item.section.fields:
                found = cut(found, *item.partial)
            for span in found or ():
                if not span.of_prefix:
                    low, high = min(low, span.offset), max(high, span.offset + span.length)
            spans.append(found)
        for told in self.telling.seen_now(place):
            head += told if head.endswith(b"(") else b" " + told
        return _Wanted(place, head, prefix, segment, offset, spans, min(low, high), high)

    def _together(self, messages: Sequence[_Wanted]) -> bytes:
        """Whole answers of several messages."""
        out: list[Bytes] = []
        for wanted, data in zip(messages, self._read_many(messages), strict=True):
            if data is None:
                self.telling.damaged += 1
                continue
            out.append(wanted.head)
            for number, item in enumerate(self.sections):
                self._answer(out, wanted, number, item, data)
            out.append(b")\r\n")
        return b"".join(out)

    def _answer(self, out: list[Bytes], wanted: _Wanted, number: int, item: BodySection, data: Bytes) -> None:
        """One section, its octets out of `data`."""
        spans = wanted.spans[number]
        out.append(_space(wanted, number))
        if spans is None:
            out.append(item.echo + b" NIL")
            return
        found: list[Bytes] = [
            wanted.prefix[span.offset : span.offset + span.length]
            if span.of_prefix
            else data[span.offset - wanted.low : span.offset - wanted.low + span.length]
            for span in spans
        ]
        if item.section.fields:
            picked = _fields(item, b"".join(found))
            out.append(b"%b {%d}\r\n" % (item.echo, len(picked)))
            out.append(picked)
            return
        out.append(b"%b {%d}\r\n" % (item.echo, size(spans)))
        out += found

    def _read_many(self, messages: Sequence[_Wanted]) -> list[Bytes | None]:
        """The octets of each from `low` to `high`, neighbours with one read; None for what is damaged."""
        found: list[Bytes | None] = []
        at = 0
        while at < len(messages):
            first = messages[at]
            begin, end = first.offset + first.low, first.offset + first.high
            until = at + 1
            while until < len(messages):
                after = messages[until]
                start = after.offset + after.low
                if after.segment != first.segment or not 0 <= start - end <= _GAP:
                    break
                end = after.offset + after.high
                until += 1
            found += self._read_run(messages[at:until], begin, end)
            at = until
        return found

    def _read_run(self, run: Sequence[_Wanted], begin: int, end: int) -> list[Bytes | None]:
        try:
            data = memoryview(self.read(run[0].segment, begin, end - begin) if end > begin else b"")
        except SegmentDamaged:
            if len(run) == 1:
                return [None]
            return [self._read_run([one], one.offset + one.low, one.offset + one.high)[0] for one in run]
        return [data[one.offset + one.low - begin : one.offset + one.high - begin] for one in run]

    def _alone(self, wanted: _Wanted) -> Iterator[bytes]:
        """One long message, sent as it is read. Raises `Torn` when it breaks off in the middle."""
        begun = False
        try:
            out: list[Bytes] = [wanted.head]
            for number, item in enumerate(self.sections):
                spans = wanted.spans[number]
                if spans is None or item.section.fields or size(spans) <= _PIECE:
                    low, high = _extent(spans)
                    data = self.read(wanted.segment, wanted.offset + low, high - low) if high > low else b""
                    part = _Wanted(0, wanted.head, wanted.prefix, 0, 0, wanted.spans, low, high)
                    self._answer(out, part, number, item, data)
                    if sum(map(len, out)) > _PIECE:
                        yield b"".join(out)
                        begun, out = True, []
                    continue
                out += (_space(wanted, number), b"%b {%d}\r\n" % (item.echo, size(spans)))
                for piece in self._span_pieces(wanted, spans):
                    out.append(piece)
                    yield b"".join(out)
                    begun, out = True, []
            out.append(b")\r\n")
            yield b"".join(out)
        except SegmentDamaged as error:
            if begun:
                raise Torn(str(error)) from None
            self.telling.damaged += 1

    def _span_pieces(self, wanted: _Wanted, spans: Spans) -> Iterator[bytes]:
        for span in spans:
            if span.of_prefix:
                yield wanted.prefix[span.offset : span.offset + span.length]
                continue
            for at in range(span.offset, span.offset + span.length, _PIECE):
                yield self.read(wanted.segment, wanted.offset + at, min(_PIECE, span.offset + span.length - at))


def locate_whole(prefix: int, length: int) -> Spans:
    """BODY[]: everything there is."""
    own = (Span(True, 0, prefix),) if prefix else ()
    return (*own, Span(False, 0, length)) if length else own


def _space(wanted: _Wanted, number: int) -> bytes:
    """Between this answer and the one before, if there is one."""
    return b" " if number or not wanted.head.endswith(b"(") else b""


def _extent(spans: Spans | None) -> tuple[int, int]:
    """What must be read of the original."""
    places = [(span.offset, span.offset + span.length) for span in spans or () if not span.of_prefix]
    return (min(low for low, _ in places), max(high for _, high in places)) if places else (0, 0)


def _fields(item: BodySection, block: bytes) -> bytes:
    """The fields that HEADER.FIELDS or .NOT asks for."""
    picked = pick_fields(block, item.section.fields, but=item.section.kind.endswith("NOT"))
    if item.partial is not None:
        first, count = item.partial
        picked = picked[first : first + count]
    return picked
