"""Long runs of octets, a piece at a time: the same as at once."""

from __future__ import annotations

import sys

import pytest

from daemon.mail.message import scan
from daemon.mail.octets import PIECE, find
from daemon.trust.archives import Unpacking


@pytest.mark.parametrize("place", [0, 1, PIECE - 4, PIECE - 3, PIECE - 1, PIECE, 2 * PIECE - 2, 3 * PIECE - 4])
def test_what_is_sought_is_found_wherever_the_pieces_end(place: int) -> None:
    data = bytearray(3 * PIECE)
    data[place : place + 4] = b"mark"
    for start, end in ((0, len(data)), (place, len(data)), (place + 1, len(data)), (0, place + 3), (0, place + 4)):
        assert find(data, b"mark", start, end) == data.find(b"mark", start, end)
    assert find(data, b"none", 0, len(data)) == -1


class Noted(bytes):
    """Octets that know the longest search in them."""

    longest = 0

    def find(self, needle: bytes, start: int = 0, end: int = sys.maxsize, /) -> int:  # type: ignore[override]
        Noted.longest = max(Noted.longest, min(end, len(self)) - start)
        return super().find(needle, start, end)


def test_no_search_in_a_message_is_longer_than_a_piece() -> None:
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(9))
    scan(Noted(nested + b"\r\n--" * PIECE))
    list(Unpacking().look(Noted(b"PK\x03\x04" + bytes(3 * PIECE)), "a.zip"))
    list(Unpacking().look(Noted(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3 * PIECE)), "a.doc"))
    assert 0 < Noted.longest <= PIECE
