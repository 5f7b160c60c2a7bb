"""Long runs of octets, a piece at a time: the same as at once."""

from __future__ import annotations

import pytest

from daemon.mail.octets import PIECE, find


@pytest.mark.parametrize("place", [0, 1, PIECE - 4, PIECE - 3, PIECE - 1, PIECE, 2 * PIECE - 2, 3 * PIECE - 4])
def test_what_is_sought_is_found_wherever_the_pieces_end(place: int) -> None:
    data = bytearray(3 * PIECE)
    data[place : place + 4] = b"mark"
    for start, end in ((0, len(data)), (place, len(data)), (place + 1, len(data)), (0, place + 3), (0, place + 4)):
        assert find(data, b"mark", start, end) == data.find(b"mark", start, end)
    assert find(data, b"none", 0, len(data)) == -1
