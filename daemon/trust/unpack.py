"""A report as it was sent, opened within limits: gzip, zip, or plain (traps S15).

What comes out is read piece by piece and counted: a bomb costs as many octets as the limit allows, and no more. Of a
zip archive the first file is read, by its own head; the directory at the end, whose size strangers choose, is not.
"""

from __future__ import annotations

import struct
import zlib

from daemon.limits import LIMITS

_PIECE = 1 << 16
_HEAD = struct.Struct("<4sHHHHHIIIHH")  # of a file in a zip archive
_STORED, _DEFLATED = 0, 8


class BadReport(Exception):
    """It cannot be used. `reason` is of a short list: archive, too-large, too-deep, too-many, syntax, entity, missing,
    number, date, address, kind."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Expanded:
    """What `expanded` gives: `read` as files have it. Raises `BadReport` where the content is over the limit."""

    def __init__(self, data: bytes, start: int, wbits: int | None, limit: int) -> None:
        self._data = data
        self._at = start
        self._inflating = None if wbits is None else zlib.decompressobj(wbits)
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Up to `size` octets; nothing at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        piece = self._plain(size) if self._inflating is None else self._inflate(self._inflating, size)
        self._left -= len(piece)
        if self._left < 0:
            raise BadReport("too-large", "the report is larger than this server reads")
        return piece

    def _plain(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _inflate(self, inflating: zlib._Decompress, size: int) -> bytes:
        while not inflating.eof:
            fed = inflating.unconsumed_tail or self._plain(_PIECE)
            try:
                piece = inflating.decompress(fed, size)
            except zlib.error as error:
                raise BadReport("archive", f"the compressed data is damaged: {error}") from None
            if piece:
                return piece
            if not fed:
                raise BadReport("archive", "the compressed data ends in the middle")
        return b""


def expanded(data: bytes, limit: int) -> Expanded:
    """The content of a report, whatever it is packed in; at most `limit` octets. Raises `BadReport`."""
    if len(data) > LIMITS.report_packed:
        raise BadReport("too-large", f"the attachment is over {LIMITS.report_packed} octets")
    if data.startswith(b"\x1f\x8b"):
        return Expanded(data, 0, 31, limit)
    if data.startswith(b"PK"):
        return _zipped(data, limit)
    return Expanded(data, 0, None, limit)


def _zipped(data: bytes, limit: int) -> Expanded:
    at = 0
    for _ in range(LIMITS.report_files):
        if len(data) < at + _HEAD.size:
            break
        mark, _, flags, method, _, _, _, packed, size, name, extra = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size + name + extra
        if mark != b"PK\x03\x04" or flags & 1:  # encrypted
            break
        if not data[at + _HEAD.size : start - extra].endswith(b"/"):
            if method == _DEFLATED:
                return Expanded(data, start, -15, limit)
            if method == _STORED:
                return Expanded(data[start : start + size], 0, None, limit)
            break
        at = start + packed  # a folder
    raise BadReport("archive", "the archive holds no file that can be read")
