"""`/jmap/session` and `/jmap/api`: what there is, and requests of several method calls, answered in order (RFC 8620
§2, §3).

`Api.answer` is the whole of it, without HTTP: a WebSocket asks the same way (RFC 8887).
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import msgspec.json
from aiohttp import web

from daemon import log
from daemon.config import Config
from daemon.flow.judging import Judge
from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.login import Door
from daemon.serve.web import visitors
from daemon.serve.web.jmap import session
from daemon.serve.web.jmap.method import Arguments, Call, Capability, Method, MethodError
from daemon.serve.web.visitors import Visitor
from daemon.store.db import Store, StoreBusy, StoreError, StoreFull
from daemon.wire import jmap
from daemon.wire.jmap import Invocation, Problem, Request

WELL_KNOWN = "/.well-known/jmap"
SESSION = "/jmap/session"
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_LONG = 1 << 18  # octets of a request that are not read on the loop, or of an answer that are sent at once
_NO_ACCOUNT = ("Core", "PushSubscription")  # types that belong to no account


class Api:
    """What answers requests; one per process."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        door: Door,
        capabilities: Sequence[Capability],
        judge: Judge | None = None,
    ) -> None:
        """`judge` looks at what is sent."""
        self.judge = judge
        self.store = store
        self.config = config
        self.door = door
        self.capabilities = capabilities
        self._by_urn = {each.urn: each for each in capabilities}
        self._busy: Counter[int] = Counter()

    @contextmanager
    def turn(self, visitor: Visitor) -> Iterator[None]:
        """One request of this user, or one download. Raises `Problem` (limit) when he has too many at once."""
        if self._busy[visitor.account_id] >= LIMITS.jmap_concurrent:
            raise Problem("limit", "too many requests at once", "maxConcurrentRequests")
        self._busy[visitor.account_id] += 1
        try:
            yield
        finally:
            self._busy[visitor.account_id] -= 1
            if not self._busy[visitor.account_id]:
                del self._busy[visitor.account_id]

    async def read(self, data: bytes | str) -> Any:
        """JSON of a client; beside the loop where it is long, for that may take some 50 ms. Raises `Problem`."""
        return jmap.decode(data) if len(data) <= _LONG else await self.store.aside(jmap.decode, data)

    async def answer(self, visitor: Visitor, request: Request) -> Arguments:
        """The Response object. Raises `Problem` for a request that is refused as a whole."""
        for urn in request.using:
            if urn not in self._by_urn:
                raise Problem("unknownCapability", f"{urn} is no capability of this server")
        if len(request.calls) > LIMITS.jmap_calls:
            raise Problem("limit", f"at most {LIMITS.jmap_calls} calls in one request", "maxCallsInRequest")
        methods = {name: one for urn in request.using for name, one in self._by_urn[urn].methods.items()}
        config = self.config()
        created = dict(request.created or {})
        answers: list[Invocation] = []
        written: list[msgspec.Raw] = []
        octets = 0
        for asked in request.calls:
            call = Call(
                self.store, config, self.door, visitor, visitor.account_id, request.using, created, [], self.judge
            )
            method = methods.get(asked.name) if octets <= LIMITS.jmap_answer else _too_much
            for answer in await _answered(call, method, asked, answers):
                answers.append(answer)
                written.append(msgspec.Raw(msgspec.json.encode(answer)))
                octets += len(written[-1])
                await asyncio.sleep(0)  # others have the loop between two calls that never waited
        response: Arguments = {
            "methodResponses": written,
            "sessionState": session.state(self.capabilities, config, visitor),
        }
        if request.created is not None:
            response["createdIds"] = created
        return response


API = web.AppKey("jmap-api", Api)


