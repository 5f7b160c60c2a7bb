"""Types whose objects are few: all of them are read for an answer, and set one by one (RFC 8620 §5.1, §5.3).

A type says how its objects are read, and what creates, changes and destroys one; what it does not say is forbidden.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from daemon.limits import LIMITS
from daemon.serve.login import LoginRefused
from daemon.serve.web import visitors
from daemon.serve.web.jmap import sets
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.visitors import Visitor
from daemon.store import states
from daemon.store.errors import Refusal
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date

T = TypeVar("T")
Object = dict[str, Any]
SINGLETON = "singleton"


@dataclass(frozen=True, slots=True)
class Few:
    """One type. `read` gives all objects; it may look into the database, not into the bytes of mail. `settable`: what a
    client may say of an object. `single`: there is always one object, called `singleton`. `guarded`: they are how one
    signs in; only the user himself sees them, and sets them with his present password (`prove`). `scope`: what an app
    password must be for beside this, to set them.

    `create` answers with what the client does not know; `update` is told the object as it is and the changes.
    """

    name: str
    read: Callable[[Tx, Visitor], list[Object]]
    settable: frozenset[str] = frozenset()
    create: Callable[[Call, Object], Awaitable[Object]] | None = None
    update: Callable[[Call, Object, Object], Awaitable[Object | None]] | None = None
    destroy: Callable[[Call, Object], Awaitable[None]] | None = None
    guarded: bool = False
    scope: str = ""
    single: bool = False

    @property
    def methods(self) -> dict[str, Method]:
        there: dict[str, Method] = {f"{self.name}/get": partial(_get, self)}
        if self.create or self.update or self.destroy:
            there[f"{self.name}/set"] = partial(_set, self)
        return there


# ---------------------------------------------------------------------------------------------------------------- /get


async def _get(few: Few, call: Call, arguments: Arguments) -> Arguments:
    if few.guarded:
        himself(call)
    known(arguments, "ids", "properties")
    ids, properties = names(arguments, "ids"), names(arguments, "properties")
    state, there = await _now(few, call)
    wanted = list(there) if ids is None else list(dict.fromkeys(sets.real_id(call, each) for each in ids))
    found = [there[each] for each in wanted if each in there]
    if properties is not None:
        strange = [name for name in properties if found and name not in found[0]]
        if strange:
            raise MethodError("invalidArguments", f"{few.name} has no property {strange[0]}")
        found = [{name: value for name, value in each.items() if name == "id" or name in properties} for each in found]
    missing = [each for each in wanted if each not in there]
    return {"accountId": sets.account_name(call), "state": state, "list": found, "notFound": missing}


async def _now(few: Few, call: Call) -> tuple[str, dict[str, Object]]:
    """The state, and all objects by their ids. Raises `MethodError` (notUnderstood)."""
    try:
        state, there = await call.store.read(_read, few, call.visitor)
    except Refusal as error:
        raise MethodError("notUnderstood", str(error).partition(";")[0]) from None
    return state, {each["id"]: each for each in there}


def _read(tx: Tx, few: Few, visitor: Visitor) -> tuple[str, list[Object]]:
    return str(states.of_type(tx, visitor.account_id, few.name)), few.read(tx, visitor)


# ---------------------------------------------------------------------------------------------------------------- /set


async def _set(few: Few, call: Call, arguments: Arguments) -> Arguments:
    if few.guarded:
        arguments = {**arguments}
        await prove(call, arguments.pop("password", None))
    scopes = call.visitor.identity.scopes
    if few.scope and scopes and few.scope not in scopes:
        raise MethodError("forbidden", f"this app password is not for {few.scope}")
    _, there = await _now(few, call)
    make, change, remove = few.create, few.update, few.destroy

    def object(id: str) -> Object:
        if id not in there:
            raise SetError("notFound")
        return there[id]

    async def create(call: Call, value: Object) -> Object:
        assert make is not None
        _settable(few, value)
        return await make(call, value)

    async def update(call: Call, id: str, changes: Object) -> Object | None:
        assert change is not None
        now = object(id)
        if any("/" in name for name in changes):
            raise SetError("invalidPatch", "properties are set as a whole")
        fresh = {name: value for name, value in changes.items() if name not in now or now[name] != value}
        _settable(few, fresh)
        return await change(call, now, fresh) if fresh else None

    async def destroy(call: Call, id: str) -> None:
        assert remove is not None
        await remove(call, object(id))

    type = sets.Type(
        create if make else None,
        update if change else None,
        destroy if remove else None,
        single=few.single,
        state_of=sets.state_of_type(few.name),
    )
    return await sets.run(call, arguments, type)


def _settable(few: Few, value: Object) -> None:
    strange = [name for name in value if name not in few.settable]
    if strange:
        raise SetError("invalidProperties", "this is not for a client to say", *strange)


# ------------------------------------------------------------------------------------------------------------- who asks


def himself(call: Call) -> None:
    """Who asks is the user, not a program of his. Raises `MethodError` (forbidden)."""
    if not call.visitor.entire:
        raise MethodError("forbidden", "an app password does not see or change how its owner signs in")


async def prove(call: Call, password: Any) -> None:
    """The user himself asks, and knows his present password: it is looked at by the one door, with its throttle.
    Raises `MethodError`: forbidden, invalidArguments, passwordRefused."""
    himself(call)
    if not isinstance(password, str):
        raise MethodError("invalidArguments", "password is needed: the user's own password as it is now")
    try:
        await call.door.own(visitors.peer(), str(call.visitor.identity.address), password, True)
    except LoginRefused as error:
        text = "that is not your present password" if error.reason == "wrong-password" else error.text
        raise MethodError("passwordRefused", text, reason=error.reason) from None


# ------------------------------------------------------------------------------------------------- what all types need


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


def date(at: int | None) -> str | None:
    """A time of the store as a UTCDate, null for never."""
    return None if at is None else utc_date(at)


async def aside(call: Call, verb: Callable[..., T], *args: Any, **more: Any) -> T:
    """A verb of `admin`, in a thread that may wait."""
    return await call.store.aside(partial(verb, call.store, *args, **more))
