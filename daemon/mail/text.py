"""The readable text of a message: what is shown before it is opened, and what SEARCH looks at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_transfer, header_text, unescape
from daemon.mail.file_names import of_header
from daemon.mail.header import disposition, split_fields
from daemon.mail.message import Message, Part

if TYPE_CHECKING:
    from daemon.mail.header import Data

# What senders put behind a preview so that nothing else shows: joiners, soft hyphens, fillers of no width.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_PLAIN_READ = 4096  # octets read for a preview
_HTML_READ = 65536  # octets; style sheets come first
_TAGS = 200_000  # in one text; what stands behind so many is not looked at
_HIDDEN = ("style", "script", "head", "title")
_BREAKS = frozenset(("br", "p", "div", "tr", "td", "th", "li", "table", "h1", "h2", "h3", "h4", "blockquote", "hr"))
_ELEMENT = re.compile(r"/?[a-z][a-z0-9]*")


def strip_html(text: str) -> str:
    """The text between the tags, crudely and in one pass: for search and previews, never to be shown as HTML."""
    pieces = text.split("<", _TAGS)
    if len(pieces) > _TAGS:
        pieces.pop()
    kept = [pieces[0]]
    hidden = ""  # the element or comment whose end is awaited
    for piece in pieces[1:]:
        if hidden == "!--":
            _, end, rest = piece.partition("-->")
            if end:
                hidden = ""
                kept.append(rest)
            continue
        found = _ELEMENT.match(piece[:20].lower())
        element = found[0] if found else ""
        if hidden:
            if element == "/" + hidden:
                hidden = ""
                kept.append(piece.partition(">")[2])
            continue
        if piece.startswith("!--"):
            _, end, rest = piece.partition("-->")
            hidden = "" if end else "!--"
            kept.append(rest)
        elif not element and piece[:1] not in ("!", "?"):
            kept.append("<" + piece)  # a lone less-than sign
        elif element in _HIDDEN:
            hidden = element
        else:
            kept.append(("\n" if element.lstrip("/") in _BREAKS else "") + piece.partition(">")[2])
    return unescape("".join(kept))


def preview(message: Message) -> str:
    """The first `LIMITS.preview` characters a reader would read, on one line; "" when there is no text."""
    part = _readable(message.root)
    if part is None:
        return ""
    is_html = part.subtype == "html"
    data = bytes(message.data[part.body : min(part.end, part.body + (_HTML_READ if is_html else _PLAIN_READ))])
    text = decode_text(decode_transfer(data, part.encoding), part.charset, cut=True)
    if is_html:
        text = strip_html(text)
    shown = _one_line(text[: 3 * LIMITS.preview])
    if len(shown) < LIMITS.preview < len(text):  # much of it was not for the eye
        shown = _one_line(text[: 20 * LIMITS.preview])
    return shown[: LIMITS.preview].rstrip()


def _one_line(text: str) -> str:
    line = " ".join(text.split())  # what it splits at among the controls would become a space below
    if line.isascii() and line.isprintable():
        return line
    return " ".join(_INVISIBLE.sub("", _CONTROL.sub(" ", text)).split())


def _readable(root: Part) -> Part | None:
    """The first plain text that is no attachment, else the first HTML, else the first text of another kind."""
    best: Part | None = None
    for part in root.walk():
        if part.type != "text" or (part is not root and is_attachment(part)):
            continue
        if part.subtype == "plain":
            return part
        if best is None or (part.subtype == "html" and best.subtype != "html"):
            best = part
    return best


def is_attachment(part: Part) -> bool:
    """Whether a reader would show this part as a file. Needs the fields of `scan`."""
    if part.is_multipart:
        return False
    kind = ""
    if b"content-disposition" in part.fields:
        kind = disposition(part.fields[b"content-disposition"])[0]
    if kind:
        return kind != "inline"
    if part.type == "text":
        return False
    # Pictures of an HTML text carry an id; signatures are the message's, not the reader's.
    return b"content-id" not in part.fields and not part.subtype.endswith("-signature")


def has_attachment(root: Part) -> bool:
    return any(is_attachment(part) for part in root.walk())


def search_text(data: Data, root: Part, *, headers: bool = False) -> str:
    """The decoded text of all text parts, and the names of all parts, in lower case, for SEARCH BODY; with `headers`
    all fields too, for TEXT.

    At most about `LIMITS.search_text` characters, from four times as many octets: the tail of a longer text is not
    found. Works on an unpacked tree.
    """
    body = _joined(_texts(data, root), LIMITS.search_text)
    return f"{search_headers(data, root)}\n{body}" if headers else body


def search_headers(data: Data, root: Part) -> str:
    """All fields of all headers, decoded and in lower case, a line each. Works on an unpacked tree."""
    return _joined(_fields(data, root), LIMITS.header_bytes + LIMITS.search_text)


def _joined(texts: Iterable[str], left: int) -> str:
    kept = []
    for text in texts:
        kept.append(text[:left])
        left -= len(kept[-1])
        if left <= 0:
            break
    return "\n".join(kept).lower()


def _fields(data: Data, root: Part) -> Iterator[str]:
    for part in root.walk():
        if part.header < part.body:
            for name, value in split_fields(bytes(data[part.header : part.body])):
                yield f"{name.decode('latin-1')}: {header_text(value)}"


def _texts(data: Data, root: Part) -> Iterator[str]:
    octets = 4 * LIMITS.search_text
    for part in root.walk():
        if part.header < part.body:
            yield from of_header(bytes(data[part.header : part.body]))
        if part.type == "text" and octets:
            raw = bytes(data[part.body : min(part.end, part.body + octets)])
            octets -= len(raw)
            text = decode_text(decode_transfer(raw, part.encoding), part.charset, cut=True)
            yield strip_html(text) if part.subtype == "html" else text
