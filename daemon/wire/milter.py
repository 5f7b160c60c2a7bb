"""The milter protocol, version 6, as the mail server's side speaks it: commands to a filter, and what it answers.

A packet is four octets of length, one for its kind, and data. A filter first says what it may do and what it wants to
be told (`Options`). It answers each command with one last word (`Word`, `ReplyCode`), unless it said that it would not;
`Word("progress")` only asks for patience. Changes come before the last word to the end of the message.

The protocol has no RFC; names are those of libmilter's `mfdef.h`. Whatever a filter sends is held against a limit
before it is read, and a packet that does not have the form of its kind is a `BadPacket`: there is no way to go on then.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from enum import IntFlag
from typing import Literal, NamedTuple

from daemon.limits import LIMITS
from daemon.wire.stream import Reading, Stream, TooLong, WireError

VERSION = 6


class Action(IntFlag):
    """SMFIF_*: what a filter may do to a message."""

    ADDHDRS = 0x1
    CHGBODY = 0x2
    ADDRCPT = 0x4
    DELRCPT = 0x8
    CHGHDRS = 0x10
    QUARANTINE = 0x20
    CHGFROM = 0x40
    ADDRCPT_PAR = 0x80
    SETSYMLIST = 0x100


class Step(IntFlag):
    """SMFIP_*: NO*: do not tell me; NR_*: I shall not answer. The others: a way to say things that both sides know."""

    NOCONNECT = 0x1
    NOHELO = 0x2
    NOMAIL = 0x4
    NORCPT = 0x8
    NOBODY = 0x10
    NOHDRS = 0x20
    NOEOH = 0x40
    NR_HDR = 0x80
    NOUNKNOWN = 0x100
    NODATA = 0x200
    SKIP = 0x400  # it may say that it has seen enough of the body
    RCPT_REJ = 0x800  # it wants to hear of recipients that were refused
    NR_CONN = 0x1000
    NR_HELO = 0x2000
    NR_MAIL = 0x4000
    NR_RCPT = 0x8000
    NR_DATA = 0x10000
    NR_UNKN = 0x20000
    NR_EOH = 0x40000
    NR_BODY = 0x80000
    HDR_LEADSPC = 0x100000  # values come and go with the blanks after the colon
    MDS_256K = 0x10000000  # packets may have 256 KiB, or 1 MiB, instead of 64
    MDS_1M = 0x20000000


Command = Literal["connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "end", "unknown"]


class _Row(NamedTuple):
    kind: bytes
    untold: Step | None  # with it the filter is not told
    mute: Step | None  # with it the filter does not answer


COMMANDS: Mapping[Command, _Row] = {
    "connect": _Row(b"C", Step.NOCONNECT, Step.NR_CONN),
    "helo": _Row(b"H", Step.NOHELO, Step.NR_HELO),
    "mail": _Row(b"M", Step.NOMAIL, Step.NR_MAIL),
    "rcpt": _Row(b"R", Step.NORCPT, Step.NR_RCPT),
    "data": _Row(b"T", Step.NODATA, Step.NR_DATA),
    "header": _Row(b"L", Step.NOHDRS, Step.NR_HDR),
    "eoh": _Row(b"N", Step.NOEOH, Step.NR_EOH),
    "body": _Row(b"B", Step.NOBODY, Step.NR_BODY),
    "end": _Row(b"E", None, None),
    "unknown": _Row(b"U", Step.NOUNKNOWN, Step.NR_UNKN),
}
STAGES: tuple[Command, ...] = ("connect", "helo", "mail", "rcpt", "data", "end", "eoh")
"""SMFIM_*: where a filter may name the macros it wants, by their numbers."""

ABORT = b"\0\0\0\1A"  # the message ends here, and is not judged
QUIT = b"\0\0\0\1Q"  # so does the connection
QUIT_NC = b"\0\0\0\1K"  # another connection of a client begins on this one (version 6)


class BadPacket(WireError):
    """What came is no packet a filter may send here. The connection cannot be used any more."""


# -- what we say -------------------------------------------------------------------------------------------------------


def packet(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack("!IB", len(data) + 1, kind[0]) + data


def offer(actions: Action, steps: Step) -> bytes:
    """SMFIC_OPTNEG: what we let a filter do, and what we can leave out for it."""
    return packet(b"O", struct.pack("!III", VERSION, actions, steps))


def macros(command: Command, values: Iterable[tuple[str, str]]) -> bytes:
    """SMFIC_MACRO: what else is known at the time of `command`. Nothing to send without any."""
    words = [word for pair in values for word in pair]
    return packet(b"D", COMMANDS[command].kind + _strings(*words)) if words else b""


def connect(hostname: str, address: str, port: int = 0) -> bytes:
    """The client: its name or its address in brackets; its address as text, '' for one that has none."""
    if not address:
        return packet(b"C", _strings(hostname) + b"U")
    family = b"6" if ":" in address else b"4"
    return packet(b"C", _strings(hostname) + family + struct.pack("!H", port) + _strings(address))


def helo(name: str) -> bytes:
    return packet(b"H", _strings(name))


def mail(sender: str, *parameters: str) -> bytes:
    """`sender` without brackets, '' for the null one."""
    return packet(b"M", _strings(f"<{sender}>", *parameters))


def rcpt(recipient: str, *parameters: str) -> bytes:
    return packet(b"R", _strings(f"<{recipient}>", *parameters))


def header(name: bytes, value: bytes, *, spaces: bool) -> bytes:
    """One field. Folds are told as LF; `spaces`: with the blanks after the colon (HDR_LEADSPC)."""
    value = value.replace(b"\r\n", b"\n").replace(b"\0", b"")
    return packet(b"L", name + b"\0" + (value if spaces else value.lstrip(b" \t")) + b"\0")


def unknown(line: str) -> bytes:
    """A line that is no command of SMTP."""
    return packet(b"U", _strings(line))


DATA, EOH, END = packet(b"T"), packet(b"N"), packet(b"E")


def _strings(*words: str) -> bytes:
    return b"".join(word.encode("utf-8", "surrogateescape").replace(b"\0", b"") + b"\0" for word in words)


# -- what a filter says ------------------------------------------------------------------------------------------------


class Options(NamedTuple):
    """Its answer to `offer`: what it may do, what need not be said or answered, which macros it wants (none named: not
    said)."""

    version: int
    actions: Action
    steps: Step
    macros: tuple[tuple[Command, tuple[str, ...]], ...] = ()

    @property
    def chunk(self) -> int:
        """Octets of body in one packet."""
        if self.steps & Step.MDS_1M:
            return (1 << 20) - 1
        return (1 << 18) - 1 if self.steps & Step.MDS_256K else (1 << 16) - 1

    def told(self, command: Command) -> bool:
        """Whether it is to be told."""
        return not self.steps & (COMMANDS[command].untold or Step(0))

    def answers(self, command: Command) -> bool:
        """Whether it answers."""
        return not self.steps & (COMMANDS[command].mute or Step(0))


class Word(NamedTuple):
    """A verdict, or how to go on."""

    word: Literal[
        "continue", "accept", "discard", "reject", "tempfail", "skip", "progress", "shutdown", "connection-failed"
    ]


class ReplyCode(NamedTuple):
    """A refusal in its own words: `enhanced` is '' where it has none."""

    code: int
    enhanced: str
    text: str


class AddHeader(NamedTuple):
    """A field at the end of the header."""

    name: bytes
    value: bytes


class InsertHeader(NamedTuple):
    """A field at a place, counted from the top, where 0 is above what this server writes and 1 right below it."""

    place: int
    name: bytes
    value: bytes


class ChangeHeader(NamedTuple):
    """The field of that name with that number, counted from 1; without a value it goes."""

    number: int
    name: bytes
    value: bytes


class ReplaceBody(NamedTuple):
    """A piece of the body instead of the one that was sent."""

    data: bytes


class ChangeSender(NamedTuple):
    address: str
    parameters: str = ""


class AddRecipient(NamedTuple):
    address: str
    parameters: str = ""


class DeleteRecipient(NamedTuple):
    address: str


class Quarantine(NamedTuple):
    reason: str


Change = AddHeader | InsertHeader | ChangeHeader | ReplaceBody | ChangeSender | AddRecipient | DeleteRecipient
Reply = Options | Word | ReplyCode | Quarantine | Change

_WORDS: Mapping[bytes, Word] = {
    b"c": Word("continue"),
    b"a": Word("accept"),
    b"d": Word("discard"),
    b"r": Word("reject"),
    b"t": Word("tempfail"),
    b"s": Word("skip"),
    b"p": Word("progress"),
    b"4": Word("shutdown"),
    b"f": Word("connection-failed"),
}
_CODE = re.compile(r"([45]\d\d)(?:[ -](?:([45]\.\d{1,3}\.\d{1,3})(?:\s+|\Z))?(.*))?\Z", re.ASCII | re.DOTALL)
_LINES = re.compile(r"\s*[\r\n]+(?:[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}\s+)?)?", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_NAME = re.compile(rb"[!-9;-~]{1,200}")


def reply(stream: Stream, limit: int) -> Reading[Reply]:
    """The next packet of a filter. Raises `TooLong` for one that announces over `limit` octets, `BadPacket`,
    `EndOfStream`."""
    size = int.from_bytes((yield from stream.exactly(4)))
    if size == 0:
        raise BadPacket("a packet without a kind")
    if size > limit:
        raise TooLong(f"a packet of {size} octets, over {limit}")
    data = yield from stream.exactly(size)
    return parse(data[:1], data[1:])


def parse(kind: bytes, data: bytes) -> Reply:
    """A packet as a value. Raises `BadPacket`."""
    match kind:
        case b"O":
            return _options(data)
        case b"y":
            return _reply_code(_text(_string(data)[: LIMITS.milter_text]).replace("%%", "%"))  # as libmilter wants it
        case b"h":
            return AddHeader(*_field(data))
        case b"i":
            return InsertHeader(_index(data), *_field(data[4:]))
        case b"m":
            return ChangeHeader(_index(data), *_field(data[4:]))
        case b"b":
            return ReplaceBody(data)
        case b"e":
            return ChangeSender(*_address(data, True))
        case b"+":
            return AddRecipient(*_address(data, False))
        case b"2":
            return AddRecipient(*_address(data, True))
        case b"-":
            return DeleteRecipient(_address(data, False)[0])
        case b"q":
            return Quarantine(_line(_text(_string(data)[: LIMITS.milter_text])))
    if kind not in _WORDS:
        raise BadPacket(f"a packet of unknown kind {kind!r}")
    return _WORDS[kind]


def _options(data: bytes) -> Options:
    if len(data) < 12:
        raise BadPacket("options too short")
    version, actions, steps = struct.unpack_from("!III", data)
    if not 2 <= version <= VERSION:
        raise BadPacket(f"version {version} of the protocol")
    wanted, rest = list[tuple[Command, tuple[str, ...]]](), data[12:]
    while rest and version == VERSION:
        stage = _index(rest)
        names, end, rest = rest[4:].partition(b"\0")
        if not end or stage >= len(STAGES) or len(wanted) >= len(STAGES) or len(names) > LIMITS.milter_text:
            raise BadPacket("a list of macros that makes no sense")
        wanted.append((STAGES[stage], tuple(_text(names).replace(",", " ").split())))
    return Options(version, Action(actions), Step(steps), tuple(wanted))


def _reply_code(text: str) -> ReplyCode:
    found = _CODE.match(text)
    if not found:
        raise BadPacket(f"{text[:40]!r} is no reply")
    return ReplyCode(int(found[1]), found[2] or "", _line(_LINES.sub(" ", found[3] or "")))


def _index(data: bytes) -> int:
    if len(data) < 4:
        raise BadPacket("a number is missing")
    return int.from_bytes(data[:4])


def _string(data: bytes) -> bytes:
    """All of it, ended by NUL."""
    text, end, rest = data.partition(b"\0")
    if not end or rest:
        raise BadPacket("text that does not end with its packet")
    return text


def _field(data: bytes) -> tuple[bytes, bytes]:
    name, end, value = data.partition(b"\0")
    if not end or not _NAME.fullmatch(name):
        raise BadPacket(f"{name[:40]!r} is no name of a field")
    return name, _string(value)


def _address(data: bytes, more: bool) -> tuple[str, str]:
    """Without its brackets; with `more` there may be parameters."""
    path, end, parameters = data.partition(b"\0")
    if not end or (parameters and not more):
        raise BadPacket("an address that does not end with its packet")
    return _text(path).strip().removeprefix("<").removesuffix(">"), _text(_string(parameters)) if parameters else ""


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _line(text: str) -> str:
    """For people: one line."""
    return _UNPRINTABLE.sub(" ", text).strip()
