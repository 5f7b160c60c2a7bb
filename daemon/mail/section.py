"""Which bytes a section of BODY[…] is (RFC 3501 §6.4.5), found in the tree without reading the message.

A client sees prefix + original: what this server added stands before what it received, kept apart from it. A section
is a stretch of that, from one octet up to another.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from daemon.mail.header import field_matcher
from daemon.mail.message import Part

Stretch = tuple[int, int]
"""The first octet and the one behind the last, counted from the first of the prefix."""


def locate(root: Part, path: tuple[int, ...], text: str, prefix: int) -> Stretch | None:
    """Where section `path` + `text` is; None when the message has no such part (the answer is NIL).

    `path` are part numbers, `text` is "", "HEADER", "TEXT" or "MIME" in upper case ("HEADER.FIELDS" and
    "HEADER.FIELDS.NOT" are answered like "HEADER", to be picked from by `pick_fields`), `prefix` the octets of ours
    before the original.
    """
    text = "HEADER" if text.startswith("HEADER") else text
    if not path:
        if text == "HEADER":
            return 0, prefix + root.body
        if text == "TEXT":
            return prefix + root.body, prefix + root.end
        return (0, prefix + root.end) if not text else None
    part = find_part(root, path)
    if part is None:
        return None
    if text == "MIME":
        return prefix + part.header, prefix + part.body
    if not text:
        return prefix + part.body, prefix + part.end
    if not part.is_message:  # RFC 3501 §6.4.5: HEADER and TEXT of a part mean the message inside it
        return None
    inner = part.parts[0]
    if text == "HEADER":
        return prefix + inner.header, prefix + inner.body
    return prefix + inner.body, prefix + inner.end


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


def cut(stretch: Stretch, offset: int, count: int) -> Stretch:
    """The octets of a partial fetch `<offset.count>`; none when `offset` is behind the end."""
    start, stop = stretch
    start = min(start + offset, stop)
    return start, min(start + count, stop)


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
