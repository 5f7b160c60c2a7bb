"""The words of the language: what each command and test takes, and how it is made ready to run.

An extension is one module that declares its words:

    @command("fileinto", STRING, needs="fileinto", options=(Option("copy", needs="copy"),))
    def fileinto(call: Call) -> Do:
        mailbox = call.text(0)
        return lambda run: run.act(FileInto(mailbox(run), call.line))

The function is called once, when the script is compiled, with the checked arguments; what it returns is called for each
message. A fault in a constant is raised there, by `call.fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn

from daemon.sieve.errors import Missing, Place, ScriptError
from daemon.sieve.strings import Text, Texts

if TYPE_CHECKING:
    from daemon.sieve.run import Block, Run

Flow = Literal["stop", "return", "break"] | None
"""How a command leaves its script: None goes on with the next."""
Do = Callable[["Run"], Flow]
Ask = Callable[["Run"], bool]

Kind = Literal["number", "string", "strings"]
NUMBER: Kind = "number"
STRING: Kind = "string"
STRINGS: Kind = "strings"  # one string will do


@dataclass(frozen=True, slots=True)
class Option:
    """A tagged argument. `value`: what stands behind the tag, if anything. Of one `group` only one may be given."""

    name: str
    value: Kind | None = None
    needs: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A command or a test of the language. `needs` is the capability that `require` must name, "" for none.

    `lacks`: its first or last positional argument may be left out. `block`: commands in braces stand behind it.
    `tests`: how many tests it takes.
    """

    name: str
    make: Callable[[Call], Do] | Callable[[Call], Ask]
    slots: tuple[Kind, ...] = ()
    options: tuple[Option, ...] = ()
    needs: str = ""
    tests: Literal[0, 1, "many"] = 0
    block: bool = False
    lacks: Literal["", "first", "last"] = ""


COMMANDS: dict[str, Word] = {}
TESTS: dict[str, Word] = {}


@dataclass(slots=True)
class Script:
    """The script around a command, as far as it was checked by then.

    `required` are the capabilities it may use, `known` all there are. `loops` are the names of the loops over parts
    around the command, "" for those without one. `include` compiles another script, by its name, of everybody or of the
    owner, from a place of this one (`once`: going round in a circle is no fault); None: there is no such script.
    `regexes` counts the regular expressions of all scripts that are compiled together.
    """

    required: set[str]
    known: frozenset[str] = frozenset()
    loops: list[str] = field(default_factory=list)
    include: Callable[[Place, str, bool, bool], Block | None] = lambda place, name, everyone, once: None
    regexes: list[int] = field(default_factory=lambda: [0])


@dataclass(slots=True)
class Call:
    """A command or a test whose arguments are right, to be made ready to run.

    Positional arguments by number, options by name.
    """

    word: Word
    place: Place
    script: Script
    given: list[int | Text | Texts] = field(default_factory=list)
    options: dict[str, int | Text | Texts | None] = field(default_factory=dict)
    tests: list[Ask] = field(default_factory=list)
    block: Block | None = None
    places: list[Place] = field(default_factory=list)  # of the positional arguments

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def label(self) -> str:
        """The name of the loop that this is or leaves, "" for none."""
        name = self.option_text("name") if self.has("name") else None
        return "" if name is None else name.constant or ""

    def allows(self, capability: str) -> bool:
        """Whether the script may use it here."""
        return capability in self.script.required

    def number(self, at: int) -> int:
        value = self.given[at]
        assert isinstance(value, int)
        return value

    def text(self, at: int) -> Text:
        value = self.given[at]
        assert isinstance(value, Text)
        return value

    def texts(self, at: int) -> Texts:
        value = self.given[at]
        assert isinstance(value, Texts)
        return value

    def has(self, name: str) -> bool:
        return name in self.options

    def option_number(self, name: str) -> int | None:
        value = self.options.get(name)
        assert value is None or isinstance(value, int)
        return value

    def option_text(self, name: str) -> Text | None:
        value = self.options.get(name)
        assert value is None or isinstance(value, Text)
        return value

    def option_texts(self, name: str) -> Texts | None:
        value = self.options.get(name)
        assert value is None or isinstance(value, Texts)
        return value

    def one_of(self, names: Sequence[str], default: str) -> str:
        """Which of these options was given."""
        return next((name for name in names if name in self.options), default)

    def fault(self, text: str, at: int | None = None) -> NoReturn:
        """Something is wrong with it, or with its positional argument `at`."""
        raise ScriptError(self.place if at is None else self.places[at], text)

    def lacks(self, text: str, at: int | None = None) -> NoReturn:
        """It uses an extension that the script did not ask for, or that there is none of."""
        raise Missing(self.place if at is None else self.places[at], text)


def command(
    name: str,
    *slots: Kind,
    needs: str = "",
    options: Sequence[Option] = (),
    tests: Literal[0, 1, "many"] = 0,
    block: bool = False,
    lacks: Literal["", "first", "last"] = "",
) -> Callable[[Callable[[Call], Do]], Callable[[Call], Do]]:
    def declare(make: Callable[[Call], Do]) -> Callable[[Call], Do]:
        COMMANDS[name] = Word(name, make, slots, tuple(options), needs, tests, block, lacks)
        return make

    return declare


def test(
    name: str,
    *slots: Kind,
    needs: str = "",
    options: Sequence[Option] = (),
    tests: Literal[0, 1, "many"] = 0,
    lacks: Literal["", "first", "last"] = "",
) -> Callable[[Callable[[Call], Ask]], Callable[[Call], Ask]]:
    def declare(make: Callable[[Call], Ask]) -> Callable[[Call], Ask]:
        TESTS[name] = Word(name, make, slots, tuple(options), needs, tests, False, lacks)
        return make

    return declare
