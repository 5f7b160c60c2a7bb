"""What is wrong with a script: where, and one sentence in its author's terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Of a character in a script; both count from 1."""

    line: int
    column: int


class ScriptError(ValueError):
    """One fault of a script."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(place, text)  # both: it travels between processes
        self.place = place
        self.text = text

    def __str__(self) -> str:
        return f"line {self.place.line}, column {self.place.column}: {self.text}"


class Missing(ScriptError):
    """It uses an extension that it did not ask for, or that there is none of."""


class ScriptErrors(ValueError):
    """Why a script is not taken: everything that was found, in the order of the script."""

    def __init__(self, errors: Sequence[ScriptError]) -> None:
        super().__init__(tuple(errors))
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))
