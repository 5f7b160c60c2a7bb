"""Messages as pages: what is on them, and that every message has one."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from daemon.limits import LIMITS
from daemon.mail import bodies
from daemon.mail.message import Message, scan
from daemon.mail.view import View, picture, view
from tests.mail.test_message import multipart
from tests.messages.generate import ordinary
from tests.messages.malformed import malformed

HOSTILE = sorted((Path(__file__).parents[1] / "messages" / "hostile_html").glob("*.eml"))
SEEDS = Path(__file__).parent / "view_seeds"
HTML = b"Content-Type: text/html\r\n\r\n"
PNG = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"


def seen(data: bytes, *, remote: bool = False) -> View:
    message = scan(data)
    return view(data, message.root, "/m/", remote=remote)


def body(data: bytes, *, remote: bool = False) -> str:
    return seen(data, remote=remote).page.partition("<body")[2].partition(">")[2].removesuffix("</body></html>")


@pytest.mark.parametrize(
    "data, shown",
    [
        (HTML + b"<b>x</b>", "<div><b>x</b></div>"),
        (b"\r\na < b\r\n", '<div class="mailctl-text" dir="auto">a &lt; b\r\n</div>'),
        (multipart(b"b", b"\r\nplain", HTML + b"<i>x</i>").replace(b"mixed", b"alternative"), "<div><i>x</i></div>"),
        (
            multipart(b"b", HTML + b"<p>1", b"\r\n2", HTML + b"<p>3"),
            '<div><p>1</p></div><div class="mailctl-text" dir="auto">2</div><div><p>3</p></div>',
        ),
        (
            multipart(b"b", HTML + b"<img src=cid:a@x><img src=cid:b>", PNG + b"Content-ID: <a@x>\r\n\r\nAAAA").replace(
                b"mixed", b"related"
            ),
            '<div><img src="/m/2"><img></div>',
        ),
        (
            multipart(b"b", HTML + b"<img src=a.png>", PNG + b"Content-Location: a.png\r\n\r\nAAAA").replace(
                b"mixed", b"related"
            ),
            '<div><img src="/m/2"></div>',
        ),
        (
            multipart(b"b", b"\r\nx", PNG + b'Content-Disposition: inline; filename="<a>"\r\n\r\nAAAA'),
            '<div class="mailctl-text" dir="auto">x</div><p><img src="/m/2" alt="&lt;a&gt;"></p>',
        ),
        (
            multipart(b"b", b"\r\nx", b"Content-Type: image/svg+xml\r\n\r\nx", b"Content-Type: video/mp4\r\n\r\nx"),
            '<div class="mailctl-text" dir="auto">x</div>',
        ),
        (b"Content-Type: application/pdf\r\n\r\nx", ""),
    ],
)  # fmt: skip
def test_what_is_on_the_page(data: bytes, shown: str) -> None:
    assert body(data) == shown


@pytest.mark.parametrize(
    "data, word",
    [
        (b"Content-Type: text/html; charset=iso-8859-5\r\n\r\n<meta charset=utf-8>\xbf\xe0", "Пр"),
        (b"Content-Type: text/html\r\n\r\n<META http-equiv=x content='text/html; charset=koi8-r'>\xf0\xd2", "Пр"),
        (b"Content-Type: text/html\r\n\r\n\xd0\x9f", "П"),
        (b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=D0=9F", "П"),
        (b"Content-Type: text/html\r\n\r\n<meta charset=nonsense>\xd0\x9f", "П"),
    ],
)
def test_charsets(data: bytes, word: str) -> None:
    assert body(data) == f"<div>{word}</div>"


def test_mail_that_sets_colours_gets_white_paper() -> None:
    plain, painted = seen(HTML + b"<p>x").page, seen(HTML + b"<p style='color:#333'>x").page
    assert "color-scheme:light dark" in plain and "#fff" not in plain
    assert "body{background:#fff" in painted


def test_styles_and_attributes_of_the_body_are_kept() -> None:
    page = seen(HTML + b"<style>p{margin:0}</style><body class=a style='margin:0'><p>x").page
    assert "p{margin:0}</style>" in page and '<body class="a" style="margin:0">' in page


def test_pictures_from_elsewhere_only_when_asked_for() -> None:
    data = HTML + b"<img src=https://a.example/1>"
    assert seen(data).remote == 1 and "a.example" not in seen(data).page
    assert "https://a.example/1" in body(data, remote=True)


def test_the_rest_of_long_mail_is_left_out_and_said() -> None:
    page = seen(b"\r\n" + b"x" * (LIMITS.view_html + 1)).page
    assert len(page) < LIMITS.view_html + 5000 and "left out" in page
    assert "left out" not in seen(b"\r\nx").page
    twice = multipart(b"b", b"\r\n" + b"x" * LIMITS.view_html, HTML + b"<p>y")
    assert "left out" in seen(twice).page and "y</p>" not in seen(twice).page


def test_which_parts_are_pictures() -> None:
    root = scan(multipart(b"b", HTML, PNG + b"\r\nAAAA", b"Content-Type: image/svg+xml\r\n\r\n<svg/>")).root
    assert picture(root, "2") is root.parts[1]
    assert [picture(root, number) for number in ("1", "3", "4", "")] == [None] * 4


# -- every message has a page ------------------------------------------------------------------------------------------


def whole(message: Message) -> str:
    """The page, which is whole, and none of it longer than the mail explains."""
    shown = view(message.data, message.root, "/m/", remote=True)
    assert shown.page.startswith("<!DOCTYPE html>") and shown.page.endswith("</body></html>")
    assert shown.page.count("<body") == 1 and "\0" not in shown.page
    shown.page.encode()
    assert len(shown.page) < 10 * len(message.data) + 20_000
    for _, part in bodies.numbered(message.root):
        bodies.facts(part)
    return shown.page


def test_malformed_mail_of_every_kind_has_a_page() -> None:
    for specimen in (*malformed(200), *ordinary(40)):
        whole(scan(specimen.data))


def damaged(dice: random.Random, data: bytes) -> bytes:
    """Cut, doubled, overwritten, in a few places."""
    octets = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(octets) + 1)
        piece = octets[at : at + dice.randint(1, 80)]
        match dice.randint(0, 3):
            case 0:
                del octets[at : at + len(piece)]
            case 1:
                octets[at:at] = piece * dice.randint(1, 3)
            case 2:
                octets[at:at] = dice.choice(
                    (b"<", b">", b'"', b"'", b"\0", b"&", b"{", b"}", b"--b1", b"\r\n\r\n", b"</style>")
                )
            case _:
                other = dice.randrange(len(octets) + 1)
                octets[at:at] = octets[other : other + 40]
    return bytes(octets)


def test_damaged_hostile_mail_has_a_harmless_page() -> None:
    """Mutants of the attacks and of what once broke something; each names the seed of its dice when it fails."""
    dice = random.Random(11)
    sources = [path.read_bytes() for path in (*HOSTILE, *sorted(SEEDS.iterdir()))]
    for number in range(700):
        data = damaged(dice, dice.choice(sources))
        page = whole(scan(data)).partition("</style></head>")[2]
        for tag in re.findall(r"<[^>]*>", page):
            found = re.sub(r'="[^"]*"', "", tag)
            assert not re.search(
                r"\son[a-z]+\b|<(?:script|iframe|svg|math|object|embed|form|link|meta|base)\b", found
            ), (number, tag)
            assert not re.search(r'(?:href|src)="\s*(?:javascript|data:text|vbscript)', tag, re.IGNORECASE), (
                number,
                tag,
            )
