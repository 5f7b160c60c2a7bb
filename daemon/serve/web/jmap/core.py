"""What methods of all types share: arguments checked, and the frames of /get, /changes and /query (/set: `sets`).

A frame takes what a type does of its own as a function, and answers as RFC 8620 §5 has it. Core/echo is here too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.store import changes
from daemon.store.tx import Tx

REQUIRED: Any = object()
Check = Callable[[Any], bool]
_MOST = (1 << 53) - 1


# ------------------------------------------------------------------------------------------------------------ arguments


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST <= value <= _MOST


def is_unsigned(value: Any) -> bool:
    return is_integer(value) and value >= 0


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


is_id = object_ids.is_id


def a_list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


Spec = Mapping[str, tuple[Check, Any]]
_ACCOUNT: Spec = {"accountId": (is_id, REQUIRED)}


def read(arguments: Arguments, spec: Spec) -> Arguments:
    """The arguments that a method knows, each checked, or its default. Raises `MethodError` (invalidArguments)."""
    whole = {**_ACCOUNT, **spec}
    for name in arguments:
        if name not in whole:
            raise invalid(f"{name} is no argument of this method")
    found = {}
    for name, (check, default) in whole.items():
        if name in arguments and check(arguments[name]):
            found[name] = arguments[name]
        elif name in arguments:
            raise invalid(f"{name} is not of the right type")
        elif default is REQUIRED:
            raise invalid(f"{name} is missing")
        else:
            found[name] = default
    return found


def invalid(description: str) -> MethodError:
    return MethodError("invalidArguments", description)


async def echo(call: Call, arguments: Arguments) -> Arguments:
    """Core/echo (RFC 8620 §4)."""
    return arguments


# ------------------------------------------------------------------------------------------------------------------ get

Fetched = tuple[str, list[Arguments]]
"""A state, and the objects there are, each with its id."""

GET: Spec = {"ids": (or_null(a_list(is_id)), None), "properties": (or_null(a_list(is_text)), None)}


def wanted_ids(found: Arguments) -> list[str] | None:
    """Each id once; None for all. Raises `MethodError` (requestTooLarge)."""
    ids = found["ids"]
    if ids is not None and len(ids) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_get} objects are told at once")
    return None if ids is None else list(dict.fromkeys(ids))


def wanted_properties(found: Arguments, known: Collection[str]) -> frozenset[str]:
    """Those asked for and the id; all when none are. Raises `MethodError` (invalidArguments)."""
    properties = found["properties"]
    if properties is None:
        return frozenset(known)
    for name in properties:
        if name not in known:
            raise invalid(f"{name} is no property of this type")
    return frozenset((*properties, "id"))


def got(found: Arguments, ids: Sequence[str] | None, fetched: Fetched) -> Arguments:
    """The answer of a /get. Raises `MethodError` (requestTooLarge) when all were asked for, and there are too many."""
    state, objects = fetched
    if len(objects) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"there are more than {LIMITS.jmap_get} of them: ask for some")
    there = {each["id"] for each in objects}
    missing = [one for one in ids or () if one not in there]
    return {"accountId": found["accountId"], "state": state, "list": objects, "notFound": missing}


async def get(
    call: Call,
    arguments: Arguments,
    known: Collection[str],
    fetch: Callable[[Tx, int, Sequence[str] | None], Fetched],
) -> Arguments:
    """A /get of a type whose objects are rows: `fetch` gives them whole (transaction, account, ids or None)."""
    found = read(arguments, GET)
    ids = wanted_ids(found)
    properties = wanted_properties(found, known)
    state, objects = await call.store.read(fetch, call.account_id, ids)
    picked = [{name: value for name, value in each.items() if name in properties} for each in objects]
    return got(found, ids, (state, picked))


def numbers(kind: str, ids: Iterable[str]) -> list[int]:
    """The numbers in ids, of those that can be ours."""
    return [number for each in ids if (number := object_ids.number(kind, each)) is not None]


# -------------------------------------------------------------------------------------------------------------- changes

CHANGES: Spec = {
    "sinceState": (is_text, REQUIRED),
    "maxChanges": (or_null(lambda value: is_unsigned(value) and value > 0), None),
}


async def changed(call: Call, arguments: Arguments, what: str, kind: str) -> tuple[Arguments, changes.Changed]:
    """The answer of a /changes of `changes.since`, and what it was made of. Raises `MethodError`."""
    found = read(arguments, CHANGES)
    try:
        done = await call.store.read(changes.since, call.account_id, what, found["sinceState"], found["maxChanges"])
    except changes.TooOld:
        raise MethodError("cannotCalculateChanges", "nobody knows what changed since then") from None
    answer = {
        "accountId": found["accountId"],
        "oldState": found["sinceState"],
        "newState": str(done.until),
        "hasMoreChanges": done.more,
        "created": [f"{kind}{number}" for number in done.created],
        "updated": [f"{kind}{number}" for number in done.updated],
        "destroyed": [f"{kind}{number}" for number in done.destroyed],
    }
    return answer, done


# ---------------------------------------------------------------------------------------------------------------- query

QUERY: Spec = {
    "filter": (or_null(is_object), None),
    "sort": (or_null(a_list(is_object)), None),
    "position": (is_integer, 0),
    "anchor": (or_null(is_id), None),
    "anchorOffset": (is_integer, 0),
    "limit": (or_null(is_unsigned), None),
    "calculateTotal": (is_bool, False),
}
QUERY_CHANGES: Spec = {
    "filter": (or_null(is_object), None),
    "sort": (or_null(a_list(is_object)), None),
    "sinceQueryState": (is_text, REQUIRED),
    "maxChanges": (or_null(is_unsigned), None),
    "upToId": (or_null(is_id), None),
    "calculateTotal": (is_bool, False),
}


class Comparator(NamedTuple):
    """One step of a sort. `keyword` for those that sort by one."""

    property: str
    ascending: bool
    keyword: str | None


def comparators(found: Arguments, known: Collection[str]) -> tuple[Comparator, ...]:
    """Raises `MethodError` (unsupportedSort, invalidArguments)."""
    made = []
    for each in found["sort"] or ():
        name, ascending = each.get("property"), each.get("isAscending", True)
        if not isinstance(name, str) or not isinstance(ascending, bool):
            raise invalid("a comparator has a property, and isAscending is true or false")
        collation = each.get("collation")
        if name not in known or collation not in (None, "i;unicode-casemap", "i;ascii-casemap"):
            raise MethodError("unsupportedSort", f"nothing is sorted by {name} {collation or ''}".rstrip())
        keyword = each.get("keyword")
        if name.endswith("eyword") != isinstance(keyword, str):
            raise invalid("a keyword belongs to a sort by one, and to no other")
        made.append(Comparator(name, ascending, keyword))
    return tuple(made)


def listed(found: Arguments, state: str, ids: Sequence[str], calculable: bool = True) -> Arguments:
    """The answer of a /query that found these. `calculable`: `/queryChanges` can tell what became of it. Raises
    `MethodError` (anchorNotFound)."""
    answer = {"accountId": found["accountId"], "queryState": state, "canCalculateChanges": calculable}
    answer |= window(found, ids)
    return {**answer, "total": len(ids)} if found["calculateTotal"] else answer


def window(found: Arguments, ids: Sequence[Any]) -> Arguments:
    """The part of all results that is asked for (RFC 8620 §5.5). Raises `MethodError` (anchorNotFound)."""
    if found["anchor"] is not None:
        if found["anchor"] not in ids:
            raise MethodError("anchorNotFound")
        position = max(ids.index(found["anchor"]) + found["anchorOffset"], 0)
    elif found["position"] < 0:
        position = max(len(ids) + found["position"], 0)
    else:
        position = found["position"]
    limit = limit_of(found)
    answer: Arguments = {"position": position, "ids": list(ids[position : position + limit])}
    return with_limit(answer, found)


def limit_of(found: Arguments) -> int:
    return LIMITS.jmap_query if found["limit"] is None else min(found["limit"], LIMITS.jmap_query)


def with_limit(answer: Arguments, found: Arguments) -> Arguments:
    """Say so where the limit is ours, not the client's."""
    if found["limit"] is None or found["limit"] > LIMITS.jmap_query:
        answer["limit"] = LIMITS.jmap_query
    return answer


