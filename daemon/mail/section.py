"""Which bytes a section of BODY[…] is (RFC 3501 §6.4.5), found in the tree without reading the message.

A client sees prefix + original: what this server added stands before what it received, kept apart from it. So an
answer is a tuple of spans, of the prefix or of the original, to be sent one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from daemon.mail.header import field_matcher
from daemon.mail.message import Part


class Span(NamedTuple):
    """`length` octets from `offset`, of the prefix or of the original."""

    of_prefix: bool
    offset: int
    length: int


Spans = tuple[Span, ...]


def locate(root: Part, path: tuple[int, ...], text: str, prefix: int) -> Spans | None:
    """The spans of section `path` + `text`; None when the message has no such part (the answer is NIL).

    `path` are part numbers, `text` is "", "HEADER", "TEXT" or "MIME" in upper case ("HEADER.FIELDS" and
    "HEADER.FIELDS.NOT" are answered like "HEADER", to be picked from by `pick_fields`), `prefix` the octets of ours
    before the original.
    """
    text = "HEADER" if text.startswith("HEADER") else text
    if not path:
        if text == "HEADER":
            return _joined(prefix, root.header, root.body)
        if text == "TEXT":
            return _joined(0, root.body, root.end)
        return _joined(prefix, root.header, root.end) if not text else None
    part = find_part(root, path)
    if part is None:
        return None
    if text == "MIME":
        return _joined(0, part.header, part.body)
    if not text:
        return _joined(0, part.body, part.end)
    if not part.is_message:  # RFC 3501 §6.4.5: HEADER and TEXT of a part mean the message inside it
        return None
    inner = part.parts[0]
    return _joined(0, inner.header, inner.body) if text == "HEADER" else _joined(0, inner.body, inner.end)


def find_part(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part with these numbers. Part 1 of a message that is no multipart is its body."""
    part = root
    whole = True  # `part` is the root of a message, so that a number counts inside it
    for number in path:
        if part.is_message and not whole:
            part, whole = part.parts[0], True
        if part.is_multipart:
            if not 1 <= number <= len(part.parts):
                return None
            part = part.parts[number - 1]
        elif not whole or number != 1:
            return None
        whole = False
    return part


def _joined(prefix: int, start: int, end: int) -> Spans:
    own = (Span(True, 0, prefix),) if prefix else ()
    return (*own, Span(False, start, end - start)) if end > start else own


def cut(spans: Spans, offset: int, count: int) -> Spans:
    """The octets of a partial fetch `<offset.count>`; none when `offset` is behind the end."""
    kept = []
    for span in spans:
        if count <= 0:
            break
        if offset >= span.length:
            offset -= span.length
            continue
        taken = min(span.length - offset, count)
        kept.append(Span(span.of_prefix, span.offset + offset, taken))
        offset, count = 0, count - taken
    return tuple(kept)


def size(spans: Spans) -> int:
    """Octets in all, for the literal."""
    return sum(span.length for span in spans)


def pick_fields(block: bytes, names: Collection[bytes], *, but: bool = False) -> bytes:
    """HEADER.FIELDS: the fields of a header block that are called one of `names`, in their order and byte for byte,
    with the blank line behind. `but`: HEADER.FIELDS.NOT, all others."""
    matcher = _matcher(tuple(names))
    found = matcher.sub(b"", _without_blank(block)) if but else b"".join(matcher.findall(block))
    if found and not found.endswith(b"\n"):
        found += b"\r\n"
    return found + b"\r\n"


@lru_cache(maxsize=256)
def _matcher(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return field_matcher(frozenset(name.lower() for name in names))


def _without_blank(block: bytes) -> bytes:
    """A header block without the blank line that ends it."""
    if block.endswith(b"\n\r\n") or block == b"\r\n":
        return block[:-2]
    return block[:-1] if block.endswith(b"\n\n") or block == b"\n" else block
