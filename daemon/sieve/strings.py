"""Strings of a script once they are compiled: constants, or templates that variables fill when mail comes (RFC 5229);
encoded characters (RFC 5228 section 2.4.2.4) are done by then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.limits import LIMITS

if TYPE_CHECKING:
    from daemon.sieve.run import Run

_ENCODED = re.compile(
    r"\$\{(?:hex:\s*+([0-9a-f]{1,2}(?:\s++[0-9a-f]{1,2})*+)|unicode:\s*+([0-9a-f]++(?:\s++[0-9a-f]++)*+))\s*+\}",
    re.IGNORECASE | re.ASCII,
)
_VARIABLE = re.compile(r"\$\{((?:[a-z_][a-z0-9_]*+\.)*+(?:[a-z_][a-z0-9_]*+|[0-9]++))\}", re.IGNORECASE | re.ASCII)


class BadCharacter(ValueError):
    """`${unicode:…}` names what is no character."""


def decode_characters(text: str) -> str:
    """`${hex:…}` and `${unicode:…}` as what they stand for. Raises `BadCharacter`."""
    return _ENCODED.sub(_decoded, text)


def _decoded(found: re.Match[str]) -> str:
    if found[1] is not None:
        return bytes(int(word, 16) for word in found[1].split()).decode("utf-8", "replace")
    return "".join(map(_character, found[2].split()))


def _character(word: str) -> str:
    digits = word.lstrip("0")
    number = int(digits or "0", 16) if len(digits) <= 6 else 0x110000
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise BadCharacter(f"{word[:20]} is no character of Unicode")
    return chr(number)


class Text:
    """One string; call it with the run. `constant` is None when it depends on variables."""

    __slots__ = ("constant", "_pieces")

    def __init__(self, value: str, *, variables: bool = False) -> None:
        self.constant: str | None = value
        self._pieces: tuple[str, ...] = ()  # literal, name, literal, name, ..., literal
        if variables and "${" in value:
            pieces = _VARIABLE.split(value)
            if len(pieces) > 1:
                self.constant = None
                self._pieces = tuple(piece.lower() if at % 2 else piece for at, piece in enumerate(pieces))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the variables in it."""
        return self._pieces[1::2]

    def __call__(self, run: Run) -> str:
        if self.constant is not None:
            return self.constant
        room, filled = LIMITS.sieve_string, list[str]()
        for at, piece in enumerate(self._pieces):
            text = run.variable(piece) if at % 2 else piece
            filled.append(text[:room])
            room -= len(filled[-1])
        run.spend(len(filled) // 5 + (LIMITS.sieve_string - room) // 500)
        return "".join(filled)


class Texts:
    """A list of strings; call it with the run."""

    __slots__ = ("constant", "_texts")

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = tuple(texts)
        constants = [text.constant for text in texts if text.constant is not None]
        self.constant: tuple[str, ...] | None = tuple(constants) if len(constants) == len(texts) else None

    def __len__(self) -> int:
        return len(self._texts)

    def __call__(self, run: Run) -> tuple[str, ...]:
        if self.constant is not None:
            return self.constant
        return tuple([text(run) for text in self._texts])
