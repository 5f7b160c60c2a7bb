"""What is in an archive or an office document: names, and what can be told from the first octets of each entry.

Zip, tar, gzip, bzip2 and xz are looked into, and what is inside them again, to a depth; of RAR and 7z the names are
read, and what a RAR does not pack. An entry of a zip is taken from wherever it is named, in the directory at the end or
in front of its data: programs differ in which they believe. Everything is bounded for a whole message, and what could
not be looked at for that is said.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.octets import find
from daemon.trust import archives_7z, archives_rar
from daemon.trust.archives_listing import Closed, Entry, cut, text

Kind = Literal["name", "program", "macro", "encrypted", "closed", "bomb"]
_HEAD = 512  # octets by which a kind is known
_PIECE = 1 << 16
_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_MACHO = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_SHORTCUT = b"L\0\0\0\x01\x14\x02\0"
_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (archives_7z.SIGNATURE, "7z"),
    (archives_rar.SIGNATURE, "rar"),
    (b"MSCF\0\0\0\0", "closed"),  # Cabinet
    (b"\x28\xb5\x2f\xfd", "closed"),  # Zstandard
    (b"\x1f\x9d", "closed"),  # compress
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x7fELF", "program"),
    (_SHORTCUT, "program"),
    *((magic, "program") for magic in _MACHO),
)
_OPENED = ("zip", "tar", "gzip", "bzip2", "xz", "ole", "rar", "7z")
_VBA = "_VBA_PROJECT".encode("utf-16-le")
_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_MACROS = re.compile(r"(?:.*/)?vbaproject\.bin|xl/macrosheets/.+", re.IGNORECASE)
_BASIC = re.compile(r"basic/[^/]+/(?!script-lb\.xml$)[^/]+\.xml|scripts/[^/]+/.+", re.IGNORECASE)  # OpenDocument
_TYPES = "[content_types].xml"
_PATH = re.compile(rb"\d+ path=([^\n]+)\n")
_NOBODYS = re.compile(rb"\x60\xea.{8}\x02|.{7}\*\*ACE\*\*|..-lh[0-7d]-", re.DOTALL)  # ARJ, ACE, LHA
_ARCHIVE = re.compile(r"\.(?:zip|rar|7z|tar|t?gz|tbz2?|bz2|t?xz|zst|ace|arj|lzh)[ .]*$")


class Found(NamedTuple):
    """`name` is the way to an entry, `kind` what is known of it: only its name, or what is wrong with it."""

    name: str
    kind: Kind


def kind_of(head: bytes) -> str:
    """What begins like this: program, zip, gzip, bzip2, xz, tar, rar, 7z, ole, closed (an archive nobody here opens),
    or ''."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"MZ") and b"\0" in head[:64]:
        return "program"
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return "bzip2"
    if _NOBODYS.match(head):
        return "closed"
    return "tar" if head[257:262] == b"ustar" else ""


def opened(kind: str) -> bool:
    return kind in _OPENED


