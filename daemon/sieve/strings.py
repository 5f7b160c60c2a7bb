"""Strings of a script once they are compiled: constants, or templates that variables fill when mail comes (RFC 5229);
encoded characters (RFC 5228 section 2.4.2.4) are done by then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.limits import LIMITS

if TYPE_CHECKING:
    from daemon.sieve.run import Run

_HEX = re.compile(r"\$\{hex:\s*((?:[0-9a-f]{1,2}\s*(?:(?<=\s)|(?=\})))+)\}", re.IGNORECASE)
_UNICODE = re.compile(r"\$\{unicode:\s*((?:[0-9a-f]{1,6}\s*(?:(?<=\s)|(?=\})))+)\}", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{((?:[a-z_][a-z0-9_]*\.)*[a-z_][a-z0-9_]*|[0-9]+)\}", re.IGNORECASE)


class BadCharacter(ValueError):
    """`${unicode:…}` names what is no character."""


def decode_characters(text: str) -> str:
    """`${hex:…}` and `${unicode:…}` as what they stand for. Raises `BadCharacter`."""
    text = _HEX.sub(lambda found: bytes(int(word, 16) for word in found[1].split()).decode("utf-8", "replace"), text)
    return _UNICODE.sub(lambda found: "".join(map(_character, found[1].split())), text)


def _character(word: str) -> str:
    number = int(word, 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise BadCharacter(f"{word} is no character of Unicode")
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

    def __call__(self, run: Run) -> str:
        if self.constant is not None:
            return self.constant
        filled = [run.variable(piece) if at % 2 else piece for at, piece in enumerate(self._pieces)]
        return "".join(filled)[: LIMITS.sieve_variable]


class Texts:
    """A list of strings; call it with the run."""

    __slots__ = ("constant", "_texts")

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = tuple(texts)
        constants = [text.constant for text in texts if text.constant is not None]
        self.constant: tuple[str, ...] | None = tuple(constants) if len(constants) == len(texts) else None

    def __call__(self, run: Run) -> tuple[str, ...]:
        if self.constant is not None:
            return self.constant
        return tuple([text(run) for text in self._texts])
