"""Changing the header (RFC 5293): what is decided afterwards is decided about the message as it is then, and what is
kept, filed or redirected is that message."""

from __future__ import annotations

import re

from daemon.mail.changes import Add, Edit, Insert, Remove, TooMuch, edit
from daemon.mail.decode import encode_words, header_text
from daemon.mail.header import header_end
from daemon.sieve.index import chosen
from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.words import NUMBER, STRING, STRINGS, Call, Do, Flow, Option, command

FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
_KEPT = frozenset(
    (
        "received",
        "auto-submitted",
        "delivered-to",  # they end circles (section 5)
        "original-subject",
        "original-from",  # RFC 5703 section 5
    )
)  # fmt: skip; never deleted
_INDEX = (Option("index", NUMBER), Option("last"))  # of deleteheader itself (section 5)
_FOLD = 76  # characters of a line
_LINES = re.compile(r"[\r\n\0]+")


@command("addheader", STRING, STRING, needs="editheader", options=(Option("last"),))
def addheader(call: Call) -> Do:
    name, value, last = call.text(0), call.text(1), call.has("last")
    if name.constant is not None and not FIELD_NAME.fullmatch(name.constant):
        call.fault(f"{name.constant!r} is no name of a header field", 0)

    def do(run: Run) -> Flow:
        field, words = _checked(run, name(run)).encode(), field_value(value(run))
        change(run, [Add(field, words) if last else Insert(0, field, words)])
        return None

    return do


@command("deleteheader", STRING, STRINGS, needs="editheader", lacks="last", options=(*options(), *_INDEX))
def deleteheader(call: Call) -> Do:
    name, pick = call.text(0), chosen(call)
    match = matcher(call, call.texts(1), 1) if len(call.given) == 2 else None
    if name.constant is not None and not FIELD_NAME.fullmatch(name.constant):
        call.fault(f"{name.constant!r} is no name of a header field", 0)

    def do(run: Run) -> Flow:
        field = _checked(run, name(run)).lower()
        if field in _KEPT:
            return None
        found = list(enumerate(run.subject.head.raw(field), 1))
        gone = [at for at, raw in pick(found) if match is None or match(run, (header_text(raw),))]
        if gone:
            every = len(gone) == len(found)
            change(run, [Remove(at, field.encode()) for at in ([0] if every else gone)])
        return None

    return do


def _checked(run: Run, name: str) -> str:
    if not FIELD_NAME.fullmatch(name):
        raise run.fault(f"{name[:80]!r} is no name of a header field")
    return name


def field_value(text: str) -> bytes:
    """A text as the value of a field, the blank behind the colon included, folded where it is long."""
    lines, line = list[str](), ""
    for word in encode_words(_LINES.sub(" ", text)).split(" "):
        if len(line) + len(word) > _FOLD and line.strip():
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]).encode("ascii", "replace")


def change(run: Run, edits: list[Edit]) -> None:
    """Change the header of the run's message from here on."""
    data = run.subject.data
    end = header_end(data, 0, len(data))
    run.spend(1 + end // 50)  # the fields are split anew
    try:
        head = edit(bytes(data[:end]), edits)
    except TooMuch:
        raise run.fault("the script makes the header too long") from None
    run.change(head + bytes(data[end:]))
