"""What another SMTP server says: replies (RFC 5321 §4.2) and the extensions its EHLO names (§4.1.1.1).

Lenient in what changes nothing (a bare LF, a code that differs between lines, octets that are no UTF-8), strict in
what would let a peer hold memory or time: a reply has so many lines, a line so many octets, both told by the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from daemon.wire.stream import Reading, Stream, WireError

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:[ \t]+|\Z)", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LIMIT = re.compile(r"([A-Za-z0-9-]+)=([1-9][0-9]{0,5})\Z", re.ASCII)  # RFC 9422 §3


class BadReply(WireError):
    """What came is no SMTP reply. The connection cannot be used any more."""


class PeerReply(NamedTuple):
    """Three digits and the lines after them, control characters made spaces."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) of the last line that has one in the code's class; else empty."""
        for line in reversed(self.lines):
            found = _ENHANCED.match(line)
            if found and int(found[1]) == self.code // 100:
                return found[0].strip()
        return ""

    @property
    def verbatim(self) -> str:
        """All lines as they came, each with the code."""
        last = len(self.lines) - 1
        return "\n".join(f"{self.code}{' ' if i == last else '-'}{line}" for i, line in enumerate(self.lines))

    def __str__(self) -> str:
        """All of it on one line, the codes once: `550 5.1.1 no such user here`."""
        words = " ".join(filter(None, (_ENHANCED.sub("", line, count=1).strip() for line in self.lines)))
        return " ".join(filter(None, (str(self.code), self.enhanced, words)))


def reply(stream: Stream, line_limit: int, lines_limit: int) -> Reading[PeerReply]:
    """The next reply, all its lines.

    Raises `TooLong` for a line over `line_limit` octets (an endless one emptied chasquid 1.2's memory), `BadReply`
    also for more than `lines_limit` lines, `EndOfStream`. After any of them the connection is of no use.
    """
    before: tuple[str, ...] = ()
    while True:
        found, more = _read((yield from stream.line(line_limit)))
        if not more:
            return found._replace(lines=before + found.lines) if before else found
        before += found.lines
        if len(before) >= lines_limit:
            raise BadReply(f"reply over {lines_limit} lines")


@lru_cache(maxsize=256)  # servers say the same to every command
def _read(line: bytes) -> tuple[PeerReply, bool]:
    """One line as a reply, and whether it goes on. Raises `BadReply`."""
    if len(line) < 3 or not line[:3].isdigit() or not 50 <= line[0] <= 53 or line[3:4] not in (b" ", b"-", b""):
        raise BadReply(f"not an SMTP reply: {_text(line[:80])}")
    return PeerReply(int(line[:3]), (_text(line[4:]),)), line[3:4] == b"-"


def _text(octets: bytes) -> str:
    text = octets.decode("utf-8", "backslashreplace")
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub(" ", text)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the peer offered in EHLO. After HELO alone: nothing.

    `size`: octets it takes; 0 when it named no limit or has no SIZE (then `size_known` is false). `rcptmax`,
    `mailmax`, `rcptdomainmax`: RFC 9422; 0 when not named.
    """

    name: str = ""
    esmtp: bool = False
    pipelining: bool = False
    size_known: bool = False
    size: int = 0
    eightbitmime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    chunking: bool = False
    starttls: bool = False
    requiretls: bool = False
    auth: frozenset[str] = frozenset()
    rcptmax: int = 0
    mailmax: int = 0
    rcptdomainmax: int = 0


def capabilities(ehlo: PeerReply) -> Capabilities:
    """Read the reply to EHLO. What cannot be read counts as not offered."""
    flags: set[str] = set()
    size = 0
    auth: set[str] = set()
    limits: dict[str, int] = {}
    for line in ehlo.lines[1:]:
        words = line.replace("=", " ", 1).split() if line[:5].upper() == "AUTH=" else line.split()
        if not words:
            continue
        keyword, arguments = words[0].upper(), words[1:]
        flags.add(keyword)
        if keyword == "SIZE" and arguments and arguments[0].isascii() and arguments[0].isdigit():
            size = int(arguments[0][:18])  # RFC 1870 §6.1: 0 is no fixed limit
        elif keyword == "AUTH":
            auth.update(word.upper() for word in arguments)
        elif keyword == "LIMITS":
            found = (_LIMIT.match(word) for word in arguments)
            limits.update((f[1].upper(), int(f[2])) for f in found if f)
    return Capabilities(
        name=ehlo.lines[0].split(" ", 1)[0],
        esmtp=True,
        pipelining="PIPELINING" in flags,
        size_known="SIZE" in flags,
        size=size,
        eightbitmime="8BITMIME" in flags,
        smtputf8="SMTPUTF8" in flags,
        dsn="DSN" in flags,
        chunking="CHUNKING" in flags,
        starttls="STARTTLS" in flags,
        requiretls="REQUIRETLS" in flags,
        auth=frozenset(auth),
        rcptmax=limits.get("RCPTMAX", 0),
        mailmax=limits.get("MAILMAX", 0),
        rcptdomainmax=limits.get("RCPTDOMAINMAX", 0),
    )
