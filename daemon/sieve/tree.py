"""A script as its grammar sees it (RFC 5228 section 8.2): commands and tests, nothing understood yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from daemon.sieve.errors import Place


class Tag(NamedTuple):
    """`:name`, the name in lower case."""

    name: str
    place: Place


class Number(NamedTuple):
    value: int
    place: Place


class Strings(NamedTuple):
    """One string, or a list of them in brackets (`listed`)."""

    values: tuple[str, ...]
    place: Place
    listed: bool = False


_SHOWN = 40  # characters of a string
Argument = Tag | Number | Strings


@dataclass(frozen=True, slots=True)
class Node:
    """A command or a test. `tests`: what stands behind the arguments; `several`: they stand in parentheses. `block`:
    the commands in braces, None without any."""

    name: str
    place: Place
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Node, ...] = ()
    several: bool = False
    block: tuple[Node, ...] | None = None


def shown(node: Node) -> str:
    """A command or test as it was written, its strings cut short, without what stands in parentheses or braces."""
    words = [node.name]
    for argument in node.arguments:
        match argument:
            case Tag():
                words.append(f":{argument.name}")
            case Number():
                words.append(str(argument.value))
            case Strings():
                some = ", ".join(
                    [f'"{value[:_SHOWN]}{"…" if len(value) > _SHOWN else ""}"' for value in argument.values[:3]]
                )
                more = ", …" if len(argument.values) > 3 else ""
                words.append(f"[{some}{more}]" if argument.listed else some)
    if len(node.tests) == 1 and not node.several:
        words.append(shown(node.tests[0]))
    return " ".join(words).replace("\r", "").replace("\n", " ")
