"""`/jmap/download/{accountId}/{blobId}/{name}`: the octets of a message or of a part (RFC 8620 §6.2), whole or a range.

What is downloaded was written by strangers: it is always a file to save, of a type that nobody guesses at, and whoever
shows it all the same shows it in a sandbox. Blobs never change, so a browser may keep them.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

from aiohttp import web

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web import visitors
from daemon.serve.web.jmap import api
from daemon.serve.web.jmap.blob import find_blob
from daemon.serve.web.jmap.blob.stored_blobs import Blob
from daemon.wire.jmap import Problem

PREFIX = "/jmap/download/"
_PIECE = 1 << 18
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069/\\]")
_ANY = "application/octet-stream"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cache-Control": "private, immutable, max-age=31536000",
    "Accept-Ranges": "bytes",
}


async def download(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    desk = request.app[api.API]
    asked = request.match_info
    if object_ids.number(object_ids.ACCOUNT, asked["account"]) != visitor.account_id:
        raise web.HTTPNotFound
    type = request.query.get("type", "")
    if type and not _TYPE.fullmatch(type):
        raise visitors.problem(web.HTTPBadRequest, "type is a media type without parameters")
    try:
        with desk.turn(visitor):
            blob = await desk.store.aside(find_blob.blob, desk.store, visitor.account_id, asked["blob"])
            if blob is None:
                raise web.HTTPNotFound
            headers = {"Content-Disposition": disposition(asked["name"]), "ETag": f'"{asked["blob"]}"', **_HEADERS}
            return await _send(request, blob, type or blob.type, headers)
    except Problem as problem:
        return api.refusal(problem)


ROUTES = (web.get(PREFIX + "{account}/{blob}/{name}", download),)


def disposition(name: str) -> str:
    """A file to save, under this name without what programs could take for something else."""
    name = _CONTROL.sub("_", name).strip(" .") or "attachment"
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _send(request: web.Request, blob: Blob, type: str, headers: dict[str, str]) -> web.StreamResponse:
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    start, end, status = 0, blob.size, 200
    if "Range" in request.headers and request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
        try:
            wanted = request.http_range
        except ValueError:  # several, of another unit, or nonsense: none was asked for (RFC 9110 §14.2)
            wanted = slice(None)
        if (wanted.start, wanted.stop) != (None, None):
            start, end, _ = wanted.indices(blob.size)
            if start >= end:
                raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{blob.size}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
            status = 206
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = type if _TYPE.fullmatch(type) else _ANY
    response.content_length = end - start
    await response.prepare(request)
    store = request.app[api.API].store
    while start < end and request.method != "HEAD":
        piece = await store.aside(blob.read, start, min(_PIECE, end - start))
        async with asyncio.timeout(LIMITS.write_patience):
            await response.write(piece)
        start += len(piece)
    return response
