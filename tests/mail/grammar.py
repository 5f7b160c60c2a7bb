"""A strict reader of what FETCH answers: ENVELOPE and BODYSTRUCTURE in the grammar of RFC 3501 §9, nothing more.

Quoted strings hold printable ASCII only (7-bit, no CR, LF, NUL), which is what this server promises.
"""

from __future__ import annotations

import re

_ITEM = re.compile(rb'"((?:[ !#-\[\]-~]++|\\["\\])*+)"|(NIL)|(0|[1-9][0-9]*)|(\()|(\))|( )')
Value = bytes | int | None | list["Value"]


def read(text: bytes) -> Value:
    """The one value in `text`; lists keep whether blanks separated their items, by refusing what mixes both."""
    value, place = read_at(text, 0)
    assert place == len(text), text[place:]
    return value


def read_at(text: bytes, place: int) -> tuple[Value, int]:
    """The value that begins at `place`, and where it ends."""
    found = _ITEM.match(text, place)
    assert found and not found[5] and not found[6], text[place : place + 40]
    if found[1] is not None:
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    if found[2]:
        return None, found.end()
    if found[3]:
        return int(found[3]), found.end()
    items: list[Value] = []
    place = found.end()
    while text[place : place + 1] != b")":
        if items:
            # Blanks between items, but none between the addresses of a list and the parts of a multipart.
            if text[place : place + 1] == b" ":
                place += 1
            else:
                assert text[place : place + 1] == b"(" and isinstance(items[-1], list), text[place : place + 40]
        value, place = read_at(text, place)
        items.append(value)
    assert items, "empty list"
    return items, place + 1


def string(value: Value) -> None:
    assert isinstance(value, bytes), value


def nstring(value: Value) -> None:
    assert value is None or isinstance(value, bytes), value


def number(value: Value) -> None:
    assert isinstance(value, int), value


def check_envelope(value: Value) -> None:
    assert isinstance(value, list) and len(value) == 10, value
    for place in (0, 1, 8, 9):
        nstring(value[place])
    for addresses in value[2:8]:
        assert addresses is None or isinstance(addresses, list)
        for address in addresses or ():
            assert isinstance(address, list) and len(address) == 4, address
            for item in address:
                nstring(item)


def check_parameters(value: Value) -> None:
    assert value is None or (isinstance(value, list) and len(value) % 2 == 0), value
    for item in value or ():
        string(item)


def check_disposition(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list) and len(value) == 2, value
        string(value[0])
        check_parameters(value[1])


def check_language(value: Value) -> None:
    for item in value if isinstance(value, list) else (value,):
        nstring(item)


def check_body(value: Value, *, extended: bool) -> None:
    assert isinstance(value, list), value
    if isinstance(value[0], list):
        count = next(place for place, item in enumerate(value) if not isinstance(item, list))
        for child in value[:count]:
            check_body(child, extended=extended)
        string(value[count])
        rest = value[count + 1 :]
        assert len(rest) == (4 if extended else 0), rest
        if extended:
            check_parameters(rest[0])
            check_disposition(rest[1])
            check_language(rest[2])
            nstring(rest[3])
        return
    string(value[0])
    string(value[1])
    check_parameters(value[2])
    nstring(value[3])
    nstring(value[4])
    string(value[5])
    number(value[6])
    rest = value[7:]
    if value[0] == b"text":
        number(rest.pop(0))
    elif value[:2] == [b"message", b"rfc822"]:
        check_envelope(rest.pop(0))
        check_body(rest.pop(0), extended=extended)
        number(rest.pop(0))
    assert len(rest) == (4 if extended else 0), rest
    if extended:
        nstring(rest[0])
        check_disposition(rest[1])
        check_language(rest[2])
        nstring(rest[3])
