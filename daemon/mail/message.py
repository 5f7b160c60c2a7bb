"""The structure of a message: its MIME tree as offsets into the bytes (RFC 2045, RFC 2046 §5).

`scan` takes any bytes and never raises. What is malformed is described as what a reader can still do with it:

* a multipart without a boundary, or whose boundary never comes, is `text/plain`: nothing in it is lost to the reader;
* what is nested deeper than `LIMITS.mime_depth`, or an encoded message/rfc822, is `application/octet-stream`;
* parts beyond `LIMITS.mime_parts` belong to the last one before them;
* of two fields of one name the first counts, in every reader of this tree alike.

The cost is a fixed number of passes over the bytes: boundaries are searched with `find` inside their own part only,
and all searches of one message share an allowance (`LIMITS.mime_search`), beyond which parts stay closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.decode import Parameters, parameter_texts, unfold
from daemon.mail.header import content_type, header_end, split_fields, token
from daemon.mail.octets import find

if TYPE_CHECKING:
    from daemon.mail.header import Data

_TAIL = re.compile(rb"(--)?[ \t]*\r?(?:\n|\Z)")
_HIT = 300  # octets of search that looking at one boundary costs, in time
_CHUNK = 1 << 16  # octets looked at together
_SHORT = 1 << 16  # octets of a message whose structure is remembered
_UNSAFE = re.compile(r"[^!-~]")
FORMAT = b"1"  # of `pack`; another layout takes another letter

Fields = dict[bytes, bytes]
"""Raw values by name in lower case, the first of each name."""


@dataclass(slots=True)
class Part:
    """One part: header from `header`, body from `body`, both up to `end` (offsets); the root is the whole message.

    `lines` counts LFs of the body of text and message parts, else 0. `charset` is "" when not said. `fields` and
    `parameters` are there after `scan`, not after `unpack`.
    """

    header: int
    body: int
    end: int
    type: str
    subtype: str
    encoding: str
    charset: str
    lines: int = 0
    parts: list[Part] = field(default_factory=list)
    fields: Fields = field(default_factory=dict)
    parameters: Parameters = field(default_factory=list)

    @property
    def size(self) -> int:
        """Octets of the body."""
        return self.end - self.body

    @property
    def media(self) -> str:
        return f"{self.type}/{self.subtype}"

    @property
    def is_multipart(self) -> bool:
        return self.type == "multipart"

    @property
    def is_message(self) -> bool:
        """A message/rfc822 that was opened; its only part is the root of the message inside."""
        return bool(self.parts) and self.type == "message"

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in the order of the bytes."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting += reversed(part.parts)


@dataclass(slots=True)
class Message:
    """A scanned message: the bytes, the fields of its header in order (name as written, raw value), the tree."""

    data: Data
    fields: list[tuple[bytes, bytes]]
    root: Part

    def first(self, name: bytes) -> bytes | None:
        """The raw value of the first field called `name` (lower case)."""
        return self.root.fields.get(name)

    def every(self, name: bytes) -> list[bytes]:
        """The raw values of all fields called `name` (lower case), in order."""
        return [value for found, value in self.fields if found.lower() == name]


def scan(data: Data) -> Message:
    """The structure of a message, whatever the bytes. It is not to be changed: a short message is read once for all who
    ask, one after the other, while it is judged and taken."""
    return _remembered(data) if isinstance(data, bytes) and len(data) <= _SHORT else _scan(data)


def _scan(data: Data) -> Message:
    scanner = _Scanner(data)
    body = header_end(data, 0, len(data))
    found = split_fields(bytes(data[:body]))
    root = scanner.part(0, body, len(data), _named(found), "text/plain", 0)
    if scanner.messages:
        _count_message_lines(data, scanner.messages)
    return Message(data, found, root)


_remembered = lru_cache(maxsize=8)(_scan)


def _named(found: list[tuple[bytes, bytes]]) -> Fields:
    named: Fields = {}
    for name, value in reversed(found):
        named[name.lower()] = value
    return named


class _Scanner:
    """One scan: what is left of its allowances, and the message parts it opened."""

    __slots__ = ("data", "left", "room", "messages")

    def __init__(self, data: Data) -> None:
        self.data = data
        self.left = LIMITS.mime_search
        self.room = LIMITS.mime_parts - 1
        self.messages: list[Part] = []

    def part(self, header: int, body: int, end: int, named: Fields, default: str, depth: int) -> Part:
        encoding = token(unfold(named[b"content-transfer-encoding"])) if b"content-transfer-encoding" in named else ""
        kind = content_type(named[b"content-type"]) if b"content-type" in named else None
        if kind is None:
            kind = ("message", "rfc822", []) if default == "message/rfc822" else ("text", "plain", [])
        type, subtype, parameters = kind
        charset = ""
        if type == "text" and parameters:
            charset = _charset(parameters)
        part = Part(header, body, end, type, subtype, encoding or "7bit", charset, 0, [], named, parameters)
        if type == "text":
            part.lines = count_lines(self.data, body, end)
        elif type == "multipart":
            self._open_multipart(part, depth)
        elif type == "message" and subtype == "rfc822":
            self._open_message(part, depth)
        return part

    def _child(self, start: int, end: int, default: str, depth: int) -> Part:
        body = header_end(self.data, start, end)
        return self.part(start, body, end, _named(split_fields(bytes(self.data[start:body]))), default, depth)

    def _open_message(self, part: Part, depth: int) -> None:
        if depth >= LIMITS.mime_depth or part.encoding not in ("7bit", "8bit", "binary") or not self.room:
            _close(part)
            return
        self.room -= 1
        self.messages.append(part)
        part.parts.append(self._child(part.body, part.end, "text/plain", depth + 1))

    def _open_multipart(self, part: Part, depth: int) -> None:
        if depth >= LIMITS.mime_depth or not self.room or self.left <= 0:
            _close(part)
            return
        boundary = _boundary(part.parameters)
        spans = self._split(part, boundary) if boundary else []
        if not spans:
            part.type, part.subtype, part.parameters = "text", "plain", []
            part.lines = count_lines(self.data, part.body, part.end)
            return
        default = "message/rfc822" if part.subtype == "digest" else "text/plain"
        part.parts = [self._child(start, end, default, depth + 1) for start, end in spans]

    def _split(self, part: Part, boundary: bytes) -> list[tuple[int, int]]:
        """The spans between the boundary lines (RFC 2046 §5.1.1), the line end before each being the boundary's."""
        data, end = self.data, part.end
        needle = b"\n--" + boundary
        spans: list[tuple[int, int]] = []
        start = -1
        place = part.body - 1  # the LF that ends the header may begin the first boundary
        while self.left > 0:
            hit = find(data, needle, place, end)
            self.left -= (hit if hit >= 0 else end) - place + _HIT
            if hit < 0:
                break
            place = hit + len(needle)
            tail = _TAIL.match(data, place, end)
            if not tail:
                continue  # a longer boundary that begins like this one
            if start >= 0:
                if not tail[1] and not self.room:
                    break  # one part too many: it belongs to the one before
                spans.append((start, max(start, hit - 1 if data[hit - 1] == 13 else hit)))
                start = -1
            if tail[1]:
                break
            self.room -= 1
            start = tail.end()
            place = start - 1
        if start >= 0:
            spans.append((start, end))
        return spans


