"""Where the links of a message lead, whatever was done to hide it; and what hostile mail costs."""

from __future__ import annotations

import base64
import dataclasses
import quopri

import pytest

from daemon.limits import LIMITS
from daemon.mail import links
from daemon.mail.links import find, host_of, hosts


def message(text: str | bytes, kind: str = "html", charset: str = "utf-8", encoding: str = "") -> bytes:
    raw = text if isinstance(text, bytes) else text.encode(charset)
    if encoding == "base64":
        raw = base64.encodebytes(raw)
    elif encoding == "quoted-printable":
        raw = quopri.encodestring(raw)
    head = f"From: x@far.example\r\nContent-Type: text/{kind}; charset={charset}\r\n"
    return (head + f"Content-Transfer-Encoding: {encoding or '8bit'}\r\n\r\n").encode() + raw


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://evil.example/x", [("url", "evil.example", "/x")]),
        ("HTTPS://Evil.Example?x", [("url", "evil.example", "?x")]),
        ("ftp://evil.example", [("url", "evil.example", "")]),
        ("http:evil.example http:\\\\evil2.example\\x", [("url", "evil.example", ""), ("url", "evil2.example", "\\x")]),
        ("mailto:Ann@evil.example?subject=x", [("mail", "ann@evil.example", "?subject=x")]),
        ("see www.evil.example/x, or not", [("bare", "www.evil.example", "/x,")]),
        ("<a href='//evil.example/'>", [("same", "evil.example", "/")]),
        ("<a href=//evil.example>", [("same", "evil.example", "")]),
        ("http://a.example/?to=http://b.example", [("url", "a.example", "/?to=http://b.example")]),
        ("xhttp://no.example gopher://no.example a//b awww.no.example x@www.no.example", []),
        ("http://www.evil.example", [("url", "www.evil.example", "")]),
        ("http:// www. //", []),
    ],
)
def test_links_are_found_as_they_stand(text: str, found: list[tuple[str, str, str]]) -> None:
    assert [tuple(link) for link in find(text.lower())] == found


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("evil.example", "evil.example"),
        ("evil.example.", "evil.example"),
        ("evil.example),", "evil.example"),
        ("evil.example:8080", "evil.example"),
        ("bank.example@evil.example", "evil.example"),
        ("bank.example:x@evil.example:1@evil2.example:80", "evil2.example"),
        ("ev%69l.example", "evil.example"),
        ("%65%76%69%6C.example", "evil.example"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("b%c3%bccher.example", "xn--bcher-kva.example"),
        ("evil\u3002example", "evil.example"),
        ("\uff45vil.example\u3002", "evil.example"),
        ("ev\u00adil.example", "evil.example"),
        ("\u202eevil.example", ""),
        ("xn--.example", "xn--.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1.:80", "192.0.2.1"),
        ("3221225985", "192.0.2.1"),
        ("0xc0000201", "192.0.2.1"),
        ("0xc0.0.0x2.01", "192.0.2.1"),
        ("0300.0.513", "192.0.2.1"),
        ("192.1", "192.0.0.1"),
        ("0x", "0.0.0.0"),
        ("4294967296", ""),
        ("256.0.0.1", ""),
        ("1.2.3.4.5", ""),
        ("09.1.1.1", ""),
        ("1.2.3.08", ""),
        ("evil.1", ""),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("[evil]", ""),
        ("localhost", ""),
        ("a..example", ""),
        ("a" * 64 + ".example", ""),
        ("(", ""),
        ("", ""),
    ],
)
def test_a_host_is_what_a_browser_would_ask_for(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<a href="http&#58;//ev&#105;l.example/?a=1&amp;b">', ("evil.example",)),
        ('<a href=" ht\ntp://ev\til.example/">', ("evil.example",)),
        ("<img src='\r\n//evil.example/1.gif'>", ("evil.example",)),
        ('<form action="https:\\evil.example">', ("evil.example",)),
        ('<a href="/\\evil.example">', ("evil.example",)),
        ('<a href="http://bank@evil.example/">http://bank.example</a>', ("evil.example", "bank.example")),
        ("<a href=http://one.example/>x</a> www.two.example.", ("one.example", "www.two.example")),
        ('<a href="mailto:ann@evil.example">', ()),
        ('<a href="http://a.example">http://a.example/2 HTTP://A.EXAMPLE</a>', ("a.example",)),
    ],
)
def test_html_is_read_as_browsers_read_it(text: str, found: tuple[str, ...]) -> None:
    for encoding in ("", "base64", "quoted-printable"):
        assert hosts(message(text, encoding=encoding)) == found


def test_texts_are_decoded_by_their_charset() -> None:
    assert hosts(message("http://b\u00fccher.example", "plain", "iso-8859-1")) == ("xn--bcher-kva.example",)
    assert hosts(message("http://evil.example", "html", "utf-16")) == ("evil.example",)
    assert hosts(message("a &#104;ttp://no.example", "plain")) == ()


def test_every_part_of_text_counts_and_no_other() -> None:
    parts = [
        b"Content-Type: text/plain\r\n\r\nhttp://one.example",
        b"Content-Type: text/html\r\n\r\n<a href='http://two.example'>",
        b"Content-Type: application/pdf\r\n\r\nhttp://none.example",
        b"Content-Type: message/rfc822\r\n\r\nSubject: http://none.example\r\n\r\nhttp://three.example",
    ]
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    assert hosts(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body) == (
        "one.example", "two.example", "three.example",
    )  # fmt: skip


def test_of_many_hosts_the_first_and_the_last_are_told() -> None:
    found = hosts(message(" ".join(f"http://h{n}.example" for n in range(100)), "plain"))
    half = LIMITS.link_hosts // 2
    assert found == tuple(f"h{n}.example" for n in [*range(half), *range(100 - half, 100)])


def test_only_so_much_text_and_so_many_links_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(links, "host_of", lambda authority: asked.append(authority) or authority)
    hosts(message(" ".join(f"http://h{n}.example" for n in range(100_000)), "plain"))
    assert len(asked) == LIMITS.links
    monkeypatch.setattr(links, "LIMITS", dataclasses.replace(LIMITS, link_text=30))
    assert hosts(message("http://one.example/ ........ http://two.example", "plain")) == ("one.example",)


@pytest.mark.parametrize(
    "evil",
    ["http:" + "/" * 999, 'href="', "&", "= ", "www.", 'href="a\n"', "&#x41;", "https:", "=\n", "//", "\\", "%", "a."],
)
def test_no_text_costs_more_than_its_length(evil: str) -> None:
    """Nothing that is quadratic ends in the time of a test."""
    text = evil * (LIMITS.link_text // len(evil))
    for start in ("", "http://"):
        assert len(hosts(message(start + text))) <= 1
