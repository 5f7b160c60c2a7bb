"""Header syntax: fields as offsets, Content-Type and parameters as they are really sent."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail.header import content_type, disposition, field_matcher, fields, parameters, split_fields, token


def test_fields_are_offsets() -> None:
    block = b"A: 1\r\n\tmore\r\njunk\r\nb : 2\r\nFrom x y\r\nC:3"
    found = fields(block, 100)
    assert [(f.name, block[f.start - 100 : f.end - 100]) for f in found] == [
        (b"a", b"A: 1\r\n\tmore\r\n"),
        (b"b", b"b : 2\r\n"),
        (b"c", b"C:3"),
    ]
    assert block[found[1].value - 100 : found[1].end - 100] == b" 2\r\n"


def test_fields_are_bounded() -> None:
    for block in (b"a:\n" * 2000, b"a:\n" * 5000):
        assert len(split_fields(block)) == len(fields(block)) == LIMITS.header_fields


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
