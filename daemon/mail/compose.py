"""A message out of its parts: the MIME tree as a user's client describes it, to octets (RFC 2045, 2046, 2183, 2231).

What the client gives is text and files; how they travel is decided here: text as it is where every line is short and
ASCII, else quoted-printable, or base64 where most of it would be escapes; files in base64; messages as they are.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.mail.headers import crlf

if TYPE_CHECKING:
    from daemon.mail.header import Data

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_UNTOUCHED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")
_METHOD = re.compile(r"^METHOD:([A-Z-]{1,40})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE | re.ASCII)
_LONG = re.compile(rb"[^\r\n]{999}")
_BASE64_PIECE = 57 * 4096  # octets encoded at once, 76 characters a line
_BEYOND = bytes(range(128, 256))  # ASCII
_VALUE = 60  # octets of one piece of a parameter (RFC 2231 §3)


@dataclass(frozen=True, slots=True)
class Text:
    """What a client typed."""

    value: str


@dataclass(frozen=True, slots=True)
class File:
    """Octets that were there before, by the name of their blob."""

    blob: str


@dataclass(slots=True)
class Piece:
    """One part: `media` is its type, `fields` the fields that its client wrote himself, each with its line end."""

    media: str
    content: Text | File | None = None
    parts: list[Piece] = field(default_factory=list)
    fields: list[bytes] = field(default_factory=list)
    charset: str = ""
    disposition: str = ""
    name: str = ""
    cid: str = ""
    language: tuple[str, ...] = ()
    location: str = ""

    def walk(self) -> Iterator[Piece]:
        yield self
        for part in self.parts:
            yield from part.walk()


Open = Callable[[str], "Data"]
Write = Callable[[bytes], object]


def compose(head: list[bytes], root: Piece, opened: Open, write: Write, unique: str) -> None:
    """Write a message: `head` are its fields with their line ends, `opened` gives the octets of a blob. `unique` makes
    the boundaries: nobody who wrote the text can have known it."""
    for line in head:
        write(line)
    write(b"MIME-Version: 1.0\r\n")
    _Writer(opened, write, unique).part(root)


class _Writer:
    def __init__(self, opened: Open, write: Write, unique: str) -> None:
        self.opened = opened
        self.write = write
        self.unique = unique
        self.boundaries = 0

    def part(self, piece: Piece) -> None:
        if piece.parts or piece.media.startswith("multipart/"):
            self._multipart(piece)
        elif isinstance(piece.content, File):
            self._file(piece, self.opened(piece.content.blob))
        else:
            self._text(piece, piece.content.value if piece.content is not None else "")

    def _multipart(self, piece: Piece) -> None:
        self.boundaries += 1
        boundary = f"={self.boundaries}_{self.unique}"
        about = [("type", piece.parts[0].media)] if piece.media == "multipart/related" else []  # RFC 2387 §3.1
        self._head(piece, [*about, ("boundary", boundary)], "")
        line = b"--" + boundary.encode()
        for place, part in enumerate(piece.parts):
            self.write((b"\r\n" if place else b"") + line + b"\r\n")
            self.part(part)
        self.write((b"\r\n" if piece.parts else b"") + line + b"--\r\n")

    def _text(self, piece: Piece, value: str) -> None:
        data = crlf(value.encode("utf-8", "replace"))
        encoding, body = encoded(data)
        said = _METHOD.search(value) if piece.media == "text/calendar" else None
        method = [("method", said[1].upper())] if said else []  # RFC 6047 §2.4: as the calendar itself says
        self._head(piece, [*method, ("charset", "utf-8")], encoding)
        self.write(body)

    def _file(self, piece: Piece, data: Data) -> None:
        if piece.media.startswith("message/"):
            whole = crlf(bytes(data))
            if b"\0" not in whole and not _LONG.search(whole):  # RFC 2046 §5.2.1: no encoding of its own
                self._head(piece, [], "7bit" if whole.isascii() else "8bit")
                self.write(whole)
                return
        self._head(piece, [("charset", piece.charset)] if piece.charset else [], "base64")
        for at in range(0, len(data), _BASE64_PIECE):
            self.write(_base64(bytes(data[at : at + _BASE64_PIECE])))

    def _head(self, piece: Piece, more: list[tuple[str, str]], encoding: str) -> None:
        """The fields of one part, and the blank line."""
        parameters = more + ([("name", piece.name)] if piece.name else [])
        self.write(_field("Content-Type", piece.media, parameters))
        if encoding:
            self.write(f"Content-Transfer-Encoding: {encoding}\r\n".encode())
        disposition = piece.disposition or ("attachment" if piece.name else "")
        if disposition:
            self.write(_field("Content-Disposition", disposition, [("filename", piece.name)] if piece.name else []))
        if piece.cid:
            self.write(f"Content-ID: <{piece.cid}>\r\n".encode())
        if piece.language:
            self.write(f"Content-Language: {', '.join(piece.language)}\r\n".encode())
        if piece.location:
            self.write(f"Content-Location: {piece.location}\r\n".encode())
        for line in piece.fields:
            self.write(line)
        self.write(b"\r\n")


def encoded(data: bytes) -> tuple[str, bytes]:
    """How text with CRLF travels, and its octets as they do."""
    if data.isascii() and b"\0" not in data and not _LONG.search(data):
        return "7bit", data
    beyond = len(data) - len(data.translate(None, _BEYOND))
    if beyond * 6 < len(data) and b"\0" not in data:
        return "quoted-printable", crlf(binascii.b2a_qp(data, istext=True))
    return "base64", _base64(data)


def _base64(data: bytes) -> bytes:
    whole = binascii.b2a_base64(data, newline=False)
    return b"".join([whole[at : at + 76] + b"\r\n" for at in range(0, len(whole), 76)])


def _field(name: str, value: str, parameters: list[tuple[str, str]]) -> bytes:
    lines = [f"{name}: {value}"]
    for key, text in parameters:
        lines += _parameter(key, text)
    return (";\r\n ".join(lines) + "\r\n").encode()


def _parameter(key: str, text: str) -> list[str]:
    """A parameter as a token, in quotes, or in pieces with its character set (RFC 2231)."""
    if text.isascii() and text.isprintable() and len(text) <= _VALUE:
        if _TOKEN.fullmatch(text):
            return [f"{key}={text}"]
        return [f'{key}="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']
    octets = [chr(o) if chr(o) in _UNTOUCHED else f"%{o:02X}" for o in text.encode("utf-8", "replace")]
    runs, run, size = [], "utf-8''", 0
    for octet in octets:
        if size + len(octet) > _VALUE:
            runs.append(run)
            run, size = "", 0
        run += octet
        size += len(octet)
    runs.append(run)
    if len(runs) == 1:
        return [f"{key}*={runs[0]}"]
    return [f"{key}*{number}*={run}" for number, run in enumerate(runs)]
