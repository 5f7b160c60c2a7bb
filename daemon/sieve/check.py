"""A tree to a program: every word known and allowed, every argument right, before any mail comes (RFC 5228 §2.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from daemon.limits import LIMITS
from daemon.sieve.errors import Missing, Place, ScriptError, ScriptErrors
from daemon.sieve.language import CAPABILITIES
from daemon.sieve.parser import parse
from daemon.sieve.run import Block, Line, Program, Run
from daemon.sieve.strings import BadCharacter, Text, Texts, decode_characters
from daemon.sieve.tree import Argument, Node, Number, Strings, Tag, shown
from daemon.sieve.words import COMMANDS, TESTS, Ask, Call, Do, Flow, Kind, Option, Script, Word

_KNOWN = frozenset(CAPABILITIES)
_KINDS = {"number": "a number", "string": "a string", "strings": "a string or a list of strings"}


Library = Callable[[str, bool], str | None]
"""The text of a script that is included: by its name, of everybody (True) or of the owner."""


def compile(script: str, library: Library = lambda name, everyone: None) -> Program:
    """Raises `ScriptErrors` with all faults that were found, at most `LIMITS.sieve_errors`."""
    checker = _Checker(_Family(library))
    block = checker.whole(script)
    if checker.errors:
        raise ScriptErrors(checker.errors[: LIMITS.sieve_errors])
    return Program(block, frozenset(checker.around.required))


@dataclass(slots=True)
class _Family:
    """A script and those that it includes. Each is compiled once, however often it is named: `known` has them with
    the height of what they include. `within`: those that are being compiled, the outermost first."""

    library: Library
    within: list[tuple[str, bool]] = field(default_factory=list)
    known: dict[tuple[str, bool], tuple[Block, int]] = field(default_factory=dict)
    regexes: list[int] = field(default_factory=lambda: [0])


class _Checker:
    """Of one script."""

    def __init__(self, family: _Family) -> None:
        self.errors: list[ScriptError] = []
        self.family = family
        self.height = 0  # of scripts in scripts below this one
        self.around = Script(set(), _KNOWN, [], self.included, family.regexes)

    def whole(self, script: str) -> Block:
        if len(script) > LIMITS.sieve_script:
            much = f"a script may have {LIMITS.sieve_script} characters, this one has {len(script)}"
            self.errors.append(ScriptError(Place(1, 1), much))
            return ()
        try:
            return self.script(parse(script))
        except ScriptError as error:
            self.errors.append(error)
            return ()

    def included(self, place: Place, name: str, everyone: bool, once: bool) -> Block | None:
        """The commands of a script that this one includes (RFC 6609); None: there is no such script."""
        family, key = self.family, (name, everyone)
        if key in family.within:
            if once:
                return ()  # it was included before, so it is not again
            raise ScriptError(place, f"the script {name!r} is included here while it is at work itself")
        if key not in family.known:
            text = family.library(name, everyone)
            if text is None:
                return None
            checker = _Checker(family)
            family.within.append(key)
            deep = len(family.within) > LIMITS.sieve_include_depth
            block = () if deep else checker.whole(text)
            family.within.pop()
            family.known[key] = block, checker.height + (LIMITS.sieve_include_depth if deep else 1)
            self.errors += [ScriptError(place, f"in the script {name!r}, included here, {e}") for e in checker.errors]
        block, height = family.known[key]
        self.height = max(self.height, height)
        if len(family.within) + height > LIMITS.sieve_include_depth:
            raise ScriptError(place, f"scripts may include each other {LIMITS.sieve_include_depth} deep")
        return block

    def script(self, nodes: Sequence[Node]) -> Block:
        """`require` stands in front of everything else (RFC 5228 section 3.2)."""
        first = next((at for at, node in enumerate(nodes) if node.name != "require"), len(nodes))
        for node in nodes[:first]:
            try:
                self.require(node)
            except ScriptError as error:
                self.errors.append(error)
        return self.block(nodes[first:])

    def require(self, node: Node) -> None:
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], Strings) or node.tests or node.block:
            raise ScriptError(node.place, "require takes a string or a list of strings")
        for name in node.arguments[0].values:
            if name not in CAPABILITIES:
                raise ScriptError(node.arguments[0].place, f"there is no extension {name!r} here")
            self.around.required.add(name)

    # ----------------------------------------------------------------------------------------------------- commands

    def block(self, nodes: Sequence[Node]) -> Block:
        lines: list[Line] = []
        at = 0
        while at < len(nodes) and len(self.errors) < LIMITS.sieve_errors:
            node = nodes[at]
            chain = _chain(nodes, at) if node.name == "if" else [node]
            try:
                lines.append(
                    Line(node.place, "", self.choice(chain))
                    if node.name == "if"
                    else Line(node.place, shown(node), self.command(node))
                )
            except Missing as error:
                if "ihave" not in self.around.required:
                    self.errors.append(error)
                lines.append(Line(node.place, shown(node), _raises(error)))
            except ScriptError as error:
                self.errors.append(error)
            at += len(chain)
        return tuple(lines)

    def choice(self, chain: Sequence[Node]) -> Do:
        """`if` with the `elsif`s and the `else` behind it."""
        branches: list[tuple[Ask, Block]] = []
        for node in chain:
            if node.arguments or (node.name == "else") == bool(node.tests) or len(node.tests) > 1 or node.several:
                raise ScriptError(node.place, f"{node.name} takes {'no' if node.name == 'else' else 'one'} test")
            if node.block is None:
                raise ScriptError(node.place, f"{node.name} is followed by commands in braces")
            ask: Ask = self.test(node.tests[0]) if node.tests else _always
            branches.append((ask, self.block(node.block)))

        def do(run: Run) -> Flow:
            for ask, block in branches:
                if ask(run):
                    return run.block(block)
            return None

        return do

    def command(self, node: Node) -> Do:
        word = COMMANDS.get(node.name)
        if word is None:
            raise _unknown(node)
        call = self.call(word, node)
        if word.block != (node.block is not None):
            wanted = "is followed by commands in braces" if word.block else "opens no block"
            raise ScriptError(node.place, f"{node.name} {wanted}")
        if node.block is not None:
            self.around.loops.append(call.label)  # foreverypart alone has a block
            call.block = self.block(node.block)
            self.around.loops.pop()
        made: Do = word.make(call)  # type: ignore[assignment]  # COMMANDS has commands
        return made

    def test(self, node: Node) -> Ask:
        """What a script lacks is found out when the test is asked, in scripts that ask for `ihave` (RFC 5463)."""
        try:
            return self.present_test(node)
        except Missing as error:
            if "ihave" not in self.around.required:
                raise
            return _raises(error)

    def present_test(self, node: Node) -> Ask:
        word = TESTS.get(node.name)
        if word is None:
            raise Missing(node.place, f"there is no test {node.name!r}")
        if node.block is not None:
            raise ScriptError(node.place, f"the test {node.name} opens no block")
        call = self.call(word, node)
        made: Ask = word.make(call)  # type: ignore[assignment]  # TESTS has tests
        place, words = node.place, shown(node)

        def ask(run: Run) -> bool:
            run.left -= 1
            said = made(run)
            if run.steps is not None:
                run.tell(place, words, "true" if said else "false")
            return said

        return ask

    # ---------------------------------------------------------------------------------------------------- arguments

    def call(self, word: Word, node: Node) -> Call:
        """Its arguments, each where it belongs."""
        if word.needs and not self.has(word.needs):
            raise Missing(node.place, f'{word.name} needs: require "{word.needs.partition(" ")[0]}"')
        call = Call(word, node.place, self.around)
        plain = self.options(word, node, call)
        slots = word.slots
        if len(plain) == len(slots) - 1 and word.lacks:
            slots = slots[1:] if word.lacks == "first" else slots[:-1]
        if len(plain) != len(slots):
            wanted = ", then ".join(_KINDS[kind] for kind in word.slots) or "no arguments"
            raise ScriptError(node.place, f"{word.name} takes {wanted}")
        for kind, argument in zip(slots, plain, strict=True):
            call.given.append(self.value(word.name, kind, argument))
            call.places.append(argument.place)
        if word.tests != "many" and (len(node.tests) != word.tests or node.several):
            raise ScriptError(node.place, f"{word.name} takes {'one test' if word.tests else 'no tests'}")
        if word.tests == "many" and not node.several:
            raise ScriptError(node.place, f"{word.name} takes tests in parentheses")
        call.tests = [self.test(each) for each in node.tests]
        return call

    def has(self, needs: str) -> bool:
        """Whether one of these capabilities, with blanks between them, was required."""
        return any(name in self.around.required for name in needs.split())

    def options(self, word: Word, node: Node, call: Call) -> list[Argument]:
        """Put the tagged arguments into `call`; the others."""
        known = {option.name: option for option in word.options}
        plain: list[Argument] = []
        groups: dict[str, str] = {}
        waiting = list(reversed(node.arguments))
        while waiting:
            argument = waiting.pop()
            if not isinstance(argument, Tag):
                plain.append(argument)
                continue
            option = known.get(argument.name)
            if option is None:
                raise Missing(argument.place, f"{word.name} takes no :{argument.name}")
            if plain:
                raise ScriptError(argument.place, f":{option.name} stands in front of the other arguments")
            self.allowed(option, argument, groups)
            if option.name in call.options:
                raise ScriptError(argument.place, f":{option.name} stands here twice")
            call.options[option.name] = None
            if option.value is not None:
                if not waiting or isinstance(waiting[-1], Tag):
                    raise ScriptError(argument.place, f":{option.name} takes {_KINDS[option.value]}")
                call.options[option.name] = self.value(f":{option.name}", option.value, waiting.pop())
        return plain

    def allowed(self, option: Option, tag: Tag, groups: dict[str, str]) -> None:
        if option.needs and not self.has(option.needs):
            raise Missing(tag.place, f':{option.name} needs: require "{option.needs.partition(" ")[0]}"')
        if option.group:
            other = groups.setdefault(option.group, option.name)
            if other != option.name:
                raise ScriptError(tag.place, f":{option.name} and :{other} exclude each other")

    def value(self, whose: str, kind: Kind, argument: Argument) -> int | Text | Texts:
        if kind == "number" and isinstance(argument, Number):
            return argument.value
        if kind == "string" and isinstance(argument, Strings) and not argument.listed:
            return self.text(argument.values[0], argument.place)
        if kind == "strings" and isinstance(argument, Strings):
            return Texts([self.text(value, argument.place) for value in argument.values])
        raise ScriptError(argument.place, f"{whose} takes {_KINDS[kind]} here")

    def text(self, value: str, place: Place) -> Text:
        if "${" not in value:
            return Text(value)
        required = self.around.required
        if "encoded-character" in required:
            try:
                value = decode_characters(value)
            except BadCharacter as error:
                raise ScriptError(place, str(error)) from None
        text = Text(value, variables="variables" in required)
        for name in text.names:
            space, dot, rest = name.rpartition(".")
            if dot and (space != "global" or "include" not in required or rest.isdigit()):
                raise ScriptError(place, f"there is no variable {name!r}: only include has a namespace, global")
        return text


def _always(run: Run) -> bool:
    return True


def _raises(error: ScriptError) -> Callable[[Run], NoReturn]:
    """What is done for something that an extension would have to be there for."""

    def do(run: Run) -> NoReturn:
        run.place = error.place
        raise run.fault(error.text)

    return do


def _chain(nodes: Sequence[Node], at: int) -> list[Node]:
    """`if` and what belongs to it."""
    chain = [nodes[at]]
    while chain[-1].name != "else" and at + len(chain) < len(nodes):
        node = nodes[at + len(chain)]
        if node.name not in ("elsif", "else"):
            break
        chain.append(node)
    return chain


def _unknown(node: Node) -> ScriptError:
    name = node.name
    if name in ("elsif", "else"):
        return ScriptError(node.place, f"{name} stands only behind the commands of an if")
    if name == "require":
        return ScriptError(node.place, "require stands in front of all other commands")
    if name in TESTS:
        return ScriptError(node.place, f"{name} is a test: it stands behind if, not alone")
    return Missing(node.place, f"there is no command {name!r}")
