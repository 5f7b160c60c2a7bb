"""Mailbox names: modified UTF-7 on the wire, text inside (RFC 3501 §5.1.3), and the patterns of LIST.

Levels are divided by "/". `INBOX` is always spelled so, also as the first level (traps I20).
"""

from __future__ import annotations

import binascii
import re

from daemon.wire.imap import Bad

SEPARATOR = "/"
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def decode_name(wire: str) -> str:
    """The name that the ASCII or (from clients that do not know better) UTF-8 text `wire` stands for. Raises `Bad`.

    There is one right way to write a name: what `encode_name` would write differently is refused, or two names on the
    wire would be one mailbox.
    """
    if "&" not in wire:
        return wire
    name = _SHIFTED.sub(_unshifted, wire)
    if wire.isascii() and encode_name(name) != wire:
        raise Bad("a mailbox name that is not modified UTF-7")
    return name


def _unshifted(found: re.Match[str]) -> str:
    shifted = found[1].replace(",", "/")
    if not shifted:
        return "&"
    try:
        return binascii.a2b_base64(shifted + "=" * (-len(shifted) % 4)).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise Bad("a mailbox name that is not modified UTF-7") from None


def encode_name(name: str) -> str:
    """`name` in modified UTF-7."""
    if name.isascii() and name.isprintable():
        return name.replace("&", "&-")
    return _UNPRINTABLE.sub(_shift, name.replace("&", "&-"))


def _shift(found: re.Match[str]) -> str:
    base64 = binascii.b2a_base64(found[0].encode("utf-16-be"), newline=False)
    return f"&{base64.rstrip(b'=').decode().replace('/', ',')}-"


def canonical(name: str) -> str:
    """`inbox` and `Inbox/Sub` with the first level as INBOX."""
    first, slash, rest = name.partition(SEPARATOR)
    return f"INBOX{slash}{rest}" if first.upper() == "INBOX" else name


def checked_name(wire: bytes, octets: int, depth: int) -> str:
    """A command's mailbox argument as text, of at most `octets` in UTF-8 and `depth` levels. Raises `Bad`."""
    try:
        name = canonical(decode_name(wire.decode()))
    except UnicodeDecodeError:
        raise Bad("a mailbox name that is not modified UTF-7") from None
    if _CONTROL.search(name):
        raise Bad("a mailbox name with control characters", status="NO", code="CANNOT")
    if len(name.encode()) > octets or name.count(SEPARATOR) >= depth:
        raise Bad("mailbox name too long or too deep", status="NO", code="CANNOT")
    return name


class MailboxPattern:
    """A LIST pattern: `*` is anything, `%` anything but the separator.

    The states of all ways to match are the bits of one number, which moves on with each character of the name: the
    work is the length of the name, whatever the pattern (no backtracking).
    """

    __slots__ = ("text", "_literal", "_wild", "_star", "_end", "_plain", "_inbox")

    def __init__(self, text: str) -> None:
        text = canonical(text)
        self.text = re.sub(r"[*%]{2,}", lambda run: "*" if "*" in run[0] else "%", text)
        self._plain = not re.search(r"[*%]", text)
        self._literal: dict[str, int] = {}
        self._wild = self._star = 0
        for at, char in enumerate(self.text):
            if char in "*%":
                self._wild |= 1 << at
                self._star |= (1 << at) * (char == "*")
            else:
                self._literal[char] = self._literal.get(char, 0) | 1 << at
        self._end = 1 << len(self.text)
        # RFC 3501 §6.3.8: INBOX is matched in any case
        self._inbox = MailboxPattern(text.upper()) if text.isascii() and text != text.upper() else None

    def matches(self, name: str) -> bool:
        if self._plain:
            return name == self.text
        if name == "INBOX" and self._inbox is not None:
            return self._inbox.matches(name)
        literal, wild = self._literal, self._wild
        states = 1 | (wild & 1) << 1  # a wildcard may stand for nothing: its bit carries the next one
        for char in name:
            stay = states & (self._star if char == SEPARATOR else wild)
            states = (states & literal.get(char, 0)) << 1 | stay
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states & self._end)
