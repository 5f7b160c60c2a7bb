"""TwoFactor: what is asked for beside the password. There is one; what a change was asked for is told in `updated`,
this once:

    {"program": "new"}       -> {"secret": base32, "uri": "otpauth:...", "qr": "data:image/svg..."}
    {"code": "123456"}       -> {"isEnabled": true, "recoveryCodes": [...]}   of the new program
    {"isEnabled": true}      -> {"isEnabled": true, "recoveryCodes": [...]}   with a passkey alone
    {"isEnabled": false}     -> {"isEnabled": false}
    {"recoveryCodes": "new"} -> {"recoveryCodes": [...]}
"""

from __future__ import annotations

from daemon.admin import factors
from daemon.serve.web.jmap.few import SINGLETON, Few, Object, date
from daemon.serve.web.jmap.method import Call
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.visitors import Visitor
from daemon.store import factors as kept
from daemon.store import web_sessions
from daemon.store.errors import Missing
from daemon.store.tx import Tx


def _read(tx: Tx, visitor: Visitor) -> list[Object]:
    found = kept.find(tx, visitor.account_id)
    return [
        {
            "id": SINGLETON, "isEnabled": found.on_at is not None, "since": date(found.on_at),
            "hasProgram": found.secret is not None, "passkeys": found.passkeys,
            "recoveryCodesLeft": found.recovery_codes,
        }
    ]  # fmt: skip


async def _update(call: Call, object: Object, changes: Object) -> Object:
    match changes:
        case {"program": "new", **rest} if not rest:
            user, issuer = str(call.visitor.identity.address), call.config.hostname
            made = await factors.enrol(call.store, call.account_id, user, issuer)
            return {"secret": made.secret, "uri": made.uri, "qr": _qr(made.uri)}
        case {"code": str(code), **rest} if not rest:
            codes = await factors.confirm(call.store, call.account_id, code)
            if codes is None:
                raise SetError("invalidProperties", "this code is not right, or was used before", "code")
            return await _is_on(call, codes)
        case {"isEnabled": bool(on), **rest} if not rest:
            return await _switch(call, on)
        case {"recoveryCodes": "new", **rest} if not rest:
            return {"recoveryCodes": await _new_codes(call)}
    raise SetError("invalidProperties", "one of program, code, isEnabled, recoveryCodes", *changes)


async def _switch(call: Call, on: bool) -> Object:
    if not on:
        await call.store.write(kept.turn_off, call.account_id)
        return {"isEnabled": False}
    try:
        await call.store.write(kept.turn_on, call.account_id)
    except Missing as error:
        raise SetError("invalidProperties", str(error), "isEnabled") from None
    return await _is_on(call, await _new_codes(call))


async def _is_on(call: Call, codes: list[str]) -> Object:
    """It is asked for from now on: who is signed in elsewhere has to show it too."""
    await call.store.write(web_sessions.end, call.account_id, call.visitor.session_id)
    return {"isEnabled": True, "recoveryCodes": codes}


async def _new_codes(call: Call) -> list[str]:
    codes = factors.new_recovery_codes()
    await call.store.write(kept.set_recovery_codes, call.account_id, [factors.digest(one) for one in codes])
    return codes


def _qr(text: str) -> str:
    import segno  # only who sets a program up needs it

    made: str = segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=4, light="#fff", dark="#000")
    return made


TWO_FACTOR = Few(
    "TwoFactor", _read, frozenset(("program", "code", "isEnabled", "recoveryCodes")), None, _update,
    guarded=True, single=True,
)  # fmt: skip
METHODS = TWO_FACTOR.methods
