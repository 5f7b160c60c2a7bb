"""A body while it arrives."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.store.spool import Body


@pytest.mark.parametrize("in_memory", [0, 1, 10, 1000])
def test_a_body_is_what_was_written(tmp_path: Path, in_memory: int) -> None:
    pieces = [b"abc", b"", b"d" * 7, b"e" * 100]
    with Body(tmp_path, in_memory=in_memory) as body:
        for piece in pieces:
            assert body.write(piece) == len(piece)
        assert body.size == 110
        assert body.bytes() == b"".join(pieces)
        assert body.sha256 == hashlib.sha256(b"".join(pieces)).digest()
        assert list(tmp_path.iterdir()) == [], "the spool file has no name: a crash leaves nothing"


@given(st.lists(st.binary(max_size=50)), st.integers(0, 100))
def test_memory_and_file_hold_the_same(pieces: list[bytes], in_memory: int) -> None:
    with Body(Path(tempfile.gettempdir()), in_memory=in_memory) as body:
        for piece in pieces:
            body.write(memoryview(piece))
            body.view()
        assert body.bytes() == b"".join(pieces)


@pytest.mark.parametrize("size", [1000, 60_000, 70_000, 150_000])
def test_a_body_is_the_same_wherever_it_has_moved_to(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    with Body(tmp_path, in_memory=100_000) as body:
        for at in range(0, size, 999):
            body.write(data[at : at + 999])
            if at % 10 == 0:
                body.view()
        assert body.bytes() == data and body.size == size and body.sha256 == hashlib.sha256(data).digest()
        fd = body.duplicate()
    with open(fd, "rb") as file:
        file.seek(0)
        assert file.read() == data


def test_a_view_taken_before_more_is_written_hides_nothing(tmp_path: Path) -> None:
    with Body(tmp_path, in_memory=3) as body:
        body.write(b"a" * 10)
        first = body.view()
        assert bytes(first) == b"a" * 10
        body.write(b"b" * 10)
        assert body.bytes() == b"a" * 10 + b"b" * 10


def test_pouring_copies_all_and_says_how_much(tmp_path: Path) -> None:
    for in_memory in (0, 10_000):
        with Body(tmp_path, in_memory=in_memory) as body, open(tmp_path / "out", "wb") as out:
            body.write(b"xyz" * 1000)
            assert body.pour(out.fileno(), piece=700) == 3000
            assert os.stat(tmp_path / "out").st_size == 3000


def test_who_holds_a_body_keeps_its_bytes_beyond_its_end(tmp_path: Path) -> None:
    body = Body(tmp_path, in_memory=0)
    body.write(b"kept")
    body.hold()
    body.hold()
    body.close()
    body.let_go()
    assert body.bytes() == b"kept"
    body.let_go()
    with pytest.raises(ValueError, match="closed"):
        body.hold()
    body.close()


def test_a_body_that_somebody_still_looks_at_can_be_closed(tmp_path: Path) -> None:
    body = Body(tmp_path, in_memory=0)
    body.write(b"seen")
    look = memoryview(body.view())
    body.close()
    assert bytes(look) == b"seen"
    look.release()


def test_a_full_spool_is_told(tmp_path: Path) -> None:
    with Body(tmp_path / "missing", in_memory=3) as body:
        body.write(b"abc")
        with pytest.raises(OSError):
            body.write(b"d")


def test_an_empty_one_like_another_spools_to_the_same_place(tmp_path: Path) -> None:
    with Body(tmp_path, in_memory=2) as first, first.alike() as second:
        second.write(b"abc")
        assert (second.size, first.size) == (3, 0)
