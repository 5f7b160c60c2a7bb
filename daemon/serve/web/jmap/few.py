"""Types whose objects are few: all of them are read for an answer, and set one by one (RFC 8620 §5.1, §5.3).

A type says how its objects are read, and what creates, changes and destroys one; what it does not say is forbidden.
The words of a domain error are told to the client, up to the advice that is for who sits at a command line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from daemon.admin.errors import BadData, Exists, InUse, Invalid, Missing, NotNow, NotPermitted, OverQuota
from daemon.limits import LIMITS
from daemon.mail.address import BadAddress
from daemon.serve.login import LoginRefused
from daemon.serve.web import visitors
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.visitors import Visitor
from daemon.store import states
from daemon.store.db import StoreBusy, StoreFull
from daemon.store.tx import Tx

T = TypeVar("T")
Object = dict[str, Any]
SINGLETON = "singleton"
_KINDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((Missing,), "notFound"),
    ((OverQuota,), "overQuota"),
    ((NotPermitted, InUse), "forbidden"),
    ((NotNow,), "rateLimit"),
    ((BadData, BadAddress, Exists, Invalid), "invalidProperties"),
)


class SetError(Exception):
    """One object is not set: a type of RFC 8620 §5.3, words, and the properties they are about."""

    def __init__(self, type: str, description: str = "", *properties: str) -> None:
        super().__init__(type)
        self.answer: Object = {"type": type}
        if description:
            self.answer["description"] = description
        if properties:
            self.answer["properties"] = list(properties)


@dataclass(frozen=True, slots=True)
class Few:
    """One type. `read` gives all objects; it may look into the database, not into the bytes of mail. `guarded`: to set
    anything the user's present password is needed. `settable`: what a client may say of an object. `single`: there is
    always one object, called `singleton`.

    `create` answers with what the client does not know; `update` is told the object as it is and the changes.
    """

    name: str
    read: Callable[[Tx, Visitor], list[Object]]
    settable: frozenset[str] = frozenset()
    create: Callable[[Call, Object], Awaitable[Object]] | None = None
    update: Callable[[Call, Object, Object], Awaitable[Object | None]] | None = None
    destroy: Callable[[Call, Object], Awaitable[None]] | None = None
    guarded: bool = False
    single: bool = False

    @property
    def methods(self) -> dict[str, Method]:
        there: dict[str, Method] = {f"{self.name}/get": partial(_get, self)}
        if self.create or self.update or self.destroy:
            there[f"{self.name}/set"] = partial(_set, self)
        return there


# ---------------------------------------------------------------------------------------------------------------- /get


async def _get(few: Few, call: Call, arguments: Arguments) -> Arguments:
    known(arguments, "ids", "properties")
    ids, properties = names(arguments, "ids"), names(arguments, "properties")
    state, there = await _now(few, call)
    wanted = (
        list(there)
        if ids is None
        else list(dict.fromkeys(call.created.get(i[1:], i) if i[:1] == "#" else i for i in ids))
    )
    found = [there[each] for each in wanted if each in there]
    if properties is not None:
        strange = [name for name in properties if found and name not in found[0]]
        if strange:
            raise MethodError("invalidArguments", f"{few.name} has no property {strange[0]}")
        found = [{name: value for name, value in each.items() if name == "id" or name in properties} for each in found]
    missing = [each for each in wanted if each not in there]
    return {"accountId": account(call), "state": state, "list": found, "notFound": missing}


def _read(tx: Tx, few: Few, visitor: Visitor) -> tuple[str, list[Object]]:
    return str(states.of_type(tx, visitor.account_id, few.name)), few.read(tx, visitor)


# ---------------------------------------------------------------------------------------------------------------- /set


async def _set(few: Few, call: Call, arguments: Arguments) -> Arguments:
    there: dict[str, Object] = {}

    async def state() -> str:
        now, objects = await _now(few, call)
        there.update(objects)
        return now

    async def create(value: Object) -> Object:
        if few.create is None:
            raise SetError("singleton" if few.single else "forbidden")
        _settable(few, value)
        return await few.create(call, value)

    async def update(id: str, changes: Object) -> Object | None:
        object = _found(there, id)
        if few.update is None:
            raise SetError("forbidden", f"a {few.name} does not change; make another one in its place")
        if any("/" in name for name in changes):
            raise SetError("invalidPatch", "properties are set as a whole")
        fresh = {name: value for name, value in changes.items() if name not in object or object[name] != value}
        _settable(few, fresh)
        return await few.update(call, object, fresh) if fresh else None

    async def destroy(id: str) -> None:
        object = _found(there, id)
        if few.destroy is None:
            raise SetError("singleton" if few.single else "forbidden")
        await few.destroy(call, object)

    if few.guarded:
        arguments = {**arguments}
        await prove(call, arguments.pop("password", None))
    return await frame(call, arguments, state, create, update, destroy)


async def frame(
    call: Call,
    arguments: Arguments,
    state: Callable[[], Awaitable[str]],
    create: Callable[[Object], Awaitable[Object]],
    update: Callable[[str, Object], Awaitable[Object | None]],
    destroy: Callable[[str], Awaitable[None]],
) -> Arguments:
    """The answer of a /set: one object after the other, each of which may be refused by `SetError` or an error of the
    domain. What is created has an `id`."""
    known(arguments, "ifInState", "create", "update", "destroy")
    made, changed = objects(arguments, "create"), objects(arguments, "update")
    gone = names(arguments, "destroy") or []
    if len(made) + len(changed) + len(gone) > LIMITS.owner_objects:
        raise MethodError("requestTooLarge", f"at most {LIMITS.owner_objects} objects at a time")
    before = await state()
    if arguments.get("ifInState") not in (None, before):
        raise MethodError("stateMismatch")

    async def one(key: str, value: Object) -> Object:
        fresh = await create(value)
        call.created[key] = fresh["id"]
        return fresh

    async def another(id: str, changes: Object) -> Object | None:
        if id in gone:
            raise SetError("willDestroy")
        return await update(id, changes)

    async def none(id: str, _: Object) -> None:
        await destroy(id)

    created, not_created = await _each(made, one)
    updated, not_updated = await _each({_real(call, key): value for key, value in changed.items()}, another)
    destroyed, not_destroyed = await _each({_real(call, key): {} for key in gone}, none)
    return {
        "accountId": account(call), "oldState": before, "newState": await state(),
        "created": created, "updated": updated, "destroyed": None if destroyed is None else list(destroyed),
        "notCreated": not_created, "notUpdated": not_updated, "notDestroyed": not_destroyed,
    }  # fmt: skip


async def _each(
    wanted: Mapping[str, Object], act: Callable[[str, Object], Awaitable[Object | None]]
) -> tuple[dict[str, Object | None] | None, dict[str, Object] | None]:
    """Do it for one after the other: what came of those that were done, and why the others were not."""
    good: dict[str, Object | None] = {}
    bad: dict[str, Object] = {}
    for key, value in wanted.items():
        try:
            good[key] = await told(act(key, value))
        except SetError as error:
            bad[key] = error.answer
    return good or None, bad or None


def _real(call: Call, key: str) -> str:
    """The id of what this request created, where its creation id is said (RFC 8620 §5.3)."""
    return call.created.get(key[1:], key) if key[:1] == "#" else key


async def _now(few: Few, call: Call) -> tuple[str, dict[str, Object]]:
    try:
        state, there = await told(call.store.read(_read, few, call.visitor))
    except SetError as error:
        raise MethodError("notUnderstood", error.answer.get("description", "")) from None
    return state, {each["id"]: each for each in there}


def _found(there: Mapping[str, Object], id: str) -> Object:
    if id not in there:
        raise SetError("notFound")
    return there[id]


def _settable(few: Few, value: Object) -> None:
    strange = [name for name in value if name not in few.settable]
    if strange:
        raise SetError("invalidProperties", "this is not for a client to say", *strange)


# ------------------------------------------------------------------------------------------------- what all types need


def account(call: Call) -> str:
    return f"u{call.account_id}"


def known(arguments: Arguments, *more: str) -> None:
    """Raises `MethodError` for arguments that nobody knows."""
    strange = [name for name in arguments if name != "accountId" and name not in more]
    if strange:
        raise MethodError("invalidArguments", f"there is no argument {strange[0]}")


def names(arguments: Arguments, name: str) -> list[str] | None:
    """A list of ids, or of names; None when it is null or not there. Raises `MethodError`."""
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and len(each) <= 255 for each in value):
        raise MethodError("invalidArguments", f"{name} is a list of ids")
    if len(value) > LIMITS.owner_objects:
        raise MethodError("requestTooLarge", f"at most {LIMITS.owner_objects} ids at a time")
    return value


def objects(arguments: Arguments, name: str) -> dict[str, Object]:
    """Objects by id; none when it is null or not there. Raises `MethodError`."""
    value = arguments.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise MethodError("invalidArguments", f"{name} has an object for each id")
    return value


def said(value: Object, name: str, kind: type[T], default: T) -> T:
    """A property of that type, `default` when it is not said. Raises `SetError`."""
    found = value.get(name, default)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise SetError("invalidProperties", f"{name} is not of the right type", name)
    return found


def texts(value: Object, name: str) -> list[str]:
    """A property that is a list of strings, [] when it is not said. Raises `SetError`."""
    found = said(value, name, list, [])
    if not all(isinstance(each, str) for each in found):
        raise SetError("invalidProperties", f"{name} is a list of strings", name)
    return found


async def told(work: Awaitable[T]) -> T:
    """The same, with errors of the domain as those of a set. Raises `SetError`, `MethodError`."""
    try:
        return await work
    except (StoreBusy, StoreFull) as error:
        raise MethodError("serverUnavailable", str(error)) from None
    except Exception as error:
        for kinds, type in _KINDS:
            if isinstance(error, kinds):
                raise SetError(type, str(error).partition(";")[0]) from None
        raise


async def prove(call: Call, password: Any) -> None:
    """He who asks knows the user's present password, and is here as the user himself. Raises `MethodError`."""
    if not call.visitor.entire:
        raise MethodError("forbidden", "an app password changes nothing about how one signs in")
    if not isinstance(password, str):
        raise MethodError("invalidArguments", "password is needed: the user's own password as it is now")
    try:
        await call.door.own(visitors.peer(), str(call.visitor.identity.address), password, True)
    except LoginRefused as error:
        raise MethodError("passwordRefused", error.text, reason=error.reason) from None


async def aside(call: Call, verb: Callable[..., T], *args: Any, **more: Any) -> T:
    """A verb of `admin`, in a thread that may wait."""
    return await call.store.aside(partial(verb, call.store, *args, **more))
