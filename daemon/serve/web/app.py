"""What is found where over HTTP: one table of routes, and the rules that span them all.

In the clear only challenges are answered; everything else is sent to HTTPS, to the same name. Nothing says which
program this is, and nothing is listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from daemon.admin import mtasts
from daemon.config import BadSetting, Config, hostname
from daemon.flow.judging import Judge
from daemon.limits import LIMITS
from daemon.serve.login import Door
from daemon.serve.web import clients, export, pages, quarantine, signin, viewer
from daemon.serve.web import health as healths
from daemon.serve.web.frame import Handler, guarded, started
from daemon.serve.web.health import HEALTH, Health
from daemon.serve.web.jmap import api, contacts, owner
from daemon.serve.web.jmap.blob import download, uploads
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.serve.web.jmap.method import Capability
from daemon.serve.web.jmap.push import events, socket, subscriptions
from daemon.serve.web.jmap.push.lasting import PUSH, Push
from daemon.serve.web.jmap.push.news import News
from daemon.store import acme, domains, push
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.trust import web_push

CHALLENGE = "/.well-known/acme-challenge/"


class House(NamedTuple):
    """What the pages are about."""

    store: Store
    config: Callable[[], Config]


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
    *pages.ROUTES,
    *signin.ROUTES,
    *healths.ROUTES,
    *events.ROUTES,
    *uploads.ROUTES,
    *socket.ROUTES,
    *export.ROUTES,
    *api.ROUTES,
    *viewer.ROUTES,
    *clients.ROUTES,
    *download.ROUTES,
)
LASTING = (  # answers that have no end in time, or patience of their own: they look after themselves
    events.PATH,
    socket.PATH,
    export.PATH,
    download.PREFIX,
    uploads.PATH,
)


def name_of(request: web.Request) -> str:
    """The host that is asked for, without a port; '' for none, an address, or nonsense."""
    text = re.sub(r":\d{1,5}$", "", request.host, flags=re.ASCII)
    try:
        return "" if re.fullmatch(r"[0-9.]+", text) else hostname(text)
    except BadSetting:
        return ""


@web.middleware
async def only_https(request: web.Request, handler: Handler) -> web.StreamResponse:
    """HTTPS for all but challenges, and what programs ask in the clear that know nothing of this server yet."""
    if not request.secure and not request.path.startswith((CHALLENGE, *clients.AUTOCONFIG)):
        return _to_https(request)
    return await handler(request)


def _to_https(request: web.Request) -> web.StreamResponse:
    config = request.app[HOUSE].config()
    places = config["listen.https"]
    if not places:
        raise web.HTTPNotFound
    port = "" if places[0].port == 443 else f":{places[0].port}"
    raise web.HTTPPermanentRedirect(f"https://{name_of(request) or config.hostname}{port}{request.raw_path}")


async def _deaf(app: web.Application) -> None:
    app[PUSH].news.close()


async def _pushes(store: Store) -> tuple[Capability, ...]:
    """Web Push, once there is a key for it: a disk that is full keeps nobody from his mail."""
    number = store.peek(push.known_key)
    if number is None:
        try:
            number = await store.write(push.vapid_key, web_push.new_number())
        except StoreError:
            return ()
    return (subscriptions.capability(number),)


async def runner(
    store: Store, config: Callable[[], Config], door: Door, health: Health, judge: Judge | None = None
) -> web.AppRunner:
    """The pages, ready to be asked: its `server()` is a protocol for one connection. `judge` looks at what is sent."""
    app = web.Application(middlewares=[guarded(LASTING), only_https], client_max_size=LIMITS.http_body)
    app[HOUSE] = House(store, config)
    signin.install(app, store, config, door)
    app[quarantine.STORE] = app[viewer.STORE] = store
    app[clients.SETTINGS] = clients.Settings(store, config)
    app[uploads.UPLOADS] = uploads.Uploads(store, config)
    app[HEALTH] = health
    app[api.API] = api.Api(store, config, door, (*CAPABILITIES, *await _pushes(store)), judge)
    news = News(store, (*owner.TYPES, *contacts.TYPES))
    app[PUSH] = Push(store, news, door.sessions)
    app.add_routes(ROUTES)
    app[export.THREADS] = export.Threads()
    app.on_cleanup.extend((_deaf, export.close))
    return await started(app)
