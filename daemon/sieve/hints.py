"""What is allowed in a script, and probably not meant: told to whoever stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from daemon.limits import LIMITS
from daemon.sieve.parser import parse
from daemon.sieve.tree import Node, Strings, Tag

_NAMED_OTHERWISE = frozenset(("create", "mailboxid", "specialuse"))


def hints(script: str, there: Callable[[str], bool]) -> list[str]:
    """Sentences as errors are told, at most `LIMITS.sieve_errors`, about a script that compiles. `there`: whether its
    owner has a mailbox of that name."""
    found = (
        f"line {node.place.line}, column {node.place.column}: {text}" for node, text in _block(parse(script), there)
    )
    return [hint for hint, _ in zip(found, range(LIMITS.sieve_errors), strict=False)]


def _block(nodes: Iterable[Node], there: Callable[[str], bool]) -> Iterator[tuple[Node, str]]:
    stopped = False
    for node in nodes:
        if stopped:
            yield node, "this is never reached: a stop stands before it"
        stopped = node.name == "stop"
        if node.name == "fileinto":
            yield from ((node, text) for text in _fileinto(node, there))
        if node.block is not None:
            yield from _block(node.block, there)


def _fileinto(node: Node, there: Callable[[str], bool]) -> Iterator[str]:
    if any(isinstance(argument, Tag) and argument.name in _NAMED_OTHERWISE for argument in node.arguments):
        return
    names = [argument for argument in node.arguments if isinstance(argument, Strings)][-1:]
    for name in (value for argument in names for value in argument.values):
        if "${" not in name and not there(name):
            yield f"there is no mailbox {name!r}: make it, or write :create"
