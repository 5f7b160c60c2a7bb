"""Blocks of the full-text index: which of some thousand texts have a term. No SQL here: bytes in, numbers out.

A block has one half for what stands in headers and one for bodies. A half is a vocabulary, all terms in order with a
line feed before, between and behind them; an offset for each term; and there the numbers of the texts that have it. So
the terms that contain some letters are found by one search in one run of bytes; a term, and those that begin with some
letters, by halving: every some terms the vocabulary has a step. What the terms are is `daemon.mail.words`'.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from daemon.mail import words
from daemon.mail.words import MARK, Piece

_STEP = 64  # terms from one step to the next
_DELTAS = b"d"  # the first number, and then the distance to each next one in an octet
_WHOLE = b"w"  # each number in two octets
Read = Callable[[int, int], bytes]
"""The octets of the numbers between two offsets."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A half as it is stored. The first `marked` octets of the vocabulary are of marked terms. `steps`: where in it the
    line feed before every 64th term is, `offsets`: where the numbers of each term begin; four octets each."""

    vocabulary: bytes
    marked: int
    steps: bytes
    offsets: bytes
    numbers: bytes


class Postings:
    """A half as it is made: the numbers of the texts that have each term, in order. `size`: how many in all."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = defaultdict(list)
        self.size = 0

    def add(self, number: int, terms: set[str] | None) -> None:
        """A text, with a number higher than all before; without terms it may contain whatever is sought."""
        of = self.of
        for term in terms if terms is not None else (MARK,):
            of[term].append(number)
        self.size += len(terms or MARK)

    def add_half(self, half: Half, numbers: Sequence[int | None]) -> None:
        """All texts of another half, with what their numbers are now; None for one that is left out."""
        for term, old in half.terms():
            new = [number for number in map(numbers.__getitem__, old) if number is not None]
            if new:
                self.of[term] += new
                self.size += len(new)

    def add_behind(self, other: Postings, first: int) -> None:
        """All texts of another one, numbered from `first` on."""
        for term, numbers in other.of.items():
            self.of[term] += [first + number for number in numbers]
        self.size += other.size

    def pack(self) -> Packed:
        """As it is stored; nothing is left here."""
        terms = sorted(self.of)
        packed = [_pack(self.of.pop(term)) for term in terms]
        lines = [_octets(f"\n{term}") for term in terms]
        places = list(accumulate(map(len, lines), initial=0))
        marked = bisect_left(terms, chr(ord(MARK) + 1))
        return Packed(
            b"".join(lines) + b"\n",
            places[marked],
            _words(places[:-1:_STEP]),
            _words(list(accumulate(map(len, packed), initial=0))),
            b"".join(packed),
        )


