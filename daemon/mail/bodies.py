"""The parts of a message as JMAP sees them (RFC 8621 §4.1.4): what is read as text, what as HTML, what is attached.

Works on trees that have their fields (`message.scan`, or `unpack` and `dress`). A message in a message is one part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.mail.decode import codec_of, decode_text, decode_transfer, header_text, parameter_texts, unfold
from daemon.mail.header import disposition
from daemon.mail.message import Part

_MEDIA = ("image", "audio", "video")
_ANGLE = re.compile(rb"<([^<>]*)>")
_TAG = re.compile(r"[A-Za-z0-9-]{1,40}")
_PLAIN = frozenset(("7bit", "8bit", "binary", "quoted-printable", "base64"))


class Facts(NamedTuple):
    """What the fields of a part say of it."""

    name: str | None
    charset: str | None
    disposition: str | None
    cid: str | None
    language: list[str] | None
    location: str | None


def facts(part: Part) -> Facts:
    kind, parameters = disposition(part.fields.get(b"content-disposition", b""))
    name = parameter_texts(parameters).get("filename") or parameter_texts(part.parameters).get("name")
    charset = (part.charset or "us-ascii") if part.type == "text" else parameter_texts(part.parameters).get("charset")
    cid = part.fields.get(b"content-id")
    language = part.fields.get(b"content-language")
    location = part.fields.get(b"content-location")
    return Facts(
        name or None,
        charset or None,
        kind or None,
        _id(cid) if cid is not None else None,
        _TAG.findall(header_text(language)) or None if language is not None else None,
        header_text(location) or None if location is not None else None,
    )


def _id(value: bytes) -> str | None:
    line = unfold(value)
    found = _ANGLE.search(line)
    return header_text(found[1] if found else line) or None


def numbered(root: Part) -> Iterator[tuple[str | None, Part]]:
    """Each part with its number as IMAP counts (a multipart has none), in the order of the bytes."""
    waiting: list[tuple[str, Part]] = [("" if root.is_multipart else "1", root)]
    while waiting:
        number, part = waiting.pop()
        yield None if part.is_multipart else number, part
        if part.is_multipart:
            before = number + "." if number else ""
            waiting += reversed([(f"{before}{at}", inner) for at, inner in enumerate(part.parts, 1)])


@dataclass(slots=True)
class Bodies:
    """What to show one after the other, as text and as HTML, and what is attached."""

    text: list[Part] = field(default_factory=list)
    html: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def bodies(root: Part) -> Bodies:
    found = Bodies()
    _sort([root], "mixed", False, found, True, True)
    return found


def _sort(parts: Sequence[Part], within: str, alternative: bool, found: Bodies, text: bool, html: bool) -> None:
    """`text`, `html`: whether these parts are to be seen there. An alternative shows one thing or the other, so what
    stands in it is of one kind, and what is missing in one kind is taken from the other."""
    before = len(found.text), len(found.html)
    for at, part in enumerate(parts):
        if part.is_multipart:
            _sort(part.parts, part.subtype, alternative or part.subtype == "alternative", found, text, html)
            continue
        media = part.type in _MEDIA
        if not _is_inline(part, at, within, media):
            found.attachments.append(part)
        elif within == "alternative":
            if part.media == "text/plain" and text:
                found.text.append(part)
            elif part.media == "text/html" and html:
                found.html.append(part)
            elif part.media not in ("text/plain", "text/html"):
                found.attachments.append(part)
        else:
            if alternative:
                text, html = text and part.media != "text/html", html and part.media != "text/plain"
            if text:
                found.text.append(part)
            if html:
                found.html.append(part)
            if media and not (text and html):
                found.attachments.append(part)
    if within == "alternative" and text and html:
        more_text, more_html = found.text[before[0] :], found.html[before[1] :]
        if not more_text:
            found.text += more_html
        elif not more_html:
            found.html += more_text


def _is_inline(part: Part, at: int, within: str, media: bool) -> bool:
    about = facts(part)
    if about.disposition == "attachment" or not (media or part.media in ("text/plain", "text/html")):
        return False
    return at == 0 or (within != "related" and (media or not about.name))


def text_of(raw: bytes, part: Part) -> tuple[str, bool]:
    """The decoded text of a part out of its octets, line ends as LF, and whether there was a problem with it."""
    data = decode_transfer(raw, part.encoding)
    wrong = part.encoding not in _PLAIN
    codec = codec_of(part.charset)
    try:
        text = data.decode(codec or "utf-8")
        text.encode()
        wrong = wrong or (codec is None and bool(part.charset) and not data.isascii())
    except UnicodeError:
        text, wrong = decode_text(data, part.charset), True
    return text.replace("\r\n", "\n"), wrong


def shortened(text: str, octets: int, is_html: bool) -> str:
    """At most so many octets of a text as UTF-8, not cut within a character, nor within a tag of HTML."""
    cut = text.encode("utf-8", "replace")[:octets].decode("utf-8", "ignore")
    if is_html and cut.rfind("<") > cut.rfind(">"):
        cut = cut[: cut.rfind("<")]
    return cut
