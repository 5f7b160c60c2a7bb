"""Signing in and out in a browser: `POST /login` and `POST /logout`, JSON both, from pages of ours alone.

    {"login": "alice@example.org", "password": "...", "remember": true}
        -> 200 {"state": "in", "user": "alice@example.org", "accountId": "u1", "isAdmin": false}, and the cookie
        -> 200 {"state": "factor", "pending": "...", "ways": ["code", "passkey"], "passkey": {...} or null}
        -> 401, 403, 429, 503 {"state": "refused", "reason": "wrong-password", "text": "...", "isTemporary": false}
    {"pending": "...", "code": "123456"}     of an authenticator program, or a recovery code
    {"pending": "...", "passkey": {...}}     what `navigator.credentials.get` gave for the options in `passkey`, as JSON
    {"begin": "passkey", "remember": true}   without a password
        -> 200 {"state": "passkey", "pending": "...", "passkey": {...}}

`reason` is one of `login.REASONS`. `remember` keeps the cookie when the browser is closed. `code` is among the ways of
who has an authenticator program or recovery codes. A browser that signs in again leaves the session that it had.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import hdrs, web

from daemon import log
from daemon.admin import factors
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.login import Door, Identity, LoginRefused, Owner
from daemon.serve.web import tickets
from daemon.serve.web.tickets import Ticket, Used
from daemon.serve.web.visitors import COOKIE, DOOR, STORE, digest, from_our_page, host_of, peer_of, problem, visitor
from daemon.store import accounts, audit, passkeys, web_sessions
from daemon.store import factors as kept
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.passkeys import Passkey
from daemon.store.tx import Tx

_STATUS = {"disabled": 403, "banned": 429, "throttled": 429, "busy": 429, "code-locked": 429, "unavailable": 503}


@dataclass(frozen=True, slots=True)
class Desk:
    """What signing in needs."""

    store: Store
    config: Callable[[], Config]
    door: Door
    used: Used = field(default_factory=Used)


DESK = web.AppKey("desk", Desk)


class Asked(msgspec.Struct):
    """The body of `POST /login`."""

    login: str = ""
    password: str = ""
    remember: bool = False
    begin: str = ""
    pending: str = ""
    code: str = ""
    passkey: dict[str, Any] | None = None


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`POST /login`."""
    asked = await _read(request)
    try:
        if asked.begin == "passkey":
            return await _begin_passkey(request, asked)
        if asked.pending and asked.passkey is not None:
            return await _passkey(request, asked, asked.passkey)
        if asked.pending:
            return await _code(request, asked)
        return await _password(request, asked)
    except LoginRefused as error:
        return refused(error)
    except (StoreError, OSError) as error:
        log.trouble("web-sign-in", error=error)
        return refused(LoginRefused("unavailable"))


async def sign_out(request: web.Request) -> web.StreamResponse:
    """`POST /logout`: of this browser."""
    if not from_our_page(request):
        raise problem(web.HTTPForbidden, "this request does not come from a page of this server")
    try:
        who = await visitor(request)
    except web.HTTPUnauthorized:
        who = None  # it was over already
    if who is not None and who.session_id is not None:
        await request.app[DESK].store.write(web_sessions.remove, who.account_id, who.session_id)
        log.event("web-signed-out", user=who.identity.address, ip=peer_of(request))
    response = _json({"state": "out"})
    response.headers["Clear-Site-Data"] = '"cache"'
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    return response


ROUTES = (web.post("/login", sign_in), web.post("/logout", sign_out))


def install(app: web.Application, store: Store, config: Callable[[], Config], door: Door) -> None:
    """What `visitor` and signing in need of an application. Its table of routes has `ROUTES`, where one signs in."""
    app[DOOR], app[STORE] = door, store
    app[DESK] = Desk(store, config, door)


# -- steps -------------------------------------------------------------------------------------------------------------


async def _password(request: web.Request, asked: Asked) -> web.Response:
    desk = request.app[DESK]
    owner = await desk.door.own(peer_of(request), asked.login, asked.password, request.secure)
    if not owner.two_factor:
        return await _let_in(request, owner.identity, "password", asked.remember)
    who, host = owner.identity, host_of(request)
    ticket = Ticket(
        "factor", who.account_id, str(who.address), owner.version, who.epoch, asked.remember, host
    )  # fmt: skip
    pending = tickets.make(desk.store.data, ticket, desk.store.clock())
    found = desk.store.peek(kept.find, who.account_id)
    ways = ["code"] if found.secret is not None or found.recovery_codes else []
    options = None
    if found.passkeys and host:
        known = desk.store.peek(passkeys.everyone, who.account_id)
        options = await _options(desk, host, known, pending, alone=False)
        ways.append("passkey")
    return _json({"state": "factor", "pending": pending, "ways": ways, "passkey": options})


async def _code(request: web.Request, asked: Asked) -> web.Response:
    desk = request.app[DESK]
    ticket = _ticket(desk, asked.pending, "factor")
    proved = ""

    async def check() -> str:
        nonlocal proved
        proved, reason = await factors.check(desk.store, ticket.account_id, asked.code)
        return reason

    identity = await desk.door.prove(peer_of(request), ticket.login, _before(desk, ticket), check, asked.code)
    return await _let_in(request, identity, proved, ticket.remember)


async def _begin_passkey(request: web.Request, asked: Asked) -> web.Response:
    desk, host = request.app[DESK], host_of(request)
    if not host:
        raise LoginRefused("wrong-passkey")  # an address has none
    pending = tickets.make(desk.store.data, Ticket("passkey", remember=asked.remember, host=host), desk.store.clock())
    options = await _options(desk, host, (), pending, alone=True)
    return _json({"state": "passkey", "pending": pending, "passkey": options})


