"""How a parser is tried with everything: saved seeds, mutants of them from a seeded dice, and what must hold of each.

A target takes its input in pieces and gives a story: what it found and what it refused, in order. What it raises
besides is a bug. What is promised of every input:

* the story is the same whole, byte by byte, and cut anywhere;
* it costs less than a second of processor time, and memory in proportion to the input, not to what it announces.

`seeds/TARGET/` holds inputs worth keeping, those that once broke something among them: a failure prints what to save.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from daemon.wire.stream import Reading, Send, Stream

T = TypeVar("T")
HERE = Path(__file__).parent
SECOND = 1.0  # of processor time for one input
KIB = 1024
KEPT = 300  # events of a story that are kept to be looked at; the others count all the same
NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"64",
    b"255",
    b"65536",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9" * 20,
    b"9" * 400,
)


class Story:
    """What happened, in order; equal when all of it is, however long it was."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.count = 0
        self._all = hashlib.sha256()

    def add(self, *event: object) -> None:
        self.count += 1
        self._all.update(repr(event).encode())
        if len(self.events) < KEPT:
            self.events.append(event)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Story) and self._all.digest() == other._all.digest()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.events))


@dataclass(frozen=True)
class Target:
    """`run(pieces)` gives the story. `memory` is what it may take beside ten times its input; `whole` targets read one
    value, which nobody cuts."""

    name: str
    run: Callable[[list[bytes]], Story]
    memory: int = 512 * KIB
    whole: bool = False

    @property
    def seeds(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((HERE / "seeds" / self.name).iterdir())]

    @property
    def words(self) -> list[bytes]:
        """Words of its language, and those that mean something in any: `words/` has one a line, escaped."""
        text = (HERE / "words" / self.name).read_text() + (HERE / "words" / "everywhere").read_text()
        return [line.encode().decode("unicode_escape").encode("latin-1") for line in text.splitlines()] + [b"A" * 300]


def drive(make: Callable[[Stream, Story], Reading[None]], pieces: Sequence[bytes]) -> Story:
    """Let a reader read `pieces` and then the end of the stream. What it sends is part of the story."""
    stream, story = Stream(), Story()
    reading = make(stream, story)
    waiting = list(reversed(pieces))
    for want in reading:
        if isinstance(want, Send):
            story.add("send", want.data[:200])
        elif waiting:
            stream.feed(waiting.pop())
        else:
            stream.feed_eof()
    return story


@dataclass
class Mutator:
    """Endless variations of seeds; the same dice, the same variations."""

    seeds: Sequence[bytes]
    words: Sequence[bytes]
    dice: random.Random
    longest: int = 20_000
    _steps: Sequence[Callable[[bytearray], None]] = field(init=False)

    def __post_init__(self) -> None:
        self._steps = (
            self._flip, self._set, self._word, self._word, self._number, self._delete, self._double, self._splice,
            self._cut, self._repeat, self._swap_case,
        )  # fmt: skip

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = bytearray(self.dice.choice(self.seeds))
            for _ in range(self.dice.choice((1, 1, 2, 3, 5, 12))):
                self.dice.choice(self._steps)(data)
            yield bytes(data[: self.longest])

    def _place(self, data: bytearray) -> int:
        return self.dice.randint(0, len(data))

    def _span(self, data: bytearray, most: int) -> tuple[int, int]:
        at = self._place(data)
        return at, min(len(data), at + self.dice.randint(1, most))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)

    def _set(self, data: bytearray) -> None:
        if data:
            data[self.dice.randrange(len(data))] = self.dice.choice(b'\0\r\n \t"\\(){}<>*%+=\x7f\x80\xff')

    def _word(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = self.dice.choice(self.words)

    def _number(self, data: bytearray) -> None:
        places = [at for at, octet in enumerate(data) if 48 <= octet <= 57]
        if places:
            at = self.dice.choice(places)
            data[at : at + 1] = self.dice.choice(NUMBERS)

    def _delete(self, data: bytearray) -> None:
        at, end = self._span(data, 40)
        del data[at:end]

    def _double(self, data: bytearray) -> None:
        at, end = self._span(data, 80)
        data[at:at] = data[at:end]

    def _splice(self, data: bytearray) -> None:
        other = self.dice.choice(self.seeds)
        data[self._place(data) :] = other[self.dice.randint(0, len(other)) :]

    def _cut(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _repeat(self, data: bytearray) -> None:
        at, end = self._span(data, 12)
        data[at:at] = bytes(data[at:end]) * self.dice.choice((10, 100, 1000))

    def _swap_case(self, data: bytearray) -> None:
        at, end = self._span(data, 12)
        data[at:end] = data[at:end].swapcase()


def pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """`data` cut: byte by byte if it is short and the dice want it, else at a few places."""
    if len(data) < 600 and dice.random() < 0.3:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(dice.randint(0, len(data)) for _ in range(dice.randint(1, 12)))
    return [data[at:end] for at, end in zip([0, *places], [*places, len(data)], strict=True)]


def judge(target: Target, data: bytes, dice: random.Random, *, measured: bool = False) -> None:
    """All that is promised of one input; `measured` looks at memory too, which is slow."""
    try:
        started = time.process_time()
        story = _measured(target, data) if measured else target.run([data])
        spent = time.process_time() - started
        assert spent < SECOND * (5 if measured else 1), f"{spent:.2f} seconds"
        if not target.whole:
            cut = target.run(pieces(data, dice))
            assert cut == story, f"whole:\n{story!r}\n\ncut:\n{cut!r}"
    except BaseException as error:
        path = Path(tempfile.gettempdir()) / f"fuzz-{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        error.add_note(f"the input is {path}, to be saved in tests/fuzz/seeds/{target.name}: {data[:2000]!r}")
        raise


def _measured(target: Target, data: bytes) -> Story:
    target.run([data])  # what is loaded and cached once is not the input's doing
    tracemalloc.start()
    try:
        story = target.run([data])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    most = target.memory + 10 * len(data)
    assert peak <= most, f"{peak} octets of memory for {len(data)} octets of input"
    return story


def campaign(target: Target, rounds: int, seed: int = 0) -> None:
    """Every saved seed, and `rounds` mutants."""
    dice = random.Random(seed)
    saved = target.seeds
    for data in saved:
        judge(target, data, dice, measured=True)
    for number, data in zip(range(rounds), Mutator(saved, target.words, dice), strict=False):
        judge(target, data, dice, measured=number % 40 == 0)
