"""What a FETCH asks for (RFC 3501 §6.4.5, CONDSTORE of RFC 7162, OBJECTID of RFC 8474)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.wire.imap import Bad
from daemon.wire.imap_arguments import Arguments, number
from daemon.wire.imap_reply import astring
from daemon.wire.imap_set import SequenceSet

SIMPLE = frozenset(
    ("FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ", "EMAILID",
     "THREADID")
)  # fmt: skip
MACROS = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A place in a message: `path` leads to a part, `kind` says what of it.

    `kind` is "" (all of it), HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME; `fields` are in upper case.
    """

    path: tuple[int, ...] = ()
    kind: str = ""
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySection:
    """Octets of a message. `echo` is how the reply names them; with `peek` the message stays unseen."""

    section: Section
    echo: bytes
    peek: bool = False
    partial: tuple[int, int] | None = None  # first octet, number of octets


Item = str | BodySection
"""A simple item by its name, or octets."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """`items` holds each item once, UID whenever the command is UID FETCH and MODSEQ whenever it has CHANGEDSINCE."""

    numbers: SequenceSet
    items: tuple[Item, ...]
    uid: bool = False
    changed_since: int | None = None


_OLD = {
    "RFC822": BodySection(Section(), b"RFC822"),
    "RFC822.HEADER": BodySection(Section(kind="HEADER"), b"RFC822.HEADER", peek=True),
    "RFC822.TEXT": BodySection(Section(kind="TEXT"), b"RFC822.TEXT"),
}
_SECTION = re.compile(
    r"(?P<path>[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,8})*)?"
    r"(?:(?(path)\.)(?P<kind>HEADER(?:\.FIELDS(?:\.NOT)?)?|TEXT|MIME))?"
)
_PARTIAL = re.compile(r"\]?(?:<([0-9]{1,19})\.([0-9]{1,19})>)?")


def parse_fetch(arguments: Arguments, *, uid: bool) -> Fetch:
    """`FETCH` and `UID FETCH`. Raises `Bad`."""
    numbers = arguments.numbers()
    found: list[Item] = ["UID"] if uid else []
    macro = arguments.peek()
    if isinstance(macro, str) and macro.upper() in MACROS:
        found += MACROS[arguments.keyword("item")]
    elif arguments.has_list():
        listed = arguments.listed("items")
        while listed.more():
            found.append(_item(listed))
    else:
        found.append(_item(arguments))  # one item without parentheses (traps I17)
    changed_since = None
    if arguments.more():
        modifiers = arguments.listed("modifiers")
        if modifiers.keyword("modifier") != "CHANGEDSINCE":
            raise Bad("unknown FETCH modifier")
        changed_since = modifiers.number("mod-sequence")
        modifiers.end()
        found.append("MODSEQ")  # RFC 7162 §3.1.4.1
    arguments.end()
    if len(found) == uid:
        raise Bad("nothing to fetch")
    if len(found) > arguments.limits.imap_fetch_items:
        raise Bad(f"over {arguments.limits.imap_fetch_items} FETCH items")
    return Fetch(numbers, tuple(dict.fromkeys(found)), uid, changed_since)


def _item(words: Arguments) -> Item:
    name = words.keyword("item")
    if name in SIMPLE:
        return name
    if name in _OLD:
        return _OLD[name]
    what, bracket, text = name.partition("[")
    if not bracket or what not in ("BODY", "BODY.PEEK"):
        raise Bad("unknown FETCH item")
    if "]" not in text and words.has_list():  # three words: "BODY[HEADER.FIELDS", "(FROM TO)", "]<0.9>"
        fields, end = _fields(words.listed("field names")), words.atom("]")
    else:
        text, bracket, end = text.partition("]")
        fields, end = (), bracket + end
    section = _section(text, fields, words.limits.imap_nesting)
    return _octets(section, end, peek=what == "BODY.PEEK")


def _fields(words: Arguments) -> tuple[bytes, ...]:
    fields = []
    while words.more():
        field = words.astring("field name").upper()
        if not field.isascii() or not field.decode().isprintable():
            raise Bad("a field name with characters it may not have")
        fields.append(field)
    if len(fields) > words.limits.imap_field_names:
        raise Bad(f"over {words.limits.imap_field_names} field names")
    return tuple(dict.fromkeys(fields))


def _section(text: str, fields: tuple[bytes, ...], depth: int) -> Section:
    found = _SECTION.fullmatch(text)
    if found is None:
        raise Bad("unknown section")
    numbers, kind = found["path"], found["kind"] or ""
    path = tuple(map(int, numbers.split("."))) if numbers else ()
    if len(path) > depth:
        raise Bad(f"section over {depth} deep")
    if kind == "MIME" and not path:
        raise Bad("MIME wants the number of a part")
    if kind.startswith("HEADER.FIELDS") is not bool(fields):
        raise Bad("field names expected" if not fields else "field names not expected")
    return Section(path, kind, fields)


def _octets(section: Section, end: str, *, peek: bool) -> BodySection:
    found = _PARTIAL.fullmatch(end)
    if found is None or not end.startswith("]"):
        raise Bad("section not closed, or a partial that is none")
    partial = None
    if found[1]:
        partial = number(found[1], "first octet"), number(found[2], "number of octets", 1)
    names = [*map(str, section.path), section.kind] if section.kind else map(str, section.path)
    fields = b" (" + b" ".join(astring(field) for field in section.fields) + b")" if section.fields else b""
    origin = f"<{partial[0]}>" if partial else ""
    echo = b"BODY[" + ".".join(names).encode() + fields + b"]" + origin.encode()
    return BodySection(section, echo, peek, partial)
