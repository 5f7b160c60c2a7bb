"""RAR archives are listed by their headers; nothing is unpacked.

A chain of blocks behind the signature: each has a checksum, its own size, what kind it is, and the size of the data
behind it. Format 5 has numbers of seven bits an octet; the one before (1.5 to 4.x) has fixed fields, and a name in the
letters of some code page with the same name in UTF-16 packed behind it. A block with a wrong checksum is read all the
same, for programs differ in whether they mind; the archive counts as closed then.
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from daemon.trust.archives_listing import Closed, Cursor, Entry, cut, text

SIGNATURE = b"Rar!\x1a\x07"
_FIVE, _FOUR = SIGNATURE + b"\x01\0", SIGNATURE + b"\0"
_HEAD_MOST = 2 << 20  # octets of a block's head in format 5, whose size has three octets at most
_NAME_MOST = 2048  # characters of a packed name; programs read no more
_STORED = 0x30


def entries(data: bytes) -> Iterator[Entry]:
    """Every file, in order. Raises `Closed` where no more can be read."""
    if data.startswith(_FIVE):
        yield from _five(data)
    elif data.startswith(_FOUR):
        yield from _four(data)
    else:
        raise Closed


# -- format 5 ----------------------------------------------------------------------------------------------------------

_FILE, _ENCRYPTION, _END = 2, 4, 5
_EXTRA, _DATA = 1, 2  # flags of a block
_DIRECTORY, _TIME, _CHECKSUM = 1, 2, 4  # flags of a file
_ENCRYPTED = 1  # kind of a record in the extra area


class _Vints(Cursor):
    def number(self) -> int:
        """Seven bits an octet, the lowest first."""
        value = 0
        for shift in range(0, 70, 7):
            octet = self.octet()
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                return value
        raise Closed


def _five(data: bytes) -> Iterator[Entry]:
    at, sound = len(_FIVE), True
    while True:
        head = _Vints(data, at)
        checksum, size = head.little(4), head.number()
        end = head.at + size
        if size > _HEAD_MOST or end > len(data):
            raise Closed
        sound &= crc32(data[at + 4 : end]) == checksum
        head.end = end
        kind, flags = head.number(), head.number()
        extra = head.number() if flags & _EXTRA else 0
        packed = head.number() if flags & _DATA else 0
        if kind == _ENCRYPTION:
            raise Closed
        if kind == _END:
            break
        if kind == _FILE:
            yield _file_of_five(head, extra, packed)
        at = end + packed
    if not sound:
        raise Closed


def _file_of_five(head: _Vints, extra: int, packed: int) -> Entry:
    flags, _, _ = head.number(), head.number(), head.number()  # and size, attributes
    head.skip(4 * bool(flags & _TIME) + 4 * bool(flags & _CHECKSUM))
    method, _ = head.number() >> 7 & 7, head.number()  # and the system
    name = text(cut(head.octets(head.number())))
    head.skip(head.left - extra)
    encrypted = _has_key(head)
    stored = method == 0 and not encrypted and not flags & _DIRECTORY
    return Entry(name, head.end, packed if stored else 0, encrypted)


def _has_key(records: _Vints) -> bool:
    """Whether one of the records of a file says that its data is encrypted."""
    found = False
    while records.left:
        size = records.number()
        record = _Vints(records.data, records.at, records.end)
        records.skip(size)
        found |= record.number() == _ENCRYPTED
    return found


# -- the format before -------------------------------------------------------------------------------------------------

_MAIN4, _FILE4, _SERVICE4, _END4 = _KINDS4 = (0x73, 0x74, 0x7A, 0x7B)  # others are of the years before 2001
_LONG, _LARGE, _WIDE = 0x8000, 0x100, 0x200
_HEADERS_ENCRYPTED, _FILE_ENCRYPTED, _FOLDER = 0x80, 0x04, 0xE0


def _four(data: bytes) -> Iterator[Entry]:
    at, sound = len(_FOUR), True
    while at < len(data):
        head = Cursor(data, at)
        checksum, kind, flags, size = head.little(2), head.octet(), head.little(2), head.little(2)
        if size < 7 or at + size > len(data):
            raise Closed
        head.end = at + size
        sound &= kind in _KINDS4 and crc32(data[at + 2 : head.end]) & 0xFFFF == checksum
        if kind == _MAIN4 and flags & _HEADERS_ENCRYPTED:
            raise Closed
        if kind == _END4:
            break
        packed = head.little(4) if flags & _LONG or kind in (_FILE4, _SERVICE4) else 0
        if kind in (_FILE4, _SERVICE4):
            head.skip(14)  # its size, system, checksum, time, and the version that it needs
            method, length = head.octet(), head.little(2)
            head.skip(4)
            if flags & _LARGE:
                packed |= head.little(4) << 32
                head.skip(4)
            if kind == _FILE4:
                yield from _file_of_four(head, flags, head.octets(length), packed if method == _STORED else 0)
        at = head.end + packed
    if not sound:
        raise Closed


def _file_of_four(head: Cursor, flags: int, raw: bytes, stored: int) -> Iterator[Entry]:
    """One for each of its names; the first one has the data."""
    encrypted = bool(flags & _FILE_ENCRYPTED)
    folder = flags & _FOLDER == _FOLDER
    narrow, both, packed = raw.partition(b"\0")
    yield Entry(text(narrow), head.end, 0 if encrypted or folder else stored, encrypted)
    if flags & _WIDE and both:
        yield Entry(_wide(narrow, packed))


def _wide(narrow: bytes, packed: bytes) -> str:
    """A name in UTF-16: of each step two bits tell whether it is an octet, one with the common high octet, two octets,
    or some of the narrow name."""
    steps = Cursor(packed)
    common = steps.octet() << 8 if packed else 0
    units: list[int] = []
    bits = flags = 0
    while steps.left and len(units) < _NAME_MOST:
        if not bits:
            flags, bits = steps.octet(), 8
        bits -= 2
        step = flags >> bits & 3
        if step < 3:
            units.append((steps.octet() | common) if step == 1 else steps.little(step // 2 + 1))
            continue
        length = steps.octet()
        shift = steps.octet() if length & 0x80 else None
        for octet in narrow[len(units) : len(units) + (length & 0x7F) + 2]:
            units.append(octet if shift is None else (octet + shift & 0xFF) | common)
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "replace").partition("\0")[0]