class Half:
    """A half as it is read."""

    def __init__(self, vocabulary: bytes, marked: int, steps: bytes, offsets: bytes, read: Read) -> None:
        self._vocabulary = vocabulary
        self._marked = marked
        self._steps = struct.unpack(f"<{len(steps) // 4}I", steps)
        self._offsets = offsets
        self._read = read

    def terms(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Every term with its numbers."""
        terms = self._vocabulary.decode("utf-8", "surrogatepass").split("\n")[1:-1]
        offsets = struct.unpack(f"<{len(self._offsets) // 4}I", self._offsets)
        numbers = self._read(0, offsets[-1])
        for term, (start, end) in zip(terms, pairwise(offsets), strict=True):
            yield term, _unpack(numbers[start:end])

    def search(self, pieces: Sequence[Piece], all_of_it: bool, total: int) -> tuple[set[int], set[int]]:
        """Which of `total` texts may contain these pieces, and which of them surely do, if the pieces are all that is
        sought (`all_of_it`: one piece without anything before or behind it). One set, where all of them do."""
        sure: set[int] = set()
        found: set[int] | None = None
        for piece in pieces:
            having, exactly = self._having(piece, total)
            found = having if found is None else found & having
            if all_of_it:
                sure = exactly
            if not found:
                break
        unread = self._term(MARK)
        found = found or set()
        if sure == found and sure >= unread:
            return sure, sure
        return found | unread, sure

    def _having(self, piece: Piece, total: int) -> tuple[set[int], set[int]]:
        """The texts with a run that this may be a piece of, and those of them that surely contain its letters."""
        text = piece.text
        inner = piece.begins and piece.ends
        if piece.unspaced:
            if len(text) == 1:
                found = self._term(text) if inner else self._containing(text, self._marked, None, total)
                return found, found
            found = self._all_of(words.pairs(text))
            return found, found if len(text) == 2 else set()
        sure: set[int] = set()
        if inner and words.is_word(text):
            sure = self._term(text)
            return sure, sure
        if words.is_inside(text) and piece.begins:
            sure = self._between(_octets(text), _octets(text) + b"\xff", total)
        elif words.is_inside(text):
            sure = self._containing(text + "\n" * piece.ends, self._marked, None, total)
        edged = piece.edged
        if len(edged) < 3:
            return sure | self._containing(edged, 0, self._marked, total), sure
        return sure | self._all_of(words.threes(edged)), sure

    def _all_of(self, terms: Iterable[str]) -> set[int]:
        found: set[int] | None = None
        for term in terms:
            having = self._term(term)
            found = having if found is None else found & having
            if not found:
                break
        return found or set()

    def _term(self, term: str) -> set[int]:
        return self._between(_octets(term), _octets(term) + b"\0", 1 << 16)

    def _between(self, first: bytes, end: bytes, total: int) -> set[int]:
        """Texts with a term from `first` on that comes before `end`."""
        found: set[int] = set()
        for term in range(self._before(first), self._before(end)):
            found.update(self._numbers(term))
            if len(found) >= total:
                break
        return found

    def _before(self, line: bytes) -> int:
        """How many terms come before this one."""
        vocabulary, steps = self._vocabulary, self._steps
        step = bisect_left(steps, line, key=lambda at: vocabulary[at + 1 : vocabulary.find(b"\n", at + 1)])
        if not step:
            return 0
        end = steps[step] if step < len(steps) else len(vocabulary) - 1
        terms = vocabulary[steps[step - 1] + 1 : end].split(b"\n")
        return (step - 1) * _STEP + bisect_left(terms, line)

    def _containing(self, letters: str, start: int, end: int | None, total: int) -> set[int]:
        """Texts with a term that contains these letters, between two offsets of the vocabulary."""
        vocabulary, steps = self._vocabulary, self._steps
        needle = _octets(letters)
        end = len(vocabulary) if end is None else end + 1  # with the line feed behind the last
        found: set[int] = set()
        at = vocabulary.find(needle, start, end)
        while at >= 0 and len(found) < total:
            step = bisect_right(steps, at) - 1
            term = step * _STEP + vocabulary.count(b"\n", steps[step] + 1, at)
            found.update(self._numbers(term))
            at = vocabulary.find(needle, vocabulary.find(b"\n", at), end)
        return found

    def _numbers(self, term: int) -> Sequence[int]:
        start, end = struct.unpack_from("<2I", self._offsets, 4 * term)
        return _unpack(self._read(start, end))


def reader(part: Callable[[int], bytes], size: int) -> Read:
    """What reads out of numbers that were cut into parts of `size` octets, which are asked for by their number.
    It raises `ValueError` where they end too soon."""

    def read(start: int, end: int) -> bytes:
        if start == end:
            return b""
        first, last = start // size, (end - 1) // size
        octets = part(first) if first == last else b"".join(map(part, range(first, last + 1)))
        octets = octets[start - first * size : end - first * size]
        if len(octets) != end - start:
            raise ValueError("the numbers are cut short")
        return octets

    return read


def _words(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _pack(numbers: Sequence[int]) -> bytes:
    first = numbers[0].to_bytes(2, "little")
    if len(numbers) == 1:
        return first
    try:
        return _DELTAS + first + bytes([b - a for a, b in pairwise(numbers)])
    except ValueError:  # a distance over 255
        return _WHOLE + struct.pack(f"<{len(numbers)}H", *numbers)


def _unpack(packed: bytes) -> Sequence[int]:
    if len(packed) == 2:
        return (packed[0] | packed[1] << 8,)
    if packed[:1] == _DELTAS:
        return tuple(accumulate(packed[3:], initial=packed[1] | packed[2] << 8))
    return struct.unpack(f"<{len(packed) // 2}H", packed[1:])
