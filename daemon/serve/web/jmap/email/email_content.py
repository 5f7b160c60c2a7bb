"""What an Email object tells of the bytes of a message (RFC 8621 §4.1.2-4.1.4): fields, bodies, their text.

`Wanted` is what a client asks for, `Content` a message to look at, stored or not; `show` makes the properties. For a
thread that may wait: bytes are read where they are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.mail import bodies, forms, header
from daemon.mail.bodies import Bodies
from daemon.mail.decode import decode_transfer
from daemon.mail.message import Part, dress
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.method import Arguments

if TYPE_CHECKING:
    from daemon.mail.header import Data

META = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
BODY = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments")
_STORED = ("hasAttachment", "preview")
DEFAULT = (*META, *forms.SHORT, *_STORED, "bodyValues", "textBody", "htmlBody", "attachments")
_OF_PART = ("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location")
ARGUMENTS: core.Spec = {
    "bodyProperties": (core.or_null(core.a_list(core.is_text)), None),
    "fetchTextBodyValues": (core.is_bool, False),
    "fetchHTMLBodyValues": (core.is_bool, False),
    "fetchAllBodyValues": (core.is_bool, False),
    "maxBodyValueBytes": (core.is_unsigned, 0),
}


class Headers(NamedTuple):
    """Header properties by name, and the names of the fields they are about."""

    asked: Mapping[str, forms.Asked]
    fields: frozenset[bytes]

    def of(self, block: bytes) -> Arguments:
        """These properties of a header block."""
        values = header.values(block, self.fields)
        return {name: forms.value(asked, values) for name, asked in self.asked.items()}


class Wanted(NamedTuple):
    """Properties by name, header properties read; which parts' texts, at most how many octets of each (0: all)."""

    properties: frozenset[str]
    headers: Headers
    of_part: tuple[str, ...]
    part_headers: Headers
    texts: bool
    htmls: bool
    all_texts: bool
    most: int

    @property
    def needs_parts(self) -> bool:
        return not self.properties.isdisjoint(BODY)


def wanted(found: Arguments, default: Sequence[str] = DEFAULT) -> Wanted:
    """Out of the arguments of Email/get and Email/parse, checked. Raises `MethodError` (invalidArguments)."""
    properties = default if found["properties"] is None else ("id", *found["properties"])
    headers = _headers(properties, (*META, *BODY, *_STORED, "headers"), forms.SHORT)
    of_part = _OF_PART if found["bodyProperties"] is None else tuple(found["bodyProperties"])
    part_headers = _headers(of_part, (*_OF_PART, "headers", "subParts"))
    return Wanted(
        frozenset(properties),
        headers,
        of_part,
        part_headers,
        found["fetchTextBodyValues"],
        found["fetchHTMLBodyValues"],
        found["fetchAllBodyValues"],
        found["maxBodyValueBytes"],
    )


def _headers(properties: Sequence[str], others: Sequence[str], short: Collection[str] = ()) -> Headers:
    """The header properties among these, also by their short names; the rest must be among `others`."""
    found = {}
    for name in properties:
        if name in others:
            continue
        asked = forms.read_property(name) if name.startswith("header:") or name in short else None
        if asked is None:
            raise core.invalid(f"{name} is no property here, or not in that form")
        found[name] = asked
    return Headers(found, frozenset(asked.name for asked in found.values()))


@dataclass(frozen=True, slots=True)
class Content:
    """A message: what we put before it, its bytes, where its body begins, its tree (with fields, or to be dressed), and
    how the blob of a part is called."""

    prefix: bytes
    data: Data | Any
    body: int
    root: Callable[[], Part]
    blob: Callable[[str], str]


def show(content: Content, wanted: Wanted) -> Arguments:
    """The properties that come out of the bytes."""
    found: Arguments = {}
    if wanted.headers.asked or "headers" in wanted.properties:
        block = content.prefix + bytes(content.data[: content.body])
        found |= wanted.headers.of(block)
        if "headers" in wanted.properties:
            found["headers"] = _every(block)
    if wanted.needs_parts:
        found |= _Parts(content, wanted).show()
    return found


def _every(block: bytes) -> list[Arguments]:
    return [{"name": name.decode("latin-1"), "value": forms.raw(value)} for name, value in header.split_fields(block)]


class _Parts:
    """The body properties of one message."""

    def __init__(self, content: Content, wanted: Wanted) -> None:
        self.content = content
        self.wanted = wanted
        self.root = content.root()
        dress(content.data, self.root)
        self.numbers = {id(part): number for number, part in bodies.numbered(self.root)}

    def show(self) -> Arguments:
        properties = self.wanted.properties
        sorted_ = bodies.bodies(self.root)
        found: Arguments = {}
        if "bodyStructure" in properties:
            found["bodyStructure"] = self.part(self.root, True)
        for name, parts in (
            ("textBody", sorted_.text),
            ("htmlBody", sorted_.html),
            ("attachments", sorted_.attachments),
        ):
            if name in properties:
                found[name] = [self.part(part) for part in parts]
        if "bodyValues" in properties:
            found["bodyValues"] = {self.numbers[id(part)]: self.value(part) for part in self._texts(sorted_)}
        return found

    def _texts(self, sorted_: Bodies) -> list[Part]:
        parts: list[Part] = []
        if self.wanted.all_texts:
            parts = [part for _, part in bodies.numbered(self.root)]
        else:
            parts += sorted_.text if self.wanted.texts else []
            parts += sorted_.html if self.wanted.htmls else []
        return [part for part in {id(part): part for part in parts}.values() if part.type == "text"]

    def part(self, part: Part, deep: bool = False) -> Arguments:
        """An EmailBodyPart."""
        number = self.numbers[id(part)]
        about = bodies.facts(part)
        found: Arguments = {}
        for name in self.wanted.of_part:
            if name == "partId":
                found[name] = number
            elif name == "blobId":
                found[name] = None if number is None else self.content.blob(number)
            elif name == "size":
                found[name] = self._size(part)
            elif name == "type":
                found[name] = part.media
            elif name == "headers":
                found[name] = _every(self._block(part))
            elif name == "subParts":
                continue
            elif name not in self.wanted.part_headers.asked:
                found[name] = getattr(about, name)
        if self.wanted.part_headers.asked:
            found |= self.wanted.part_headers.of(self._block(part))
        if (deep and part.is_multipart) or "subParts" in self.wanted.of_part:
            found["subParts"] = [self.part(inner, deep) for inner in part.parts] if part.is_multipart else None
        return found

    def _block(self, part: Part) -> bytes:
        prefix = self.content.prefix if part is self.root else b""
        return prefix + bytes(self.content.data[part.header : part.body])

    def _size(self, part: Part) -> int:
        if part.is_multipart:
            return 0
        if part.encoding in ("base64", "quoted-printable"):
            return len(decode_transfer(bytes(self.content.data[part.body : part.end]), part.encoding))
        return part.size

    def value(self, part: Part) -> Arguments:
        """An EmailBodyValue."""
        text, wrong = bodies.text_of(bytes(self.content.data[part.body : part.end]), part)
        cut = False
        if self.wanted.most and len(text.encode("utf-8", "replace")) > self.wanted.most:
            text, cut = bodies.shortened(text, self.wanted.most, part.subtype == "html"), True
        return {"value": text, "isEncodingProblem": wrong, "isTruncated": cut}
