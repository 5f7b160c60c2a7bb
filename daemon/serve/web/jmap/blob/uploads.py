"""`/jmap/upload/{accountId}/`: a file for a message, or a whole message (RFC 8620 §6.1).

It goes into the spool while it comes, and into the store when it is whole: one that stops midway leaves nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec.json
from aiohttp import web

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.store import uploads
from daemon.store.db import Store, StoreBusy, StoreFull
from daemon.store.errors import OverQuota
from daemon.store.spool import Body

PATH = "/jmap/upload/"
_TYPE = re.compile(r"[!-~][ -~]{0,200}")


@dataclass(frozen=True, slots=True)
class Uploads:
    """What uploads share, one per process. `busy`: how many come in just now, of each account."""

    store: Store
    config: Callable[[], Config]
    busy: Counter[int] = field(default_factory=Counter)


UPLOADS = web.AppKey("uploads", Uploads)


async def upload(request: web.Request) -> web.StreamResponse:
    who = await visitors.visitor(request)
    shared = request.app[UPLOADS]
    store, busy = shared.store, shared.busy
    if request.match_info["account"] != f"u{who.account_id}":
        raise visitors.problem(web.HTTPNotFound, "there is no such account")
    most: int = shared.config()["limits.message_size"]
    if (request.content_length or 0) > most:
        raise _limit("maxSizeUpload", f"a file has at most {most} octets", web.HTTPRequestEntityTooLarge)
    if busy[who.account_id] >= LIMITS.uploads_at_once:
        raise _limit("maxConcurrentUpload", f"at most {LIMITS.uploads_at_once} uploads at a time")
    busy[who.account_id] += 1
    try:
        with Body(store.data.spool) as body:
            await _receive(request, store, who.account_id, body, most)
            return await _keep(request, store, who.account_id, body)
    finally:
        busy[who.account_id] -= 1
        if not busy[who.account_id]:
            del busy[who.account_id]


async def _receive(request: web.Request, store: Store, account_id: int, body: Body, most: int) -> None:
    try:
        store.peek(uploads.check_room, account_id, request.content_length or 0)
    except OverQuota as error:
        raise _limit("maxUploads", str(error)) from None
    if not store.has_room(request.content_length or 0):
        raise visitors.problem(web.HTTPInsufficientStorage, "no room for new mail just now")
    try:
        async with asyncio.timeout(LIMITS.upload_time):
            while True:
                async with asyncio.timeout(LIMITS.upload_patience):
                    data = await request.content.readany()
                if not data:
                    return
                if body.size + len(data) > most:
                    raise _limit("maxSizeUpload", f"a file has at most {most} octets", web.HTTPRequestEntityTooLarge)
                body.write(data)
    except TimeoutError:
        raise visitors.problem(web.HTTPRequestTimeout, "the file comes too slowly") from None
    except OSError:
        raise visitors.problem(web.HTTPInsufficientStorage, "no room for new mail just now") from None


async def _keep(request: web.Request, store: Store, account_id: int, body: Body) -> web.StreamResponse:
    shown = request.headers.get("Content-Type", "")
    type = shown if _TYPE.fullmatch(shown) else "application/octet-stream"
    try:
        name = await store.write(uploads.put, account_id, body, type, bodies=[body])
    except OverQuota as error:
        raise _limit("maxUploads", str(error)) from None
    except (StoreFull, StoreBusy):
        raise visitors.problem(web.HTTPInsufficientStorage, "no room for new mail just now") from None
    answer = {"accountId": f"u{account_id}", "blobId": name, "type": type, "size": body.size}
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json", status=201)


def _limit(name: str, text: str, kind: type[web.HTTPException] = web.HTTPTooManyRequests) -> web.HTTPException:
    """RFC 8620 §3.6.1."""
    body = {"type": "urn:ietf:params:jmap:error:limit", "limit": name, "status": kind.status_code, "detail": text}
    text = msgspec.json.encode(body).decode()
    if kind is web.HTTPRequestEntityTooLarge:
        return web.HTTPRequestEntityTooLarge(0, 0, text=text, content_type="application/problem+json")
    return kind(text=text, content_type="application/problem+json")


ROUTES = (web.post(PATH + "{account}/", upload),)