async def _passkey(request: web.Request, asked: Asked, answer: dict[str, Any]) -> web.Response:
    """Alone, or after the password."""
    from daemon.admin import passkeys as admin

    desk, now = request.app[DESK], request.app[DESK].store.clock()
    ticket = tickets.read(desk.store.data, asked.pending, "passkey", now)
    alone = ticket is not None
    ticket = ticket or _ticket(desk, asked.pending, "factor")
    found = desk.store.peek(passkeys.find, admin.credential_of(answer))
    owner = None if found is None or ticket.account_id not in (0, found[0].account_id) else found

    async def check() -> str:
        if owner is None or ticket.host != host_of(request) or not desk.used.take(asked.pending, now):
            return "wrong-passkey"
        challenge = tickets.challenge(desk.store.data, asked.pending)
        try:
            await admin.check(desk.store, ticket.host, owner[0], challenge, answer, alone)
        except admin.BadPasskey as error:
            log.trouble("passkey-refused", user=owner[1], ip=peer_of(request), error=error)
            return "wrong-passkey"
        return ""

    if alone and owner is None:
        raise LoginRefused("wrong-passkey")  # forgotten here, not yet in the authenticator: no guess at anything
    login = ticket.login or str(owner[1] if owner else "")
    before = None if alone else _before(desk, ticket)
    identity = await desk.door.prove(peer_of(request), login, before, check, asked.pending)
    return await _let_in(request, identity, "passkey", ticket.remember)


async def _options(
    desk: Desk, host: str, known: tuple[Passkey, ...] | list[Passkey], pending: str, *, alone: bool
) -> Any:
    admin = await asyncio.to_thread(_passkeys)
    return admin.request(host, known, tickets.challenge(desk.store.data, pending), alone=alone)


def _passkeys() -> Any:
    """The library takes its time to load: in a thread, and only where there is a passkey."""
    import webauthn  # noqa: F401

    from daemon.admin import passkeys as admin

    return admin


def _ticket(desk: Desk, text: str, kind: str) -> Ticket:
    """Raises `LoginRefused`."""
    ticket = tickets.read(desk.store.data, text, kind, desk.store.clock())
    if ticket is None:
        raise LoginRefused("too-late")
    return ticket


def _before(desk: Desk, ticket: Ticket) -> Owner | None:
    """What the password proved, when the ticket was made."""
    account = desk.store.peek(accounts.by_id, ticket.account_id)
    if account is None:
        raise LoginRefused("disabled")
    return Owner(Identity(account.id, account.address, epoch=ticket.epoch), ticket.version, True)


# -- in ----------------------------------------------------------------------------------------------------------------


async def _let_in(request: web.Request, identity: Identity, factor: str, remember: bool) -> web.Response:
    """He is in: a session and its cookie. Raises `LoginRefused`, `StoreError`."""
    store, config = request.app[DESK].store, request.app[DESK].config()
    agent = request.headers.get(hdrs.USER_AGENT, "").encode(errors="replace").decode()  # octets that are no UTF-8
    token, age = secrets.token_urlsafe(32), config["web.session_age"]
    begun = await store.write(
        _begin, identity.account_id, digest(token), factor, peer_of(request),
        agent, identity.epoch, config["web.session_idle"], age,
        digest(request.cookies.get(COOKIE, "")),
    )  # fmt: skip
    if begun is None:
        raise LoginRefused("disabled")
    log.event("web-signed-in", user=identity.address, ip=peer_of(request), factor=factor, session=begun)
    account = store.peek(accounts.by_id, identity.account_id)
    said = {
        "state": "in",
        "user": str(identity.address),
        "accountId": f"u{identity.account_id}",
        "isAdmin": account is not None and account.admin,
    }
    response = _json(said)
    response.set_cookie(
        COOKIE, token, max_age=age if remember else None, path="/", secure=True, httponly=True, samesite="Strict"
    )
    return response


def refused(error: LoginRefused) -> web.Response:
    said = {"state": "refused", "reason": error.reason, "text": error.text, "isTemporary": error.temporary}
    response = _json(said, _STATUS.get(error.reason, 401))
    if error.temporary:
        response.headers["Retry-After"] = str(LIMITS.ban)
    return response


def _begin(
    tx: Tx, account_id: int, sha256: bytes, factor: str, peer: str, agent: str, epoch: int, idle: int, age: int,
    before: bytes,
) -> int | None:  # fmt: skip
    """The session, and the event that tells of it; the one this browser had before is over."""
    if last := web_sessions.find(tx, before):
        web_sessions.remove(tx, last.account_id, last.session_id)
    begun = web_sessions.begin(tx, account_id, sha256, factor, peer, agent, epoch=epoch, idle=idle, age=age)
    if begun is not None:
        audit.note(tx, account_id, "login", f"web-{factor}", peer, agent=agent[: LIMITS.web_agent], session=begun)
    return begun


async def _read(request: web.Request) -> Asked:
    """Raises `HTTPForbidden`, `HTTPUnsupportedMediaType`, `HTTPBadRequest`, `HTTPRequestEntityTooLarge`."""
    if not from_our_page(request):
        raise problem(web.HTTPForbidden, "this request does not come from a page of this server")
    if request.content_type != "application/json":
        raise problem(web.HTTPUnsupportedMediaType, "JSON is asked for")
    try:
        return msgspec.json.decode(await request.read(), type=Asked)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise problem(web.HTTPBadRequest, "this is not what is asked for") from None


def _json(said: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(said), status=status, content_type="application/json")
