"""SMTP as words: command lines in, replies out (RFC 5321, RFC 2033, RFC 3463).

Arguments of MAIL and RCPT are read in `smtp_parameters`, the content of a message in `smtp_data`. Whoever finds that
a command must not be obeyed raises `Refused` with the reply; the session catches it in one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from daemon.wire.stream import Reading, Stream, TooLong

LINE = 510  # octets of one reply line without its CRLF (RFC 5321 §4.5.3.1.5)
_UNPRINTABLE = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What we answer: three digits, an enhanced status code (RFC 3463; empty where RFC 2034 §4 has none), a text.

    A text of several lines is divided by `\\n`. Anything else that is not printable US-ASCII becomes `?`: a reply may
    quote the peer, and must not let it write lines of its own.
    """

    code: int
    enhanced: str
    text: str

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    @property
    def closes(self) -> bool:
        """After 421 and 221 the connection ends (RFC 5321 §3.8, §4.2.1)."""
        return self.code in (421, 221)

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))

    def __bytes__(self) -> bytes:
        return _written(self.code, self.enhanced, self.text)


@lru_cache(maxsize=256)
def _written(code: int, enhanced: str, text: str) -> bytes:
    lead = f"{enhanced} " if enhanced else ""
    room = LINE - 4 - len(lead)
    lines = [piece for line in text.split("\n") for piece in _fold(_UNPRINTABLE.sub("?", line), room)]
    last = len(lines) - 1
    return "".join(
        f"{code}{' ' if number == last else '-'}{lead}{line}\r\n" for number, line in enumerate(lines)
    ).encode("ascii")


class Refused(Exception):
    """A command that will not be obeyed, with the reply that says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def refused(code: int, enhanced: str, text: str) -> Refused:
    """`raise refused(550, "5.1.1", "no such user")`."""
    return Refused(Reply(code, enhanced, text))


def _fold(line: str, room: int) -> list[str]:
    """`line` in pieces of at most `room` characters, cut at spaces where there are some."""
    pieces = []
    while len(line) > room:
        cut = line.rfind(" ", 1, room + 1)
        if cut < 0:
            pieces.append(line[:room])
            line = line[room:]
        else:
            pieces.append(line[:cut])
            line = line[cut + 1 :]
    pieces.append(line)
    return pieces


@dataclass(frozen=True, slots=True)
class Command:
    """A verb in upper case and its argument without the spaces around it. A verb that is no word is empty."""

    verb: str
    argument: bytes


_VERB = re.compile(rb"([A-Za-z]{1,16})(?:[ \t]+|\Z)")
_KNOWN = {
    word: word.decode().upper()
    for name in (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"QUIT", b"EHLO", b"HELO", b"LHLO", b"AUTH")
    for word in (name, name.lower())
}


def command(line: bytes) -> Command:
    """The command in a line (without its end). Verbs count in any case (RFC 5321 §2.4)."""
    verb, _, argument = line.partition(b" ")
    known = _KNOWN.get(verb)
    if known is not None:
        return Command(known, argument.strip(b" \t"))
    found = _VERB.match(line)
    if found is None:
        return Command("", line)
    return Command(found[1].decode("ascii").upper(), line[found.end() :].strip(b" \t"))


def skip_line(stream: Stream, limit: int) -> Reading[None]:
    """Throw away a line that was too long, holding nothing. Raises `TooLong` after `limit` octets without an end."""
    skipped = 0
    while True:
        end = stream.buffer.find(b"\n")
        if skipped + (len(stream) if end < 0 else end) > limit:
            raise TooLong(f"line over {limit} octets")
        if end >= 0:
            break
        skipped += len(stream)
        stream.clear()
        if stream.eof:
            return
        yield None
    yield from stream.exactly(end + 1)


_HELLO = re.compile(rb"[^\x00-\x20\x7f]{1,255}")


def hello(argument: bytes) -> str:
    """The name a client gives itself, octets over 127 as `?`. `Refused` when there is none.

    RFC 5321 §4.1.4 forbids refusing mail because the name is wrong, and real clients say anything.
    """
    if not _HELLO.fullmatch(argument):
        raise refused(501, "5.5.4", "Say who you are: EHLO name.example")
    return argument.decode("ascii", "replace").replace("\ufffd", "?")
