"""GETMETADATA and SETMETADATA (RFC 5464), and what LIST tells of metadata (RFC 9590)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.wire.imap import Bad
from daemon.wire.imap_arguments import Arguments

_ENTRY = re.compile(r"/(?:private|shared)(?:/[ -$&-)+-.0-~]+)*", re.IGNORECASE)  # RFC 5464 §3.2
_UNSETTABLE = re.compile(r"/[a-z]+(?:/vendor(?:/[^/]+)?)?", re.IGNORECASE)  # too few levels, a vendor's above all
_DEPTHS = {"0": 0, "1": 1, "INFINITY": 2}


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """Of the server when `mailbox` is empty; `entries` in lower case. With `depth` 1 also those one level below them,
    with 2 all below; only values of up to `max_size` octets."""

    mailbox: str
    entries: tuple[str, ...]
    depth: int = 0
    max_size: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Of the server when `mailbox` is empty. A value of None takes the entry away."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


def parse_get(words: Arguments) -> GetMetadata:
    """The options stand before the mailbox in RFC 5464's grammar and after it in its examples. Raises `Bad`."""
    options: tuple[int, int | None] = (0, None)
    if words.has_list():
        options = _options(words.listed("options"))
    mailbox = words.mailbox()
    listed = words.listed("entries") if words.has_list() else words.rest()
    if words.more():
        options = _options(listed)
        listed = words.listed("entries") if words.has_list() else words.rest()
    return GetMetadata(mailbox, _entries(listed), *options)


def parse_set(words: Arguments) -> SetMetadata:
    """Each entry once: the last value counts. Raises `Bad`."""
    mailbox = words.mailbox()
    listed = words.listed("entries with values")
    values: dict[str, bytes | None] = {}
    while listed.more() or not values:
        name = _entry(listed)
        if _UNSETTABLE.fullmatch(name):
            raise Bad("an entry with too few levels")
        values.pop(name, None)
        values[name] = None if listed.skip_keyword("NIL") else listed.string("value")
    _count(len(values), words)
    return SetMetadata(mailbox, tuple(values.items()))


def listed_entries(words: Arguments) -> tuple[str, ...]:
    """What LIST shall tell of each mailbox (RFC 9590 §3). Raises `Bad`."""
    names = _entries(words.listed("entries") if words.has_list() else words.only())
    if len(names) > words.limits.metadata_listed:
        raise Bad(f"over {words.limits.metadata_listed} entries")
    return names


def _options(words: Arguments) -> tuple[int, int | None]:
    depth, max_size = 0, None
    while words.more():
        option = words.keyword("option")
        if option == "DEPTH":
            value = words.keyword("depth")
            if value not in _DEPTHS:
                raise Bad("a depth is 0, 1 or infinity")
            depth = _DEPTHS[value]
        elif option == "MAXSIZE":
            max_size = words.number("size")
        else:
            raise Bad("unknown GETMETADATA option")
    return depth, max_size


def _entries(words: Arguments) -> tuple[str, ...]:
    """Each once."""
    names = [_entry(words)]
    while words.more():
        names.append(_entry(words))
    _count(len(names), words)
    return tuple(dict.fromkeys(names))


def _count(count: int, words: Arguments) -> None:
    if count > words.limits.metadata_entries:
        raise Bad(f"over {words.limits.metadata_entries} entries")


def _entry(words: Arguments) -> str:
    """RFC 5464 §3.2: a name that none can have is BAD."""
    name = words.astring("entry").decode("latin-1")
    if len(name) > words.limits.metadata_name:
        raise Bad("the name of an entry is too long")
    if not _ENTRY.fullmatch(name):
        raise Bad("an entry is /private/... or /shared/... in ASCII, without * and % and empty levels")
    return name.lower()
