"""`/jmap/ws`: requests, answers and what changes, all over one WebSocket (RFC 8887).

Requests are answered one after the other, by the same `Api` that HTTP asks; what changes is told in between, from when
the client asks for it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec.json
from aiohttp import WSCloseCode, WSMsgType, web

from daemon import log
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.serve.web.jmap import api
from daemon.serve.web.jmap.method import Arguments, Capability
from daemon.serve.web.jmap.push.events import state_change, state_in
from daemon.serve.web.jmap.push.lasting import PUSH, SIGNED_OUT, Lasting, Push, lasting
from daemon.serve.web.visitors import Visitor
from daemon.wire import jmap
from daemon.wire.jmap import Problem

PATH = "/jmap/ws"
URN = "urn:ietf:params:jmap:websocket"
_NOTHING: frozenset[str] = frozenset()
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


async def socket(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    if "jmap" not in re.split(r"\s*,\s*", request.headers.get("Sec-WebSocket-Protocol", "")):
        raise visitors.problem(web.HTTPBadRequest, "the subprotocol is jmap")
    push = request.app[PUSH]
    with lasting(push, visitor, _NOTHING) as stream:
        ws = web.WebSocketResponse(
            protocols=("jmap",), heartbeat=LIMITS.push_quiet, max_msg_size=LIMITS.jmap_request, compress=False
        )
        await ws.prepare(request)
        desk = Desk(ws, request.app[api.API], push, visitor, stream)
        telling = asyncio.create_task(desk.tell())
        try:
            async for message in ws:
                await desk.hear(message.type, message.data)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    return ws


ROUTES = (web.get(PATH, socket, allow_head=False),)


class Desk:
    """One socket: what it hears, and what it tells."""

    def __init__(
        self, ws: web.WebSocketResponse, answers: api.Api, push: Push, visitor: Visitor, stream: Lasting
    ) -> None:
        self._ws = ws
        self._api = answers
        self._push = push
        self._visitor = visitor
        self._stream = stream

    # -- what the client says ------------------------------------------------------------------------------------------

    async def hear(self, kind: WSMsgType, data: Any) -> None:
        if kind is not WSMsgType.TEXT:  # RFC 8887 §4.1
            await self._ws.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text only")
            return
        name: Any = None
        try:
            said = await self._api.read(data)
            if not isinstance(said, dict):
                raise Problem("notRequest", "a message is an object")
            name = said.pop("id", None)
            await self._do(said.pop("@type", None), said, name)
        except Problem as problem:
            told = api.told(problem)
            await self._say({"@type": "RequestError", "requestId": name if isinstance(name, str) else None, **told})

    async def _do(self, kind: Any, said: Arguments, name: Any) -> None:
        """Raises `Problem`."""
        if kind == "Request":
            if name is not None and not isinstance(name, str):
                raise Problem("notRequest", "an id is a string")
            if not visitors.is_here(self._push.store, self._visitor):  # a session ends also by its age, unheard
                self._stream.end(SIGNED_OUT)
                return
            await self._say(await self._answer(said, name))
        elif kind == "WebSocketPushEnable":
            self._enable(said)
        elif kind == "WebSocketPushDisable":
            self._stream.ear.types = _NOTHING
            self._stream.ear.take()
        else:
            raise Problem("notRequest", "@type is Request, WebSocketPushEnable or WebSocketPushDisable")

    async def _answer(self, said: Arguments, name: str | None) -> Arguments:
        """Within the time that an answer over HTTP may take. Raises `Problem`."""
        asked = jmap.request_of(said)
        try:
            with self._api.turn(self._visitor):
                async with asyncio.timeout(LIMITS.http_answer):
                    answer = await self._api.answer(self._visitor, asked)
        except TimeoutError:
            late = {"type": "about:blank", "status": 503, "detail": "this takes too long"}
            return {"@type": "RequestError", "requestId": name, **late}
        about = {} if name is None else {"requestId": name}
        return {"@type": "Response", **about, **answer}

    def _enable(self, said: Arguments) -> None:
        """RFC 8887 §4.3.5.2."""
        types, since = said.get("dataTypes"), said.get("pushState")
        if types is not None and not (
            isinstance(types, list) and all(isinstance(each, str) and _TYPE.fullmatch(each) for each in types)
        ):
            raise Problem("notRequest", "dataTypes is null, or a list of types")
        self._stream.ear.types = None if types is None else frozenset(types)
        self._push.news.catch_up(self._stream.ear, state_in(since if isinstance(since, str) else ""))

    # -- what is told --------------------------------------------------------------------------------------------------

    async def tell(self) -> None:
        """What changes, until it is over."""
        stream, news = self._stream, self._push.news
        try:
            while not stream.look():
                if changed := stream.ear.take():
                    now = news.state(self._visitor.account_id)
                    await self._say({**state_change(self._visitor, changed), "pushState": f"{now.modseq}.{now.newest}"})
                    await asyncio.sleep(LIMITS.push_pause)
                else:
                    await stream.ear.rings.wait()
                    stream.ear.rings.clear()
            await self._ws.close(code=WSCloseCode.GOING_AWAY, message=stream.over.encode()[:120])
        except (ConnectionError, TimeoutError):
            pass
        except Exception as error:
            log.fault("push-fault", error)
            await self._ws.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _say(self, value: Arguments) -> None:
        async with asyncio.timeout(LIMITS.write_patience):
            await self._ws.send_frame(msgspec.json.encode(value), WSMsgType.TEXT)


def _session(config: Config) -> Arguments:
    """RFC 8887 §3; the session resource puts the host in front."""
    return {"url": PATH, "supportsPush": True}


CAPABILITY = Capability(URN, {}, _session, None)
