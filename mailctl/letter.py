"""A message opened on the screen, from wherever it is kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from mailctl.out import Field, Out, clean, size

_SHOWN = ("from", "to", "cc", "date", "subject")


class _Attachment(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def size(self) -> int: ...


class Letter(Protocol):
    """What a message shows: its decoded fields, what a reader would read first, what is attached."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...
    @property
    def text(self) -> str: ...
    @property
    def attachments(self) -> Sequence[_Attachment]: ...


def show(out: Out, about: Sequence[Field], letter: Letter, *, whole: bool = False) -> None:
    """What is known `about` it, then its fields (all of them when `whole`), what is attached, its text."""
    out.fields(
        [
            *about,
            *((name, value) for name, value in letter.headers if whole or name.lower() in _SHOWN),
            *(("Attached", f"{a.name or '(no name)'}  {a.type}, {size(a.size)}") for a in letter.attachments),
        ]
    )
    out.print()
    for line in letter.text.split("\n"):
        out.print(clean(line.replace("\t", "    ")))


def raw(data: bytes) -> None:
    """The bytes as they are, after what was printed before them."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
