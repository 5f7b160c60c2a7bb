"""One IMAP command: from octets to words (RFC 3501 §4 and §9, LITERAL+ of RFC 7888, literal8 of RFC 3516).

`read_command` knows lines, literals and limits, and nothing of what a command means: that is `imap_commands.parse`.
A word is a `str` (an atom as it was written), `bytes` (a quoted string or literal), a `Body` (the message of APPEND,
already in its sink) or a tuple of words (a parenthesised list).

How it fails: `Bad` for everything that has an answer, with the tag if one could be read, and `in_sync` false when the
place in the stream is lost, so that the connection must end; `EndOfStream` when the peer is gone.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from daemon.wire.stream import Reading, Send, Sink, Stream, TooLong, WireError


class Ceilings(Protocol):
    """The ceilings this room compares with; `daemon.limits.LIMITS` has them all."""

    @property
    def imap_line_before_login(self) -> int: ...
    @property
    def imap_line(self) -> int: ...
    @property
    def imap_literal_before_login(self) -> int: ...
    @property
    def imap_literal(self) -> int: ...
    @property
    def imap_command(self) -> int: ...
    @property
    def imap_skip(self) -> int: ...
    @property
    def imap_arguments(self) -> int: ...
    @property
    def imap_nesting(self) -> int: ...
    @property
    def imap_set_ranges(self) -> int: ...
    @property
    def imap_fetch_items(self) -> int: ...
    @property
    def imap_field_names(self) -> int: ...
    @property
    def imap_list_patterns(self) -> int: ...
    @property
    def imap_keyword_name(self) -> int: ...
    @property
    def metadata_name(self) -> int: ...
    @property
    def metadata_value(self) -> int: ...
    @property
    def metadata_entries(self) -> int: ...
    @property
    def metadata_listed(self) -> int: ...
    @property
    def imap_mailbox_name(self) -> int: ...
    @property
    def imap_mailbox_depth(self) -> int: ...


class Bad(WireError):
    """A command that is answered with BAD, or NO where the RFCs ask for that.

    `tag` is "*" when none could be read. With `in_sync` the whole command was consumed, or (a synchronising literal)
    its rest will never be sent: answer and read on. Without it, what comes next may be the middle of a literal: answer
    and hang up.
    """

    def __init__(self, text: str, *, tag: str = "*", status: str = "BAD", code: str = "", in_sync: bool = True) -> None:
        super().__init__(text)
        self.text = text
        self.tag = tag
        self.status = status
        self.code = code
        self.in_sync = in_sync

    def reply(self) -> bytes:
        """What to say: one line, and a BYE after it when the connection must end."""
        code = f"[{self.code}] " if self.code else ""
        line = f"{self.tag} {self.status} {code}{self.text}\r\n"
        return (line if self.in_sync else f"{line}* BYE {self.text}\r\n").encode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Body:
    """The message of an APPEND, which went to `sink` while it arrived."""

    size: int
    sink: Sink
    literal8: bool = False


Word = str | bytes | Body | tuple["Word", ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command in words. `name` is in upper case, and `UID` is part of it ("UID FETCH")."""

    tag: str
    name: str
    arguments: tuple[Word, ...] = ()


class _Nowhere:
    def write(self, data: bytes | bytearray | memoryview, /) -> None: ...


TAG = re.compile(r"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")  # RFC 3501 §9: ASTRING-CHAR but "+"
_FIRST = re.compile(TAG.pattern.encode() + rb"(?= )")
_NAME = re.compile(TAG.pattern.encode() + rb" +([A-Za-z]+)")
_PLAIN = re.compile(rb"[ !#-z|}~]+")  # printable, neither quoted string nor literal: most commands
_WORDS = re.compile(r"[^ ()]+|[()]")
_LITERAL = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")
_TAIL = 64  # octets of a skipped line that are looked at for a literal's announcement
_SCAN = re.compile(rb""" +|[()]|[^\x00-\x20\x7f"(){]+|"([^\x00\r\n"\\]*(?:\\["\\][^\x00\r\n"\\]*)*)\"""")
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERALS_BEFORE_LOGIN = (b"LOGIN", b"AUTHENTICATE")


