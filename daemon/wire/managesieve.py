"""ManageSieve: commands into values, replies into octets (RFC 5804).

A command is a word and its arguments, strings and numbers, on one line. A literal (`{12+}`, or `{12}` as some write it:
nobody waits for a go-ahead here) ends a piece of the line and stands for the octets behind it. How large it is, is
looked at before any of it is read.

After `BadCommand` the whole command has been read and the next one follows. After `TooLong` nobody knows where that
would begin: the caller says so and closes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from daemon.wire.stream import Reading, Sink, Stream, TooLong

QUOTED = 1024  # octets of a quoted string at most (section 4); what is longer goes as a literal
_LONGEST = (1 << 32) - 1  # a number (section 4)
_MORE = 40  # octets that are left for the end of a line which has no room for all
_WORDS = 4  # of a command, with its name: none takes more than two
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}$")
_WORD = re.compile(rb' *(?:"([^"\\\0\r]*(?:\\[^\0\r][^"\\\0\r]*)*)"|([0-9]+)|([A-Za-z*][A-Za-z0-9_-]*))(?= |$)')
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_UNQUOTABLE = re.compile(r"[\0\r\n]")

Code = Literal[
    "ACTIVE", "ALREADYEXISTS", "AUTH-TOO-WEAK", "ENCRYPT-NEEDED", "NONEXISTENT", "QUOTA", "QUOTA/MAXSCRIPTS",
    "QUOTA/MAXSIZE", "SASL", "TAG", "TRYLATER", "WARNINGS",
]  # fmt: skip
"""Response codes (section 1.3). SASL and TAG have a string behind them."""

Value = bytes | int


class BadCommand(ValueError):
    """The command is not understood or not taken; the message is a sentence for `NO`, with `code` if there is one."""

    def __init__(self, text: str, code: Code | None = None) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """Its name in capitals, and its arguments: strings as octets, and numbers."""

    verb: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets: of a command without its literals, of one literal, and of literals over that which are thrown away to
    stay in step with the client."""

    line: int
    literal: int
    skip: int = 0


class _Nowhere:
    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """Forget it."""


_NOWHERE: Sink = _Nowhere()


def read_command(stream: Stream, bounds: Bounds) -> Reading[Command]:
    """The next command, whether we know it or not. Raises `BadCommand`, `TooLong` and `EndOfStream`."""
    verb, *values = (yield from _words(stream, bounds)) or [b""]
    if not isinstance(verb, str):
        raise BadCommand("a command begins with its name")
    found: list[Value] = []
    for value in values:
        if isinstance(value, str):
            raise BadCommand("arguments are strings and numbers")
        found.append(value)
    return Command(verb.upper(), tuple(found))


def read_response(stream: Stream, bounds: Bounds) -> Reading[bytes]:
    """What the client answers to a challenge: a string in a line of its own (section 2.1), or `*` as it comes.

    Raises `BadCommand`, `TooLong` and `EndOfStream`.
    """
    match (yield from _words(stream, bounds)):
        case [bytes() as answer]:
            return answer
        case ["*"]:
            return b"*"
    raise BadCommand("an answer is one string")


def _words(stream: Stream, bounds: Bounds) -> Reading[list[Value | str]]:
    """One line with its literals; names are `str`."""
    words: list[Value | str] = []
    fault: BadCommand | None = None
    room, skip = bounds.line, bounds.skip
    while True:
        line = yield from stream.line(room)
        room -= len(line) + 2
        literal = _LITERAL.search(line)
        if fault is None:
            try:
                words += _split(line if literal is None else line[: literal.start()])
                if len(words) + (literal is not None) > _WORDS:
                    raise BadCommand("too many arguments")
            except BadCommand as error:
                fault = error
        if literal is None:
            break
        size = int(literal[1]) if len(literal[1]) <= 10 else 1 << 40  # nobody reads a number of 10,000 digits
        if fault is None and size > bounds.literal:
            fault = BadCommand(f"a string may have {bounds.literal} octets here", "QUOTA/MAXSIZE")
        if fault is None:
            words.append((yield from stream.exactly(size)))
            continue
        skip -= size
        if skip < 0:
            raise TooLong(str(fault))
        yield from stream.pour(size, _NOWHERE)
    if fault is not None:
        raise fault
    return words


def _split(line: bytes) -> list[Value | str]:
    """The words of a line without literals. Raises `BadCommand`."""
    found: list[Value | str] = []
    at, end = 0, len(line.rstrip(b" "))
    while at < end:
        word = _WORD.match(line, at)
        if word is None:
            raise BadCommand("that is no string, no number and no name")
        at = word.end()
        quoted, digits, name = word.groups()
        if name is not None:
            found.append(name.decode("ascii"))
        elif digits is not None:
            if len(digits) > 10 or int(digits) > _LONGEST:
                raise BadCommand("that number is too large")
            found.append(int(digits))
        else:
            found.append(_ESCAPE.sub(rb"\1", quoted))
    return found


