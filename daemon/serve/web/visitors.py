"""Who asks: what a request proves about its sender, by a cookie, a password or a token.

A browser shows its session's cookie. Others show `Authorization`: Basic with a password, Bearer with an app password
(scope `jmap`), through the one door of all protocols with its throttle.

What a browser adds by itself, cookies and passwords it remembers, proves nothing about who made it ask: so whatever may
change something, and a WebSocket, must come from a page of ours. Browsers tell that (`Sec-Fetch-Site`, `Origin`), and
scripts of other pages cannot forge it. A Bearer token no browser adds by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NoReturn

import msgspec
from aiohttp import hdrs, web

from daemon.limits import LIMITS
from daemon.serve.login import Door, Identity, LoginRefused
from daemon.serve.web.door import PEER
from daemon.store import accounts, web_sessions
from daemon.store.db import Store
from daemon.store.errors import StoreError

SERVICE = "jmap"  # in an app password's scopes
COOKIE = "__Host-session"
DOOR = web.AppKey("door", Door)
STORE = web.AppKey("visitors-store", Store)
_SAFE = frozenset(("GET", "HEAD"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user who proved to be one. `kind`: by a session's cookie, by a password, by a token."""

    identity: Identity
    kind: Literal["session", "basic", "bearer"]
    session_id: int | None = None
    admin: bool = False
    host: str = ""  # the name of ours that he asked for

    @property
    def account_id(self) -> int:
        return self.identity.account_id

    @property
    def entire(self) -> bool:
        """Whether he is here as himself: an app password changes nothing about how one signs in."""
        return self.identity.app_password_id is None


async def visitor(request: web.Request) -> Visitor:
    """Who asks. Raises `HTTPUnauthorized`, `HTTPForbidden` for a page that is not ours, `HTTPTooManyRequests`,
    `HTTPServiceUnavailable`."""
    shown = request.headers.get(hdrs.AUTHORIZATION)
    try:
        return await _by_authorization(request, shown) if shown is not None else _by_cookie(request)
    except LoginRefused as error:
        refuse(request, error)
    except StoreError:
        refuse(request, LoginRefused("unavailable"))


def is_here(store: Store, who: Visitor) -> bool:
    """Whether he may still be: for answers that last long, when there is news of his account."""
    if who.session_id is not None:
        return store.peek(web_sessions.is_alive, who.session_id)
    known = store.peek(accounts.credentials, who.identity.address)
    if known is None or not known.enabled or known.epoch != who.identity.epoch:
        return False
    app = who.identity.app_password_id
    return app is None or any(key.app_password_id == app for key in known.keys)


def from_our_page(request: web.Request) -> bool:
    """Whether the browser says that a page of ours asks; False where nothing says so."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get(hdrs.ORIGIN) == f"https://{request.host}"


def peer_of(request: web.Request) -> str:
    """The address of who asks; behind a trusted proxy the one it names."""
    return peer()


def peer() -> str:
    """The same, for what has no request at hand."""
    return PEER.get()


def host_of(request: web.Request) -> str:
    """The name that was asked for, for which passkeys are made; '' for an address or nonsense."""
    name = re.sub(r":\d{1,5}$", "", request.host, flags=re.ASCII).lower()
    if len(name) > 253 or not re.fullmatch(r"(?:[a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z][a-z0-9-]*[a-z0-9]", name):
        return ""
    return name


def digest(token: str) -> bytes:
    """How a session's token is kept."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def problem(
    kind: type[web.HTTPException], detail: str, headers: dict[str, str] | None = None, type: str = "about:blank"
) -> web.HTTPException:
    """An error as JMAP clients read it (RFC 7807; RFC 8620 §3.6.1)."""
    body = {"type": type, "status": kind.status_code, "detail": detail}
    return kind(text=msgspec.json.encode(body).decode(), content_type="application/problem+json", headers=headers)


def refuse(request: web.Request, error: LoginRefused) -> NoReturn:
    """Say no as HTTP does."""
    if error.reason == "unavailable":
        raise problem(web.HTTPServiceUnavailable, error.text, {"Retry-After": "10"})
    if error.temporary:
        raise problem(web.HTTPTooManyRequests, error.text, {"Retry-After": str(LIMITS.ban)})
    raise _sign_in(request, error.text)


def _sign_in(request: web.Request, detail: str) -> web.HTTPException:
    """A browser that is offered Basic asks the user with a window of its own, in the middle of the webmail."""
    browser = "Sec-Fetch-Mode" in request.headers
    offered = 'Bearer realm="mail"' if browser else 'Basic realm="mail", charset="UTF-8", Bearer realm="mail"'
    return problem(web.HTTPUnauthorized, detail, {hdrs.WWW_AUTHENTICATE: offered})


# -- cookies -----------------------------------------------------------------------------------------------------------


def _by_cookie(request: web.Request) -> Visitor:
    token = request.cookies.get(COOKIE, "")
    store, door = request.app[STORE], request.app[DOOR]
    found = store.peek(web_sessions.find, digest(token)) if 0 < len(token) <= LIMITS.web_token else None
    if found is None:
        raise _sign_in(request, "sign in first")
    _only_ours(request)
    peer = peer_of(request)
    if found.seen_peer != peer or store.clock() - found.seen_at > LIMITS.web_seen * 1000:
        door.in_background(store.write(web_sessions.seen, found.session_id, peer))
    return Visitor(
        Identity(found.account_id, found.address, epoch=found.epoch),
        "session",
        found.session_id,
        found.admin,
        host_of(request),
    )


def _only_ours(request: web.Request) -> None:
    """For what a browser shows by itself. Raises `HTTPForbidden`."""
    if request.method in _SAFE and hdrs.UPGRADE not in request.headers:
        if request.headers.get("Sec-Fetch-Site") not in ("same-site", "cross-site"):
            return
    elif from_our_page(request):
        return
    raise problem(web.HTTPForbidden, "this request does not come from a page of this server")


# -- Authorization -----------------------------------------------------------------------------------------------------


async def _by_authorization(request: web.Request, shown: str) -> Visitor:
    scheme, _, rest = shown.partition(" ")
    door, peer = request.app[DOOR], peer_of(request)
    if scheme.lower() == "bearer":
        return _known(request, await door.bearer(SERVICE, peer, rest.strip(), request.secure), "bearer")
    if scheme.lower() != "basic":
        raise LoginRefused("mechanism")
    if "Sec-Fetch-Site" in request.headers or hdrs.ORIGIN in request.headers:
        _only_ours(request)
    try:
        login, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise LoginRefused("malformed") from None
    if not colon:
        raise LoginRefused("malformed")
    return _known(request, await door.plain(SERVICE, peer, login, password, request.secure), "basic")


def _known(request: web.Request, identity: Identity, kind: Literal["basic", "bearer"]) -> Visitor:
    account = request.app[STORE].peek(accounts.by_id, identity.account_id)
    return Visitor(identity, kind, admin=account is not None and account.admin, host=host_of(request))
