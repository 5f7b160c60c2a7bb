"""What a content classifier counts in a message: its tokens.

A token is a few octets of UTF-8. Its first letters say where it comes from (`KINDS`), the rest what it is; words of
the text alone have no such mark. What the receiving side adds to a message (Return-Path, X-Spam-*) gives none, so
that a message has the same tokens when it is judged and when it is learnt from later.

Work is bounded whatever the bytes: `LIMITS.spam_text` octets of text are read, `LIMITS.spam_tokens` tokens come out,
each of at most `LIMITS.spam_token` octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_transfer
from daemon.mail.message import Part, scan
from daemon.mail.text import strip_html
from daemon.mail.tokens_header import header_tokens
from daemon.mail.tokens_html import html_tokens, link_tokens

if TYPE_CHECKING:
    from daemon.mail.header import Data

PRIME = 7244019458077122899  # the first one above pi * 2**61: nothing about it is special
_ONES = b"0" * 10
_DIGITS = bytes(48 if 48 <= octet <= 57 else octet for octet in range(256))  # every digit is a nought
# A word, an amount, or a run of marks; octets from 128 on are letters.
_WORD = re.compile(rb"[a-z\x80-\xff][a-z0\x80-\xff'_.-]*[a-z0\x80-\xff]|[$#]?0[0a-z.,:%-]*|[!$*=_~?-]{2,}|[!$%?]")
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)  # no blanks between words
_SPACES = re.compile("[\u00a0\u00ad\u034f\u061c\u115f\u1160\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")


def tokenize(data: Data) -> tuple[bytes, ...]:
    """The distinct tokens of a message: of its header first, then of its structure, its links and its words."""
    message = scan(data)
    found = dict.fromkeys(header_tokens(message))
    for some in _body_tokens(data, message.root):
        found.update(dict.fromkeys(some))
    most = LIMITS.spam_token
    if max(map(len, found)) > most:
        found = dict.fromkeys([token if len(token) <= most else token[:most] for token in found])
    return tuple(islice(found, LIMITS.spam_tokens))


def ids(tokens: Iterable[bytes]) -> tuple[int, ...]:
    """Each token's number, below 2**63 and the same for ever: its octets as one number, modulo a prime.

    Cheap, and two tokens have one number as seldom as chance would have it. One who makes two such tokens on purpose
    gains nothing: he could as well write the other word.
    """
    number = int.from_bytes
    return tuple([number(token, "big") % PRIME for token in tokens])


def _body_tokens(data: Data, root: Part) -> Iterator[Iterable[bytes]]:
    left = LIMITS.spam_text
    texts: list[str] = []
    seen: set[str] = set()
    for part in root.walk():
        yield _part_tokens(part)
        if part.type != "text" or left <= 0:
            continue
        raw = bytes(data[part.body : min(part.end, part.body + left)])
        left -= len(raw)
        text = decode_text(decode_transfer(raw, part.encoding), part.charset, cut=True)
        lower = text.lower()
        if part.subtype == "html":
            yield html_tokens(lower)
            text = strip_html(text)
        yield link_tokens(lower)
        if text not in seen:
            seen.add(text)
            texts.append(text)
    words = words_of("\n".join(texts))
    yield words
    yield map(b" ".join, dict.fromkeys(zip(words, words[1:], strict=False)))  # each pair of neighbours


def _part_tokens(part: Part) -> Iterator[bytes]:
    yield f"m:{part.media}".encode()
    if part.charset:
        yield f"m:charset {part.charset}".encode()
    if part.encoding != "7bit":
        yield f"m:{part.media} {part.encoding}".encode()


def words_of(text: str) -> list[bytes]:
    """The words of a text in order: lower case, each digit as 0, scripts without blanks in pairs of characters."""
    if not text.isascii():
        text = _DENSE.sub(_pairs, _SPACES.sub("", text))
    return _WORD.findall(text.lower().encode("utf-8", "replace").translate(_DIGITS))


def _pairs(found: re.Match[str]) -> str:
    run = found[0]
    return " " + " ".join([run[place : place + 2] for place in range(max(1, len(run) - 1))]) + " "
