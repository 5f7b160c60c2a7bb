"""7z archives are listed by their header; nothing else is unpacked.

The header stands at the end. It is mostly packed itself, with LZMA: then another header tells how, and it is unpacked
to a limit. In it the names come last, behind how all is packed, which has to be read to get there. A header that is
encrypted, or packed in another way, closes the archive; one with a wrong checksum is read all the same, for programs
differ in whether they mind, and closes it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

from daemon.limits import LIMITS
from daemon.trust.archives_listing import Closed, Cursor, Entry

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
_START = 32  # octets before the packed streams
_ROUNDS = 4  # headers packed in one another
_FEW = 32  # ways of packing behind one another, streams of one of them
_COPY, _LZMA, _LZMA2, _AES = b"\0", b"\x03\x01\x01", b"\x21", b"\x06\xf1\x07\x01"
_END, _HEADER, _PROPERTIES, _MAIN, _FILES, _PACKS, _FOLDERS, _PARTS = 0, 1, 2, 4, 5, 6, 7, 8
_SIZE, _CHECKSUMS, _FOLDER, _SIZES, _COUNTS, _NAMES, _PACKED = 9, 10, 11, 12, 13, 17, 23


def entries(data: bytes, afford: Callable[[int], bool]) -> Iterator[Entry]:
    """Every file, in order. `afford`: whether a header of so many octets may still be looked at. Raises `Closed` where
    no more can be read."""
    start = Cursor(data, 8)
    checksum, offset, size, of_header = start.little(4), start.little(8), start.little(8), start.little(4)
    if not size and len(data) == _START:
        return
    header = _some(data, offset, size)
    sound = crc32(data[12:_START]) == checksum and crc32(header) == of_header
    for _ in range(_ROUNDS):
        if not afford(len(header)):
            raise Closed
        reader = _Numbers(header)
        kind = reader.number()
        if kind != _PACKED:
            break
        streams = _streams(reader)
        header = _unpacked(data, streams)
        sound &= streams.checksums[0] == crc32(header)
    if kind != _HEADER:
        raise Closed
    yield from _files(reader)
    if not sound:
        raise Closed


def _some(data: bytes, offset: int, size: int) -> bytes:
    """So many octets behind the start. Raises `Closed`."""
    if size > LIMITS.archive_header or not 0 < size <= len(data) - _START - offset:
        raise Closed
    return data[_START + offset : _START + offset + size]


class _Numbers(Cursor):
    def number(self) -> int:
        """The ones that its first octet begins with say how many octets follow, the lowest first."""
        first = self.octet()
        more = 8 - (first ^ 0xFF).bit_length()
        high = first & (0x7F >> more)
        return self.little(more) | high << 8 * more

    def count(self, most: int = LIMITS.archive_entries) -> int:
        """A number of things that there cannot be too many of."""
        number = self.number()
        if number > most:
            raise Closed
        return number

    def expect(self, kind: int) -> None:
        if self.number() != kind:
            raise Closed

    def checksums(self, many: int) -> list[int | None]:
        """The checksums of so many; None for who has none."""
        if many > LIMITS.archive_entries:
            raise Closed
        if self.octet():
            known = [True] * many
        else:
            bits = self.octets((many + 7) // 8)
            known = [bool(bits[at >> 3] & 0x80 >> (at & 7)) for at in range(many)]
        return [self.little(4) if one else None for one in known]


class _Folder(NamedTuple):
    """How some files are packed together: the ways, each with its parameters, and how many streams come out of them."""

    ways: tuple[tuple[bytes, bytes], ...]
    outs: int


class _Streams(NamedTuple):
    """Where packed streams begin and how long they are; what is made of them, how long that is, and its checksums."""

    at: int
    sizes: list[int]
    folders: list[_Folder]
    unpacked: list[list[int]]
    checksums: list[int | None]


def _streams(reader: _Numbers) -> _Streams:
    at, sizes, folders, unpacked, known = 0, list[int](), list[_Folder](), list[list[int]](), list[int | None]()
    kind = reader.number()
    if kind == _PACKS:
        at, many = reader.number(), reader.count()
        while kind := reader.number():
            if kind == _SIZE:
                sizes = [reader.number() for _ in range(many)]
            elif kind == _CHECKSUMS:
                reader.checksums(many)
            else:
                raise Closed
        kind = reader.number()
    if kind == _FOLDERS:
        reader.expect(_FOLDER)
        many = reader.count()
        if reader.octet():  # elsewhere
            raise Closed
        folders = [_folder(reader) for _ in range(many)]
        reader.expect(_SIZES)
        unpacked = [[reader.number() for _ in range(folder.outs)] for folder in folders]
        known = [None] * many
        while kind := reader.number():
            if kind != _CHECKSUMS:
                raise Closed
            known = reader.checksums(many)
        kind = reader.number()
    if kind == _PARTS:
        _pass_parts(reader, known)
        kind = reader.number()
    if kind != _END:
        raise Closed
    return _Streams(at, sizes, folders, unpacked, known)


def _folder(reader: _Numbers) -> _Folder:
    ways, ins, outs = [], 0, 0
    for _ in range(reader.count(_FEW)):
        flags = reader.octet()
        way = reader.octets(flags & 15)
        ins += reader.count(_FEW) if flags & 16 else 1
        outs += reader.count(_FEW) if flags & 16 else 1
        ways.append((way, reader.octets(reader.number()) if flags & 32 else b""))
    packed = ins - (outs - 1)
    if not ways or packed < 1:
        raise Closed
    for _ in range(2 * (outs - 1) + (packed if packed > 1 else 0)):  # what leads where
        reader.number()
    return _Folder(tuple(ways), outs)


def _pass_parts(reader: _Numbers, known: list[int | None]) -> None:
    """How many files are in each folder, and how long they are, is passed over."""
    counts, kind = [1] * len(known), reader.number()
    if kind == _COUNTS:
        counts, kind = [reader.count() for _ in known], reader.number()
    if kind == _SIZE:
        for many in counts:
            for _ in range(many - 1):
                reader.number()
        kind = reader.number()
    while kind:
        if kind != _CHECKSUMS:
            raise Closed
        reader.checksums(sum(many for many, one in zip(counts, known, strict=True) if many != 1 or one is None))
        kind = reader.number()


def _unpacked(data: bytes, streams: _Streams) -> bytes:
    """A header that is packed. Raises `Closed` for one that is encrypted, or packed in a way that no header is."""
    if not (len(streams.sizes) == len(streams.folders) == len(streams.folders[0].ways if streams.folders else ()) == 1):
        raise Closed
    (way, about), size = streams.folders[0].ways[0], streams.unpacked[0][0]
    packed = _some(data, streams.at, streams.sizes[0])
    if size > LIMITS.archive_header:
        raise Closed
    if way != _COPY:
        packed = _lzma(packed, way, about, size)
    if len(packed) != size:
        raise Closed
    return packed


def _lzma(packed: bytes, way: bytes, about: bytes, size: int) -> bytes:
    """At most `size` octets; as many are all the memory it takes."""
    import lzma  # late: few messages have it

    how: dict[str, Any] = {"dict_size": max(size, 4096)}
    if way == _LZMA and len(about) == 5:
        rest, lc = divmod(about[0], 9)
        pb, lp = divmod(rest, 5)
        how |= {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    elif way == _LZMA2:
        how["id"] = lzma.FILTER_LZMA2
    else:
        raise Closed
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[how]).decompress(packed, size)
    except (lzma.LZMAError, ValueError):
        raise Closed from None


def _files(reader: _Numbers) -> Iterator[Entry]:
    encrypted, kind = False, reader.number()
    if kind == _PROPERTIES:
        while reader.number():
            reader.skip(reader.number())
        kind = reader.number()
    if kind == _MAIN:
        folders = _streams(reader).folders
        encrypted = any(way == _AES for folder in folders for way, _ in folder.ways)
        kind = reader.number()
    if kind == _END:
        return
    if kind != _FILES:
        raise Closed
    many, named = reader.count(), 0
    while kind := reader.number():
        size = reader.number()
        if kind != _NAMES:
            reader.skip(size)
            continue
        if reader.octet():  # elsewhere
            raise Closed
        names = reader.octets(size - 1).decode("utf-16-le", "replace").split("\0")
        named = len(names) - 1
        for name in names[:-1]:
            yield Entry(name[-LIMITS.file_name :], encrypted=encrypted)
    if named != many:
        raise Closed
