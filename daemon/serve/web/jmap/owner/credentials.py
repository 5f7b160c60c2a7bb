"""How one signs in: Password, AppPassword, Session. Whoever changes that says the present password again."""

from __future__ import annotations

from daemon.admin import people
from daemon.limits import LIMITS
from daemon.serve.web.jmap import few, sets
from daemon.serve.web.jmap.few import Few, Object, aside, date, said, texts
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts, sessions, web_sessions
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date


async def set_password(call: Call, arguments: Arguments) -> Arguments:
    """Password/set: `password` and `newPassword`. Other browsers are signed out."""
    few.known(arguments, "password", "newPassword")
    fresh, user = arguments.get("newPassword"), str(call.visitor.identity.address)
    if not isinstance(fresh, str):
        raise MethodError("invalidArguments", "newPassword is a string")
    if len(fresh) < LIMITS.password_least:
        raise MethodError("invalidArguments", f"a password has {LIMITS.password_least} characters or more")
    await few.prove(call, arguments.get("password"))
    try:
        await sets.guarded(aside(call, people.set_password, user, fresh, keep_session=call.visitor.session_id))
    except SetError as error:
        raise MethodError("invalidArguments", error.answer.get("description", "")) from None
    return {"accountId": sets.account_name(call)}


# --------------------------------------------------------------------------------------------------------- AppPassword


def _app_passwords(tx: Tx, visitor: Visitor) -> list[Object]:
    return [
        {
            "id": f"p{each.id}", "name": each.name, "scopes": each.scopes.split(),
            "createdAt": utc_date(each.created_at), "expiresAt": date(each.expires_at),
            "lastUsedAt": date(each.last_used_at), "lastUsedFrom": each.last_used_from,
        }
        for each in accounts.app_passwords(tx, visitor.account_id)
    ]  # fmt: skip


async def _add(call: Call, value: Object) -> Object:
    there = await call.store.read(_app_passwords, call.visitor)
    if len(there) >= LIMITS.app_passwords:
        raise SetError("overQuota", f"a user has at most {LIMITS.app_passwords} app passwords")
    name, expires = said(value, "name", str, ""), value.get("expiresAt")
    if len(name) > LIMITS.owner_text:
        raise SetError("invalidProperties", f"a name has {LIMITS.owner_text} characters at most", "name")
    if expires is not None and not isinstance(expires, str):
        raise SetError("invalidProperties", "expiresAt is a date or null", "expiresAt")
    user, scopes = str(call.visitor.identity.address), texts(value, "scopes")
    made = await aside(call, people.add_app_password, user, name, scopes=scopes, expires=expires)
    there = await call.store.read(_app_passwords, call.visitor)
    return {**next(each for each in there if each["name"] == name), "password": made.password}


async def _remove(call: Call, object: Object) -> None:
    await aside(call, people.remove_app_password, str(call.visitor.identity.address), object["name"])


APP_PASSWORD = Few(
    "AppPassword", _app_passwords, frozenset(("name", "scopes", "expiresAt")), _add, None, _remove, guarded=True
)

# ------------------------------------------------------------------------------------------------------------- Session


def _sessions(tx: Tx, visitor: Visitor) -> list[Object]:
    """Browsers that are signed in, and what else is connected."""
    browsers = [
        {
            "id": f"w{each.id}", "kind": "browser", "protocol": "web", "from": each.seen_peer, "agent": each.agent,
            "appPassword": None, "since": utc_date(each.created_at), "seenAt": utc_date(each.seen_at),
            "endsAt": utc_date(each.until_at), "current": each.id == visitor.session_id,
        }
        for each in web_sessions.everyone(tx, visitor.account_id)
    ]  # fmt: skip
    programs = [
        {
            "id": f"n{number}", "kind": "program", "protocol": each.protocol, "from": each.peer, "agent": None,
            "appPassword": each.app_password, "since": utc_date(each.since_at), "seenAt": None, "endsAt": None,
            "current": False,
        }
        for number, each in enumerate(sessions.everyone(tx, visitor.account_id))
    ]  # fmt: skip
    return [*browsers, *programs]


async def _sign_out(call: Call, object: Object) -> None:
    few.himself(call)
    if object["kind"] != "browser":
        raise SetError("forbidden", "a program is kept out by taking its app password away, or by another password")
    if not await call.store.write(web_sessions.remove, call.account_id, int(object["id"][1:])):
        raise SetError("notFound")


SESSION = Few(web_sessions.TYPE, _sessions, frozenset(), None, None, _sign_out)
METHODS = {"Password/set": set_password, **APP_PASSWORD.methods, **SESSION.methods}
