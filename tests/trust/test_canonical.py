"""The two canonical forms, against the RFC's words and against slow references."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS, Limits
from daemon.trust import canonical
from daemon.trust.canonical import body_hashes, body_relaxed, body_simple, field_relaxed, field_simple

PIECES = st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"b c", b" " * 33, b"\r\n\r\n", b"\xff\x00"])
BODIES = st.lists(PIECES, max_size=40).map(b"".join)


def relaxed(body: bytes) -> bytes:
    """Rule by rule as RFC 6376 §3.4.4 has them."""
    lines = body.split(b"\r\n")
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def simple(body: bytes) -> bytes:
    """As RFC 6376 §3.4.3 says."""
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n"


def whole(form: str, body: bytes, before: bytes = b"x \r\n") -> bytes:
    data = before + body
    pieces = list((body_relaxed if form == "relaxed" else body_simple)(data, len(before), len(data)))
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("body", "as_simple", "as_relaxed"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),  # RFC 6376 §3.4.5
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n \t\r\n\r\n", b"\r\n \t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b"a\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"\r\n\r\na", b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
    ],
)
def test_bodies(body: bytes, as_simple: bytes, as_relaxed: bytes) -> None:
    assert whole("simple", body) == simple(body) == as_simple
    assert whole("relaxed", body) == relaxed(body) == as_relaxed


@given(BODIES)
def test_whole_text_operations_are_the_rules_line_by_line(body: bytes) -> None:
    assert whole("relaxed", body) == relaxed(body)
    assert whole("simple", body) == simple(body)


@given(BODIES, st.integers(2, 30))
def test_a_body_in_pieces_is_the_same_body(body: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "LIMITS", Limits(dkim_piece=size))
        patch.setattr(canonical, "_ENDS", 3)
        assert whole("relaxed", body) == relaxed(body)
        assert whole("simple", body) == simple(body)


@given(BODIES, st.lists(st.integers(0, 60), max_size=4))
def test_one_reading_gives_the_hash_of_every_length(body: bytes, lengths: list[int]) -> None:
    for form, reference in (("relaxed", relaxed(body)), ("simple", simple(body))):
        hashes, size = body_hashes(body, 0, len(body), relaxed=form == "relaxed", lengths=[None, *lengths])
        expected = {length: sha256(reference[:length]).digest() for length in lengths if length <= len(reference)}
        assert size == len(reference)
        assert hashes == expected | {None: sha256(reference).digest()}


@pytest.mark.parametrize(
    ("name", "value", "as_simple", "as_relaxed"),
    [
        (b"A", b" X\r\n", b"A: X\r\n", b"a:X\r\n"),  # RFC 6376 §3.4.5
        (b"B ", b" Y\t\r\n\tZ  \r\n", b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"),
        (b"Subject", b"", b"Subject:\r\n", b"subject:\r\n"),
        (b"Subject", b" \r\n \r\n", b"Subject: \r\n \r\n", b"subject:\r\n"),
        (b"Subject", b" \xe4\x00 b\r\n", b"Subject: \xe4\x00 b\r\n", b"subject:\xe4\x00 b\r\n"),
    ],
)
def test_fields(name: bytes, value: bytes, as_simple: bytes, as_relaxed: bytes) -> None:
    assert field_simple(name, value) == as_simple
    assert field_relaxed(name, value) == as_relaxed


@pytest.mark.parametrize("body", [b" " * 2_000_000, b"\r\n" * 1_000_000, b" \t" * 999_999 + b"a", b"\r\n \n" * 500_000])
def test_hostile_bodies_cost_little_time(body: bytes) -> None:
    started = time.process_time()
    for form in (True, False):
        body_hashes(body, 0, len(body), relaxed=form)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("line", [b"x" * 998 + b"\r\n", b"x", b" \tx", b"\t", b"\r\n"])
def test_a_long_body_is_read_in_pieces_whatever_its_lines(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """No work on it is of more than a piece: nobody else runs meanwhile."""
    body = line * (2_000_000 // len(line)) + b"x"
    longest = 0

    def noted(lines: bytes, _fewer: Callable[[bytes], bytes] = canonical._fewer_blanks) -> bytes:
        nonlocal longest
        longest = max(longest, len(lines))
        return _fewer(lines)

    monkeypatch.setattr(canonical, "_fewer_blanks", noted)
    for form in (body_relaxed, body_simple):
        assert max(map(len, form(body, 0, len(body)))) <= LIMITS.dkim_piece
    assert longest <= LIMITS.dkim_piece + 1, "a blank is held over"