async def well_known(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(SESSION)


async def resource(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    desk = request.app[API]
    config = desk.config()
    host = request.host if _HOST.fullmatch(request.host) else config.hostname
    found = session.resource(desk.capabilities, config, visitor, f"https://{host}")
    headers = {"Cache-Control": "no-cache, no-store"}
    return web.Response(body=msgspec.json.encode(found), content_type="application/json", headers=headers)


async def api(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    desk = request.app[API]
    try:
        if request.content_type != "application/json":
            raise Problem("notJSON", "the content type is not application/json")
        with desk.turn(visitor):
            asked = jmap.request_of(await desk.read(await body(request)))
            return await _told(request, msgspec.json.encode(await desk.answer(visitor, asked)))
    except Problem as problem:
        return refusal(problem)


async def _told(request: web.Request, body: bytes) -> web.StreamResponse:
    """A long answer goes in pieces, as fast as the client takes it: to encrypt all at once would hold the loop."""
    if len(body) <= _LONG:
        return web.Response(body=body, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    whole = memoryview(body)
    for start in range(0, len(body), _LONG):
        async with asyncio.timeout(LIMITS.write_patience):
            await response.write(whole[start : start + _LONG])
    return response


ROUTES = (web.get(WELL_KNOWN, well_known), web.get(SESSION, resource), web.post(session.API, api))


async def body(request: web.Request) -> bytes:
    """The octets of a request. Raises `Problem` (limit) before more than that are read."""
    limit = LIMITS.jmap_request
    if request.content_length is not None and request.content_length > limit:
        raise Problem("limit", f"a request has at most {limit} octets", "maxSizeRequest")
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > limit:
            raise Problem("limit", f"a request has at most {limit} octets", "maxSizeRequest")
    return bytes(data)


def refusal(problem: Problem) -> web.Response:
    """The whole request is refused (RFC 8620 §3.6.1, RFC 7807)."""
    status = 429 if problem.limit == "maxConcurrentRequests" else 400
    return web.Response(
        status=status,
        body=msgspec.json.encode(told(problem, status)),
        content_type="application/problem+json",
    )


def told(problem: Problem, status: int = 400) -> Arguments:
    """A problem as an object."""
    found: Arguments = {"type": problem.type, "status": status, "detail": problem.detail}
    return {**found, "limit": problem.limit} if problem.limit else found


async def _answered(
    call: Call, method: Method | None, asked: Invocation, before: Sequence[Invocation]
) -> list[Invocation]:
    """What one call is answered: a fault in it is told, and the other calls go on (RFC 8620 §3.6.2)."""
    try:
        if method is None:
            raise MethodError("unknownMethod", f"{asked.name} is no method of the capabilities in use")
        arguments = _resolved(asked.arguments, before)
        _same_account(asked.name, arguments, call.visitor)
        answer = await method(call, arguments)
        return [Invocation(asked.name, answer, asked.mark), *(Invocation(*each, asked.mark) for each in call.more)]
    except MethodError as error:
        said = error.answer
    except (StoreError, sqlite3.OperationalError) as error:
        said = _trouble(error)
    except Exception as error:
        log.fault("jmap-fault", error, method=asked.name)
        said = {"type": "serverFail", "description": "a fault of ours"}
    return [Invocation("error", said, asked.mark)]


async def _too_much(call: Call, arguments: Arguments) -> Arguments:
    raise MethodError("requestTooLarge", "the answers before this one are too long")


def _resolved(arguments: Arguments, answers: Sequence[Invocation]) -> Arguments:
    try:
        return jmap.resolve(arguments, answers)
    except jmap.BadReference as error:
        raise MethodError("invalidResultReference", str(error)) from None
    except jmap.BadArguments as error:
        raise MethodError("invalidArguments", str(error)) from None


def _same_account(name: str, arguments: Arguments, visitor: Visitor) -> None:
    """Nobody sees another's account, not even whether it is there."""
    if name.partition("/")[0] in _NO_ACCOUNT:
        return
    for field in ("accountId", "fromAccountId"):
        value = arguments.get(field)
        if isinstance(value, str) and object_ids.number(object_ids.ACCOUNT, value) != visitor.account_id:
            raise MethodError("accountNotFound" if field == "accountId" else "fromAccountNotFound")


def _trouble(error: Exception) -> Arguments:
    if isinstance(error, StoreFull):
        return {"type": "serverUnavailable", "description": "there is no room on the server"}
    if isinstance(error, StoreBusy | sqlite3.OperationalError):
        return {"type": "serverUnavailable", "description": "the server is busy, try again"}
    log.trouble("jmap-store", error=error)
    return {"type": "serverFail", "description": "the server cannot read its store"}
