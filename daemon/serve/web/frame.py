"""What every application of ours over HTTP is held to: bounds, careful headers, faults that are told as such."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web, web_response
from aiohttp.typedefs import Middleware

from daemon import log
from daemon.limits import LIMITS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SILENT = logging.Logger("web", logging.CRITICAL + 1)  # aiohttp's traceback for each malformed request of a stranger
_YEAR = 31_536_000
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


def guarded(lasting: tuple[str, ...] = ()) -> Middleware:
    """Bounds an answer in time, but below the paths of `lasting`; a fault of ours is told as one, and logged."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hdrs.HOST not in request.headers:  # RFC 9112 §3.2; aiohttp would ask the resolver for a name, on the loop
            raise web.HTTPBadRequest
        try:
            async with asyncio.timeout(None if request.path.startswith(lasting) else LIMITS.http_answer):
                return await handler(request)
        except (web.HTTPException, ConnectionError):  # who asked may have gone in the middle of an answer
            raise
        except TimeoutError:
            raise web.HTTPServiceUnavailable from None
        except Exception as error:
            log.fault("web-fault", error, path=request.path)
            raise web.HTTPInternalServerError from None

    return guard


async def careful(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing of ours is guessed at, framed, kept or told to others, unless a page says so itself. A browser that saw a
    certificate which somebody vouches for comes back by HTTPS only (RFC 6797)."""
    response.headers.popall("Server", None)
    response.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in _CAREFUL.items():
        response.headers.setdefault(name, value)
    tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    if tls is not None and getattr(tls.context, "vouched", False):
        response.headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR}")


async def started(app: web.Application) -> web.AppRunner:
    """The application, ready to be asked: its `server()` is a protocol for one connection."""
    # no hook reaches what aiohttp itself answers to a malformed request
    setattr(web_response, "SERVER_SOFTWARE", "")  # noqa: B010
    app.on_response_prepare.append(careful)
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
