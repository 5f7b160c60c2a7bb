"""`/jmap/export`: all mail of a user, as a zip with an mbox for each mailbox, made while it is sent.

A thread reads, packs and writes into a pipe of a few pieces: it never runs ahead of the client, and nothing is held but
those. It is an answer that lasts (`jmap.lasting`): it ends when the client goes, with his sessions and with the server.
A download that does not come to its end is cut, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from aiohttp import web

from daemon import log
from daemon.admin import exports
from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.serve.web.jmap.push.lasting import PUSH, Lasting, lasting
from daemon.serve.web.visitors import Visitor

PATH = "/jmap/export"
_PIECE = 1 << 18  # octets
_AHEAD = 2  # pieces


class Threads:
    """Who reads for whom; one per process."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(LIMITS.exports, "export")
        self._busy: set[int] = set()

    @contextmanager
    def turn(self, account_id: int) -> Iterator[None]:
        """Raises `HTTPTooManyRequests`."""
        if account_id in self._busy or len(self._busy) >= LIMITS.exports:
            raise visitors.problem(web.HTTPTooManyRequests, "mail is being exported already, try again later")
        self._busy.add(account_id)
        try:
            yield
        finally:
            self._busy.discard(account_id)


THREADS = web.AppKey("exports", Threads)


async def export(request: web.Request) -> web.StreamResponse:
    visitor = await visitors.visitor(request)
    with request.app[THREADS].turn(visitor.account_id), lasting(request.app[PUSH], visitor, frozenset()) as stream:
        return await _send(request, visitor, stream)


ROUTES = (web.get(PATH, export, allow_head=False),)


async def close(app: web.Application) -> None:
    app[THREADS].pool.shutdown(wait=False, cancel_futures=True)


async def _send(request: web.Request, visitor: Visitor, stream: Lasting) -> web.StreamResponse:
    store, user = request.app[PUSH].store, str(visitor.identity.address)
    what = await store.aside(exports.select, store, user)
    response = web.StreamResponse(headers={"Content-Type": "application/zip", "Content-Disposition": _named(user)})
    await response.prepare(request)
    pipe = Pipe(asyncio.get_running_loop())
    work = asyncio.get_running_loop().run_in_executor(
        request.app[THREADS].pool, exports.to_zip, store, what, cast(BinaryIO, pipe)
    )
    work.add_done_callback(lambda _: pipe.end())
    try:
        while (piece := await pipe.next()) is not None and not _is_over(stream):
            async with asyncio.timeout(LIMITS.write_patience):
                await response.write(piece)
        if stream.over:
            raise ConnectionAbortedError(stream.over)
        done = await work
    except Exception as error:
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.fault("export-fault", error, user=user)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from None
    finally:
        pipe.gone = True
        pipe.empty()
        await asyncio.gather(work, return_exceptions=True)
    log.event("exported", user=user, messages=done.exported, octets=done.octets)
    return response


def _is_over(stream: Lasting) -> bool:
    if stream.ear.rings.is_set():
        stream.ear.rings.clear()
        stream.look()
    return bool(stream.over)


def _named(user: str) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    safe = "".join(each if each.isascii() and (each.isalnum() or each in "@.-_") else "_" for each in user)
    return f'attachment; filename="{safe}-{day}.zip"'


class Pipe(io.RawIOBase):
    """Written to by a thread, read by the loop; who writes waits until there is room. `gone`: nobody reads any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.gone = False
        self._loop = loop
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)
        self._gathered = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._gathered += data
        if len(self._gathered) >= _PIECE:
            self._pass_on()
        return len(data)

    def _pass_on(self) -> None:
        if self.gone:
            raise BrokenPipeError("nobody reads any more")
        piece, self._gathered = bytes(self._gathered), bytearray()
        asyncio.run_coroutine_threadsafe(self._queue.put(piece), self._loop).result()

    async def next(self) -> bytes | None:
        """None at the end."""
        piece = await self._queue.get()
        return piece

    def end(self) -> None:
        """On the loop, when the thread has written all: what is left, then the end."""
        if not self.gone:
            self._loop.create_task(self._finish())

    async def _finish(self) -> None:
        if self._gathered:
            await self._queue.put(bytes(self._gathered))
        await self._queue.put(None)

    def empty(self) -> None:
        """Whoever waits for room has it."""
        while not self._queue.empty():
            self._queue.get_nowait()