def _close(part: Part) -> None:
    part.type, part.subtype = "application", "octet-stream"


def _charset(parameters: Parameters) -> str:
    for name, value in parameters:
        if name == b"charset":
            return _UNSAFE.sub("", value.decode("latin-1"))[:60].lower()
    return ""


def _boundary(parameters: Parameters) -> bytes:
    for name, value in parameters:
        if name == b"boundary":
            return value.rstrip()
    return parameter_texts(parameters).get("boundary", "").rstrip().encode("latin-1", "replace")


def count_lines(data: Data, start: int, end: int) -> int:
    """The LFs between two offsets.

    Taken out rather than counted: `replace` goes from one to the next as `find` does, `count` looks at each octet.
    """
    found = 0
    for at in range(start, end, _CHUNK):
        piece = data[at : min(at + _CHUNK, end)]
        found += len(piece) - len(piece.replace(b"\n", b""))
    return found


def _count_message_lines(data: Data, parts: list[Part]) -> None:
    """Lines of the message parts, which lie inside one another: each octet is looked at once."""
    places = sorted({place for part in parts for place in (part.body, part.end)})
    before = {places[0]: 0}
    total = 0
    for start, end in zip(places, places[1:], strict=False):
        total += count_lines(data, start, end)
        before[end] = total
    for part in parts:
        part.lines = before[part.end] - before[part.body]


def pack(root: Part) -> bytes:
    """The tree as compact bytes for the store: a line for each part, in the order of `walk`."""
    return FORMAT + b"\n".join(
        b"%d %d %d %d %d %s %s %s %s"
        % (
            part.header,
            part.body,
            part.end,
            part.lines,
            len(part.parts),
            part.type.encode("ascii"),
            part.subtype.encode("ascii"),
            part.encoding.encode("ascii"),
            part.charset.encode("ascii") or b"-",
        )
        for part in root.walk()
    )


def unpack(packed: bytes) -> Part:
    """The tree that was packed. `ValueError` if these bytes were not."""
    if packed[:1] != FORMAT:
        raise ValueError("packed message structure of another format")
    rows = iter(packed[1:].decode("ascii").split("\n"))
    root, children = _unpack_row(next(rows))
    waiting = [(root, children)] if children else []
    for row in rows:
        if not waiting:
            raise ValueError("packed message structure with parts too many")
        part, children = _unpack_row(row)
        parent, missing = waiting.pop()
        parent.parts.append(part)
        if missing > 1:
            waiting.append((parent, missing - 1))
        if children:
            waiting.append((part, children))
    if waiting:
        raise ValueError("packed message structure cut short")
    return root


def dress(data: Data, root: Part) -> None:
    """Give the parts of an unpacked tree their `fields` and `parameters` again; those inside messages stay bare."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        part.fields = _named(split_fields(bytes(data[part.header : part.body])))
        kind = content_type(part.fields[b"content-type"]) if b"content-type" in part.fields else None
        part.parameters = kind[2] if kind else []
        if part.is_multipart:
            waiting += part.parts


def body_of(packed: bytes) -> int:
    """Where the body of the whole message begins. `ValueError` as `unpack`."""
    if packed[:1] != FORMAT:
        raise ValueError("packed message structure of another format")
    _, body, _ = packed.split(b" ", 2)
    return int(body)


def unpack_root(packed: bytes) -> Part:
    """The root alone, without its parts: where header and body of the whole message are. `ValueError` as `unpack`."""
    if packed[:1] != FORMAT:
        raise ValueError("packed message structure of another format")
    return _unpack_row(packed[1:].partition(b"\n")[0].decode("ascii"))[0]


def _unpack_row(row: str) -> tuple[Part, int]:
    header, body, end, lines, children, type, subtype, encoding, charset = row.split(" ")
    charset = "" if charset == "-" else charset
    return Part(int(header), int(body), int(end), type, subtype, encoding, charset, int(lines)), int(children)
