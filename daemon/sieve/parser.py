"""Tokens to a tree (RFC 5228 section 8.2)."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.limits import LIMITS
from daemon.sieve.errors import ScriptError
from daemon.sieve.lexer import Token, tokens
from daemon.sieve.tree import Argument, Node, Number, Strings, Tag


def parse(script: str) -> tuple[Node, ...]:
    """The commands of a script. Raises `ScriptError` for the first fault of grammar."""
    return _Parser(tokens(script)).script()


class _Parser:
    def __init__(self, found: Iterator[Token]) -> None:
        self.rest = found
        self.next = next(found)
        self.nodes = 0

    def script(self) -> tuple[Node, ...]:
        commands = self.commands(0)
        if self.next.kind != "end":
            raise self.fault("this brace closes nothing")
        return commands

    def fault(self, text: str) -> ScriptError:
        return ScriptError(self.next.place, text)

    def take(self) -> Token:
        taken = self.next
        self.next = next(self.rest, taken)
        return taken

    def met(self, kind: str) -> bool:
        """Take the next token if it is of this kind."""
        if self.next.kind != kind:
            return False
        self.take()
        return True

    def want(self, kind: str, where: str) -> None:
        if not self.met(kind):
            raise self.fault(f"{kind!r} is missing {where}{_instead(self.next)}")

    def commands(self, depth: int) -> tuple[Node, ...]:
        found = []
        while self.next.kind not in ("end", "}"):
            found.append(self.command(depth))
        return tuple(found)

    def command(self, depth: int) -> Node:
        if self.next.kind != "name":
            raise self.fault(f"a command should begin here{_instead(self.next)}")
        node = self.node(depth)
        if self.next.kind == "{":
            if depth >= LIMITS.sieve_nesting:
                raise self.fault(f"commands and tests may be nested {LIMITS.sieve_nesting} deep")
            opened = self.take()
            block = self.commands(depth + 1)
            if not self.met("}"):
                raise ScriptError(opened.place, "the block that begins here has no end")
            return Node(node.name, node.place, node.arguments, node.tests, node.several, block)
        self.want(";", f"behind the {node.name!r} of line {node.place.line}")
        return node

    def node(self, depth: int) -> Node:
        """A name with its arguments and tests."""
        self.nodes += 1
        if self.nodes > LIMITS.sieve_nodes:
            raise self.fault(f"a script may have {LIMITS.sieve_nodes} commands and tests")
        if depth > LIMITS.sieve_nesting:
            raise self.fault(f"commands and tests may be nested {LIMITS.sieve_nesting} deep")
        name = self.take()
        arguments: list[Argument] = []
        while (argument := self.argument()) is not None:
            arguments.append(argument)
            if len(arguments) > LIMITS.sieve_arguments:
                raise self.fault(f"{name.value!r} has too many arguments")
        tests: list[Node] = []
        several = self.met("(")
        if several:
            tests.append(self.test(depth))
            while self.met(","):
                tests.append(self.test(depth))
            self.want(")", "behind the list of tests")
        elif self.next.kind == "name":
            tests.append(self.test(depth))
        return Node(str(name.value), name.place, tuple(arguments), tuple(tests), several)

    def test(self, depth: int) -> Node:
        if self.next.kind != "name":
            raise self.fault(f"a test should stand here{_instead(self.next)}")
        return self.node(depth + 1)

    def argument(self) -> Argument | None:
        kind, value, place = self.next
        if kind == "tag":
            self.take()
            return Tag(str(value), place)
        if kind == "number":
            self.take()
            return Number(int(value), place)
        if kind == "string":
            self.take()
            return Strings((str(value),), place)
        return self.strings() if kind == "[" else None

    def strings(self) -> Strings:
        opened = self.take()
        found: list[str] = []
        while True:
            if self.next.kind != "string":
                raise self.fault(f"a string should stand here{_instead(self.next)}")
            found.append(str(self.take().value))
            if len(found) > LIMITS.sieve_list:
                raise self.fault(f"a list may have {LIMITS.sieve_list} strings")
            if not self.met(","):
                break
        self.want("]", "behind the list of strings")
        return Strings(tuple(found), opened.place, listed=True)


def _instead(found: Token) -> str:
    """What stands where something else should."""
    if found.kind == "end":
        return ", but the script ends here"
    if found.kind in ("string", "number"):
        return f", not a {found.kind}"
    return f", not {':' if found.kind == 'tag' else ''}{str(found.value)[:40]}"
