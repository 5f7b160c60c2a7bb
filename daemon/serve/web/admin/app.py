"""`listen.admin`: the administration page and its verbs, an application of its own that no public listener serves.

`POST /admin/api/NAME` with the arguments as a JSON object gives the verb's answer as JSON, as `mailctl --json` writes
it; what goes wrong is told as RFC 7807 says, with the sentence `mailctl` would print. A verb that takes long is
answered with 202 and `{"job": ID}`; `POST /admin/jobs/ID` waits for its end then, and is answered in the same way.

Only who signed in here as himself (a session of a browser, with his second factor if he has one) and is an
administrator is answered; every request must come from a page of ours.

A verb that decides who gets in (`Verb.proven`) is refused with the type `urn:mailctl:prove` when the signing in is some
while ago; `POST /admin/proof` with the present `password` lets it be done then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from daemon import log
from daemon.admin import errors
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.login import Door, LoginRefused
from daemon.serve.web import pages, signin
from daemon.serve.web.admin.office import Job, Office
from daemon.serve.web.admin.proofs import Proofs
from daemon.serve.web.admin.verb import Asked, Text
from daemon.serve.web.admin.verbs import VERBS
from daemon.serve.web.frame import guarded, started
from daemon.serve.web.visitors import Visitor, from_our_page, peer_of, problem, visitor
from daemon.store.db import Store

T = TypeVar("T")
PAGE = "/admin/"
API = "/admin/api/"
JOBS = "/admin/jobs/"
PROOF = "/admin/proof"
OFFICE = web.AppKey("office", Office)
PROOFS = web.AppKey("proofs", Proofs)
UNPROVEN = "urn:mailctl:prove"
_STATUS: dict[int | None, type[web.HTTPException]] = {
    errors.FAILED: web.HTTPNotFound,
    errors.DATA: web.HTTPUnprocessableEntity,
    errors.TEMPORARY: web.HTTPServiceUnavailable,
    errors.UNAVAILABLE: web.HTTPBadGateway,
    errors.FORBIDDEN: web.HTTPForbidden,
}


class Password(Asked):
    password: Text


async def page(request: web.Request) -> web.StreamResponse:
    """The page itself is nobody's data: who signs in sees what it asks for."""
    files = (await asyncio.to_thread(pages.shelf)).files
    return pages.answer(request, files["admin/index.html"], "no-cache", pages.POLICY)


async def to_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(PAGE)


async def api(request: web.Request) -> web.StreamResponse:
    """One verb. Raises `HTTPException`."""
    who = await administrator(request)
    name = request.match_info["name"]
    verb = VERBS.get(name)
    if verb is None:
        raise problem(web.HTTPNotFound, "there is no such verb")
    asked = await _asked(request, verb.asked)
    if verb.proven and not request.app[PROOFS].is_fresh(who):
        raise problem(web.HTTPForbidden, "your present password is needed for this", type=UNPROVEN)
    if verb.changes:
        log.event("admin-verb", verb=name, user=who.identity.address, ip=peer_of(request))
    begun = await request.app[OFFICE].begin(name, verb, asked, str(who.identity.address), who.account_id)
    if begun is None:
        raise problem(web.HTTPServiceUnavailable, "too much is going on here; try again when some of it has ended")
    return await _answer(request, begun)


async def job(request: web.Request) -> web.StreamResponse:
    """The end of a verb that took long. Raises `HTTPException`."""
    who = await administrator(request)
    begun = request.app[OFFICE].job(request.match_info["id"], who.account_id)
    if begun is None:
        raise problem(web.HTTPNotFound, "nothing is known of it any more; look whether it was done")
    return await _answer(request, begun)


async def prove(request: web.Request) -> web.StreamResponse:
    """The present password of who asks. Raises `HTTPException`."""
    who = await administrator(request)
    asked = await _asked(request, Password)
    try:
        await request.app[PROOFS].take(who, peer_of(request), asked.password)
    except LoginRefused as error:
        if error.temporary:
            raise problem(web.HTTPTooManyRequests, error.text) from None
        raise problem(web.HTTPForbidden, "that is not your password") from None
    return web.Response(status=204)


async def _asked(request: web.Request, kind: type[T]) -> T:
    """What a page of ours asks for, as JSON. Raises `HTTPException`."""
    if request.content_type != "application/json":
        raise problem(web.HTTPUnsupportedMediaType, "JSON is asked for")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise problem(web.HTTPBadRequest, f"this is not what is asked for: {error}") from None


async def _answer(request: web.Request, begun: Job) -> web.Response:
    """What the verb said, or that it goes on. Raises `HTTPException`."""
    if not await begun.is_done():
        return web.Response(status=202, body=msgspec.json.encode({"job": begun.id}), content_type="application/json")
    request.app[OFFICE].told(begun)
    try:
        answer = begun.future.result()
    except Exception as error:
        code = errors.exit_code(error)
        if code is None:
            raise
        bad = isinstance(error, errors.BadSetting) and code == errors.CONFIGURATION  # what was asked for, not the house
        kind = web.HTTPUnprocessableEntity if bad else _STATUS.get(code, web.HTTPInternalServerError)
        raise problem(kind, errors.sentence(error)) from None
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
    web.post(JOBS + "{id:[0-9a-f]{16}}", job),
    web.post(PROOF, prove),
    web.get("/static/{path:.+}", pages.static),
    *signin.ROUTES,
)


async def runner(store: Store, config: Callable[[], Config], door: Door) -> web.AppRunner:
    """The administration page, ready to be asked."""
    app = web.Application(middlewares=[guarded()], client_max_size=LIMITS.http_body)
    signin.install(app, store, config, door)
    office = app[OFFICE] = Office(store)
    app[PROOFS] = Proofs(store, door)
    app.on_cleanup.append(office.close)
    app.add_routes(ROUTES)
    return await started(app)