def conditions(filter: Arguments | None, depth: int = 0, seen: list[Arguments] | None = None) -> list[Arguments]:
    """The FilterConditions in a filter, in order. Raises `MethodError` (invalidArguments) for one that is none, or is
    nested too deep. `seen`: those and the operators, empty ones too, that were met so far."""
    if filter is None:
        return []
    seen = [] if seen is None else seen
    seen.append(filter)
    if len(seen) > 2 * LIMITS.jmap_filter:
        raise invalid(f"a filter has at most {LIMITS.jmap_filter} conditions, and as many operators")
    if depth > LIMITS.jmap_filter_depth:
        raise invalid("the filter is nested too deep")
    if "operator" not in filter:
        return [filter]
    inner = filter.get("conditions")
    if set(filter) != {"operator", "conditions"} or not isinstance(inner, list) or not all(map(is_object, inner)):
        raise invalid("a FilterOperator has operator and conditions, and nothing else")
    if filter["operator"] not in ("AND", "OR", "NOT"):
        raise invalid("an operator is AND, OR or NOT")
    found = [each for one in inner for each in conditions(one, depth + 1, seen)]
    if len(found) > LIMITS.jmap_filter:
        raise invalid(f"a filter has at most {LIMITS.jmap_filter} conditions")
    return found


def query_changed(found: Arguments, state: str, ids: Sequence[str], touched: Sequence[str]) -> Arguments:
    """The answer of a /queryChanges: all that may have changed is taken out, and put in where it is now. Raises
    `MethodError` (tooManyChanges)."""
    changed = set(touched)
    added = [{"id": each, "index": at} for at, each in enumerate(ids) if each in changed]
    limit = found["maxChanges"]
    if limit is not None and len(changed) + len(added) > limit:
        raise MethodError("tooManyChanges", f"there are more than {limit}")
    answer = {
        "accountId": found["accountId"],
        "oldQueryState": found["sinceQueryState"],
        "newQueryState": state,
        "removed": list(dict.fromkeys(touched)),
        "added": added,
    }
    return {**answer, "total": len(ids)} if found["calculateTotal"] else answer
