"""TwoFactor and Passkey: how the owner of an account proves who he is, beside his password (vendor capability).

TwoFactor is one object, `singleton`; what `TwoFactor/set` is asked for is told in its `updated`, this once:

    {"password": "...", "program": "new"}       -> {"secret": base32, "uri": "otpauth:...", "qr": "data:image/svg..."}
    {"code": "123456"}                          -> {"isEnabled": true, "recoveryCodes": [...]}   of the new program
    {"password": "...", "isEnabled": true}      -> {"isEnabled": true, "recoveryCodes": [...]}   with a passkey alone
    {"password": "...", "isEnabled": false}     -> {"isEnabled": false}
    {"password": "...", "recoveryCodes": "new"} -> {"recoveryCodes": [...]}

A passkey is made in two steps: `Passkey/challenge` {"password"} -> {"pending", "options"}, then `Passkey/set` creates
one of {"name", "pending", "credential"}: what `navigator.credentials.create` gave for these options, as JSON.
`Passkey/set` destroys with "password" beside "destroy". An app password may do none of that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from daemon.admin import factors, passkeys
from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.login import LoginRefused
from daemon.serve.web import tickets, visitors
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.tickets import Ticket
from daemon.store import changes, web_sessions
from daemon.store import factors as kept
from daemon.store import passkeys as keys
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.passkeys import Passkey
from daemon.store.tx import Tx

SINGLETON = "singleton"
_TWO_FACTOR = frozenset(("id", "isEnabled", "since", "hasProgram", "passkeys", "recoveryCodesLeft"))
_PASSKEY = frozenset(("id", "name", "createdAt", "lastUsedAt", "isBackedUp", "transports"))


class Refused(Exception):
    """One object is left as it is: a SetError (RFC 8620 §5.3)."""

    def __init__(self, type: str, description: str, *properties: str) -> None:
        super().__init__(type)
        self.error: Arguments = {"type": type, "description": description}
        if properties:
            self.error["properties"] = list(properties)


# -- TwoFactor ---------------------------------------------------------------------------------------------------------


async def two_factor_get(call: Call, asked: Arguments) -> Arguments:
    """`TwoFactor/get`."""
    _entire(call)
    return await core.get(call, asked, _TWO_FACTOR, _fetch_two_factor)


async def two_factor_set(call: Call, asked: Arguments) -> Arguments:
    """`TwoFactor/set`: only `update` of the one there is."""
    return await _set(call, asked, update=_update_two_factor)


async def _update_two_factor(call: Call, number: str, patch: Arguments) -> Arguments:
    if number != SINGLETON:
        raise Refused("notFound", "there is one object, singleton")
    match patch:
        case {"code": str(code), **rest} if not rest:
            codes = await factors.confirm(call.store, call.account_id, code)
            if codes is None:
                raise Refused("invalidProperties", "this code is not right, or was used before", "code")
            await call.store.write(web_sessions.end, call.account_id, call.visitor.session_id)
            return {"isEnabled": True, "recoveryCodes": codes}
        case {"password": str(password), "program": "new", **rest} if not rest:
            await _knows(call, password)
            user, issuer = str(call.visitor.identity.address), call.config.hostname
            made = await factors.enrol(call.store, call.account_id, user, issuer)
            return {"secret": made.secret, "uri": made.uri, "qr": _qr(made.uri)}
        case {"password": str(password), "isEnabled": bool(on), **rest} if not rest:
            await _knows(call, password)
            return await _switch(call, on)
        case {"password": str(password), "recoveryCodes": "new", **rest} if not rest:
            await _knows(call, password)
            return {"recoveryCodes": await _new_codes(call)}
    raise Refused("invalidProperties", "password with one of program, isEnabled, recoveryCodes; or code alone", *patch)


async def _switch(call: Call, on: bool) -> Arguments:
    if not on:
        await call.store.write(kept.turn_off, call.account_id)
        return {"isEnabled": False}
    try:
        await call.store.write(kept.turn_on, call.account_id)
    except Missing as error:
        raise Refused("invalidProperties", str(error), "isEnabled") from None
    await call.store.write(web_sessions.end, call.account_id, call.visitor.session_id)
    return {"isEnabled": True, "recoveryCodes": await _new_codes(call)}


async def _new_codes(call: Call) -> list[str]:
    codes = factors.new_recovery_codes()
    await call.store.write(kept.set_recovery_codes, call.account_id, [factors.digest(one) for one in codes])
    return codes


def _fetch_two_factor(tx: Tx, account_id: int, ids: Sequence[str] | None) -> core.Fetched:
    found = kept.find(tx, account_id)
    one = {
        "id": SINGLETON,
        "isEnabled": found.on_at is not None,
        "since": _date(found.on_at),
        "hasProgram": found.secret is not None,
        "passkeys": found.passkeys,
        "recoveryCodesLeft": found.recovery_codes,
    }
    return str(changes.state(tx, account_id)), [one] if ids is None or SINGLETON in ids else []


def _qr(text: str) -> str:
    import segno

    made: str = segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=4, light="#fff", dark="#000")
    return made


# -- Passkey -----------------------------------------------------------------------------------------------------------


async def passkey_get(call: Call, asked: Arguments) -> Arguments:
    """`Passkey/get`."""
    _entire(call)
    return await core.get(call, asked, _PASSKEY, _fetch_passkeys)


async def passkey_challenge(call: Call, asked: Arguments) -> Arguments:
    """`Passkey/challenge`: what the browser makes a new one of."""
    _entire(call)
    host = call.visitor.host
    if not host:
        raise MethodError("invalidArguments", "passkeys are made for a name: open this page by the server's name")
    try:
        await _knows(call, asked.get("password"))
    except Refused as refused:
        raise MethodError("forbidden", refused.error["description"]) from None
    await asyncio.to_thread(__import__, "webauthn")  # takes a while, and others have the loop meanwhile
    pending = tickets.make(
        call.store.data, Ticket("register", call.account_id, host=host), call.store.clock()
    )  # fmt: skip
    known = call.store.peek(keys.everyone, call.account_id)
    options = passkeys.creation(
        host, call.account_id, str(call.visitor.identity.address), known, tickets.challenge(call.store.data, pending)
    )
    return {"accountId": f"u{call.account_id}", "pending": pending, "options": options}


async def passkey_set(call: Call, asked: Arguments) -> Arguments:
    """`Passkey/set`."""
    password = asked.get("password")
    if asked.get("destroy"):
        _entire(call)
        try:
            await _knows(call, password)
        except Refused as refused:
            raise MethodError("forbidden", refused.error["description"]) from None
    return await _set(call, asked, create=_create_passkey, update=_update_passkey, destroy=_destroy_passkey)


async def _create_passkey(call: Call, wanted: Arguments) -> Arguments:
    match wanted:
        case {"name": str(name), "pending": str(pending), "credential": dict(credential), **rest} if not rest:
            pass
        case _:
            raise Refused("invalidProperties", "name, pending and credential", *wanted)
    ticket = tickets.read(call.store.data, pending, "register", call.store.clock())
    if ticket is None or ticket.account_id != call.account_id:
        raise Refused("invalidProperties", "this took too long, begin again", "pending")
    try:
        named = passkeys.name(name)
        made = passkeys.register(ticket.host, tickets.challenge(call.store.data, pending), credential)
        number = await call.store.write(
            keys.add, call.account_id, made.credential_id, made.public_key, made.sign_count, made.transports,
            made.backed_up, named,
        )  # fmt: skip
    except passkeys.BadPasskey:
        raise Refused("invalidProperties", "this passkey is not right", "credential") from None
    except (Exists, Invalid) as error:
        raise Refused("invalidProperties", str(error), "name") from None
    found = call.store.peek(keys.everyone, call.account_id)
    return next(_passkey(one) for one in found if one.id == number)


async def _update_passkey(call: Call, number: str, patch: Arguments) -> Arguments | None:
    match patch:
        case {"name": str(name), **rest} if not rest:
            try:
                await call.store.write(
                    keys.rename, call.account_id, object_ids.number("k", number) or 0, passkeys.name(name)
                )
            except Missing as error:
                raise Refused("notFound", str(error)) from None
            except (Exists, Invalid) as error:
                raise Refused("invalidProperties", str(error), "name") from None
            return None
    raise Refused("invalidProperties", "only the name can be changed", *patch)


async def _destroy_passkey(call: Call, number: str) -> None:
    found = {f"k{one.id}" for one in call.store.peek(keys.everyone, call.account_id)}
    if number not in found:
        raise Refused("notFound", "there is no such passkey")
    try:
        await call.store.write(keys.remove, call.account_id, object_ids.number("k", number) or 0)
    except Missing as error:
        raise Refused("forbidden", str(error)) from None


def _fetch_passkeys(tx: Tx, account_id: int, ids: Sequence[str] | None) -> core.Fetched:
    there = {f"k{one.id}": _passkey(one) for one in keys.everyone(tx, account_id)}
    return str(changes.state(tx, account_id)), [there[i] for i in (there if ids is None else ids) if i in there]


def _passkey(one: Passkey) -> Arguments:
    return {
        "id": f"k{one.id}",
        "name": one.name,
        "createdAt": _date(one.created_at),
        "lastUsedAt": _date(one.last_used_at),
        "isBackedUp": one.backed_up,
        "transports": list(one.transports),
    }


METHODS: dict[str, Method] = {
    "TwoFactor/get": two_factor_get,
    "TwoFactor/set": two_factor_set,
    "Passkey/get": passkey_get,
    "Passkey/set": passkey_set,
    "Passkey/challenge": passkey_challenge,
}


# -- what both need ----------------------------------------------------------------------------------------------------


def _entire(call: Call) -> None:
    if not call.visitor.entire:
        raise MethodError("forbidden", "an app password does not see or change how its owner signs in")


async def _knows(call: Call, password: Any) -> None:
    """Raises `Refused` for a password that is not his own: through the one door, with its throttle."""
    if not isinstance(password, str):
        raise Refused("invalidProperties", "the present password is asked for", "password")
    try:
        await call.door.own(visitors.peer(), str(call.visitor.identity.address), password, True)
    except LoginRefused as error:
        raise Refused("rateLimit" if error.temporary else "invalidProperties", error.text, "password") from None


async def _set(
    call: Call,
    asked: Arguments,
    create: Callable[[Call, Arguments], Awaitable[Arguments]] | None = None,
    update: Callable[[Call, str, Arguments], Awaitable[Arguments | None]] | None = None,
    destroy: Callable[[Call, str], Awaitable[None]] | None = None,
) -> Arguments:
    """The answer to a /set (RFC 8620 §5.3). Raises `MethodError`."""
    _entire(call)
    old = core.account_of(call.store, call.account_id)
    if asked.get("ifInState") not in (None, old):
        raise MethodError("stateMismatch")
    answer: Arguments = {"accountId": f"u{call.account_id}", "oldState": old}
    for verb, past, work in (
        ("create", "created", create), ("update", "updated", update), ("destroy", "destroyed", destroy),
    ):  # fmt: skip
        wanted = asked.get(verb) or {}
        items = [(one, None) for one in wanted] if verb == "destroy" and isinstance(wanted, list) else None
        if items is None:
            if not isinstance(wanted, dict) or not all(isinstance(one, dict) for one in wanted.values()):
                raise MethodError("invalidArguments", verb)
            items = list(wanted.items())
        if len(items) > LIMITS.passkeys:
            raise MethodError("requestTooLarge", verb)
        done: Arguments = {}
        refused: Arguments = {}
        for name, value in items:
            try:
                if work is None:
                    raise Refused("singleton" if verb != "update" else "forbidden", f"there is no {verb} here")
                made = await _one(call, work, verb, name, value)
            except Refused as error:
                refused[str(name)] = error.error
                continue
            done[str(name)] = made
            if verb == "create" and isinstance(made, dict):
                call.created[name] = made["id"]
        answer[past] = (list(done) if verb == "destroy" else done) or None
        answer[f"not{past.capitalize()}"] = refused or None
    answer["newState"] = core.account_of(call.store, call.account_id)
    return answer


async def _one(call: Call, work: Any, verb: str, name: str, value: Any) -> Any:
    if verb == "create":
        return await work(call, value)
    return await (work(call, name, value) if verb == "update" else work(call, name))


def _date(at: int | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at / 1000))
