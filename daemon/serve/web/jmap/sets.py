"""The frame of every `/set` (RFC 8620 §5.3): what is created, updated and destroyed, each for itself, with its error.

A type gives three functions; each does one object and returns what the client cannot know, or raises `SetError`. Order
is created, updated, destroyed; an id that begins with `#` is that of an object created in this request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from daemon.admin.errors import NotNow, NotPermitted
from daemon.limits import LIMITS
from daemon.mail.address import BadAddress
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.store import changes, states, web_changes
from daemon.store.errors import InUse, Missing, OverQuota, Refusal, StoreBusy, StoreFull
from daemon.store.tx import Tx

T = TypeVar("T")

_ARGUMENTS = ("accountId", "ifInState", "create", "update", "destroy")
_NO = (Refusal, BadAddress, NotNow, NotPermitted, StoreFull, StoreBusy)
"""What the store and the verbs of `admin` say no with."""
_TYPES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((Missing,), "notFound"),
    ((OverQuota,), "overQuota"),
    ((NotPermitted, InUse), "forbidden"),
    ((NotNow,), "rateLimit"),
    (_NO, "invalidProperties"),
)


class SetError(Exception):
    """Why nothing was done about one object: a type of RFC 8620 §5.3 or of its own, words, the properties they are
    about, and what the type tells beside."""

    def __init__(self, type: str, text: str = "", *properties: str, **more: Any) -> None:
        super().__init__(type, text)
        self.answer: Arguments = {"type": type, **({"description": text} if text else {}), **more}
        if properties:
            self.answer["properties"] = list(properties)


def bad(properties: list[str], text: str) -> SetError:
    return SetError("invalidProperties", text, *properties)


Create = Callable[[Call, Arguments], Awaitable[Arguments]]
Update = Callable[[Call, str, Arguments], Awaitable[Arguments | None]]
Destroy = Callable[[Call, str], Awaitable[None]]
StateOf = Callable[[Call], str]
Touched = Callable[[Tx, int, str], set[str] | None]
"""The ids of the objects of an account that changed since a state, whoever changed them; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Type:
    """What can be done with the objects of a type; None: it cannot. `more`: arguments that its `/set` has beside the
    common ones. `single`: there is always one. `state_of`: its state, where it has one of its own. `touched`: which of
    its objects changed, where others change them too."""

    create: Create | None = None
    update: Update | None = None
    destroy: Destroy | None = None
    more: tuple[str, ...] = ()
    single: bool = False
    state_of: StateOf | None = None
    touched: Touched | None = None

    @property
    def forbidden(self) -> SetError:
        return SetError("singleton" if self.single else "forbidden", "that is not done with objects of this type")


