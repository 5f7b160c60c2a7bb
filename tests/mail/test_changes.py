"""What filters change in a header, as they count."""

from __future__ import annotations

import time

import pytest

from daemon.limits import LIMITS
from daemon.mail.changes import Add, Edit, Insert, Remove, Replace, TooMuch, edit, field_of

HEAD = b"A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nC: 4\r\n\r\n"
NEW = b"N: x\r\n"


@pytest.mark.parametrize(
    "head, edits, want",
    [
        (HEAD, [], HEAD),
        (HEAD, [Add(b"N", b" x")], HEAD[:-2] + NEW + b"\r\n"),
        (HEAD, [Insert(0, b"N", b" x")], NEW + HEAD),
        (HEAD, [Insert(2, b"N", b" x")], b"A: 1\r\nB: 2\r\n\tfolded\r\n" + NEW + b"a: 3\r\nC: 4\r\n\r\n"),
        (HEAD, [Insert(99, b"N", b" x")], HEAD[:-2] + NEW + b"\r\n"),
        (HEAD, [Replace(1, b"B", b" x")], b"A: 1\r\nB: x\r\na: 3\r\nC: 4\r\n\r\n"),
        (HEAD, [Replace(2, b"A", b" x")], b"A: 1\r\nB: 2\r\n\tfolded\r\nA: x\r\nC: 4\r\n\r\n"),
        (HEAD, [Replace(0, b"c", b" x")], b"A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nc: x\r\n\r\n"),
        (HEAD, [Replace(3, b"A", b" x")], HEAD[:-2] + b"A: x\r\n\r\n"),
        (HEAD, [Remove(1, b"a")], HEAD[6:]),
        (HEAD, [Remove(3, b"a"), Remove(-3, b"a"), Remove(1, b"none")], HEAD),
        (HEAD, [Remove(-1, b"A")], b"A: 1\r\nB: 2\r\n\tfolded\r\nC: 4\r\n\r\n"),
        (HEAD, [Remove(0, b"A")], b"B: 2\r\n\tfolded\r\nC: 4\r\n\r\n"),
        (HEAD, [Remove(1, b"A"), Remove(2, b"A")], b"B: 2\r\n\tfolded\r\nC: 4\r\n\r\n"),  # as it was shown
        (HEAD, [Remove(2, b"A"), Remove(1, b"A")], b"B: 2\r\n\tfolded\r\nC: 4\r\n\r\n"),
        (HEAD, [Remove(1, b"A"), Insert(1, b"N", b" x")], NEW + HEAD[6:]),
        (HEAD, [Add(b"N", b" y"), Replace(1, b"N", b" x")], HEAD[:-2] + NEW + b"\r\n"),
        (b"\r\n", [Add(b"N", b" x")], NEW + b"\r\n"),
        (b"", [Add(b"N", b" x")], NEW),
        (b"A: 1", [Add(b"N", b" x")], b"A: 1\r\n" + NEW),
        (b"A: 1\n\n", [Add(b"N", b" x")], b"A: 1\n" + NEW + b"\n"),
        (b"text alone\r\n", [Add(b"N", b" x")], b"text alone\r\n" + NEW),
        (b"From x\r\nA: 1\r\nnonsense\r\nB: 2\r\n", [Insert(0, b"N", b" x"), Remove(1, b"A")],
         b"From x\r\n" + NEW + b"nonsense\r\nB: 2\r\n"),
    ],
)  # fmt: skip
def test_edits(head: bytes, edits: list[Edit], want: bytes) -> None:
    assert edit(head, edits) == want


@pytest.mark.parametrize(
    "value, want",
    [
        (b" x", b" x"),
        (b" a\n\tb\n  c", b" a\r\n\tb\r\n  c"),
        (b" a\r\nEvil: 1", b" a\r\n\tEvil: 1"),
        (b" a\n\n\nbody", b" a\r\n\tbody"),
        (b" a\r\rb", b" a\r\n\tb"),
        (b" a\n \n \t\n b", b" a\r\n b"),
        (b" a\r\n\r\n", b" a"),
        (b" a\n \n", b" a"),
        (b" a  ", b" a  "),
        (b" a\0b", b" ab"),
        (b"\nx", b"\r\n\tx"),
        (b"", b""),
    ],
)
def test_no_value_ends_its_field(value: bytes, want: bytes) -> None:
    assert field_of(b"N", value) == b"N:" + want + b"\r\n"


def test_edits_of_a_filter_are_counted() -> None:
    most = LIMITS.filter_edits
    assert edit(b"\r\n", [Add(b"N", b" x")] * most) == NEW * most + b"\r\n"
    with pytest.raises(TooMuch):
        edit(b"\r\n", [Add(b"N", b" x")] * (most + 1))


def test_a_header_does_not_grow_without_end() -> None:
    long = Add(b"N", b"x" * (LIMITS.header_bytes // 2))
    assert len(edit(HEAD, [long])) < LIMITS.header_bytes
    for edits in ([long, long], [Add(b"N", b""), Replace(1, b"N", b"x" * LIMITS.header_bytes)]):
        with pytest.raises(TooMuch):
            edit(HEAD, edits)


@pytest.mark.parametrize("piece", [b"\n", b"\n ", b" ", b"\r\n\t", b"\0\n"])
def test_hostile_values_cost_little(piece: bytes) -> None:
    started = time.process_time()
    field_of(b"N", piece * 100_000 + b"x")
    field_of(b"N", piece * 100_000)
    assert time.process_time() - started < 1
