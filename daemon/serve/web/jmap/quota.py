"""Quota/get, /changes, /query and /queryChanges (RFC 9425): one quota a user, of the octets of his mail.

How much is used changes with every message, and so does its state; that is what `updatedProperties` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from daemon.config import Config
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.core import Fetched
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import accounts, changes
from daemon.store.tx import Tx

ID = "storage"
PROPERTIES = (
    "id",
    "resourceType",
    "used",
    "hardLimit",
    "warnLimit",
    "softLimit",
    "scope",
    "name",
    "description",
    "types",
)
_SORTS = ("name", "used")
_CONDITION = {"name": core.is_text, "scope": core.is_text, "resourceType": core.is_text, "type": core.is_text}


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Quota/get. A user without a limit has no quota."""
    return await core.get(call, arguments, PROPERTIES, partial(_fetch, call.config))


def _fetch(config: Config, tx: Tx, account_id: int, ids: Sequence[str] | None) -> Fetched:
    found = _quota(config, tx, account_id)
    return str(changes.state(tx, account_id)), found if ids is None or ID in ids else []


def _quota(config: Config, tx: Tx, account_id: int) -> list[Arguments]:
    account = accounts.by_id(tx, account_id)
    limit = accounts.quota_of(tx, account_id, config["limits.quota"])
    if account is None or not limit:
        return []
    return [
        {
            "id": ID,
            "resourceType": "octets",
            "used": account.used,
            "hardLimit": limit,
            "warnLimit": limit * 9 // 10,
            "softLimit": None,
            "scope": "account",
            "name": "Mail",
            "description": "Octets of all messages.",
            "types": ["Email"],
        }
    ]


async def get_changes(call: Call, arguments: Arguments) -> Arguments:
    """Quota/changes."""
    found = core.read(arguments, core.CHANGES)
    try:
        state, used = await call.store.read(_changed, call.config, call.account_id, found["sinceState"])
    except changes.TooOld:
        raise MethodError("cannotCalculateChanges", "nobody knows what changed since then") from None
    updated = [ID] if used else []
    return {
        "accountId": found["accountId"],
        "oldState": found["sinceState"],
        "newState": state,
        "hasMoreChanges": False,
        "created": [],
        "updated": updated,
        "destroyed": [],
        "updatedProperties": ["used"] if updated else None,
    }


def _changed(tx: Tx, config: Config, account_id: int, since: str) -> tuple[str, bool]:
    """The state, and whether what is used may be another amount than at the one before."""
    done = changes.since(tx, account_id, "Email", since)
    used = bool(done.created or done.updated or done.destroyed)
    return str(done.until), used and bool(_quota(config, tx, account_id))


async def query(call: Call, arguments: Arguments) -> Arguments:
    """Quota/query."""
    found = core.read(arguments, core.QUERY)
    state, ids = await _matching(call, found)
    return core.listed(found, state, ids)


async def query_changes(call: Call, arguments: Arguments) -> Arguments:
    """Quota/queryChanges: the one there is may always have changed."""
    found = core.read(arguments, core.QUERY_CHANGES)
    state, ids = await _matching(call, found)  # first: what comes after it is told twice rather than never
    try:
        since = await call.store.read(changes.since, call.account_id, "Email", found["sinceQueryState"])
    except changes.TooOld:
        raise MethodError("cannotCalculateChanges") from None
    touched = [ID] if since.created or since.updated or since.destroyed else []
    return core.query_changed(found, state, ids, touched)


async def _matching(call: Call, found: Arguments) -> tuple[str, list[str]]:
    core.comparators(found, _SORTS)
    for condition in core.conditions(found["filter"]):
        for name, value in condition.items():
            if name not in _CONDITION:
                raise MethodError("unsupportedFilter", f"nothing is found by {name}")
            if not _CONDITION[name](value):
                raise core.invalid(f"{name} of a filter is not of the right type")
    state, quotas = await call.store.read(partial(_fetch, call.config), call.account_id, None)
    return state, [each["id"] for each in quotas if _fits(each, found["filter"])]


def _fits(quota: Arguments, filter: Arguments | None) -> bool:
    if not filter:
        return True
    if "operator" in filter:
        inner = [_fits(quota, each) for each in filter["conditions"]]
        return {"AND": all(inner), "OR": any(inner), "NOT": not any(inner)}[filter["operator"]]
    has = {"scope": [quota["scope"]], "resourceType": [quota["resourceType"]], "type": quota["types"]}
    return all(
        value.casefold() in quota["name"].casefold() if name == "name" else value in has[name]
        for name, value in filter.items()
    )


METHODS: dict[str, Method] = {
    "Quota/get": get,
    "Quota/changes": get_changes,
    "Quota/query": query,
    "Quota/queryChanges": query_changes,
}
