"""Address fields of a header (From, To, Cc …): RFC 5322 §3.4 and its obsolete forms, read leniently and in one pass.

For showing and searching, not for sending: nothing is refused, what is no address becomes one with an empty host.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import UNFOLD, decode_text, decode_words, unfold

_ATEXT = r"[^\s()<>\[\]:;,\\\"@]"
# One mailbox as nearly all are written, with the comma behind it. No two neighbours here match the same character.
_SIMPLE = re.compile(
    rf"(?:(?:\"([^\"\\]*)\" *|([^\"\\<>@,;:()\[\]]*))<({_ATEXT}+)@([A-Za-z0-9._-]+)>|({_ATEXT}+)@([A-Za-z0-9._-]+))"
    r" *(?:, *|\Z)"
)
# Possessive, or each step of a repetition is remembered: 200 octets of memory for one of the field.
_TOKEN = re.compile(
    r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?'  # 1: quoted
    r'|<((?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^">]++)*+)>?'  # 2: angle
    r"|((?:\[[^\]\[\s]*+\]|[^\s\"(<>,;:\[]++)++)"  # 3: atoms, dots, @ and literals
    r"|(\S)",  # 4: whatever else
)
_PARENTHESIS = re.compile(r"\\.|[()]")
_ROUTE = re.compile(r"\s*(@[^:\"]*):")


_SHORT = 256  # octets of a field that may be remembered


class Mailbox(NamedTuple):
    """One address as ENVELOPE tells it (RFC 3501 §7.4.2). A group begins with `(None, None, name, None)` and ends
    with four None. `name` may still hold encoded words."""

    name: str | None
    route: str | None
    local: str | None
    host: str | None

    @property
    def address(self) -> str:
        """`local@host`, or what there is of it."""
        return f"{self.local}@{self.host}" if self.host else self.local or ""

    @property
    def display(self) -> str:
        """The name, decoded; the address where there is none."""
        return decode_words(self.name) if self.name else self.address


_END = Mailbox(None, None, None, None)


def mailboxes(value: bytes) -> tuple[Mailbox, ...]:
    """The addresses of one field, at most `LIMITS.addresses`, of the first `LIMITS.field_value` octets."""
    return _remembered(value) if len(value) <= _SHORT else _read(value)


def all_mailboxes(value: bytes, most: int) -> tuple[Mailbox, ...]:
    """The same of a field of any length, for who sends a message to all it names: up to `most`."""
    return _addresses(value.translate(UNFOLD, b"\r\n").strip(), most)


def _read(value: bytes) -> tuple[Mailbox, ...]:
    return _addresses(unfold(value), LIMITS.addresses)


def _addresses(raw: bytes, most: int) -> tuple[Mailbox, ...]:
    text = raw.decode("ascii") if raw.isascii() else decode_text(raw, "")
    found: list[Mailbox] = []
    place = 0
    while place < len(text):
        simple = _SIMPLE.match(text, place)
        if not simple:
            return tuple(_Reader(text, place, found, most).read())
        quoted, words, local, host, bare, bare_host = simple.groups()
        if bare:
            found.append(Mailbox(None, None, bare, bare_host))
        else:
            found.append(Mailbox(quoted or (words.strip() if words else None) or None, None, local, host))
        if len(found) >= most:
            break
        place = simple.end()
    return tuple(found)


_remembered = lru_cache(maxsize=512)(_read)  # each field is asked for three times, and people write to people


class _Reader:
    """The full grammar, token by token: phrases, groups, routes, comments, and what is none of it."""

    __slots__ = ("text", "place", "found", "most", "words", "comment", "grouped")

    def __init__(self, text: str, place: int, found: list[Mailbox], most: int) -> None:
        self.text = text
        self.most = most
        self.place = place
        self.found = found
        self.words: list[tuple[str, bool]] = []  # of the address under way, and whether each was quoted
        self.comment = ""
        self.grouped = False

    def read(self) -> list[Mailbox]:
        while len(self.found) < self.most:
            token = _TOKEN.search(self.text, self.place)
            if not token:
                break
            self.place = token.end()
            if token[1] is not None:
                self.words.append((_unescape(token[1]), True))
            elif token[2] is not None:
                self._angle(token[2])
            elif token[3] is not None:
                self.words.append((token[3], False))
            else:
                self._mark(token[4])
        self._finish()
        if self.grouped:
            self.found.append(_END)
        return self.found

    def _mark(self, mark: str) -> None:
        if mark == "(":
            self.comment = self._comment()
        elif mark == ",":
            self._finish()
        elif mark == ":" and not self.grouped:
            self.found.append(Mailbox(None, None, self._phrase() or "", None))
            self.words.clear()
            self.grouped = True
        elif mark == ";":
            self._finish()
            if self.grouped:
                self.found.append(_END)
                self.grouped = False

    def _comment(self) -> str:
        """The inside of the comment that was just opened (they nest), up to its end or the field's."""
        start, depth = self.place, 1
        for mark in _PARENTHESIS.finditer(self.text, start):
            depth += {"(": 1, ")": -1}.get(mark[0], 0)
            if not depth:
                self.place = mark.end()
                return _unescape(self.text[start : mark.start()])
        self.place = len(self.text)
        return _unescape(self.text[start:])

    def _phrase(self) -> str | None:
        return " ".join(word for word, _ in self.words) or None

    def _angle(self, inner: str) -> None:
        route = _ROUTE.match(inner)
        name = self._phrase() or self.comment or None
        local, at, host = inner[route.end() if route else 0 :].strip().rpartition("@")
        if not at:
            local, host = host, ""
        if len(local) > 1 and local[0] == local[-1] == '"':
            local = _unescape(local[1:-1])
        if local or host or name:
            self.found.append(Mailbox(name, route[1].strip() if route else None, local, host))
        self._clear()

    def _finish(self) -> None:
        """What stood before a comma without angle brackets: an address, with words before it or a comment as name."""
        words = self.words
        if not words:
            self._clear()
            return
        last, quoted = words[-1]
        if not quoted and "@" in last:
            local, _, host = last.rpartition("@")
            before = words[:-1]
            if not local and before:
                local = before.pop()[0]
            name = " ".join(word for word, _ in before) or self.comment or None
            self.found.append(Mailbox(name, None, local, host))
        elif "@" in "".join(word for word, quoted in words if not quoted):
            local, _, host = "".join(word for word, _ in words).rpartition("@")  # `joe @ example.org`
            self.found.append(Mailbox(self.comment or None, None, local, host))
        else:
            self.found.append(Mailbox(self.comment or None, None, self._phrase(), ""))
        self._clear()

    def _clear(self) -> None:
        self.words = []
        self.comment = ""


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text
