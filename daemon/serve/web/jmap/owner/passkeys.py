"""Passkey: a key of a device or browser (WebAuthn). It is made in two steps: `Passkey/challenge` answers with `pending`
and `options`, then `Passkey/set` creates one of `name`, `pending` and `credential`, which is what
`navigator.credentials.create` gave for these options, as JSON.
"""

from __future__ import annotations

import asyncio

from daemon.admin import passkeys
from daemon.serve.web import tickets
from daemon.serve.web.jmap import few, sets
from daemon.serve.web.jmap.few import Few, Object, date
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.tickets import Ticket
from daemon.serve.web.visitors import Visitor
from daemon.store import passkeys as kept
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date


def _read(tx: Tx, visitor: Visitor) -> list[Object]:
    return [_told(one) for one in kept.everyone(tx, visitor.account_id)]


def _told(one: kept.Passkey) -> Object:
    return {
        "id": f"k{one.id}", "name": one.name, "createdAt": utc_date(one.created_at),
        "lastUsedAt": date(one.last_used_at), "isBackedUp": one.backed_up, "transports": list(one.transports),
    }  # fmt: skip


async def challenge(call: Call, arguments: Arguments) -> Arguments:
    """Passkey/challenge, with `password`: what the browser makes a new one of."""
    few.known(arguments, "password")
    await few.prove(call, arguments.get("password"))
    host = call.visitor.host
    if not host:
        raise MethodError("invalidArguments", "passkeys are made for a name: open this page by the server's name")
    await asyncio.to_thread(__import__, "webauthn")  # takes a while, and others have the loop meanwhile
    data = call.store.data
    pending = tickets.make(data, Ticket("register", call.account_id, host=host), call.store.clock())
    there = call.store.peek(kept.everyone, call.account_id)
    user = str(call.visitor.identity.address)
    options = passkeys.creation(host, call.account_id, user, there, tickets.challenge(data, pending))
    return {"accountId": sets.account_name(call), "pending": pending, "options": options}


async def _create(call: Call, value: Object) -> Object:
    match value:
        case {"name": str(name), "pending": str(pending), "credential": dict(credential)}:
            pass
        case _:
            raise SetError("invalidProperties", "name, pending and credential", *value)
    data = call.store.data
    ticket = tickets.read(data, pending, "register", call.store.clock())
    if ticket is None or ticket.account_id != call.account_id:
        raise SetError("invalidProperties", "this took too long, begin again", "pending")
    called = passkeys.name(name)
    try:
        made = passkeys.register(ticket.host, tickets.challenge(data, pending), credential)
    except passkeys.BadPasskey:
        raise SetError("invalidProperties", "this passkey is not right", "credential") from None
    number = await call.store.write(
        kept.add, call.account_id, made.credential_id, made.public_key, made.sign_count, made.transports,
        made.backed_up, called,
    )  # fmt: skip
    return next(_told(one) for one in call.store.peek(kept.everyone, call.account_id) if one.id == number)


async def _update(call: Call, object: Object, changes: Object) -> None:
    if changes.keys() != {"name"}:
        raise SetError("invalidProperties", "only the name can be changed", *changes)
    name = passkeys.name(few.said(changes, "name", str, ""))
    await call.store.write(kept.rename, call.account_id, int(object["id"][1:]), name)


async def _destroy(call: Call, object: Object) -> None:
    await call.store.write(kept.remove, call.account_id, int(object["id"][1:]))


PASSKEY = Few("Passkey", _read, frozenset(("name", "pending", "credential")), _create, _update, _destroy, guarded=True)
METHODS = {**PASSKEY.methods, "Passkey/challenge": challenge}