# -- arguments ---------------------------------------------------------------------------------------------------------


def check_arguments(command: Command, form: str, optional: int = 0) -> None:
    """`form`: an `s` for each string and an `n` for each number; the last `optional` of them may be absent.

    Raises `BadCommand`.
    """
    given = "".join("n" if isinstance(value, int) else "s" for value in command.values)
    if not form.startswith(given) or len(given) < len(form) - optional:
        wanted = ", ".join({"s": "a string", "n": "a number"}[kind] for kind in form) or "no argument"
        raise BadCommand(f"{command.verb} takes {wanted}")


def text(value: Value) -> str:
    """A string of the client. Raises `BadCommand` for what is not UTF-8."""
    assert isinstance(value, bytes)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadCommand("that is not UTF-8") from None


def script_name(value: Value) -> str:
    """The name of a script, composed (section 1.6, RFC 5198 section 3): the same name is the same octets. Which names
    are taken, the store says. Raises `BadCommand`."""
    return unicodedata.normalize("NFC", text(value))


# -- replies -----------------------------------------------------------------------------------------------------------


def ok(words: str = "", code: Code | None = None, value: str | None = None) -> bytes:
    return _reply("OK", words, code, value)


def no(words: str, code: Code | None = None) -> bytes:
    return _reply("NO", words, code)


def bye(words: str, code: Code | None = None) -> bytes:
    return _reply("BYE", words, code)


def _reply(word: str, words: str, code: Code | None, value: str | None = None) -> bytes:
    if code is not None:
        word += f" ({code})" if value is None else f" ({code} {string(value)})"
    return f"{word} {string(words)}\r\n".encode() if words else f"{word}\r\n".encode()


def string(value: str) -> str:
    """Quoted where that can be, else a literal. Lines end with CRLF."""
    if len(value.encode()) <= QUOTED and not _UNQUOTABLE.search(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return literal(value.replace("\r\n", "\n").replace("\n", "\r\n"))


def in_a_line(sentences: Sequence[str]) -> str:
    """As many as a quoted string has room for, and how many more there are. Section 1.3 would let them have lines of
    their own, but a client that looks for OK in the first line (sieve-connect) takes a literal behind it for a failure.
    """
    told = ""
    for number, sentence in enumerate(sentences):
        longer = f"{told}; {sentence}" if told else sentence
        if len(string(longer).encode()) > QUOTED - _MORE or _UNQUOTABLE.search(longer):
            more = f"{len(sentences) - number} more"
            return f"{told}; and {more}" if told else more
        told = longer
    return told


def literal(value: str) -> str:
    """A literal of the server, octet for octet (section 4: without `+`)."""
    return f"{{{len(value.encode())}}}\r\n{value}"


def challenge(data: bytes) -> bytes:
    """What SASL asks; `data` is base64."""
    return f"{string(data.decode('ascii'))}\r\n".encode()


def script(value: str) -> bytes:
    """What GETSCRIPT gives, before its OK; always a literal, which is what clients look for."""
    return f"{literal(value)}\r\n".encode()


def listing(scripts: Iterable[tuple[str, bool]]) -> bytes:
    """What LISTSCRIPTS gives, before its OK: names, and whether that one is active (section 2.7)."""
    return "".join(f"{string(name)}{' ACTIVE' if active else ''}\r\n" for name, active in scripts).encode()


def capabilities(
    extensions: Sequence[str], mechanisms: Sequence[str], *, start_tls: bool, redirects: int, owner: str = ""
) -> bytes:
    """What is announced before its OK: at the beginning, to CAPABILITY, and after STARTTLS (section 1.7)."""
    rows: list[tuple[str, str | None]] = [
        ("IMPLEMENTATION", "mailctl"),
        ("SIEVE", " ".join(extensions)),
        ("SASL", " ".join(mechanisms)),
        ("NOTIFY", "mailto"),
        ("MAXREDIRECTS", str(redirects)),
        ("LANGUAGE", "en"),
    ]
    if start_tls:
        rows.append(("STARTTLS", None))
    if owner:
        rows.append(("OWNER", owner))
    rows += [("UNAUTHENTICATE", None), ("VERSION", "1.0")]
    return "".join(
        f'"{name}"\r\n' if value is None else f'"{name}" {string(value)}\r\n' for name, value in rows
    ).encode()