class Unpacking:
    """What may still be looked at for one message."""

    def __init__(self) -> None:
        self._entries = LIMITS.archive_entries
        self._packed_octets = LIMITS.archive_packed
        self._octets = LIMITS.archive_octets

    def look(self, data: bytes, name: str, depth: int = 1) -> Iterator[Found]:
        """All that is found in `data`, which is called `name`. Never raises."""
        kind = kind_of(data[:_HEAD])
        if kind == "program":
            yield Found(name, "program")
        elif kind == "closed":
            yield Found(name, "closed")
        elif kind == "ole":
            yield from _ole(data, name)
        elif kind in _OPENED:
            if depth > LIMITS.archive_depth:
                yield Found(name, "bomb")
            elif kind == "zip":
                yield from self._zip(data, name, depth)
            elif kind == "rar":
                yield from self._listed(archives_rar.entries(data), data, name, depth)
            elif kind == "7z":
                yield from self._listed(archives_7z.entries(data, self._count), data, name, depth)
            elif kind == "tar":
                yield from self._tar(data, name, depth)
            else:
                yield from self._packed(data, name, depth, kind)

    def _count(self, length: int = 0) -> bool:
        """Whether one more entry may be looked at, whose name and extra fields have this length: long ones count as
        several."""
        self._entries -= 1 + length // 128
        return self._entries >= 0

    def _reads(self, octets: int) -> bool:
        """Whether so many more may be unpacked: a stream of empty blocks costs time, and nothing comes out of it."""
        self._packed_octets -= octets
        return self._packed_octets >= 0

    # -- zip (APPNOTE) -------------------------------------------------------------------------------------------------

    def _zip(self, data: bytes, name: str, depth: int) -> Iterator[Found]:
        encrypted = macros = False
        documents = _BASIC if data[30:38] == b"mimetype" else _MACROS  # OpenDocument begins with that (ODF 1.3 part 2)
        unpacked = 0
        for at in _places(data, _CENTRAL):
            if len(data) < at + 46:
                break
            flags, _, size, length, extra = struct.unpack_from("<8xH10xIIHH", data, at)
            if not self._count(length + extra):
                yield Found(name, "bomb")
                return
            encrypted |= bool(flags & 1)
            unpacked += size
            for entry in _entry_names(data, at + 46, length, extra):
                macros |= bool(documents.fullmatch(entry))
                yield Found(f"{name}/{entry}", "name")
        for at in _places(data, _LOCAL):
            if len(data) < at + 30:
                break
            flags, method, size, length, extra = struct.unpack_from("<6xHH8xI4xHH", data, at)
            if not self._count(length + extra):
                yield Found(name, "bomb")
                return
            encrypted |= bool(flags & 1)
            start = at + 30 + length + extra
            for entry in _entry_names(data, at + 30, length, extra):
                macros |= bool(documents.fullmatch(entry))
                yield Found(f"{name}/{entry}", "name")
                if not flags & 1:
                    if entry.lower() == _TYPES:  # the macros of a document that is renamed inside are told here
                        macros |= b"vbaProject" in (self._member(data, start, size, method, _PIECE) or b"")
                    yield from self._entry(data, start, size, method, f"{name}/{entry}", depth)
        if encrypted:
            yield Found(name, "encrypted")
        if macros:
            yield Found(name, "macro")
        if unpacked > max(LIMITS.archive_octets, LIMITS.archive_ratio * len(data)):
            yield Found(name, "bomb")

    def _entry(self, data: bytes, start: int, size: int, method: int, name: str, depth: int) -> Iterator[Found]:
        """What is in one of its entries, as far as that can be told."""
        head = self._member(data, start, size, method, _HEAD)
        if head is None:
            return
        if self._packed_octets < 0:
            yield Found(name, "bomb")
            return
        kind = kind_of(head)
        if kind in ("program", "closed"):
            yield Found(name, "program" if kind == "program" else "closed")
        elif kind in _OPENED:
            whole = self._member(data, start, size, method, self._octets + 1) or b""
            much = len(whole) > self._octets
            self._octets = max(0, self._octets - len(whole))
            if self._packed_octets < 0:
                yield Found(name, "bomb")
            elif much:
                yield self._too_much(name, len(data))
            else:
                yield from self.look(whole, name, depth + 1)

    def _member(self, data: bytes, start: int, size: int, method: int, most: int) -> bytes | None:
        """The first octets of an entry, at most `most`; None for a way of packing that nobody here knows. What is
        stored without its size (it stands behind it) is taken to the next mark."""
        if method == 0:
            end = start + size if size else data.find(b"PK", start, start + most)
            return data[start : min(start + most, end if end >= 0 else len(data))]
        return _unpack(_inflating, data, most, start, reads=self._reads) if method == 8 else None

    def _too_much(self, name: str, packed: int) -> Found:
        """It is honest when it is as large as what it was packed in, and no more can be said of it."""
        return Found(name, "bomb" if LIMITS.archive_octets > LIMITS.archive_ratio * packed else "closed")

    # -- tar (POSIX ustar, GNU) ----------------------------------------------------------------------------------------

    def _tar(self, data: bytes, name: str, depth: int) -> Iterator[Found]:
        at, longer = 0, b""
        while at + 512 <= len(data) and any(block := data[at : at + 512]):
            if not self._count():
                yield Found(name, "bomb")
                return
            size, start = _octal(block[124:136]), at + 512
            at = start + -(-size // 512) * 512
            if block[156:157] == b"L":
                longer = data[start : start + min(size, LIMITS.file_name)]
                continue
            if block[156:157] == b"x":
                path = _PATH.search(data, start, min(start + size, start + _PIECE))
                longer = path[1] if path else b""
                continue
            prefix = cut(block[345:500]) + b"/" if block[257:263] == b"ustar\0" else b""
            raw = longer or prefix + block[:100]
            entry, longer = f"{name}/{text(cut(raw))}", b""
            yield Found(entry, "name")
            kind = kind_of(data[start : start + min(size, _HEAD)])
            if kind == "program" or kind == "closed" or kind in _OPENED:
                yield from self.look(data[start : start + size], entry, depth + 1)

    # -- RAR, 7z -------------------------------------------------------------------------------------------------------

    def _listed(self, entries: Iterator[Entry], data: bytes, name: str, depth: int) -> Iterator[Found]:
        """What is known of an archive by its list of names. What is an archive itself in there is closed, if it is
        packed."""
        encrypted = False
        try:
            for entry in entries:
                if not self._count(len(entry.name)):
                    yield Found(name, "bomb")
                    return
                encrypted |= entry.encrypted
                way = f"{name}/{entry.name}"
                yield Found(way, "name")
                if entry.size:
                    yield from self.look(data[entry.start : entry.start + entry.size], way, depth + 1)
                elif _ARCHIVE.search(entry.name.lower()):
                    yield Found(way, "closed")
        except Closed:
            yield Found(name, "closed")
        if encrypted:
            yield Found(name, "encrypted")

    # -- one stream ----------------------------------------------------------------------------------------------------

    def _packed(self, data: bytes, name: str, depth: int, kind: str) -> Iterator[Found]:
        inner = re.sub(r"\.(gz|bz2|xz)$", "", name)
        if kind == "gzip" and data[3:4] and data[3] & 8 and not data[3] & 4:  # FNAME and no FEXTRA (RFC 1952 §2.3)
            inner = f"{name}/{text(cut(data[10 : 10 + LIMITS.file_name]))}"
        elif inner.endswith((".tgz", ".tbz", ".txz")):
            inner = f"{inner[:-3]}tar"
        yield Found(inner, "name")
        whole = _unpack(partial(_unpacker, kind), data, self._octets + 1, reads=self._reads, more=self._count)
        if self._packed_octets < 0:
            yield Found(name, "bomb")
        elif not whole:
            yield Found(name, "closed")
        much = len(whole) > self._octets
        whole = whole[: self._octets]
        self._octets -= len(whole)
        yield from self.look(whole, inner, depth + 1)
        if much:
            yield self._too_much(name, len(data))


def _ole(data: bytes, name: str) -> Iterator[Found]:
    """An office document of the older kind; its directory has names in UTF-16 (MS-CFB §2.6.1)."""
    if find(data, _VBA, 0, len(data)) >= 0:
        yield Found(name, "macro")
    if find(data, _PACKAGE, 0, len(data)) >= 0:
        yield Found(name, "encrypted")


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    at = find(data, mark, 0, len(data))
    while at >= 0:
        yield at
        at = find(data, mark, at + 4, len(data))


def _entry_names(data: bytes, start: int, length: int, extra: int) -> list[str]:
    """The name of an entry, and the other one that it may have in UTF-8 (APPNOTE 4.6.9)."""
    found = [text(data[start : start + length])]
    at, end = start + length, start + length + extra
    while at + 4 <= min(end, len(data)):
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == 0x7075 and size > 5:
            found.append(text(data[at + 9 : at + 4 + size]))
            break
        at += 4 + size
    return list(dict.fromkeys(found))


def _inflating() -> Any:
    return zlib.decompressobj(-15)


def _no() -> bool:
    return False


def _unpacker(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(31)
    if kind == "bzip2":
        import bz2  # late: few messages have it

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor(memlimit=LIMITS.archive_octets)


def _unpack(
    make: Callable[[], Any],
    data: bytes,
    most: int,
    start: int = 0,
    *,
    reads: Callable[[int], bool],
    more: Callable[[], bool] = _no,
) -> bytes:
    """What can be unpacked, at most `most` octets. `reads`: whether a piece of this length is read; `more`: whether
    the stream behind the end of one is read, too."""
    out, unpacker, step = bytearray(), make(), min(_PIECE, 2 * most + 64)
    try:
        for at in range(start, len(data), step):
            piece = data[at : at + step]
            if len(out) >= most or not reads(len(piece)):
                break
            while len(out) < most:
                out += unpacker.decompress(piece, most - len(out))
                if unpacker.eof:
                    piece = unpacker.unused_data
                    if not more():
                        return bytes(out)
                    unpacker = make()
                else:  # zlib hands back what it had no room for, the others keep it
                    piece = getattr(unpacker, "unconsumed_tail", b"")
                if not piece and getattr(unpacker, "needs_input", True):
                    break
    except Exception:  # zlib.error, OSError, EOFError, LZMAError: broken from here on
        return bytes(out)
    return bytes(out)


def _octal(field: bytes) -> int:
    """A number of a tar header; of an octal one that makes no sense 0, of a huge one (base 256) its low part."""
    if field[0] & 0x80:
        return int.from_bytes(field[4:], "big")
    found = re.match(rb"[ \0]*([0-7]{1,12})", field)
    return int(found[1], 8) if found else 0
