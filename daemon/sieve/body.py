"""Tests on what is behind the header (RFC 5173): as it came, as text to read, or the parts of some types."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text
from daemon.mail.message import Part
from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.subject import Subject
from daemon.sieve.words import STRINGS, Ask, Call, Option, test

_TRANSFORMS = (
    Option("raw", group="transform"),
    Option("text", group="transform"),
    Option("content", STRINGS, group="transform"),
)


@test("body", STRINGS, needs="body", options=(*options(), *_TRANSFORMS))
def body(call: Call) -> Ask:
    match = matcher(call, call.texts(0), 0)
    types = call.option_texts("content")
    raw = call.has("raw")

    def values(run: Run) -> Iterator[str]:
        found = _raw(run.subject) if raw else _texts(run.subject) if types is None else _content(run, types(run))
        for value in found:
            run.spend(5 + len(value) // 10_000)
            yield value

    def ask(run: Run) -> bool:
        before = run.matched
        said = match(run, values(run))
        run.matched = before  # what was found in a body sets no variables (section 6)
        return said

    return ask


def _raw(subject: Subject) -> Iterator[str]:
    data, root = subject.data, subject.message.root
    yield decode_text(bytes(data[root.body : root.body + LIMITS.search_text]), "utf-8", cut=True)


def _texts(subject: Subject) -> Iterator[str]:
    """Every part that can be read, HTML without its elements."""
    for part in subject.message.root.walk():
        if part.type == "text":
            yield subject.readable(part)


def _content(run: Run, types: tuple[str, ...]) -> Iterator[str]:
    """The parts of these types, decoded; of a multipart what is in front of its first and behind its last part, of a
    message inside its header (section 5.2)."""
    wanted = [word.strip().lower() for word in types]
    wanted = [word for word in wanted if word.count("/") <= 1 and word.strip("/") == word]  # others match nothing
    subject = run.subject
    for part in subject.message.root.walk():
        if not any(word in ("", part.type, part.media) for word in wanted):
            continue
        if part.is_multipart:
            yield from _around(subject, part)
        elif part.is_message:
            yield decode_text(bytes(subject.data[part.parts[0].header : part.parts[0].body]), "utf-8")
        else:
            yield subject.text(part)


def _around(subject: Subject, part: Part) -> Iterator[str]:
    if part.parts:
        yield decode_text(bytes(subject.data[part.body : part.parts[0].header][: LIMITS.search_text]), "utf-8")
        yield decode_text(bytes(subject.data[part.parts[-1].end : part.end][: LIMITS.search_text]), "utf-8")
