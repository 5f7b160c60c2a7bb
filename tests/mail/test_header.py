"""Header syntax: fields as offsets, Content-Type and parameters as they are really sent."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail.header import content_type, disposition, field_matcher, fields, named, parameters, split_fields, token


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
