"""A tree to a program: every word known and allowed, every argument right, before any mail comes (RFC 5228 §2.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.limits import LIMITS
from daemon.sieve.errors import Place, ScriptError, ScriptErrors
from daemon.sieve.language import CAPABILITIES
from daemon.sieve.parser import parse
from daemon.sieve.run import Block, Line, Program, Run
from daemon.sieve.strings import BadCharacter, Text, Texts, decode_characters
from daemon.sieve.tree import Argument, Node, Number, Strings, Tag, shown
from daemon.sieve.words import COMMANDS, TESTS, Ask, Call, Do, Flow, Kind, Option, Word

_KNOWN = frozenset(CAPABILITIES)
_KINDS = {"number": "a number", "string": "a string", "strings": "a string or a list of strings"}


Library = Callable[[str, bool], str | None]
"""The text of a script that is included: by its name, of everybody (True) or of the owner."""


def compile(script: str, library: Library = lambda name, everyone: None) -> Program:
    """Raises `ScriptErrors` with all faults that were found, at most `LIMITS.sieve_errors`."""
    checker = _Checker(library)
    block = checker.whole(script)
    if checker.errors:
        raise ScriptErrors(checker.errors[: LIMITS.sieve_errors])
    return Program(block, frozenset(checker.required))


class _Checker:
    """Of one script; `within` are the scripts that include it."""

    def __init__(self, library: Library, within: tuple[tuple[str, bool], ...] = ()) -> None:
        self.errors: list[ScriptError] = []
        self.required: set[str] = set()
        self.library = library
        self.within = within

    def whole(self, script: str) -> Block:
        if len(script) > LIMITS.sieve_script:
            self.errors.append(ScriptError(Place(1, 1), f"a script may have {LIMITS.sieve_script} characters"))
            return ()
        try:
            return self.script(parse(script))
        except ScriptError as error:
            self.errors.append(error)
            return ()

    def included(self, name: str, everyone: bool) -> Block | None:
        """The commands of a script that this one includes; None: there is no such script."""
        text = self.library(name, everyone)
        if text is None:
            return None
        if (name, everyone) in self.within or len(self.within) >= LIMITS.sieve_include_depth:
            self.errors.append(ScriptError(Place(1, 1), f"the script {name!r} includes itself, or others too deep"))
            return ()
        checker = _Checker(self.library, (*self.within, (name, everyone)))
        block = checker.whole(text)
        self.errors += [
            ScriptError(e.place, f"in the script {name!r} that is included: {e.text}") for e in checker.errors
        ]
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
            self.required.add(name)

    # ----------------------------------------------------------------------------------------------------- commands

    def block(self, nodes: Sequence[Node]) -> Block:
        lines: list[Line] = []
        at = 0
        while at < len(nodes) and len(self.errors) < LIMITS.sieve_errors:
            node = nodes[at]
            try:
                if node.name == "if":
                    chain = _chain(nodes, at)
                    lines.append(Line(node.place, "", self.choice(chain)))
                    at += len(chain) - 1
                else:
                    lines.append(Line(node.place, shown(node), self.command(node)))
            except ScriptError as error:
                self.errors.append(error)
            at += 1
        return tuple(lines)

    def choice(self, chain: Sequence[Node]) -> Do:
        """`if` with the `elsif`s and the `else` behind it."""
        branches: list[tuple[Ask, Block]] = []
        for node in chain:
            if node.arguments or (node.name == "else") == bool(node.tests) or len(node.tests) > 1 or node.several:
                raise ScriptError(node.place, f"{node.name} takes {'no' if node.name == 'else' else 'one'} test")
            if node.block is None:
                raise ScriptError(node.place, f"{node.name} is followed by commands in braces")
            before = set(self.required)
            ask: Ask = self.test(node.tests[0]) if node.tests else _always
            missing = self.promised(node.tests)
            block = () if missing else self.block(node.block)  # never run: there is no such extension
            self.required = before
            branches.append((ask, block))

        def do(run: Run) -> Flow:
            for ask, block in branches:
                if ask(run):
                    return run.block(block)
            return None

        return do

    def command(self, node: Node) -> Do:
        word = COMMANDS.get(node.name)
        if word is None:
            raise ScriptError(node.place, _unknown(node.name))
        call = self.call(word, node)
        if word.block != (node.block is not None):
            wanted = "is followed by commands in braces" if word.block else "opens no block"
            raise ScriptError(node.place, f"{node.name} {wanted}")
        if node.block is not None:
            call.block = self.block(node.block)
        made: Do = word.make(call)  # type: ignore[assignment]  # COMMANDS has commands
        return made

    def test(self, node: Node) -> Ask:
        word = TESTS.get(node.name)
        if word is None:
            raise ScriptError(node.place, f"there is no test {node.name!r}")
        if node.block is not None:
            raise ScriptError(node.place, f"the test {node.name} opens no block")
        call = self.call(word, node)
        made: Ask = word.make(call)  # type: ignore[assignment]  # TESTS has tests
        place, words = node.place, shown(node)

        def ask(run: Run) -> bool:
            said = made(run)
            if run.steps is not None:
                run.tell(place, words, "true" if said else "false")
            return said

        return ask

    def promised(self, tests: Sequence[Node]) -> bool:
        """`ihave` (RFC 5463) allows what stands behind it to use capabilities; whether there is one that we lack."""
        missing = False
        waiting = list(tests)
        while waiting:
            node = waiting.pop()
            if node.name == "allof":
                waiting += node.tests
            if node.name == "ihave" and node.arguments and isinstance(node.arguments[0], Strings):
                names = set(node.arguments[0].values)
                self.required |= names & _KNOWN
                missing = missing or not names <= _KNOWN
        return missing

    # ---------------------------------------------------------------------------------------------------- arguments

    def call(self, word: Word, node: Node) -> Call:
        """Its arguments, each where it belongs."""
        if word.needs and not self.has(word.needs):
            raise ScriptError(node.place, f'{word.name} needs: require "{word.needs.partition(" ")[0]}"')
        call = Call(word, node.place, frozenset(self.required), _KNOWN, self.included)
        plain = self.options(word, node, call)
        slots = word.slots
        if len(plain) == len(slots) - 1 and word.lacks:
            slots = slots[1:] if word.lacks == "first" else slots[:-1]
        if len(plain) != len(slots):
            wanted = ", ".join(_KINDS[kind] for kind in word.slots) or "no arguments"
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
        return any(name in self.required for name in needs.split())

    def options(self, word: Word, node: Node, call: Call) -> list[Argument]:
        """Put the tagged arguments into `call`; the others."""
        known = {option.name: option for option in word.options}
        plain: list[Argument] = []
        groups: dict[str, str] = {}
        waiting = list(node.arguments)
        while waiting:
            argument = waiting.pop(0)
            if not isinstance(argument, Tag):
                plain.append(argument)
                continue
            option = known.get(argument.name)
            if option is None:
                raise ScriptError(argument.place, f"{word.name} takes no :{argument.name}")
            self.allowed(option, argument, groups)
            if option.name in call.options:
                raise ScriptError(argument.place, f":{option.name} stands here twice")
            call.options[option.name] = None
            if option.value is not None:
                if not waiting or isinstance(waiting[0], Tag):
                    raise ScriptError(argument.place, f":{option.name} takes {_KINDS[option.value]}")
                call.options[option.name] = self.value(f":{option.name}", option.value, waiting.pop(0))
        return plain

    def allowed(self, option: Option, tag: Tag, groups: dict[str, str]) -> None:
        if option.needs and not self.has(option.needs):
            raise ScriptError(tag.place, f':{option.name} needs: require "{option.needs.partition(" ")[0]}"')
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
        if "encoded-character" in self.required and "${" in value:
            try:
                value = decode_characters(value)
            except BadCharacter as error:
                raise ScriptError(place, str(error)) from None
        return Text(value, variables="variables" in self.required)


def _always(run: Run) -> bool:
    return True


def _chain(nodes: Sequence[Node], at: int) -> list[Node]:
    """`if` and what belongs to it."""
    chain = [nodes[at]]
    for node in nodes[at + 1 :]:
        if node.name not in ("elsif", "else"):
            break
        chain.append(node)
        if node.name == "else":
            break
    return chain


def _unknown(name: str) -> str:
    if name in ("elsif", "else"):
        return f"{name} stands only behind the commands of an if"
    if name == "require":
        return "require stands in front of all other commands"
    return f"{name} is a test, not a command" if name in TESTS else f"there is no command {name!r}"
