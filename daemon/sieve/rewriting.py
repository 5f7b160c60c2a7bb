"""What a script makes of the parts of a message (RFC 5703): their text in a variable, others in their place."""

from __future__ import annotations

import re

from daemon.limits import LIMITS
from daemon.mail.changes import field_of
from daemon.mail.header import fields, header_end
from daemon.mail.message import Part
from daemon.sieve.editing import FIELD_NAME, field_value
from daemon.sieve.run import Run
from daemon.sieve.variables import modified, modifier_options, variable_name
from daemon.sieve.words import NUMBER, STRING, STRINGS, Call, Do, Flow, Option, command

_LINES = re.compile(r"\r?\n|\r")
_MIME = re.compile(rb"(?:mime-version|content-.*)", re.IGNORECASE)


@command("extracttext", STRING, needs="extracttext", options=(Option("first", NUMBER), *modifier_options()))
def extracttext(call: Call) -> Do:
    """The text of the part at hand; "" when it is none (section 7)."""
    if not call.allows("variables"):
        call.fault('extracttext needs: require "variables"')
    name, change, first = variable_name(call, 0), modified(call), call.option_number("first")
    most = LIMITS.sieve_variable if first is None else min(first, LIMITS.sieve_variable)

    def do(run: Run) -> Flow:
        if run.part is None:
            raise run.fault("extracttext is for a part of a message, in a loop over parts")
        run.set_variable(name, change(_text(run, run.part, most)))
        return None

    return do


def _text(run: Run, part: Part, most: int) -> str:
    if part.type != "text":
        return ""
    run.spend(10)
    return (run.looped or run.subject).readable(part)[:most]


@command(
    "replace", STRING, needs="replace", options=(Option("mime"), Option("subject", STRING), Option("from", STRING))
)
def replace(call: Call) -> Do:
    """The part at hand, or the body of the message, becomes this text or, with `:mime`, this entity (section 5)."""
    text, mime = call.text(0), call.has("mime")
    subject, author = call.option_text("subject"), call.option_text("from")

    def do(run: Run) -> Flow:
        part = run.part
        entity = _entity(text(run), mime)
        if part is None or run.looped is None or part is run.looped.message.root:
            named = {b"Subject": subject(run) if subject else "", b"From": author(run) if author else ""}
            entity = _header(run, {name: value for name, value in named.items() if value}) + entity
            part = None
        run.patch(part, entity)
        return None

    return do


@command("enclose", STRING, needs="enclose", options=(Option("subject", STRING), Option("headers", STRINGS)))
def enclose(call: Call) -> Do:
    """The message becomes an attachment behind this text (section 6)."""
    text, subject, more = call.text(0), call.option_text("subject"), call.option_texts("headers")

    def do(run: Run) -> Flow:
        named = {b"Subject": subject(run)} if subject else {}
        added = b"".join(_added(line) for value in (more(run) if more else ()) for line in _LINES.split(value))
        edge = b"=_enclosed_%d" % len(run.subject.data)
        while edge in run.subject.data:
            edge += b"_"
        whole = (
            _header(run, named) + added + b'Content-Type: multipart/mixed; boundary="' + edge
            + b'"\r\n\r\n--' + edge + b"\r\n"
            + _entity(text(run), False) + b"\r\n--" + edge + b"\r\nContent-Type: message/rfc822\r\n\r\n"
            + bytes(run.subject.data) + b"\r\n--" + edge + b"--\r\n"
        )  # fmt: skip
        run.patch(None, whole)
        return None

    return do


def _entity(text: str, mime: bool) -> bytes:
    """Its header, the blank line and its body."""
    octets = _LINES.sub("\r\n", text).encode("utf-8", "replace")
    if mime:
        return octets
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + octets


def _added(line: str) -> bytes:
    """A line of `:headers` as a field; nothing when it is none."""
    name, colon, value = line.partition(":")
    if not colon or not FIELD_NAME.fullmatch(name):
        return b""
    return field_of(name.encode(), field_value(value.strip()))


def _header(run: Run, named: dict[bytes, str]) -> bytes:
    """The fields of the message that a new body leaves as they are, those `named` with other values, and what says that
    it is MIME."""
    data = run.subject.data
    block = bytes(data[: header_end(data, 0, len(data))])
    gone = {name.lower() for name in named}
    kept = [
        block[field.start : field.end].rstrip(b"\r\n") + b"\r\n"
        for field in fields(block)
        if field.name not in gone and not _MIME.fullmatch(field.name)
    ]
    new = [field_of(name, field_value(value)) for name, value in named.items()]
    return b"".join([*kept, *new, b"MIME-Version: 1.0\r\n"])
