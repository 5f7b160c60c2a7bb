"""AddressBook and ContactCard: the people a user knows (RFC 9610), as JSContact cards (RFC 9553).

There is one address book. Who a user writes to comes into it by himself, in the transaction that sends. What a client
says of a card is kept as it is, unknown properties too.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Awaitable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.mail.card import BadCard
from daemon.serve.web.jmap import core, few, sets
from daemon.serve.web.jmap.few import Few, Object
from daemon.serve.web.jmap.method import Arguments, Call, Capability, MethodError
from daemon.serve.web.jmap.sets import SetError, Type
from daemon.serve.web.visitors import Visitor
from daemon.store import contacts, states
from daemon.store.contacts import TYPE, Contact, Wanted
from daemon.store.errors import Exists
from daemon.store.tx import Tx
from daemon.wire.jmap import read_utc_date, utc_date

T = TypeVar("T")
URN = "urn:ietf:params:jmap:contacts"
BOOK = "b1"
TYPES = (TYPE,)  # whose objects change
_OURS = ("id", "addressBookIds", "created", "updated")
_DATES = ("createdAfter", "createdBefore", "updatedAfter", "updatedBefore")
_TEXTS = ("text", "name", "email", "kind", "uid")


# ---------------------------------------------------------------------------------------------------------- AddressBook


def _books(tx: Tx, visitor: Visitor) -> list[Object]:
    rights = {"mayRead": True, "mayWrite": True, "mayShare": False, "mayDelete": False}
    return [
        {
            "id": BOOK, "name": "Contacts", "description": None, "sortOrder": 0, "isDefault": True,
            "isSubscribed": True, "shareWith": None, "myRights": rights,
        }
    ]  # fmt: skip


async def book_changes(call: Call, arguments: Arguments) -> Arguments:
    """AddressBook/changes: it never does."""
    few.known(arguments, "sinceState", "maxChanges")
    if arguments.get("sinceState") != "0":
        raise MethodError("cannotCalculateChanges")
    return {**_same(call, "0", "0"), "hasMoreChanges": False, "created": [], "updated": [], "destroyed": []}


# ---------------------------------------------------------------------------------------------------------- ContactCard


def _told(contact: Contact) -> Object:
    return {
        **contact.card, "id": f"c{contact.id}", "addressBookIds": {BOOK: True},
        "created": utc_date(contact.created_at), "updated": utc_date(contact.updated_at),
    }  # fmt: skip


async def get(call: Call, arguments: Arguments) -> Arguments:
    """ContactCard/get."""
    few.known(arguments, "ids", "properties")
    ids, properties = few.names(arguments, "ids"), few.names(arguments, "properties")
    wanted = None if ids is None else [sets.real_id(call, each) for each in ids]
    state, found = await call.store.read(_get, call.account_id, None if wanted is None else _numbers(wanted))
    if wanted is None and len(found) > LIMITS.owner_objects:
        raise MethodError("requestTooLarge", f"there are more than {LIMITS.owner_objects} of them: ask for some")
    cards = [_told(each) for each in found]
    there = {card["id"] for card in cards}
    if properties is not None:
        cards = [{name: card[name] for name in ("id", *properties) if name in card} for card in cards]
    missing = [each for each in dict.fromkeys(wanted or ()) if each not in there]
    return {"accountId": sets.account_name(call), "state": state, "list": cards, "notFound": missing}


def _get(tx: Tx, account_id: int, ids: Sequence[int] | None) -> tuple[str, list[Contact]]:
    return _state(tx, account_id), contacts.get(tx, account_id, ids, LIMITS.owner_objects + 1)


def _state(tx: Tx, account_id: int) -> str:
    return str(states.of_type(tx, account_id, TYPE))


def _number(text: str) -> int:
    """0 for what is no id of ours."""
    digits = text[1:] if text[:1] == "c" else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0


def _numbers(ids: Sequence[str]) -> list[int]:
    return [number for each in ids if (number := _number(each))]


async def changes(call: Call, arguments: Arguments) -> Arguments:
    """ContactCard/changes."""
    few.known(arguments, "sinceState", "maxChanges")
    since, most = arguments.get("sinceState"), arguments.get("maxChanges")
    if not isinstance(since, str) or most is not None and (type(most) is not int or most < 1):
        raise MethodError("invalidArguments", "sinceState is a string, maxChanges a number from 1 on")
    found = None
    if since.isascii() and since.isdigit() and len(since) < 19:
        limit = min(most or LIMITS.owner_objects, LIMITS.owner_objects)
        found = await call.store.read(contacts.since, call.account_id, int(since), limit)
    if found is None:
        raise MethodError("cannotCalculateChanges")
    return {
        **_same(call, since, str(found.until)), "hasMoreChanges": found.more,
        "created": [f"c{each}" for each in found.created], "updated": [f"c{each}" for each in found.updated],
        "destroyed": [f"c{each}" for each in found.destroyed],
    }  # fmt: skip


def _same(call: Call, old: str, new: str) -> Arguments:
    return {"accountId": sets.account_name(call), "oldState": old, "newState": new}


# ---------------------------------------------------------------------------------------------------------------- query


async def query(call: Call, arguments: Arguments) -> Arguments:
    """ContactCard/query. Without a sort, whom the user writes to most stands first."""
    asked = core.read(arguments, core.QUERY)
    wanted, (order, descending) = _wanted(asked["filter"]), _order(asked["sort"])
    state, ids = await call.store.read(_find, call.account_id, wanted, order, descending)
    return core.listed(asked, state, ids, calculable=False)


async def query_changes(call: Call, arguments: Arguments) -> Arguments:
    """ContactCard/queryChanges: ask anew."""
    raise MethodError("cannotCalculateChanges")


def _find(tx: Tx, account_id: int, wanted: Wanted | None, order: str, descending: bool) -> tuple[str, list[str]]:
    ids = [] if wanted is None else contacts.find(tx, account_id, wanted, order, descending)
    return _state(tx, account_id), [f"c{each}" for each in ids]


def _wanted(filter: Object | None) -> Wanted | None:
    """What is looked for; None: nothing can match. Conditions of one object only. Raises `MethodError`."""
    if filter is None:
        return Wanted()
    found: dict[str, Any] = {}
    for name, value in filter.items():
        if name == "inAddressBook":
            if value != BOOK:
                return None
        elif name in _TEXTS and isinstance(value, str):
            found[name] = value
        elif name in _DATES and (at := read_utc_date(value)) is not None:
            found[name.replace("A", "_a").replace("B", "_b")] = at
        else:
            raise MethodError("unsupportedFilter", f"{name} is not looked for, or not by this value")
    return Wanted(**found)


def _order(sort: list[Object] | None) -> tuple[str, bool]:
    if not sort:
        return "used", False
    first = sort[0] if len(sort) == 1 else {}
    name = first.get("property")
    name = "name" if name in ("name/given", "name/surname") else name
    if not isinstance(name, str) or name not in ("created", "updated", "name"):
        raise MethodError("unsupportedSort", "one of created, updated, name/given and name/surname")
    return name, first.get("isAscending", True) is False


# ------------------------------------------------------------------------------------------------------------------ set


async def set(call: Call, arguments: Arguments) -> Arguments:
    """ContactCard/set."""
    type = Type(_create, _update, _destroy, state_of=sets.state_of_type(TYPE), touched=_touched)
    return await sets.run(call, arguments, type)


def _touched(tx: Tx, account_id: int, since: str) -> builtins.set[str] | None:
    found = contacts.since(tx, account_id, int(since), 2 * LIMITS.jmap_set)
    return {f"c{each}" for each in (*found.created, *found.updated, *found.destroyed)} if found else None


async def _create(call: Call, value: Object) -> Object:
    made = {"@type": "Card", "version": "1.0", "uid": f"urn:uuid:{uuid.uuid4()}"}
    made = {name: default for name, default in made.items() if name not in value}
    contact_id = await _kept(call.store.write(contacts.add, call.account_id, _card({**value, **made})))
    (there,) = await call.store.read(contacts.get, call.account_id, (contact_id,))
    told = _told(there)
    return {**made, **{name: told[name] for name in _OURS if name not in value}}


async def _update(call: Call, id: str, changes: Object) -> Object:
    at = await _kept(call.store.write(change, call.account_id, _number(id), changes))
    return {"updated": utc_date(at)}


def change(tx: Tx, account_id: int, number: int, changes: Object) -> int:
    """Patch a card, as it is when its turn to be written has come; when that was. Raises `SetError`, what
    `contacts.change` raises."""
    found = contacts.get(tx, account_id, (number,))
    if not found:
        raise SetError("notFound")
    now = _told(found[0])
    fresh = _patched(now, changes)
    for name in ("id", "created", "updated"):
        if fresh.get(name) != now[name]:
            raise SetError("invalidProperties", "this is not for a client to say", name)
    contacts.change(tx, account_id, number, _card(fresh))
    return tx.now


async def _destroy(call: Call, id: str) -> None:
    await call.store.write(contacts.remove, call.account_id, _number(id))


def _card(value: Object) -> Object:
    """The card in it, which belongs into our one book. Raises `SetError`."""
    if value.get("addressBookIds", {BOOK: True}) != {BOOK: True}:
        raise SetError("invalidProperties", f"there is one address book, {BOOK}", "addressBookIds")
    return {name: each for name, each in value.items() if name not in _OURS}


async def _kept(work: Awaitable[T]) -> T:
    """Raises `SetError`."""
    try:
        return await work
    except BadCard as error:
        raise SetError("invalidProperties", str(error), error.property) from None
    except Exists as error:
        raise SetError("invalidProperties", str(error), "uid") from None


def _patched(object: Object, changes: Object) -> Object:
    """The object with a PatchObject applied (RFC 8620 §5.3). Raises `SetError`."""
    fresh = deepcopy(object)
    for path, value in changes.items():
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
        place: Any = fresh
        for step in way:
            place = place.get(step) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise SetError("invalidPatch", f"there is nothing at {path}")
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return fresh


# ---------------------------------------------------------------------------------------------------------- capability


def _account(config: Config, visitor: Visitor) -> Arguments:
    """RFC 9610 §1.4.1."""
    return {"maxAddressBooksPerCard": 1, "mayCreateAddressBook": False}


METHODS = {
    **Few("AddressBook", _books).methods,
    "AddressBook/changes": book_changes,
    "ContactCard/get": get,
    "ContactCard/changes": changes,
    "ContactCard/query": query,
    "ContactCard/queryChanges": query_changes,
    "ContactCard/set": set,
}
CAPABILITY = Capability(URN, METHODS, account=_account)
