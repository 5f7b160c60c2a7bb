"""A compiled script and a message: what is to be done with it. Bounded whatever the script: `LIMITS.sieve_steps`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Redirect, Reject, Result, Seen, Step, Vacation
from daemon.sieve.errors import Place, ScriptError

if TYPE_CHECKING:
    from daemon.mail.message import Part
    from daemon.sieve.subject import Subject
    from daemon.sieve.words import Do, Flow


class Line(NamedTuple):
    """A command of a block, made ready."""

    place: Place
    shown: str
    do: Do


Block = tuple[Line, ...]
_SHARED = "global."  # in front of a variable's name (RFC 6609 section 3.4.2)
_CANCELS = (FileInto, Redirect, Discard, Reject)


class Program:
    """A script that was compiled. It has no state: any number of messages may run through it at once."""

    __slots__ = ("block", "required")

    def __init__(self, block: Block, required: frozenset[str]) -> None:
        self.block = block
        self.required = required

    def run(self, subject: Subject, steps: int = LIMITS.sieve_steps, *, told: bool = False) -> Result:
        """What to do with the message, in so many `steps`. Never raises for what a script or a message may be. `told`:
        the steps, too."""
        state = Run(subject, told, steps)
        try:
            state.block(self.block)
            actions = state.finished()
        except ScriptError as error:
            return Result((Keep(),), (), error, tuple(state.steps or ()), spent=state.left < 0)
        return Result(actions, tuple(state.seen.values()), None, tuple(state.steps or ()))


class Run:
    """One run: what is left of its allowance, its variables, what it has decided so far."""

    __slots__ = (
        "subject", "place", "left", "actions", "seen", "keeping", "flags", "variables", "matched", "steps", "message",
        "part", "depth", "patches", "leaving", "looped", "script", "lent", "versions", "included", "edits",
        "shared", "common", "over", "enclosed", "unenclosed",
    )  # fmt: skip

    def __init__(self, subject: Subject, told: bool = False, steps: int = LIMITS.sieve_steps) -> None:
        self.subject = subject
        self.place = Place(1, 1)
        self.left = steps
        self.actions: list[Action] = []
        self.seen: dict[str, Seen] = {}
        self.keeping = True  # the implicit keep stands
        self.flags = subject.facts.flags  # of RFC 5232's internal variable
        self.variables: dict[str, str] = {}
        self.matched: tuple[str, ...] = ()  # ${0}, ${1}, ...
        self.steps: list[Step] | None = [] if told else None
        self.message: bytes | None = None  # once it was changed
        self.part: Part | None = None  # of foreverypart's innermost loop
        self.depth = 0  # of such loops
        self.patches: list[tuple[int, int, bytes]] = []  # what is to stand in place of parts
        self.leaving = ""  # the loop that `break` names
        self.looped: Subject | None = None  # what the outermost loop goes over
        self.script = ""  # the one at work, "" for the main one
        self.included: list[tuple[str, bool]] = []
        self.lent = False  # it is a part of the message that the script at work has for one
        self.edits = 0
        self.versions: dict[int, int] = {}  # octets of each changed message that an action holds
        self.shared: dict[str, str] = {}  # variables of all scripts that include each other
        self.common: frozenset[str] = frozenset()  # which of them this script sees
        self.over = False  # the loop is about a message that is no longer there
        self.enclosed = False
        self.unenclosed: bytes | None = None  # `message` before that

    def block(self, lines: Block) -> Flow:
        for place, shown, do in lines:
            self.place = place
            self.left -= 1
            if self.left < 0:
                raise self.fault("the script takes too long")
            flow = do(self)
            if self.steps is not None and shown:
                self.tell(place, shown, "done")
            if flow:
                return flow
        return None

    def spend(self, work: int) -> None:
        """Count work that grows with what a stranger sends; a step is worth a microsecond or so."""
        self.left -= work
        if self.left < 0:
            raise self.fault("the script takes too long")

    def fault(self, text: str) -> ScriptError:
        return ScriptError(self.place, f"in the included script {self.script!r}: {text}" if self.script else text)

    def tell(self, place: Place, what: str, outcome: str) -> None:
        if self.steps is not None and len(self.steps) < LIMITS.sieve_told:
            self.steps.append(Step(place.line, what, outcome, self.script))

    def variable(self, name: str) -> str:
        """`${name}`; "" when it was not set."""
        if name.isdigit():
            digits = name.lstrip("0")
            number = int(digits or "0") if len(digits) < 4 else len(self.matched)
            return self.matched[number] if number < len(self.matched) else ""
        return self._variables(name).get(name.removeprefix(_SHARED), "")

    def _variables(self, name: str) -> dict[str, str]:
        return self.shared if name in self.common or name.startswith(_SHARED) else self.variables

    def set_variable(self, name: str, value: str) -> None:
        known = self._variables(name)
        if name not in known and len(known) >= LIMITS.sieve_variables:
            raise self.fault(f"a script may have {LIMITS.sieve_variables} variables")
        known[name.removeprefix(_SHARED)] = value[: LIMITS.sieve_variable]

    def act(self, action: Action, *, copy: bool = False) -> None:
        """Decide something; what RFC 5228 says cancels the implicit keep does so, unless it is a `:copy` (RFC 3894)."""
        if (
            isinstance(action, Redirect)
            and sum(isinstance(a, Redirect) for a in self.actions) >= LIMITS.sieve_redirects
        ):
            raise self.fault(f"a script may redirect a message {LIMITS.sieve_redirects} times")
        if len(self.actions) >= LIMITS.sieve_actions:
            raise self.fault(f"a script may have {LIMITS.sieve_actions} actions for a message")
        if isinstance(action, Reject | Vacation) and self.subject.facts.event is not None:
            raise self.fault("mail that lies in a mailbox can be neither refused nor answered")
        if isinstance(action, Keep | FileInto | Redirect) and action.message is not None:
            self.versions[id(action.message)] = len(action.message)
            if sum(self.versions.values()) > LIMITS.sieve_versions:
                raise self.fault("the script makes too many long messages of one")
        if isinstance(action, _CANCELS) and not copy:
            self.keeping = False
        self.actions.append(action._replace(within=self.script) if self.script else action)

    @contextmanager
    def apart(self, script: str) -> Iterator[None]:
        """An included script has variables of its own, and in a loop the part at hand for its message (RFC 6609)."""
        kept = (
            self.script, self.variables, self.common, self.matched, self.subject, self.part, self.looped, self.lent,
            self.place,
        )  # fmt: skip
        self.script, self.variables, self.common, self.matched = script, {}, frozenset(), ()
        part, whole = self.part, self.looped
        if part is not None and whole is not None:
            self.spend(1 + (part.end - part.header) // 5000)
            self.subject = replace(whole, data=bytes(whole.data[part.header : part.end]))
            self.part = self.looped = None
            self.lent = True
        try:
            yield
        finally:
            if not self.lent or kept[7]:
                kept = (*kept[:4], self.subject, *kept[5:])  # what it changed stays changed
            (
                self.script, self.variables, self.common, self.matched, self.subject, self.part, self.looped, self.lent,
                self.place,
            ) = kept  # fmt: skip

    @property
    def onward(self) -> bytes | None:
        """The message as a redirect sends it: that it was enclosed is of no concern there (RFC 5703 section 6)."""
        return self.unenclosed if self.enclosed else self.message

    def replaced(self, part: Part) -> bool:
        """Whether it was inside of a part that is another now, so that it is gone (RFC 5703 section 5)."""
        return any(start < part.header < end for start, end, _ in self.patches)

    def patch(self, part: Part, octets: bytes) -> None:
        """Something else in place of a part, header and body, once the loop has ended."""
        if self.over:
            return
        if len(octets) > LIMITS.message_size:
            raise self.fault("the script makes the message too long")
        if len(self.patches) >= LIMITS.mime_parts:
            raise self.fault("the script changes too many parts")
        self.spend(1 + len(octets) // 1000)
        self.patches.append((part.header, part.end, octets))

    def rewrite(self) -> None:
        """Make the new message of what was patched; what is inside of another patch is gone with it."""
        patches, self.patches = self.patches, []
        if not patches:
            return
        data, pieces, place = self.subject.data, list[bytes](), 0
        moved = len(data) - len(self.looped.data) if self.looped else 0  # by changes of the header in the loop
        for start, end, octets in sorted(patches, key=lambda each: (each[0], -each[1])):
            if start + moved >= place:
                pieces += [bytes(data[place : start + moved]), octets]
                place = end + moved
        self.change(b"".join([*pieces, bytes(data[place:])]))

    def enclose(self, message: bytes) -> None:
        """It is inside of this one from here on."""
        if not self.enclosed:
            self.enclosed, self.unenclosed = True, self.message
        self.supplant(message)

    def supplant(self, message: bytes) -> None:
        """Another in its place, with other parts, so that a loop over those it had is over."""
        self.change(message)
        self.over = self.part is not None

    def change(self, message: bytes) -> None:
        """It is another message from here on."""
        if self.lent:
            raise self.fault("a script that is included for a part of a message cannot change it")
        self.edits += 1
        if self.edits > LIMITS.sieve_edits:
            raise self.fault(f"a script may change a message {LIMITS.sieve_edits} times")
        if len(message) > LIMITS.message_size:
            raise self.fault("the script makes the message too long")
        self.spend(1 + len(message) // 10_000)
        self.message = message
        self.subject = replace(self.subject, data=message)

    def finished(self) -> tuple[Action, ...]:
        """The actions, the implicit keep among them, each once (RFC 5228 section 2.10.3)."""
        if self.keeping and not any(isinstance(action, Keep) for action in self.actions):
            self.actions.append(Keep(0, self.flags, self.message))
        refused = sum(isinstance(action, Reject) for action in self.actions)
        if refused > 1:
            raise self.fault("a message can be refused once")
        if refused and any(isinstance(action, Keep | FileInto | Redirect | Vacation) for action in self.actions):
            raise self.fault("a message cannot be refused and be kept, filed, redirected or answered as well")
        found: dict[object, Action] = {}
        for action in self.actions:
            found[_what(action)] = _joined(found.get(_what(action)), action)
        return tuple(found.values())


def _joined(first: Action | None, more: Action) -> Action:
    """The first of two that do the same, with the flags of the last (RFC 5232 section 2)."""
    if isinstance(first, Keep | FileInto) and isinstance(more, Keep | FileInto) and more.flags is not None:
        return first._replace(flags=more.flags)
    return first or more


def _what(action: Action) -> object:
    """Two actions that do the same are one."""
    match action:
        case FileInto():
            if action.mailbox.upper() == "INBOX" and not action.special_use and not action.mailbox_id:
                return Keep
            return FileInto, action.mailbox, action.special_use, action.mailbox_id
        case Redirect():
            return Redirect, action.address.lower()
        case Keep() | Discard():
            return type(action)
    return action
