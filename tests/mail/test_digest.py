"""The letter that tells of kept mail: readable both ways, and nothing of a stranger's in it is a link or a line."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from daemon.mail import digest
from daemon.mail.digest import Digest, Item

LINKS = (("Deliver", "https://mx.example.org/quarantine/release?token=" + "A" * 56),)
ITEM = Item(12, 1_800_000_000, "Jörg <joerg@shop.example>", "Your cöde", "refused: it is spam (16.2 points)", "", LINKS)


def letter(*items: Item, more: int = 0, advice: tuple[str, ...] = ("Be well.",)) -> tuple[EmailMessage, str, str]:
    """The message, and what it says in plain text and in HTML."""
    made = Digest("postmaster@example.org", "alice@example.org", "mx.example.org", items, more, advice)
    data = digest.write(made, now=1_800_000_100, unique="u" * 24)
    assert all(len(line) <= 78 for line in data.split(b"\r\n")) and b"\n" not in data.replace(b"\r\n", b"")
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage) and data.isascii()
    plain, marked = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    return message, plain, marked


def test_it_says_who_what_why_and_how_to_get_it() -> None:
    message, plain, marked = letter(ITEM)
    assert message["Auto-Submitted"] == "auto-generated" and message["To"] == "alice@example.org"
    assert message["Subject"] == "1 message kept from your INBOX"
    assert message["Message-ID"] == f"<{'u' * 24}@mx.example.org>"
    assert message.get_content_type() == "multipart/alternative"
    for text in (plain, re.sub("&lt;|&gt;", lambda m: "<" if m[0] == "&lt;" else ">", marked)):
        for word in ("Your cöde", "from Jörg <joerg@shop.example>", ITEM.what, LINKS[0][1], "Be well."):
            assert word in text, word
    assert f'<a href="{LINKS[0][1]}">Deliver</a>' in marked


def test_an_administrator_is_told_whose_it_was_and_its_number() -> None:
    message, plain, _ = letter(ITEM._replace(user="alice@example.org", links=()), ITEM._replace(user="b"), more=2)
    assert message["Subject"] == "4 messages kept from the INBOX"
    assert "to alice@example.org, " in plain and "number 12" in plain and "... and 2 more." in plain
    assert "... and one more." in letter(ITEM, more=1)[2]


@pytest.mark.parametrize(
    "subject,shown",
    [
        ("", "(no subject)"),
        ("see https://bad.example/x", "see https ://bad.example/x"),
        ("www.bad.example now", "www .bad.example now"),
        ("MAILTO:x@y", "MAILTO :x@y"),
        ("two\r\nlines\x00 and\u202egnp.exe", "two lines and gnp.exe"),
        ("a" * 500, "a" * 119 + "…"),
    ],
)
def test_what_a_stranger_wrote_is_no_link_and_no_line(subject: str, shown: str) -> None:
    _, plain, marked = letter(ITEM._replace(subject=subject))
    assert f"* {shown}\n" in plain and f"<b>{shown}</b>" in marked


def test_what_a_stranger_wrote_is_no_html() -> None:
    _, _, marked = letter(ITEM._replace(subject="<script>x</script>", author='"><img src=x>'))
    assert "<script" not in marked and "<img" not in marked