def read_command(
    stream: Stream,
    limits: Ceilings,
    *,
    authenticated: bool,
    new_body: Callable[[int], Sink] | None = None,
    append_limit: int = 0,
    multiappend: bool = False,
) -> Reading[Command]:
    """The next command. Raises `Bad` and `EndOfStream`.

    `new_body(size)` gives the sink for an APPEND's message of up to `append_limit` octets; it may raise `Bad` (no room,
    say), and then a waiting client keeps its message. A sink that was given is the caller's to keep or throw away,
    however the reading ends.
    """
    most = limits.imap_line if authenticated else limits.imap_line_before_login
    try:
        line = yield from stream.line(most)
    except TooLong as error:
        tag = _tag(bytes(stream.buffer[:most]))
        raise Bad(str(error), tag=tag, in_sync=(yield from _skip(stream, 0, limits.imap_skip))) from None
    try:
        if _PLAIN.fullmatch(line):
            flat: list[Word] = [*_WORDS.findall(line.decode("ascii"))]
        else:
            reader = _Reader(stream, limits, most, authenticated, new_body, append_limit, multiappend)
            flat = yield from reader.words(line)
        if len(flat) > limits.imap_arguments:
            raise Bad(f"over {limits.imap_arguments} words")
        return _command(flat, limits)
    except Bad as bad:
        bad.tag = _tag(line)
        raise


def read_response(stream: Stream, limits: Ceilings, tag: str) -> Reading[bytes]:
    """The client's answer to an AUTHENTICATE challenge, decoded. `Bad` for `*` (RFC 3501 §6.2.2) and broken base64."""
    line = yield from _lone_line(stream, limits, limits.imap_literal_before_login, tag)
    if line == b"*":
        raise Bad("authentication cancelled", tag=tag)
    return decode_base64(line, tag)


