"""What the RFCs say by example, in Sieve: tests/sieve/rfc has a file for each extension that is announced.

A file holds scripts, each below a line `### ` that names RFC, section and matter. Comments say what comes of it:

    # bill: fileinto Bills +\\Seen; keep      what is decided about messages/bill.eml
    # bill: error, and a part of the sentence  the run goes wrong, so that the message is kept
    # refused: a part of the sentence          it is no script here
    # given: name = value                      of the world that it runs in, see `_world`
    # has: a line                              the message that is kept, filed or sent has it; `# has not:`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon.sieve import CAPABILITIES, Event, Facts, ScriptErrors, Sent, SpamScore, Subject, compile
from daemon.sieve.actions import Action, FileInto, Keep, Notify, Redirect, Reject, Vacation

HERE = Path(__file__).parent / "rfc"
_TITLE = re.compile(r"(?m)^### *")
_NOTE = re.compile(r"(?m)^# ([a-z ]+): *(.*)$")
_ADDRESS_BOOK = "urn:ietf:params:sieve:addrbook:default"


class Example(NamedTuple):
    """`notes`: what its comments say, in their order."""

    name: str
    script: str
    notes: tuple[tuple[str, str], ...]


def _examples() -> Iterator[Example]:
    for path in sorted(HERE.glob("*.sieve")):
        for text in _TITLE.split(path.read_text())[1:]:
            title, _, script = text.partition("\n")
            yield Example(f"{path.stem}: {title}", script, tuple(_NOTE.findall(script)))


def test_every_extension_has_its_examples() -> None:
    files = {name.replace(";", "-"): name for name in CAPABILITIES}
    assert {path.stem for path in HERE.glob("*.sieve")} == {*files, "base"}
    for file, name in files.items():
        text = (HERE / f"{file}.sieve").read_text()
        assert f'"{name}"' in text and "# refused:" in text, f"{name} is used, and misused"


@pytest.mark.parametrize("example", [pytest.param(each, id=each.name) for each in _examples()])
def test_an_example(example: Example) -> None:
    given = dict(value.split(" = ", 1) for kind, value in example.notes if kind == "given")
    wanted = [(kind, value) for kind, value in example.notes if kind not in ("given", "has", "has not")]
    assert wanted, "it says what comes of it"
    for kind, value in wanted:
        if kind == "refused":
            with pytest.raises(ScriptErrors) as caught:
                compile(example.script, _library)
            assert value in str(caught.value)
            continue
        data = (HERE / "messages" / f"{kind}.eml").read_bytes().replace(b"\n", b"\r\n")
        sent, facts = _world(data, given)
        result = compile(example.script, _library).run(Subject(data, sent, facts))
        if value.startswith("error, "):
            assert value.removeprefix("error, ") in str(result.error) and result.actions == (Keep(),)
            continue
        assert result.error is None, str(result.error)
        assert "; ".join(map(_told, result.actions)) == value
        made = b"".join(getattr(action, "message", None) or b"" for action in result.actions if _carries(action))
        lines = made.decode().split("\r\n")
        for what, line in example.notes:
            assert what not in ("has", "has not") or (line in lines) == (what == "has"), (line, made.decode())


# -------------------------------------------------------------------------------------------------------- what is there


def _library(name: str, everyone: bool) -> str | None:
    path = HERE / "library" / ("global" if everyone else "personal") / f"{name}.sieve"
    return path.read_text() if path.exists() else None


def _world(data: bytes, given: dict[str, str]) -> tuple[Sent, Facts]:
    """The world of all examples, but for what one says of it: `now` (seconds since 1970), `mailboxes` and `lists` with
    commas, `use \\Junk`, `id 12`, `metadata MAILBOX ENTRY` (of the server without one), `spam` and `virus`, `item NAME`
    of the environment, `seen` (all was here before), `event CAUSE`, `from`, `to`, `notify` and the like."""
    named: dict[str, dict[str, str]] = {}
    for key, value in given.items():
        kind, _, rest = key.partition(" ")
        named.setdefault(kind, {})[rest] = value
    uses, ids, metadata, items = (named.get(kind, {}) for kind in ("use", "id", "metadata", "item"))
    notices = tuple((name, given[name]) for name in ("notify", "orcpt", "ret", "envid") if name in given)
    sent = Sent(given.get("from", "coyote@desert.example.org"), "me@example.org", given.get("to", ""), notices)
    points, _, required = given.get("spam", "").partition(" of ")
    people = tuple(given.get("addressbook", "").split(", "))
    event = next(((cause, rest) for cause, rest in named.get("event", {}).items()), None)
    facts: dict[str, Any] = dict(
        now=int(given.get("now", "0")) * 1000, duplicate=lambda key: "seen" in given,
        mailbox_exists=("INBOX", *given.get("mailboxes", "").split(", ")).__contains__,
        special_use=uses.get, mailbox_by_id=ids.get, environment=items.get, virus=given.get("virus", ""),
        metadata=lambda mailbox, entry: metadata.get(f"{mailbox} {entry}" if mailbox else entry),
        has_list=lambda name: name == _ADDRESS_BOOK, in_list=lambda name, value: value in people,
        spam=SpamScore(float(points), float(required)) if points else None, addresses=("me@example.org",),
        event=Event(event[0], event[1], "me", "me@example.org", ("\\Flagged",)) if event else None,
    )  # fmt: skip
    return sent, Facts(**facts)


# ------------------------------------------------------------------------------------------------------ what is decided


def _carries(action: Action) -> bool:
    return isinstance(action, Keep | FileInto | Redirect)


def _told(action: Action) -> str:
    """An action in a line: what it is, then what it says, with `:tags` as in Sieve; `changed`: not as it came."""
    match action:
        case Keep():
            return _line("keep", *_flags(action.flags), *_changed(action.message))
        case FileInto():
            return _line("fileinto", *_place(action), *_changed(action.message))
        case Redirect():
            tags = *_tag("notify", action.notify), *_tag("ret", action.ret)
            return _line("redirect", action.address, *tags, *_changed(action.message))
        case Reject():
            return _line("ereject" if action.at_smtp else "reject", action.text)
        case Vacation():
            tags = *_tag("subject", action.subject), *_tag("from", action.sender), *_copied(action.fcc)
            mime, addresses = [":mime"] * action.mime, _tag("addresses", *action.addresses)
            return _line("vacation", str(action.seconds), *mime, *tags, *addresses, action.text)
        case Notify():
            tags = *_tag("importance", action.importance), *_tag("from", action.sender), *_copied(action.fcc)
            options, said = _tag("options", *action.options), _tag("message", action.message)
            return _line("notify", *tags, *options, action.method, *said)
    return type(action).__name__.lower()


def _line(*words: str) -> str:
    return " ".join(" ".join(words).split())


def _place(action: FileInto) -> list[str]:
    tags = *_tag("specialuse", action.special_use), *_tag("mailboxid", action.mailbox_id)
    return [action.mailbox, *[":create"] * action.create, *tags, *_flags(action.flags)]


def _copied(fcc: FileInto | None) -> list[str]:
    return [":fcc", *_place(fcc)] if fcc is not None else []


def _changed(message: bytes | None) -> list[str]:
    return [] if message is None else ["changed"]


def _tag(name: str, *values: str) -> list[str]:
    return [f":{name}", *values] if any(values) else []


def _flags(flags: tuple[str, ...] | None) -> list[str]:
    return [f"+{flag}" for flag in flags or ()]
