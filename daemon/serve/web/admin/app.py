"""`listen.admin`: the administration page and its verbs, an application of its own that no public listener serves.

`POST /admin/api/NAME` with the arguments as a JSON object gives the verb's answer as JSON, as `mailctl --json` writes
it; what goes wrong is told as RFC 7807 says, with the sentence `mailctl` would print. Only who signed in here as
himself (a session of a browser, with his second factor if he has one) and is an administrator is answered; every
request must come from a page of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from aiohttp import web

from daemon import log
from daemon.admin import errors, house
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.login import Door
from daemon.serve.web import pages, signin
from daemon.serve.web.admin.verb import Verb
from daemon.serve.web.admin.verbs import VERBS
from daemon.serve.web.frame import guarded, started
from daemon.serve.web.visitors import Visitor, from_our_page, peer_of, problem, visitor
from daemon.store.db import Store

PAGE = "/admin/"
API = "/admin/api/"
_STATUS: dict[int | None, type[web.HTTPException]] = {
    errors.FAILED: web.HTTPNotFound,
    errors.DATA: web.HTTPUnprocessableEntity,
    errors.TEMPORARY: web.HTTPServiceUnavailable,
    errors.UNAVAILABLE: web.HTTPBadGateway,
    errors.FORBIDDEN: web.HTTPForbidden,
}


class Office:
    """Where verbs are done: threads that may wait, over a store of their own, as `mailctl` beside the server has one.

    Verbs write in steps that only this process knows; the server's own store writes in another one.
    """

    def __init__(self, store: Store) -> None:
        self._data = store.data
        self._own: Store | None = None
        self._threads = ThreadPoolExecutor(LIMITS.admin_threads, "admin")
        self._opening = asyncio.Lock()

    async def do(self, verb: Verb, asked: Any, who: str) -> Any:
        """The verb's answer. Raises what it raises."""
        loop = asyncio.get_running_loop()
        async with self._opening:
            if self._own is None:
                self._own = await loop.run_in_executor(self._threads, self._open)
        return await loop.run_in_executor(self._threads, verb.run, self._own, asked)

    def _open(self) -> Store:
        return house.open_store(self._data.path, create=False)

    async def close(self, app: web.Application) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        if self._own is not None:
            await asyncio.to_thread(self._own.close)


OFFICE = web.AppKey("office", Office)


async def page(request: web.Request) -> web.StreamResponse:
    """The page itself is nobody's data: who signs in sees what it asks for."""
    files = (await asyncio.to_thread(pages.shelf)).files
    return pages.answer(request, files["admin/index.html"], "no-cache", pages.POLICY)


async def to_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(PAGE)


async def api(request: web.Request) -> web.StreamResponse:
    """One verb. Raises `HTTPException`."""
    who = await administrator(request)
    verb = VERBS.get(request.match_info["name"])
    if verb is None:
        raise problem(web.HTTPNotFound, "there is no such verb")
    if request.content_type != "application/json":
        raise problem(web.HTTPUnsupportedMediaType, "JSON is asked for")
    try:
        asked = msgspec.json.decode(await request.read(), type=verb.asked)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise problem(web.HTTPBadRequest, f"this is not what is asked for: {error}") from None
    name = request.match_info["name"]
    if verb.changes:
        log.event("admin-verb", verb=name, user=who.identity.address, ip=peer_of(request))
    try:
        answer = await request.app[OFFICE].do(verb, asked, str(who.identity.address))
    except Exception as error:
        code = errors.exit_code(error)
        if code is None:
            raise
        raise problem(_STATUS.get(code, web.HTTPInternalServerError), errors.sentence(error)) from None
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def administrator(request: web.Request) -> Visitor:
    """Who asks, at a page of ours. Raises `HTTPUnauthorized`, `HTTPForbidden` for all who may not."""
    who = await visitor(request)
    if not from_our_page(request):
        raise problem(web.HTTPForbidden, "this request does not come from a page of this server")
    if who.kind != "session" or not who.admin:
        raise problem(web.HTTPForbidden, "only administrators may, who signed in at this page")
    return who


ROUTES = (
    web.get("/", to_page),
    web.get("/admin", to_page),
    web.get(PAGE, page),
    web.post(API + "{name:[a-z-]+(?:/[a-z-]+)?}", api),
    web.get("/static/{path:.+}", pages.static),
    *signin.ROUTES,
)


async def runner(store: Store, config: Callable[[], Config], door: Door) -> web.AppRunner:
    """The administration page, ready to be asked."""
    app = web.Application(middlewares=[guarded()], client_max_size=LIMITS.http_body)
    signin.install(app, store, config, door)
    office = app[OFFICE] = Office(store)
    app.on_cleanup.append(office.close)
    app.add_routes(ROUTES)
    return await started(app)
