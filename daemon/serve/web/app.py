"""What is found where over HTTP: one table of routes, and the rules that span them all.

In the clear only challenges are answered; everything else is sent to HTTPS, to the same name. Nothing says which
program this is, and nothing is listed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web, web_response

from daemon import log
from daemon.admin import mtasts
from daemon.config import BadSetting, Config, hostname
from daemon.limits import LIMITS
from daemon.serve.login import Door
from daemon.serve.web import quarantine, signin, viewer, visitors
from daemon.serve.web.jmap import api, events
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.serve.web.jmap.lasting import PUSH, Push
from daemon.serve.web.jmap.news import News
from daemon.serve.web.visitors import DOOR
from daemon.store import acme, domains
from daemon.store.db import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CHALLENGE = "/.well-known/acme-challenge/"


class House(NamedTuple):
    """What the pages are about."""

    store: Store
    config: Callable[[], Config]


_SILENT = logging.Logger("web", logging.CRITICAL + 1)  # aiohttp's traceback for each malformed request of a stranger
HOUSE = web.AppKey("house", House)


async def challenge(request: web.Request) -> web.StreamResponse:
    """HTTP-01 (RFC 8555 §8.3): what we told the authority we would say here."""
    token = request.match_info["token"]
    answer = None
    if re.fullmatch(r"[A-Za-z0-9_-]{1,200}", token, re.ASCII):
        answer = request.app[HOUSE].store.peek(acme.answer_to, token)
    if answer is None:
        raise web.HTTPNotFound
    return web.Response(body=answer.encode(), content_type="application/octet-stream")


async def policy(request: web.Request) -> web.StreamResponse:
    """The MTA-STS policy, at the policy host of a domain of ours alone (RFC 8461 §3.3)."""
    store, config = request.app[HOUSE]
    name = name_of(request)
    domain = store.peek(domains.find, name.removeprefix(mtasts.LABEL)) if name.startswith(mtasts.LABEL) else None
    if domain is None or not domain.enabled:
        raise web.HTTPNotFound
    return web.Response(text=mtasts.policy(config()), content_type="text/plain")


ROUTES = (
    web.get(CHALLENGE + "{token}", challenge),
    web.get(mtasts.PATH, policy),
    *quarantine.ROUTES,
    *signin.ROUTES,
    *events.ROUTES,
    *api.ROUTES,
    *viewer.ROUTES,
)
LASTING = frozenset((events.PATH,))  # answers that have no end in time


def name_of(request: web.Request) -> str:
    """The host that is asked for, without a port; '' for none, an address, or nonsense."""
    text = re.sub(r":\d{1,5}$", "", request.host, flags=re.ASCII)
    try:
        return "" if re.fullmatch(r"[0-9.]+", text) else hostname(text)
    except BadSetting:
        return ""


@web.middleware
async def rules(request: web.Request, handler: Handler) -> web.StreamResponse:
    """HTTPS for all but challenges; a fault of ours is told as one, and logged."""
    if not request.secure and not request.path.startswith(CHALLENGE):
        return _to_https(request)
    try:
        async with asyncio.timeout(None if request.path in LASTING else LIMITS.http_answer):
            return await handler(request)
    except web.HTTPException:
        raise
    except TimeoutError:
        raise web.HTTPServiceUnavailable from None
    except Exception as error:
        log.fault("web-fault", error, path=request.path)
        raise web.HTTPInternalServerError from None


def _to_https(request: web.Request) -> web.StreamResponse:
    config = request.app[HOUSE].config()
    places = config["listen.https"]
    if not places:
        raise web.HTTPNotFound
    port = "" if places[0].port == 443 else f":{places[0].port}"
    raise web.HTTPPermanentRedirect(f"https://{name_of(request) or config.hostname}{port}{request.raw_path}")


_CAREFUL = {  # what a page that says nothing else is held to
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}


async def _careful(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing of ours is guessed at, framed, kept or told to others, unless a page says so itself."""
    response.headers.popall("Server", None)
    response.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in _CAREFUL.items():
        response.headers.setdefault(name, value)


async def _deaf(app: web.Application) -> None:
    app[PUSH].news.close()


async def runner(store: Store, config: Callable[[], Config], door: Door) -> web.AppRunner:
    """The pages, ready to be asked: its `server()` is a protocol for one connection."""
    # no hook reaches what aiohttp itself answers to a malformed request
    setattr(web_response, "SERVER_SOFTWARE", "")  # noqa: B010
    app = web.Application(middlewares=[rules], client_max_size=LIMITS.http_body)
    app[HOUSE] = House(store, config)
    app[DOOR], app[visitors.STORE] = door, store
    app[signin.DESK] = signin.Desk(store, config, door)
    app[quarantine.STORE] = app[viewer.STORE] = store
    app[api.API] = api.Api(store, config, door, CAPABILITIES)
    news = News(store)
    app[PUSH] = Push(store, news, door.sessions)
    app.add_routes(ROUTES)
    app.on_response_prepare.append(_careful)
    app.on_cleanup.append(_deaf)
    made = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        logger=_SILENT,
        keepalive_timeout=LIMITS.http_patience,
        lingering_time=LIMITS.linger,
        max_line_size=LIMITS.http_line,
        max_field_size=LIMITS.http_line,
        max_headers=LIMITS.http_fields,
        handler_cancellation=True,
        shutdown_timeout=LIMITS.linger,
    )
    await made.setup()
    return made
