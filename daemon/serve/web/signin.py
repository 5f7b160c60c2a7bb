"""Signing in and out in a browser: `POST /login` and `POST /logout`, JSON both, from pages of ours alone.

    {"login": "alice@example.org", "password": "...", "remember": true}
        -> 200 {"state": "in", "user": "alice@example.org", "accountId": "u1", "isAdmin": false}, and the cookie
        -> 401, 403, 429, 503 {"state": "refused", "reason": "wrong-password", "text": "...", "isTemporary": false}

`reason` is one of `login.REASONS`. `remember` keeps the cookie when the browser is closed. A browser that is signed in
already and signs in again leaves the session before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import hdrs, web

from daemon import log
from daemon.config import Config
from daemon.serve.login import Door, Identity, LoginRefused
from daemon.serve.web.visitors import COOKIE, digest, from_our_page, peer_of, problem, visitor
from daemon.store import accounts, events, web_sessions
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.tx import Tx

_STATUS = {"disabled": 403, "banned": 429, "throttled": 429, "busy": 429, "code-locked": 429, "unavailable": 503}


class Desk(NamedTuple):
    """What signing in needs."""

    store: Store
    config: Callable[[], Config]
    door: Door


DESK = web.AppKey("desk", Desk)


class Asked(msgspec.Struct):
    """The body of `POST /login`."""

    login: str = ""
    password: str = ""
    remember: bool = False


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`POST /login`."""
    asked = await _read(request)
    desk = request.app[DESK]
    try:
        identity, _ = await desk.door.own(peer_of(request), asked.login, asked.password, request.secure)
        return await let_in(request, identity, "password", asked.remember)
    except LoginRefused as error:
        return refused(error)
    except StoreError:
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


async def let_in(request: web.Request, identity: Identity, factor: str, remember: bool) -> web.Response:
    """He is in: a session and its cookie. Raises `LoginRefused`, `StoreError`."""
    store, config, _ = request.app[DESK]
    token, settings = secrets.token_urlsafe(32), config()
    age = settings["web.session_age"]
    begun = await store.write(
        _begin, identity.account_id, digest(token), factor, peer_of(request),
        request.headers.get(hdrs.USER_AGENT, ""), identity.epoch, settings["web.session_idle"], age,
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
    return _json(said, _STATUS.get(error.reason, 401))


def _begin(
    tx: Tx, account_id: int, sha256: bytes, factor: str, peer: str, agent: str, epoch: int, idle: int, age: int,
    before: bytes,
) -> int | None:  # fmt: skip
    """The session, and the event that tells of it; the one this browser had before is over."""
    if last := web_sessions.find(tx, before):
        web_sessions.remove(tx, last.account_id, last.session_id)
    begun = web_sessions.begin(tx, account_id, sha256, factor, peer, agent, epoch=epoch, idle=idle, age=age)
    if begun is not None and (account := accounts.by_id(tx, account_id)) is not None:
        trace = events.new_trace(tx.now, secrets.token_bytes)
        events.record(tx, trace, "login", f"web-{factor}", recipient=str(account.address), peer=peer, session=begun)
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
