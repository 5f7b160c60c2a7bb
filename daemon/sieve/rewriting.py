"""What a script makes of the parts of a message (RFC 5703): their text in a variable, others in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from daemon.limits import LIMITS
from daemon.mail.changes import field_of
from daemon.mail.header import fields, header_end
from daemon.mail.headers import format_date
from daemon.mail.message import Part
from daemon.sieve.addresses import are_addresses
from daemon.sieve.editing import field_value
from daemon.sieve.run import Run
from daemon.sieve.variables import modified, modifier_options, variable_name
from daemon.sieve.words import NUMBER, STRING, STRINGS, Call, Do, Flow, Option, command

_LINES = re.compile(r"\r?\n|\r")
_EIGHT_BITS = b"Content-Transfer-Encoding: 8bit\r\n"
_MIME = re.compile(rb"(?:mime-version|content-.*)", re.IGNORECASE)


@command("extracttext", STRING, needs="extracttext", options=(Option("first", NUMBER), *modifier_options()))
def extracttext(call: Call) -> Do:
    """The text of the part at hand; "" when it is none (section 7)."""
    if not call.allows("variables"):
        call.fault('extracttext needs: require "variables"')
    if not call.script.loops:
        call.fault("extracttext stands only in a loop over parts")
    name, change, first = variable_name(call, 0), modified(call), call.option_number("first")
    most = LIMITS.sieve_variable if first is None else min(first, LIMITS.sieve_variable)

    def do(run: Run) -> Flow:
        run.set_variable(name, change(_text(run, run.part, most) if run.part is not None else ""))
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
    if mime and (subject or author):
        call.fault("with :mime there is neither :subject nor :from: the entity is all there is")
    if author is not None and author.constant is not None and not are_addresses(author.constant):
        call.fault(f"{author.constant!r} is no address to write from")

    def do(run: Run) -> Flow:
        part, entity = run.part, _entity(text(run), mime)
        if part is not None and run.looped is not None and part is not run.looped.message.root:
            run.patch(part, entity)
            return None
        run.rewrite()
        writer = author(run) if author else ""
        named = {b"subject": subject(run) if subject else "", b"from": writer if are_addresses(writer) else ""}
        run.supplant(_left(run, {name: value for name, value in named.items() if value}) + entity)
        return None

    return do


@command("enclose", STRING, needs="enclose", options=(Option("subject", STRING), Option("headers", STRINGS)))
def enclose(call: Call) -> Do:
    """The message becomes an attachment behind this text (section 6)."""
    text, subject, more = call.text(0), call.option_text("subject"), call.option_texts("headers")

    def do(run: Run) -> Flow:
        run.rewrite()
        data = run.subject.data
        head = _new(run, subject(run) if subject else None, more(run) if more else ())
        edge = b"=_enclosed_%d" % len(data)
        while edge in data:
            edge += b"_"
        run.enclose(
            head + b'Content-Type: multipart/mixed; boundary="' + edge + b'"\r\n' + _EIGHT_BITS
            + b"\r\n--" + edge + b"\r\n" + _entity(text(run), False)
            + b"\r\n--" + edge + b"\r\nContent-Type: message/rfc822\r\n" + _EIGHT_BITS + b"\r\n" + bytes(data)
            + b"\r\n--" + edge + b"--\r\n"
        )  # fmt: skip
        return None

    return do


def _entity(text: str, mime: bool) -> bytes:
    """Its header, the blank line and its body."""
    octets = _LINES.sub("\r\n", text).encode("utf-8", "replace")
    return octets if mime else b"Content-Type: text/plain; charset=utf-8\r\n" + _EIGHT_BITS + b"\r\n" + octets


def _left(run: Run, named: dict[bytes, str]) -> bytes:
    """The fields that stay when a message has another body. What those `named` were before is kept in fields of its
    own, as `Original-Subject` and `Original-From`."""
    kept = [
        (b"Original-" if name in named else b"") + field for name, field in _fields(run) if not _MIME.fullmatch(name)
    ]
    new = [field_of(name.title(), field_value(value)) for name, value in named.items()]
    return b"".join([*kept, *new, b"MIME-Version: 1.0\r\n"])


def _new(run: Run, subject: str | None, names: Sequence[str]) -> bytes:
    """The header of a message that encloses this one: the fields it is to have of it; who made it, and when."""
    facts, sent = run.subject.facts, run.subject.sent
    wanted = {name.lower().encode("utf-8", "replace") for name in names} - {b"subject"}
    made = {
        b"from": "".join(f"<{address}>" for address in (*facts.addresses, sent.recipient)[:1] if address),
        b"date": format_date(facts.now / 1000),
    }
    if subject is None:
        wanted.add(b"subject")
    else:
        made[b"subject"] = subject
    new = [field_of(name.title(), field_value(made[name])) for name in made if made[name] and name not in wanted]
    old = [field for name, field in _fields(run) if name in wanted and not _MIME.fullmatch(name)]
    return b"".join([*new, *old, b"MIME-Version: 1.0\r\n"])


def _fields(run: Run) -> Iterator[tuple[bytes, bytes]]:
    """The fields of the message: name in lower case, and all of it."""
    data = run.subject.data
    block = bytes(data[: header_end(data, 0, len(data))])
    for field in fields(block):
        yield field.name, block[field.start : field.end].rstrip(b"\r\n") + b"\r\n"