@dataclass(slots=True)
class Done:
    """What became of what was asked for."""

    old_state: str
    state_of: StateOf | None = None
    touched: Touched | None = None
    created: dict[str, Arguments] = field(default_factory=dict)
    updated: dict[str, Arguments | None] = field(default_factory=dict)
    destroyed: list[str] = field(default_factory=list)
    not_created: dict[str, Arguments] = field(default_factory=dict)
    not_updated: dict[str, Arguments] = field(default_factory=dict)
    not_destroyed: dict[str, Arguments] = field(default_factory=dict)

    def answer(self, call: Call) -> Arguments:
        return {
            "accountId": account_name(call),
            "oldState": self.old_state,
            "newState": self._new_state(call),
            "created": self.created or None,
            "updated": self.updated or None,
            "destroyed": self.destroyed or None,
            "notCreated": self.not_created or None,
            "notUpdated": self.not_updated or None,
            "notDestroyed": self.not_destroyed or None,
        }

    def _new_state(self, call: Call) -> str:
        """What it is now; where others changed something in the meantime, which is told here to nobody, what it was: a
        client that asks for changes from there on misses nothing."""
        now = (self.state_of or state)(call)
        if self.touched is None:
            return now
        touched = call.store.peek(self.touched, call.account_id, self.old_state)
        ours = {*(made["id"] for made in self.created.values()), *self.updated, *self.destroyed}
        return now if touched is not None and touched <= ours else self.old_state


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of a `/set`, of their right types."""

    create: Mapping[str, Arguments]
    update: Mapping[str, Arguments]
    destroy: list[str]
    if_in_state: str | None


def account_name(call: Call) -> str:
    return f"u{call.account_id}"


def state(call: Call) -> str:
    """Of an account: one sequence for all of its types that are kept with the mail."""
    return str(call.store.peek(web_changes.state, call.account_id))


def state_of_type(name: str) -> StateOf:
    """The state of a type that has one of its own."""
    return lambda call: str(call.store.peek(states.of_type, call.account_id, name))


def of_mail(what: str, letter: str) -> Touched:
    """Of emails or mailboxes."""

    def touched(tx: Tx, account_id: int, since: str) -> set[str] | None:
        try:
            found = changes.since(tx, account_id, what, since)
        except changes.TooOld:
            return None
        return {f"{letter}{number}" for number in (*found.created, *found.updated, *found.destroyed)}

    return touched


def of_web(kind: str, letter: str) -> Touched:
    """Of identities or submissions."""

    def touched(tx: Tx, account_id: int, since: str) -> set[str]:
        found = web_changes.since(tx, account_id, kind, int(since), 2 * LIMITS.jmap_set)
        return {f"{letter}{number}" for number in (*found.created, *found.updated, *found.destroyed)}

    return touched


def asked(arguments: Arguments, more: tuple[str, ...] = ()) -> Asked:
    """Raises `MethodError`: invalidArguments, requestTooLarge."""
    for name in arguments:
        if name not in _ARGUMENTS and name not in more:
            raise MethodError("invalidArguments", f"there is no argument {name}")
    create, update = _objects(arguments, "create"), _objects(arguments, "update")
    destroy, if_in_state = arguments.get("destroy") or [], arguments.get("ifInState")
    if not isinstance(destroy, list) or not all(isinstance(each, str) for each in destroy):
        raise MethodError("invalidArguments", "destroy is a list of ids")
    if if_in_state is not None and not isinstance(if_in_state, str):
        raise MethodError("invalidArguments", "ifInState is a text")
    if len(create) + len(update) + len(destroy) > LIMITS.jmap_set:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_set} objects at once")
    return Asked(create, update, list(dict.fromkeys(destroy)), if_in_state)


def _objects(arguments: Arguments, name: str) -> Mapping[str, Arguments]:
    given = arguments.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        raise MethodError("invalidArguments", f"{name} is an object of objects")
    return given


def begin(call: Call, wanted: Asked, state_of: StateOf | None = None, touched: Touched | None = None) -> Done:
    """Raises `MethodError`: stateMismatch."""
    now = (state_of or state)(call)
    if wanted.if_in_state is not None and wanted.if_in_state != now:
        raise MethodError("stateMismatch", f"the state is {now}")
    return Done(now, state_of, touched)


async def run(call: Call, arguments: Arguments, type: Type) -> Arguments:
    """All of a `/set`."""
    wanted = asked(arguments, type.more)
    done = begin(call, wanted, type.state_of, type.touched)
    for mark, given in wanted.create.items():
        try:
            if type.create is None:
                raise type.forbidden
            done.created[mark] = made = await guarded(type.create(call, given))
            call.created[mark] = made["id"]
        except SetError as no:
            done.not_created[mark] = no.answer
    gone = {real_id(call, name) for name in wanted.destroy}
    for name, patch in wanted.update.items():
        try:
            number = real_id(call, name)
            if number in gone:
                raise SetError("willDestroy", "it is destroyed in the same call")
            if type.update is None:
                raise type.forbidden
            done.updated[number] = await guarded(type.update(call, number, patch))
        except SetError as no:
            done.not_updated[name] = no.answer
    for name in wanted.destroy:
        try:
            if type.destroy is None:
                raise type.forbidden
            await guarded(type.destroy(call, real_id(call, name)))
            done.destroyed.append(real_id(call, name))
        except SetError as no:
            done.not_destroyed[name] = no.answer
    return done.answer(call)


def real_id(call: Call, name: str) -> str:
    """The id of an object, also of one that was created in this request (RFC 8620 §5.3)."""
    return call.created.get(name[1:], name) if name.startswith("#") else name


async def guarded(work: Awaitable[T]) -> T:
    """The same, with what the store and the verbs of `admin` say no to as JMAP says it. Raises `SetError`."""
    try:
        return await work
    except _NO as no:
        raise error_of(no) from None


def error_of(no: Exception) -> SetError:
    """`no` is one that `guarded` knows. What follows a `;` in its words is advice for who sits at a command line."""
    if isinstance(no, StoreFull | StoreBusy):
        return SetError("serverUnavailable", "not just now; try again later")
    type = next(type for kinds, type in _TYPES if isinstance(no, kinds))
    return SetError(getattr(no, "type", type), str(no).partition(";")[0], *getattr(no, "properties", ()))


def flat(patch: Arguments, allowed: Mapping[str, Callable[[Any], bool]], immutable: tuple[str, ...] = ()) -> Arguments:
    """A patch of an object whose properties are changed as a whole: each to what its check takes.

    Raises `SetError`."""
    wrong = []
    for name, value in patch.items():
        if "/" in name and name.split("/")[0] in allowed:
            raise SetError("invalidPatch", f"{name.split('/')[0]} is changed as a whole")
        check = allowed.get(name)
        if check is None or not check(value):
            wrong.append(name)
    if wrong:
        text = "cannot be changed" if set(wrong) <= set(immutable) else "unknown, not to be set, or of a wrong type"
        raise bad(wrong, text)
    return patch
