"""RAR and 7z archives as their programs write them, made octet by octet; they know no code of the server."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from zlib import crc32

# -- RAR 5 -------------------------------------------------------------------------------------------------------------


def vint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def block5(kind: int, body: bytes, data: bytes = b"", extra: bytes = b"") -> bytes:
    flags = bool(extra) | 2 * bool(data)
    head = vint(kind) + vint(flags) + (vint(len(extra)) if extra else b"") + (vint(len(data)) if data else b"")
    head += body + extra
    head = vint(len(head)) + head
    return struct.pack("<I", crc32(head)) + head + data


def file5(name: bytes, data: bytes, *, stored: bool = False, key: bool = False, folder: bool = False) -> bytes:
    flags = 1 if folder else 2 | 4
    times = b"" if folder else struct.pack("<II", 0, crc32(data))
    about = vint(0 if stored else 3 << 7) + vint(0) + vint(len(name)) + name
    record = vint(1) + b"\0" * 32
    extra = vint(len(record)) + record if key else vint(7) + b"\x03" + bytes(6)
    return block5(2, vint(flags) + vint(len(data)) + vint(32) + times + about, data, extra)


END5 = block5(5, vint(0))


def rar5(*files: bytes, end: bytes = END5) -> bytes:
    return b"Rar!\x1a\x07\x01\0" + block5(1, vint(0)) + b"".join(files) + end


# -- RAR 4 -------------------------------------------------------------------------------------------------------------


def block4(kind: int, flags: int, body: bytes = b"", data: bytes = b"") -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", crc32(head) & 0xFFFF) + head + data


def file4(name: bytes, data: bytes, *, flags: int = 0, method: int = 0x33) -> bytes:
    large = struct.pack("<II", 0, 0) if flags & 0x100 else b""
    about = struct.pack("<IIBIIBBHI", len(data), len(data), 2, crc32(data), 0, 29, method, len(name), 32)
    return block4(0x74, 0x8000 | flags, about + large + name, data)


END4 = block4(0x7B, 0x4000)
SERVICE4 = block4(0x7A, 0x8000, struct.pack("<IIBIIBBHI", 3, 3, 2, 0, 0, 29, 0x30, 3, 0) + b"CMT", b"abc")


def rar4(*files: bytes, flags: int = 0, end: bytes = END4) -> bytes:
    return b"Rar!\x1a\x07\0" + block4(0x73, flags, bytes(6)) + b"".join(files) + end


# -- 7z ----------------------------------------------------------------------------------------------------------------


def number(value: int) -> bytes:
    """The ones that its first octet begins with say how many octets follow."""
    for more in range(8):
        if value < 1 << 7 * (more + 1):
            first = 0xFF00 >> more & 0xFF | value >> 8 * more
            return bytes([first]) + (value & (1 << 8 * more) - 1).to_bytes(more, "little")
    return b"\xff" + value.to_bytes(8, "little")


LZMA_1 = b"\x23\x03\x01\x01" + number(5) + b"\x5d" + struct.pack("<I", 1 << 24)  # with its parameters
LZMA_2 = b"\x21\x21" + number(1) + b"\x18"
COPY = b"\x01\0"
AES = b"\x24\x06\xf1\x07\x01" + number(2) + b"\x53\x07"


def streams(
    at: int, packed: int, unpacked: Sequence[int], coder: bytes = COPY, parts: bytes = b"", plain: bytes | None = None
) -> bytes:
    """One stream, in one folder, packed by `coder`; or by two, one after the other, if there are two sizes. `plain`:
    what is packed, for its checksum."""
    checksum = b"" if plain is None else b"\x0a\x01" + struct.pack("<I", crc32(plain))
    folder = number(len(unpacked)) + coder + (number(0) + number(1) if len(unpacked) > 1 else b"")
    sizes = b"".join(map(number, unpacked))
    return (
        b"\x06" + number(at) + number(1) + b"\x09" + number(packed) + b"\x0a\x01\0\0\0\0\0"
        + b"\x07\x0b" + number(1) + b"\0" + folder + b"\x0c" + sizes + checksum + b"\0" + parts + b"\0"
    )  # fmt: skip


def listing(*names: str, main: bytes = b"") -> bytes:
    """The header of an archive with these files."""
    text = b"\0" + "".join(f"{name}\0" for name in names).encode("utf-16-le")
    dummy = b"\x19" + number(3) + bytes(3)
    return b"\x01" + main + b"\x05" + number(len(names)) + dummy + b"\x11" + number(len(text)) + text + b"\0\0"


def seven(header: bytes, content: bytes = b"") -> bytes:
    start = struct.pack("<QQI", len(content), len(header), crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", crc32(start)) + start + content + header


def packed_7z(header: bytes, coder: bytes = LZMA_1, content: bytes = b"") -> bytes:
    """The same with its header packed."""
    filters: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA2 if coder == LZMA_2 else lzma.FILTER_LZMA1}]
    short = header if coder == COPY else lzma.compress(header, lzma.FORMAT_RAW, filters=filters)
    return seven(b"\x17" + streams(len(content), len(short), [len(header)], coder, plain=header), content + short)
