"""Header blocks: where they end, which fields they hold, and the syntax of `Content-Type` and its like.

RFC 5322 §2.2 and RFC 2045 §5.1, read leniently: line ends are CRLF or LF, a line that is neither a field nor a
continuation is passed over, bytes are any bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import Parameters, unfold

if TYPE_CHECKING:
    from mmap import mmap

    Data = bytes | bytearray | mmap
    """Where a message's bytes may lie."""

_BLANK = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"^([^:\s]+)[ \t]*:(.*(?:\n[ \t].*)*+)", re.MULTILINE)
_WHOLE = re.compile(rb"^([^:\s]+)[ \t]*:(.*(?:\n[ \t].*)*+)(?:\n|\Z)", re.MULTILINE)
_TYPE = re.compile(rb"([!#-'*+.0-9A-Z^-~-]{1,100})[ \t]*/[ \t]*([!#-'*+.0-9A-Z^-~-]{1,100})")
_PARAMETER = re.compile(rb";[ \t]*([!#-'*+.0-9A-Z^-~-]+)[ \t]*=[ \t]*(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"?|([^;\"]*+))")
_ESCAPE = re.compile(rb"\\(.)")
_SMALL = 8192  # octets; a block up to this is split in one go, a larger one field by field up to the limit


class Field(NamedTuple):
    """One field of a header block as offsets: the whole is `start` to `end` with its line end, its value
    `value` to `end`. The name is in lower case."""

    name: bytes
    start: int
    value: int
    end: int


class Found(NamedTuple):
    """One field that was looked for: its name in lower case, its raw value, and where the whole of it stands."""

    name: bytes
    value: bytes
    start: int
    end: int


def header_end(data: Data, start: int, end: int) -> int:
    """Where the body begins after the header block at `start`: behind the blank line, or `end` without one.

    A block over `LIMITS.header_bytes` ends with its last whole line within it.
    """
    if start < end and data[start] in b"\r\n":
        first = data[start : start + 2]
        if first[:1] == b"\n":
            return start + 1
        if first == b"\r\n":
            return min(start + 2, end)
    limit = min(end, start + LIMITS.header_bytes)
    blank = _BLANK.search(data, start, limit)
    if blank:
        return blank.end()
    if limit == end:
        return end
    return max(data.rfind(b"\n", start, limit) + 1, start) or limit


def split_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """Names as written and raw values of the fields in a header block, in order, at most `LIMITS.header_fields`."""
    if len(block) <= _SMALL:
        return _FIELD.findall(block)[: LIMITS.header_fields]
    return [(found[1], found[2]) for found in islice(_FIELD.finditer(block), LIMITS.header_fields)]


def values(block: bytes, names: frozenset[bytes]) -> dict[bytes, list[bytes]]:
    """The raw values of the fields in a header block that have one of these names (in lower case), in order: of those
    that `split_fields` gives, without a look at the others."""
    found: dict[bytes, list[bytes]] = {}
    few = len(block) <= _SMALL and block.count(b"\n") <= LIMITS.header_fields
    for name, value in _values_of(names).findall(b"\n" + block) if few else split_fields(block):
        lower = name.lower()
        if lower in names:
            found.setdefault(lower, []).append(value)
    return found


@lru_cache(maxsize=256)
def _values_of(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Names and values as `_FIELD` has them, of fields that follow a line feed: to look for one is quick."""
    listed = b"|".join(re.escape(name) for name in sorted(names)) or rb"(?!)"
    return re.compile(rb"\n(" + listed + rb")[ \t]*:(.*(?:\n[ \t].*)*+)", re.IGNORECASE)


def fields(block: bytes) -> tuple[Field, ...]:
    """The fields of a header block, in order, at most `LIMITS.header_fields`."""
    return _remembered(block) if len(block) <= _SMALL else _fields(block)


def _fields(block: bytes) -> tuple[Field, ...]:
    return tuple(
        [
            Field(found[1].lower(), found.start(), found.start(2), found.end())
            for found in islice(_WHOLE.finditer(block), LIMITS.header_fields)
        ]
    )


_remembered = lru_cache(maxsize=16)(_fields)  # a message that is judged is asked for its fields by many


def named(data: Data, *names: bytes) -> list[Found]:
    """The fields of a message that have one of these names (in lower case), in order: all there are."""
    block = bytes(data[: header_end(data, 0, len(data))])
    if len(block) <= _SMALL:
        known = fields(block)
        if len(known) < LIMITS.header_fields:
            return [Found(f.name, block[f.value : f.end], f.start, f.end) for f in known if f.name in names]
    found = []
    for each in field_matcher(frozenset(names)).finditer(block):
        name, _, value = each[0].partition(b":")
        found.append(Found(name.strip().lower(), value, each.start(), each.end()))
    return found


@lru_cache(maxsize=256)
def field_matcher(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """A pattern of whole fields, folds and line end included, whose names are among `names` (in any case)."""
    listed = b"|".join(re.escape(name) for name in sorted(names)) or rb"(?!)"
    return re.compile(rb"^(?:" + listed + rb")[ \t]*:.*(?:\n[ \t].*)*+(?:\n|\Z)", re.MULTILINE | re.IGNORECASE)


def content_type(value: bytes) -> tuple[str, str, Parameters] | None:
    """Type and subtype in lower case with the parameters of a Content-Type; None when it is none."""
    line = unfold(value)
    found = _TYPE.match(line)
    if not found:
        return None
    return found[1].decode("ascii").lower(), found[2].decode("ascii").lower(), parameters(line)


def disposition(value: bytes) -> tuple[str, Parameters]:
    """The word of a Content-Disposition (RFC 2183) in lower case, "" when there is none, and its parameters."""
    line = unfold(value)
    return token(line), parameters(line)


def token(value: bytes) -> str:
    """The first token of a structured field, in lower case: a Content-Transfer-Encoding, a disposition."""
    found = re.match(rb"[!#-'*+.0-9A-Z^-~-]{1,40}", value.lstrip())
    return found[0].decode("ascii").lower() if found else ""


def parameters(line: bytes) -> Parameters:
    """The parameters behind the first word of an unfolded structured field, at most `LIMITS.parameters`."""
    if b";" not in line:
        return []
    return [
        (found[1].lower(), _ESCAPE.sub(rb"\1", found[2]) if found[2] is not None else _bare(found[3]))
        for found in islice(_PARAMETER.finditer(line), LIMITS.parameters)
    ]


def _bare(value: bytes) -> bytes:
    """A value without quotes. Blanks belong to it, as in file names that lack their quotes; a comment does not."""
    value = value.rstrip()
    if value.endswith(b")") and b" (" in value:
        return value[: value.index(b" (")].rstrip()
    return value
