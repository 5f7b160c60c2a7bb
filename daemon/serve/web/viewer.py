"""A message in its frame: `/message/TOKEN`, and the pictures that come with it below that address; `print` there is the
page that prints itself, for a frame shows paper no more than what is in sight.

The page is framed by the webmail and is of no origin (`sandbox`): no cookie reaches it and it reaches nothing, so its
address is the right to see it (`view_link`). Its policy admits no script, no font, no frame and no form, wherever one
would come from; pictures from elsewhere only if the address says so. On the page that prints itself one script may run,
ours, known by its hash: it asks for the printer, and whoever smuggled it in could do no more.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from daemon.limits import LIMITS
from daemon.mail import view_link
from daemon.mail.decode import decode_transfer
from daemon.mail.message import Message, scan
from daemon.mail.paper import paper
from daemon.mail.view import View, picture, view
from daemon.mail.view_link import ViewLink
from daemon.store import accounts, emails, quarantine
from daemon.store.db import Store
from daemon.store.tx import Tx

STORE = web.AppKey("viewer-store", Store)
PATH = "/message/"
_PART = re.compile(r"[1-9][0-9]{0,3}(?:\.[1-9][0-9]{0,3}){0,60}")
_RULES = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:{remote}; base-uri 'none'; form-action 'none'; "
)
_SANDBOX = "sandbox allow-popups allow-popups-to-escape-sandbox"
FRAMED = f"{_RULES}frame-ancestors 'self'; {_SANDBOX}"
_PRINT = 'addEventListener("load",()=>print())'
_HASH = base64.b64encode(hashlib.sha256(_PRINT.encode()).digest()).decode()
PRINTED = f"{_RULES}frame-ancestors 'none'; script-src 'sha256-{_HASH}'; {_SANDBOX} allow-scripts allow-modals"
_PICTURE = "default-src 'none'; frame-ancestors 'none'; sandbox"
_GONE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Message</title>'
    "<style>:root{color-scheme:light dark}html{font:15px/1.5 system-ui,sans-serif}</style></head>"
    "<body><p>This view is over. Open the message again to read it.</p></body></html>"
)


class Stored(NamedTuple):
    """A message of an account: what we put before it, and itself."""

    prefix: bytes
    message: Message


def address(store: Store, account_id: int, email_id: int, remote: bool) -> str:
    """Where a message can be seen for some time; `remote`: with pictures from elsewhere."""
    expires = store.clock() // 1000 + LIMITS.view_life
    return PATH + view_link.make(ViewLink(account_id, email_id, remote, expires), store.peek(quarantine.link_key))


def read(store: Store, account_id: int, email_id: int) -> Stored | None:
    """The message, if the account has it and may still be entered. For a thread that may wait."""
    row = store.read_now(_row, account_id, email_id)
    return None if row is None else Stored(row.prefix, scan(store.bytes_of(row.place)))


def _row(tx: Tx, account_id: int, email_id: int) -> emails.Email | None:
    """An address outlives the sign-in that it was made in: who was shut out meanwhile sees nothing by it."""
    return emails.rows(tx, account_id, [email_id]).get(email_id) if accounts.is_open(tx, account_id) else None


def look(message: Message, base: str, remote: bool) -> View:
    return view(message.data, message.root, base, remote=remote)


async def show(request: web.Request) -> web.StreamResponse:
    """The page in its frame."""
    return await _answer(request, _page, FRAMED)


async def paper_page(request: web.Request) -> web.StreamResponse:
    """The page that prints itself."""
    return await _answer(request, _paper, PRINTED)


async def _answer(
    request: web.Request, make: Callable[[Store, ViewLink, str], str | None], policy: str
) -> web.StreamResponse:
    """What stands at this address, or that it is over."""
    token = request.match_info["token"]
    link = _link(request, token)
    page = None if link is None else await request.app[STORE].aside(make, request.app[STORE], link, f"{PATH}{token}/")
    if link is None or page is None:
        return web.Response(status=410, text=_GONE, content_type="text/html", headers=headers(FRAMED, remote=False))
    return web.Response(text=page, content_type="text/html", headers=headers(policy, remote=link.remote))


def headers(policy: str = FRAMED, *, remote: bool) -> dict[str, str]:
    """What a page is held to, whatever stands on it."""
    return {
        "Content-Security-Policy": policy.format(remote=" http: https:" if remote else ""),
        "X-Frame-Options": "SAMEORIGIN",
        "X-DNS-Prefetch-Control": "off",
        "Cross-Origin-Opener-Policy": "unsafe-none",
    }


async def part(request: web.Request) -> web.StreamResponse:
    """A picture that came with the message."""
    link = _link(request, request.match_info["token"])
    number = request.match_info["part"]
    found = None
    if link is not None and _PART.fullmatch(number):
        found = await request.app[STORE].aside(_picture, request.app[STORE], link, number)
    if found is None:
        raise web.HTTPNotFound
    held = {
        "Content-Security-Policy": _PICTURE,
        "Cross-Origin-Resource-Policy": "cross-origin",  # the page that shows it is of no origin
        "Content-Disposition": "attachment",
        "Cache-Control": f"private, max-age={LIMITS.view_life}",
    }
    return web.Response(body=found[1], content_type=found[0], headers=held)


def _link(request: web.Request, token: str) -> ViewLink | None:
    store = request.app[STORE]
    return view_link.read(token, store.peek(quarantine.link_key), store.clock() / 1000)


def _page(store: Store, link: ViewLink, base: str) -> str | None:
    found = read(store, link.account_id, link.email_id)
    return None if found is None else look(found.message, base, link.remote).page


def _paper(store: Store, link: ViewLink, base: str) -> str | None:
    found = read(store, link.account_id, link.email_id)
    if found is None:
        return None
    data, root = found.message.data, found.message.root
    title, head = paper(data, root)
    return view(data, root, base, remote=link.remote, title=title, head=f"<script>{_PRINT}</script>{head}").page


def _picture(store: Store, link: ViewLink, number: str) -> tuple[str, bytes] | None:
    found = read(store, link.account_id, link.email_id)
    part = None if found is None else picture(found.message.root, number)
    if found is None or part is None or part.size > LIMITS.view_picture:
        return None
    return part.media, decode_transfer(bytes(found.message.data[part.body : part.end]), part.encoding)


ROUTES = (
    web.get(PATH + "{token}", show),
    web.get(PATH + "{token}/print", paper_page),
    web.get(PATH + "{token}/{part}", part),
)
