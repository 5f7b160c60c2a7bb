"""The frames of `/get` and `/changes` for what `web_changes` knows: identities, submissions (RFC 8620 §5.1, §5.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import sets
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.store import web_changes
from daemon.store.tx import Tx


def number(kind: str, name: str) -> int:
    """The number in an id; 0, which is nobody's, when it is none of ours."""
    return object_ids.number(kind, name) or 0


def answer(
    call: Call, arguments: Arguments, state: str, objects: Mapping[str, Arguments], known: Sequence[str]
) -> Arguments:
    """What `/get` says of these objects. `state` was there when they were read, or before: of a later one a client
    would take it that it knows what came in between. Raises `MethodError`."""
    ids, properties = wanted(arguments, known)
    ids = list(objects) if ids is None else [sets.real_id(call, name) for name in ids]
    shown = [name for name in dict.fromkeys(ids) if name in objects]
    return {
        "accountId": sets.account_name(call),
        "state": state,
        "list": [{p: objects[name][p] for p in properties} for name in shown],
        "notFound": [name for name in dict.fromkeys(ids) if name not in objects],
    }


def wanted(
    arguments: Arguments, known: Sequence[str], more: tuple[str, ...] = ()
) -> tuple[list[str] | None, Sequence[str]]:
    """Ids (None: all) and properties that are asked for. Raises `MethodError`."""
    for name in arguments:
        if name not in ("accountId", "ids", "properties", *more):
            raise MethodError("invalidArguments", f"there is no argument {name}")
    ids, properties = arguments.get("ids"), arguments.get("properties")
    for given in (ids, properties):
        if given is not None and (not isinstance(given, list) or not all(isinstance(each, str) for each in given)):
            raise MethodError("invalidArguments", "ids and properties are lists of texts, or null")
    if ids is not None and len(ids) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_get} objects at once")
    if properties is None:
        return ids, known
    strange = [name for name in properties if name not in known]
    if strange:
        raise MethodError("invalidArguments", f"there is no property {strange[0]}")
    return ids, ["id", *[name for name in dict.fromkeys(properties) if name != "id"]]


async def changes(call: Call, arguments: Arguments, kind: str, letter: str) -> Arguments:
    """`/changes` of what `web_changes` knows. Raises `MethodError`."""
    since, most = arguments.get("sinceState"), arguments.get("maxChanges")
    if set(arguments) - {"accountId", "sinceState", "maxChanges"}:
        raise MethodError("invalidArguments", "its arguments are accountId, sinceState, maxChanges")
    if not isinstance(since, str) or (most is not None and (type(most) is not int or most < 1)):
        raise MethodError("invalidArguments", "sinceState is a text, maxChanges a number from 1 on")
    found = None
    if since.isascii() and since.isdigit() and len(since) < 19:
        limit = min(most or LIMITS.step, LIMITS.step)
        found = await call.store.read(_changes, call.account_id, kind, int(since), limit)
    if found is None:
        raise MethodError("cannotCalculateChanges", "there was no such state, or it is too long ago")
    return {
        "accountId": sets.account_name(call),
        "oldState": since,
        "newState": str(found.until),
        "hasMoreChanges": found.more,
        "created": [f"{letter}{each}" for each in found.created],
        "updated": [f"{letter}{each}" for each in found.updated],
        "destroyed": [f"{letter}{each}" for each in found.destroyed],
    }


def _changes(tx: Tx, account_id: int, kind: str, since: int, limit: int) -> web_changes.Changed | None:
    """None: nobody knows."""
    if not web_changes.floor(tx, account_id) <= since <= web_changes.state(tx, account_id):
        return None
    return web_changes.since(tx, account_id, kind, since, limit)
