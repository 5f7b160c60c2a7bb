"""What a filter wants changed in the header of a message, before it is accepted. RFC 5322 §2.2; never of kept mail.

Places are counted as filters count them: a field that went keeps its number until all is done, so that an index means
the field that the filter was shown. What is no field is left where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.header import fields

_FOLD = re.compile(rb"(?:\r\n|\r|\n)(?:[ \t]*+(?:\r\n|\r|\n))*+([ \t]*+)")
_BLANK = re.compile(rb"(?:\A|(?<=\n))\r?\n\Z")


class Add(NamedTuple):
    """A field below all others. `value` with the blank after the colon."""

    name: bytes
    value: bytes


class Insert(NamedTuple):
    """A field above the one at `place`, counted from 0; below all others when there are not so many."""

    place: int
    name: bytes
    value: bytes


class Replace(NamedTuple):
    """Another value for the field of that name with that number, counted from 1; a new field when there is none."""

    number: int
    name: bytes
    value: bytes


class Remove(NamedTuple):
    """The field of that name with that number: from 1 from the top, from -1 from below, 0 for all of them."""

    number: int
    name: bytes


Edit = Add | Insert | Replace | Remove


class TooMuch(ValueError):
    """The header would grow over `LIMITS.header_bytes`, or the edits are more than `LIMITS.filter_edits`."""


class _Field:
    """One of the header: its octets (none when it went), and what follows it that is no field."""

    __slots__ = ("name", "octets", "trailing")

    def __init__(self, name: bytes, octets: bytes, trailing: bytes = b"") -> None:
        self.name = name.lower()
        self.octets = octets
        self.trailing = trailing


def edit(head: bytes, edits: Iterable[Edit]) -> bytes:
    """The header block `head` (with the blank line behind it, if there is one) after all `edits`, in their order.

    Raises `TooMuch`.
    """
    blank = _BLANK.search(head)
    end = blank.start() if blank else len(head)
    above, listed = _listed(head[:end])
    room = LIMITS.header_bytes - len(head)
    for count, one in enumerate(edits):
        room -= _apply(listed, one)
        if room < 0 or count >= LIMITS.filter_edits:
            raise TooMuch(f"over {LIMITS.header_bytes} octets of header, or over {LIMITS.filter_edits} changes")
    return above + b"".join(field.octets + field.trailing for field in listed) + head[end:]


def _listed(block: bytes) -> tuple[bytes, list[_Field]]:
    """What stands above the first field, and the fields. The last line has its end."""
    if block and not block.endswith(b"\n"):
        block += b"\r\n"
    found = fields(block)
    starts = [field.start for field in found[1:]] + [len(block)]
    listed = [
        _Field(field.name, block[field.start : field.end], block[field.end : start])
        for field, start in zip(found, starts, strict=False)
    ]
    return block[: found[0].start if found else len(block)], listed


def _apply(listed: list[_Field], one: Edit) -> int:
    """Do it; how many octets the header grew."""
    name = one.name.lower()
    same = [field for field in listed if field.name == name] if isinstance(one, Replace | Remove) else []
    if isinstance(one, Remove):
        gone = same if one.number == 0 else _nth(same, one.number)
        for field in gone:
            field.octets = b""
        return 0
    octets = field_of(one.name, one.value)
    if isinstance(one, Replace) and (found := _nth(same, max(one.number, 1))):
        grown = len(octets) - len(found[0].octets)
        found[0].octets = octets
        return grown
    listed.insert(one.place if isinstance(one, Insert) else len(listed), _Field(name, octets))
    return len(octets)


def _nth(same: list[_Field], number: int) -> list[_Field]:
    at = number - 1 if number > 0 else len(same) + number
    return same[at : at + 1] if at >= 0 else []


def field_of(name: bytes, value: bytes) -> bytes:
    """A field as it stands in a header. Folds stay; what would end the value early is made one: no line of it is a
    field of its own, or the end of the header."""
    value = value.replace(b"\0", b"")
    kept = value.rstrip(b" \t\r\n")
    if b"\n" in value[len(kept) :] or b"\r" in value[len(kept) :]:
        value = kept
    return name + b":" + _FOLD.sub(_folded, value) + b"\r\n"


def _folded(fold: re.Match[bytes]) -> bytes:
    return b"\r\n" + (fold[1] or b"\t")
