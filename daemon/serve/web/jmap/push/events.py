"""`/jmap/events`: which types changed, told as they do, to a client that only listens (RFC 8620 §7.3).

An event's id is how far the account was; a client that comes back with it as `Last-Event-ID` first hears what it
missed. After each event there is a moment's pause, in which further changes gather for the next.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec.json
from aiohttp import web

from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.serve.web.jmap.method import Arguments
from daemon.serve.web.jmap.push.lasting import PUSH, Lasting, lasting
from daemon.serve.web.visitors import Visitor
from daemon.store.states import State

PATH = "/jmap/events"
TEMPLATE = PATH + "?types={types}&closeafter={closeafter}&ping={ping}"
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Asked(NamedTuple):
    """`types` None: all. `ping`: seconds, 0 for none."""

    types: frozenset[str] | None
    once: bool
    ping: int
    since: State | None


async def events(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    asked = read(request)
    push = request.app[PUSH]
    with lasting(push, visitor, asked.types, asked.since) as stream:
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        await _write(response, b": listening\n\n")
        while not stream.look():
            if changed := stream.ear.take():
                now = push.news.state(visitor.account_id)
                said = msgspec.json.encode(state_change(visitor, changed))
                await _write(response, b"id: %d.%d\nevent: state\ndata: %b\n\n" % (*now, said))
                if asked.once:
                    break
                await asyncio.sleep(LIMITS.push_pause)
            elif not await _rung(stream, asked.ping):
                await _write(response, _ping(asked.ping))
        return response


ROUTES = (web.get(PATH, events, allow_head=False),)


def read(request: web.Request) -> Asked:
    """What a request asks for; what it leaves out is all types, for ever, without pings. Raises `HTTPBadRequest`."""
    query = request.query
    types, once, ping = query.get("types", "*"), query.get("closeafter", "no"), query.get("ping", "0")
    names = frozenset(name for name in types.split(",") if name)
    known = names and all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,63}|\*", name) for name in names)
    if not known or once not in ("state", "no") or not re.fullmatch(r"[0-9]{1,9}", ping):
        raise visitors.problem(
            web.HTTPBadRequest, "types are names with commas, or *; closeafter is state or no; ping is a number"
        )
    every = int(ping) and min(max(int(ping), LIMITS.push_ping_least), LIMITS.push_ping_most)
    since = state_in(request.headers.get("Last-Event-ID", ""))
    return Asked(None if "*" in names else names, once == "state", every, since)


def state_in(text: str) -> State | None:
    """How far the account was when a client heard of it last; None for what we did not say."""
    seen = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})", text)
    return State(int(seen[1]), int(seen[2])) if seen else None


def state_change(visitor: Visitor, changed: Mapping[str, str]) -> Arguments:
    """RFC 8620 §7.1."""
    return {"@type": "StateChange", "changed": {f"u{visitor.account_id}": changed}}


async def _rung(stream: Lasting, ping: int) -> bool:
    """Whether there is something to look at; else it was quiet for the time that the client asked for, or for so long
    that something must be said to keep the way open."""
    try:
        async with asyncio.timeout(ping or LIMITS.push_quiet):
            await stream.ear.rings.wait()
    except TimeoutError:
        return False
    stream.ear.rings.clear()
    return True


def _ping(interval: int) -> bytes:
    return b'event: ping\ndata: {"interval":%d}\n\n' % interval if interval else b": still here\n\n"


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(LIMITS.write_patience):
        await response.write(data)
