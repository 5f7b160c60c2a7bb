"""The head of a message on paper."""

from __future__ import annotations

import re

import pytest

from daemon.mail.message import scan
from daemon.mail.paper import paper
from tests.mail.test_message import multipart
from tests.messages.malformed import malformed

HEAD = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@a.example>\r\nTo: a@b.example, Bob <b@c.example>\r\n"
    b"Subject: Tea & <biscuits>\r\nDate: Tue, 03 Nov 2026 10:31:00 +0100\r\n"
)
FILE = b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="a<b>.pdf"\r\n\r\nx'


def rows(data: bytes) -> list[tuple[str, str]]:
    head = paper(data, scan(data).root).head
    return re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", head)


def test_what_stands_on_paper() -> None:
    data = HEAD + multipart(b"b", b"\r\nHello.", FILE)
    assert paper(data, scan(data).root).title == "Tea & <biscuits>"
    assert "<h1>Tea &amp; &lt;biscuits&gt;</h1>" in paper(data, scan(data).root).head
    assert rows(data) == [
        ("From", "Jörg &lt;joerg@a.example&gt;"), ("To", "a@b.example, Bob &lt;b@c.example&gt;"),
        ("Date", "3 November 2026, 10:31 +0100"), ("Files", "a&lt;b&gt;.pdf"),
    ]  # fmt: skip


def test_a_mailing_names_some_of_whom_it_went_to() -> None:
    people = ", ".join(f"p{number}@many.example" for number in range(70)).encode()
    ((name, text),) = rows(b"To: " + people + b"\r\n\r\nx")
    assert name == "To" and "p49@many.example and 20 more" in text and "p50@" not in text


@pytest.mark.parametrize("data", [b"", b"\r\nx", b"Date: yesterday\r\nFrom: <>\r\nSubject:\r\n\r\nx"])
def test_what_is_not_there_is_not_named(data: bytes) -> None:
    assert paper(data, scan(data).root).title == "(no subject)" and rows(data) == []


def test_malformed_mail_of_every_kind_has_a_head() -> None:
    for specimen in malformed():
        inside = paper(specimen.data, scan(specimen.data).root).head.partition("</style><h1>")[2]
        assert not re.search(r"<(?!/?(?:h1|dl|dt|dd|template|div)>)", inside), specimen.name
