"""Scripts and the messages they run on, for a second opinion: tests/sieve/pairs/*.sieve, a file for each extension.

A file holds many scripts. Each begins with a line of `###` and its title; comments behind it say what it runs on (`on`,
else on all messages of `USUAL`), and where another house decides otherwise, and why (`differs on NAMES: WHY`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent.parent / "sieve" / "pairs"
USUAL = ("bill", "list", "parts", "odd")
_TITLE = re.compile(r"(?m)^### *")
_NOTE = re.compile(r"(?m)^# (on|differs on ([a-z ]+)): *(.*)\n")


class Script(NamedTuple):
    """`messages`: those it runs on, by name; `differs`: where others decide otherwise, and why."""

    name: str
    text: str
    messages: tuple[str, ...]
    differs: dict[str, str]


def scripts() -> list[Script]:
    """All of them."""
    return [
        _script(path.stem, text) for path in sorted(HERE.glob("*.sieve")) for text in _TITLE.split(path.read_text())[1:]
    ]


def _script(file: str, text: str) -> Script:
    title, _, body = text.partition("\n")
    messages, differs = USUAL, dict[str, str]()
    for kind, names, value in _NOTE.findall(body):
        if kind == "on":
            messages = tuple(value.split())
        else:
            differs |= dict.fromkeys(messages if names == "all" else names.split(), value)
    assert set(differs) <= set(messages), (file, title)
    return Script(f"{file}: {title}", body, messages, differs)


def message(name: str) -> bytes:
    """One of the messages, its lines ended as they are on the way."""
    return (HERE / "messages" / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


def sender(letter: bytes) -> str:
    """Who sent it: its Return-Path; somebody else where that says nothing: sieve-test cannot be told of nobody."""
    found = re.match(rb"Return-Path: <(.+)>", letter)
    return found[1].decode() if found else "somebody@there.example"


def library(name: str, everyone: bool) -> str | None:
    """What scripts may include, as `daemon.sieve.compile` asks for it."""
    path = HERE / "library" / ("global" if everyone else "personal") / f"{name}.sieve"
    return path.read_text() if path.exists() else None
