"""Identity/get, Identity/changes, Identity/set (RFC 8621 §6): who a user writes as."""

from __future__ import annotations

from typing import Any

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_address
from daemon.serve.web.jmap import gets, sets
from daemon.serve.web.jmap.method import Arguments, Call, Method
from daemon.serve.web.jmap.sets import SetError, bad
from daemon.store import addresses, identities, web_changes
from daemon.store.identities import Identity
from daemon.store.tx import Tx

KIND = "i"
_TOUCHED = sets.of_web("identity", KIND)
_PROPERTIES = {
    "name": "name",
    "replyTo": "reply_to",
    "bcc": "bcc",
    "textSignature": "text_signature",
    "htmlSignature": "html_signature",
}


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Also makes the one that every user has, when he looks for the first time."""
    state, found = await call.store.read(_read, call.account_id)
    if not any(not one.may_delete for one in found):
        await call.store.write(identities.begin, call.account_id)
        state, found = await call.store.read(_read, call.account_id)
    return gets.answer(call, arguments, state, {f"{KIND}{one.id}": _told(one) for one in found}, all_properties())


def _read(tx: Tx, account_id: int) -> tuple[str, list[Identity]]:
    return str(web_changes.state(tx, account_id)), identities.everyone(tx, account_id)


def all_properties() -> tuple[str, ...]:
    return ("id", "email", *_PROPERTIES, "mayDelete")


def _told(one: Identity) -> Arguments:
    return {
        "id": f"{KIND}{one.id}",
        "name": one.name,
        "email": one.email,
        "replyTo": one.reply_to,
        "bcc": one.bcc,
        "textSignature": one.text_signature,
        "htmlSignature": one.html_signature,
        "mayDelete": one.may_delete,
    }


async def changes(call: Call, arguments: Arguments) -> Arguments:
    return await gets.changes(call, arguments, "identity", KIND)


async def set_(call: Call, arguments: Arguments) -> Arguments:
    return await sets.run(call, arguments, sets.Type(_create, _update, _destroy, touched=_TOUCHED))


async def _create(call: Call, given: Arguments) -> Arguments:
    email = given.get("email")
    try:
        address = parse_address(email if isinstance(email, str) else "")
    except BadAddress as error:
        raise bad(["email"], error.reason) from None
    if not call.store.peek(addresses.may_send_as, call.account_id, address):
        raise SetError("forbiddenFrom", f"you may not write as <{address}>")
    rest = {name: value for name, value in given.items() if name != "email"}
    values = {_PROPERTIES[name]: value for name, value in sets.flat(rest, _CHECKS).items()}
    number = await call.store.write(identities.create, call.account_id, Identity(0, str(address), **values))
    return {"id": f"{KIND}{number}", "mayDelete": True}


async def _update(call: Call, name: str, patch: Arguments) -> Arguments | None:
    values = {_PROPERTIES[p]: v for p, v in sets.flat(patch, _CHECKS, ("email", "id", "mayDelete")).items()}
    await call.store.write(identities.change, call.account_id, gets.number(KIND, name), values)
    return None


async def _destroy(call: Call, name: str) -> None:
    number = gets.number(KIND, name)
    found = call.store.peek(identities.find, call.account_id, number)
    if found is not None and not found.may_delete:
        raise SetError("forbidden", "the identity of the user's own address stays")
    await call.store.write(identities.remove, call.account_id, number)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LIMITS.compose_name and value.isprintable()


def _is_signature(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LIMITS.identity_text


def _is_addresses(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) > LIMITS.compose_ids:
        return False
    return all(isinstance(each, dict) and set(each) <= {"name", "email"} and _is_address(each) for each in value)


def _is_address(value: dict[str, Any]) -> bool:
    name, email = value.get("name"), value.get("email")
    try:
        parse_address(email if isinstance(email, str) else "")
    except BadAddress:
        return False
    return name is None or _is_name(name)


_CHECKS = {
    "name": _is_name,
    "replyTo": _is_addresses,
    "bcc": _is_addresses,
    "textSignature": _is_signature,
    "htmlSignature": _is_signature,
}
METHODS: dict[str, Method] = {"Identity/get": get, "Identity/changes": changes, "Identity/set": set_}
