"""What a user is told once a day of mail that the filter kept from him: a letter in plain text and in HTML.

What strangers wrote (names, subjects) is shown as text that is no link and ends no line: this letter is ours, and must
not carry theirs. Time and chance are handed in.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Sequence
from typing import NamedTuple

from daemon.mail.decode import encode_words
from daemon.mail.headers import crlf, format_date

_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_LINKS = re.compile(r"(?<=\w)(?=://)|(?<=www)(?=\.)|(?<=mailto)(?=:)", re.IGNORECASE)
_WIDTH = 120  # characters of a stranger's words


class Item(NamedTuple):
    """One message. `at` in seconds; `what` happened to it and why, in words; `links` with what each does."""

    number: int
    at: float
    author: str
    subject: str
    what: str
    user: str = ""
    links: tuple[tuple[str, str], ...] = ()


class Digest(NamedTuple):
    """The letter. `more`: messages that are not named; `advice`: paragraphs below the list."""

    sender: str
    recipient: str
    hostname: str
    items: Sequence[Item]
    more: int
    advice: Sequence[str]


def write(digest: Digest, *, now: float, unique: str) -> bytes:
    """The whole message."""
    count = len(digest.items) + digest.more
    title = f"{count} message{'s' if count > 1 else ''} kept from {'the' if digest.items[0].user else 'your'} INBOX"
    boundary = f"=_{unique}"
    lines = [
        f"From: {encode_words('Mail filter')} <{digest.sender}>",
        f"To: <{digest.recipient}>",
        f"Subject: {title}",
        f"Date: {format_date(now)}",
        f"Message-ID: <{unique}@{digest.hostname}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative;",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        _quoted(_plain(digest, title)),
        f"--{boundary}",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        _quoted(_html(digest, title)),
        f"--{boundary}--",
        "",
    ]
    return crlf("\n".join(lines).encode())


def _quoted(text: str) -> str:
    return binascii.b2a_qp(text.encode(), istext=True).decode()


def _plain(digest: Digest, title: str) -> str:
    lines = [f"{title}:", ""]
    for item in digest.items:
        lines.append(f"* {_shown(item.subject) or '(no subject)'}")
        lines += [f"  {line}" for line in _facts(item)]
        lines += [f"  {label}: {url}" for label, url in item.links]
        lines.append("")
    if digest.more:
        lines += [_rest(digest.more), ""]
    for paragraph in digest.advice:
        lines += [paragraph, ""]
    return "\n".join(lines)


def _html(digest: Digest, title: str) -> str:
    """Without style, script or anything that is fetched."""
    lines = [f"<!DOCTYPE html><html><head><title>{html.escape(title)}</title></head><body>", f"<p>{title}:</p>", "<ul>"]
    for item in digest.items:
        lines.append(f"<li><b>{html.escape(_shown(item.subject) or '(no subject)')}</b>")
        lines += [f"<br>{html.escape(line)}" for line in _facts(item)]
        if item.links:
            links = [f'<a href="{html.escape(url)}">{html.escape(label)}</a>' for label, url in item.links]
            lines.append(f"<br>{' | '.join(links)}")
        lines.append("<br><br></li>")
    lines.append("</ul>")
    if digest.more:
        lines.append(f"<p>{_rest(digest.more)}</p>")
    lines += [f"<p>{html.escape(paragraph)}</p>" for paragraph in digest.advice]
    return "\n".join([*lines, "</body></html>", ""])


def _facts(item: Item) -> list[str]:
    whom = f" to {item.user}" if item.user else ""
    number = f", number {item.number}" if item.user else ""
    return [f"from {_shown(item.author) or 'nobody'}{whom}, {format_date(item.at)}{number}", item.what]


def _rest(more: int) -> str:
    return f"... and {more} more." if more > 1 else "... and one more."


def _shown(text: str) -> str:
    """A stranger's words: no mail program makes a link of them, and they are not longer than a line or two."""
    text = _LINKS.sub(" ", " ".join(_HIDDEN.sub(" ", text).split()))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