def decode_base64(text: bytes, tag: str = "*") -> bytes:
    """What `text` stands for. Raises `Bad` for anything but padded base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True) if text else b""
    except binascii.Error:
        raise Bad("that is not base64", tag=tag) from None


def read_done(stream: Stream, limits: Ceilings, tag: str) -> Reading[None]:
    """The end of IDLE (RFC 2177). What follows DONE in the same packet stays in the stream (traps I1)."""
    line = yield from _lone_line(stream, limits, limits.imap_line_before_login, tag)
    if line.strip().upper() != b"DONE":
        raise Bad("DONE expected", tag=tag)


def _lone_line(stream: Stream, limits: Ceilings, most: int, tag: str) -> Reading[bytes]:
    try:
        return (yield from stream.line(most))
    except TooLong as error:
        raise Bad(str(error), tag=tag, in_sync=(yield from _skip(stream, 0, limits.imap_skip))) from None


@dataclass(slots=True)
class _Reader:
    """A command that is more than one plain line.

    Lines and literals are told apart first, by the end of each line alone, so that a command can be refused for any
    reason and the place of the next one is still known.
    """

    stream: Stream
    limits: Ceilings
    most: int
    authenticated: bool
    new_body: Callable[[int], Sink] | None
    append_limit: int
    multiappend: bool
    name: bytes = b""
    left: int = 0  # octets the command may still have, messages aside
    flat: list[Word] = field(default_factory=list)  # the words so far, lists as "(" and ")"

    def words(self, line: bytes) -> Reading[list[Word]]:
        """All words from the first line on."""
        named = _NAME.match(line)
        self.name = named[1].upper() if named else b""
        if self.authenticated:
            self.left = self.limits.imap_command
        else:
            self.left = self.most + 2 * self.limits.imap_literal_before_login  # a line, a user, a password
        while (found := _LITERAL.search(line)) is not None:
            yield from self._literal(line, found)
            line = yield from self._next_line()
        self._lex(line)
        return self.flat

    def _literal(self, line: bytes, found: re.Match[bytes]) -> Reading[None]:
        """Take in the words of `line` and the literal it announces, or refuse both."""
        size = int(found[2]) if len(found[2]) < 16 else 10**16
        waits = not found[3]
        message = False
        try:
            self.left -= len(line)
            self._lex(line[: found.start()], before_literal=True)
            message = self.name == b"APPEND" and len(self.flat) >= 3  # tag, APPEND, mailbox
            sink = self._sink(size) if message else None
            if sink is None:
                self._allow(size, literal8=bool(found[1]))
        except Bad as bad:
            if not waits:  # it is already on its way
                budget = self.limits.imap_skip + (self.append_limit if message else 0)
                bad.in_sync = yield from _skip(self.stream, size, budget)
            raise
        if waits:
            yield Send(b"+ OK\r\n")  # "+ " and a text, never "+" alone (traps I28)
        if sink is not None:
            yield from self.stream.pour(size, sink)
            self.flat.append(Body(size, sink, bool(found[1])))
            return
        self.left -= size
        data = yield from self.stream.exactly(size)
        if b"\0" in data and not found[1]:  # RFC 3501 §9: CHAR8 is any octet but NUL
            raise Bad("NUL in a literal", in_sync=(yield from _skip(self.stream, 0, self.limits.imap_skip)))
        self.flat.append(data)

    def _sink(self, size: int) -> Sink:
        if self.new_body is None or not self.authenticated:
            raise Bad("no message can be taken now")
        if any(isinstance(word, Body) for word in self.flat) and not self.multiappend:
            raise Bad("one message in one APPEND")
        if size > self.append_limit:
            raise Bad(f"message over {self.append_limit} octets", status="NO", code="TOOBIG")  # RFC 4469 §4.2
        return self.new_body(size)

    def _allow(self, size: int, *, literal8: bool) -> None:
        metadata = self.authenticated and self.name == b"SETMETADATA"
        if literal8 and not metadata:
            raise Bad("a binary literal is for messages and metadata")  # RFC 3516 §4.4, RFC 5464 §5
        if metadata and size > self.limits.metadata_value:
            raise Bad("value too long", status="NO", code=f"METADATA MAXSIZE {self.limits.metadata_value}")
        if self.authenticated:
            most = self.limits.imap_literal
        else:
            most = self.limits.imap_literal_before_login if self.name in _LITERALS_BEFORE_LOGIN else 0
        if size > min(most, self.left):
            raise Bad(f"literal over {max(0, min(most, self.left))} octets")

    def _next_line(self) -> Reading[bytes]:
        """The rest of the command after a literal, up to its end or the next literal."""
        try:
            line = yield from self.stream.line(max(0, min(self.most, self.left)))
        except TooLong:
            in_sync = yield from _skip(self.stream, 0, self.limits.imap_skip)
            raise Bad("command too long", in_sync=in_sync) from None
        return line

    def _lex(self, line: bytes, *, before_literal: bool = False) -> None:
        """Append the words of `line`. Strings and literals stand between spaces and parentheses."""
        flat = self.flat
        after_string = bool(flat)  # a line that continues comes after a literal
        after_atom = False
        at, end = 0, len(line)
        while at < end:
            found = _SCAN.match(line, at)
            if found is None:
                raise Bad("unterminated quoted string" if line[at] == 34 else "unexpected character")
            at = found.end()
            first = line[found.start()]
            if first == 32:
                after_string = after_atom = False
                continue
            if after_string and first != 41:
                raise Bad("space expected after a string")
            if first == 34:
                if after_atom:
                    raise Bad("space expected before a string")
                text = found[1]
                flat.append(_ESCAPED.sub(rb"\1", text) if b"\\" in text else text)
                after_string = True
                continue
            try:
                flat.append(found[0].decode())
            except UnicodeDecodeError:
                raise Bad("an atom that is not UTF-8") from None
            after_string, after_atom = False, first != 40
        if before_literal and (after_atom or after_string):
            raise Bad("space expected before a literal")
        if len(flat) > self.limits.imap_arguments:
            raise Bad(f"over {self.limits.imap_arguments} words")


def _tag(line: bytes) -> str:
    found = _FIRST.match(line)
    return found[0].decode() if found else "*"


def _command(flat: list[Word], limits: Ceilings) -> Command:
    """Words to a command: lists made of parentheses, the name found."""
    words = _lists(flat, limits.imap_nesting) if "(" in flat or ")" in flat else flat
    match words:
        case [str(tag), str(uid), str(name), *arguments] if uid.upper() == "UID" and TAG.fullmatch(tag):
            return Command(tag, f"UID {name.upper()}", tuple(arguments))
        case [str(tag), str(name), *arguments] if TAG.fullmatch(tag):
            return Command(tag, name.upper(), tuple(arguments))
    raise Bad("a tag and a command expected")


def _lists(flat: list[Word], nesting: int) -> list[Word]:
    stack: list[list[Word]] = []
    words: list[Word] = []
    for word in flat:
        if word == "(":
            if len(stack) == nesting:
                raise Bad(f"parentheses over {nesting} deep")
            stack.append(words)
            words = []
        elif word == ")":
            if not stack:
                raise Bad("parenthesis closed that was not open")
            inner = tuple(words)
            words = stack.pop()
            words.append(inner)
        else:
            words.append(word)
    if stack:
        raise Bad("parenthesis not closed")
    return words


def _skip(stream: Stream, size: int, budget: int) -> Reading[bool]:
    """Throw away `size` octets of a literal and the rest of its command; whether the next command was found.

    Gives up, and then what remains is unknown, when that takes more than `budget` octets: a peer may not make us read
    for ever what nobody wants.
    """
    while size <= budget:
        yield from stream.pour(size, _Nowhere())
        budget -= size
        tail = b""
        while not tail.endswith(b"\n"):
            if not stream.buffer and not stream.eof:
                yield None
                continue
            end = stream.buffer.find(b"\n") + 1 or len(stream.buffer) or 1
            if end > budget:
                return False
            budget -= end
            tail = (tail + (yield from stream.exactly(end)))[-_TAIL:]
        found = _LITERAL.search(tail[:-1].removesuffix(b"\r"))
        if found is None or not found[3]:
            return True
        size = int(found[2])
    return False
