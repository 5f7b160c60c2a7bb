"""Previews and search text: what people read, found and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.message import pack, scan, unpack
from daemon.mail.text import has_attachment, preview, search_text, strip_html
from tests.mail.test_message import multipart

ATTACHED = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=x\r\n\r\nattached"


@pytest.mark.parametrize(
    "text,want",
    [
        ("a<b>c</b>d", "acd"),
        ("<p>a</p><p>b<br>c", "\na\n\nb\nc"),
        ("<style>p {}</style>a<SCRIPT>if (a<b) x</SCRIPT>b", "ab"),
        ("<!-- x <b> -->a<!doctype html>b<?xml ?>c", "abc"),
        ("<!-- one --> a <!-- <b>two", " a "),
        ("a &lt;&eacute;&#65;", "a <éA"),
        ("1 < 2 <3", "1 < 2 <3"),
        ("a<b", "a"),
        ("<head><title>x</title></head>y", "y"),
        ("", ""),
    ],
)
def test_html_is_stripped(text: str, want: str) -> None:
    assert strip_html(text) == want


@pytest.mark.parametrize(
    "data,want",
    [
        (b"\r\n  hello \r\n\r\n\tyou\r\n", "hello you"),
        (b"Content-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9=\n x", "café x"),
        (b"Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=iso-8859-1\n\nY2Fm6Q==", "café"),
        (b"Content-Type: text/html; charset=utf-8\n\n<style>x</style><p>a&nbsp;b", "a b"),
        (b"Content-Type: text/html\n\na&zwnj;&shy;b\x00", "ab"),
        (multipart(b"b", b"Content-Type: text/html\r\n\r\n<b>html", b"\r\nplain"), "plain"),
        (multipart(b"b", b"Content-Type: text/calendar\r\n\r\ncal", b"Content-Type: text/html\r\n\r\nhtml"), "html"),
        (multipart(b"b", b"Content-Type: text/calendar\r\n\r\ncal", b"Content-Type: text/csv\r\n\r\nc"), "cal"),
        (multipart(b"b", ATTACHED, b"\r\nbody"), "body"),
        (b"Content-Type: image/png\n\nx", ""),
        (ATTACHED, "attached"),
    ],
)
def test_previews(data: bytes, want: str) -> None:
    assert preview(scan(data)) == want


def test_a_preview_is_short_and_cut_between_characters() -> None:
    assert preview(scan(b"\n" + "é".encode() * 100_000)) == "é" * LIMITS.preview
    assert preview(scan(b"\na" + "é".encode() * 100_000)) == "a" + "é" * (LIMITS.preview - 1)
    assert len(preview(scan(b"\n" + b"ab " * 100_000))) <= LIMITS.preview


@pytest.mark.parametrize(
    "data,want",
    [
        (b"\nplain", False),
        (ATTACHED, True),
        (multipart(b"b", b"\r\nplain", b"Content-Type: text/html\r\n\r\n"), False),
        (multipart(b"b", b"\r\nplain", b"Content-Type: application/pdf\r\n\r\n"), True),
        (multipart(b"b", b"Content-Type: image/png\r\nContent-ID: <x>\r\n\r\n"), False),
        (multipart(b"b", b"Content-Type: image/png\r\nContent-Disposition: inline\r\n\r\n"), False),
        (multipart(b"b", b"Content-Type: application/pgp-signature\r\n\r\n"), False),
        (multipart(b"b", b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n"), True),
    ],
)
def test_attachments(data: bytes, want: bool) -> None:
    assert has_attachment(scan(data).root) is want


def test_search_text_is_decoded_and_in_lower_case() -> None:
    data = b"Subject: =?utf-8?q?=C3=89t=C3=A9?=\r\n" + multipart(
        b"b",
        b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>CAF=C3=89",
        b"Content-Type: application/x\r\n\r\nhidden",
    )
    root = unpack(pack(scan(data).root))
    assert search_text(data, root) == "hello\ncafé"
    whole = search_text(data, root, headers=True)
    assert "subject: été" in whole and "content-type: application/x" in whole and "hidden" not in whole


def test_search_text_has_the_names_of_parts() -> None:
    data = multipart(
        b"b",
        b"Content-Type: application/pdf; name=Old.pdf\r\nContent-Disposition: attachment;"
        b" filename*=utf-8''R%C3%89SUM%C3%89.pdf\r\n\r\nhidden",
        b"Content-Disposition: attachment; filename=Bare\r\n\r\ntext",
        b"Name: none=\r\n\r\nmore",
    )
    root = unpack(pack(scan(data).root))
    assert search_text(data, root) == "résumé.pdf\nold.pdf\nbare\ntext\nmore"


def test_search_text_is_bounded() -> None:
    data = b"\n" + b"x" * (3 * LIMITS.search_text)
    assert len(search_text(data, scan(data).root)) == LIMITS.search_text
    data = multipart(b"b", *[b"\r\n" + b"x" * LIMITS.search_text] * 3)
    assert len(search_text(data, scan(data).root)) == LIMITS.search_text


def test_html_of_nothing_but_tags_is_read_up_to_a_bound() -> None:
    assert strip_html("a" + "<b>" * 300_000 + "c") == "a"
    part = b"Content-Type: text/html\r\n\r\n" + b"<b>" * 500_000
    data = multipart(b"b", *[part] * 4, b"Content-Type: text/html\r\n\r\nend")
    assert "end" not in search_text(data, scan(data).root)


@given(st.text("<>!-/abcstyle &;\"'=", max_size=100))
def test_any_html_is_stripped(text: str) -> None:
    strip_html(text)
