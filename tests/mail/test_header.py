"""Header syntax: fields as offsets, Content-Type and parameters as they are really sent."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail.header import (
    content_type,
    disposition,
    field_matcher,
    fields,
    named,
    parameters,
    split_fields,
    token,
    values,
)


def test_fields_are_offsets() -> None:
    block = b"A: 1\r\n\tmore\r\njunk\r\nb : 2\r\nFrom x y\r\nC:3"
    found = fields(block)
    assert [(f.name, block[f.start : f.end]) for f in found] == [
        (b"a", b"A: 1\r\n\tmore\r\n"),
        (b"b", b"b : 2\r\n"),
        (b"c", b"C:3"),
    ]
    assert block[found[1].value : found[1].end] == b" 2\r\n"


def test_fields_are_bounded() -> None:
    for block in (b"a:\n" * 2000, b"a:\n" * 5000):
        assert len(split_fields(block)) == len(fields(block)) == LIMITS.header_fields


@pytest.mark.parametrize("more", [b"", b"x:\n" * 1500, b"x: " + b"y" * 9000 + b"\n"], ids=["short", "many", "long"])
def test_all_fields_of_a_name_are_found_however_many_others_there_are(more: bytes) -> None:
    data = more + b"From: a\r\n b\r\nTo: c\r\n From: d\r\nFROM : e\r\nsubject:f\r\n\r\nFrom: g\r\n"
    found = named(data, b"subject", b"from")
    assert [(field.name, field.value) for field in found] == [
        (b"from", b" a\r\n b\r\n"),
        (b"from", b" e\r\n"),
        (b"subject", b"f\r\n"),
    ]
    assert [data[field.start : field.end].partition(b":")[0] for field in found] == [b"From", b"FROM ", b"subject"]
    assert named(data, b"bcc") == []


def test_a_matcher_of_no_names_finds_nothing() -> None:
    assert field_matcher(frozenset()).findall(b"A: b\r\n") == []


@pytest.mark.parametrize(
    "value,want",
    [
        (b" Text/Plain; Charset=UTF-8", ("text", "plain", [(b"charset", b"UTF-8")])),
        (b"text/plain;charset=\"utf-8\" ; x=y", ("text", "plain", [(b"charset", b"utf-8"), (b"x", b"y")])),
        (b"text / plain;\r\n\tcharset = us-ascii (Plain text)", ("text", "plain", [(b"charset", b"us-ascii")])),
        (b"application/x; name=\"a \\\"b\\\\\"", ("application", "x", [(b"name", b'a "b\\')])),
        (b"a/x; name=My File (1).pdf; a=b", ("a", "x", [(b"name", b"My File (1).pdf"), (b"a", b"b")])),
        (b"application/x; name=\"open", ("application", "x", [(b"name", b"open")])),
        (b"application/x; =y; z; name=", ("application", "x", [(b"name", b"")])),
        (b"application/vnd.ms-excel+xml", ("application", "vnd.ms-excel+xml", [])),
        (b"text", None),
        (b"", None),
    ],
)  # fmt: skip
def test_content_types(value: bytes, want: object) -> None:
    assert content_type(value) == want


def test_parameters_are_bounded() -> None:
    assert len(parameters(b"; a=b" * 1000)) == LIMITS.parameters


def test_dispositions_and_tokens() -> None:
    assert disposition(b' ATTACHMENT; filename="x"') == ("attachment", [(b"filename", b"x")])
    assert disposition(b"; filename=x") == ("", [(b"filename", b"x")])
    assert token(b"") == ""


NAMES = frozenset((b"to", b"x-a"))


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"To: a\r\nX-A: 1\r\nto : b\r\n",
        b"Total: 1\nX-To: 2\nX-A:\n folded\n\ttwice\nTO:",
        b"to without a colon\nnothing: To: a\n To: b\nx-a\t:\r\n",
        b" to: a continuation of nothing\nTo: b",
        b"X-A: 1\n" * (LIMITS.header_fields + 5),
        b"X-B: 1\n" * (LIMITS.header_fields - 1) + b"To: the last\nTo: one too many\n",
        b"X-B: " + b"long " * 4000 + b"\nto: a\nX-A: b\n",
    ],
)
def test_values_are_those_of_the_fields(block: bytes) -> None:
    expected: dict[bytes, list[bytes]] = {}
    for name, value in split_fields(block):
        if name.lower() in NAMES:
            expected.setdefault(name.lower(), []).append(value)
    assert values(block, NAMES) == expected
    assert values(block, frozenset()) == {}
