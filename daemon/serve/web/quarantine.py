"""The page behind a link of a digest: what it would do, with one button; the button does it.

Who opens it only looks, for programs that search mail for bad links open each of them. The link itself is the right:
nobody logs in. Nothing is fetched, nothing is kept, nothing tells others of the address (it is a secret).
"""

from __future__ import annotations

import html

from aiohttp import web

from daemon.admin import quarantine as admin
from daemon.admin.quarantine import Outcome
from daemon.mail.headers import format_date
from daemon.mail.link import ACTIONS
from daemon.store.db import Store

STORE = web.AppKey("quarantine-store", Store)
PATH = f"/quarantine/{{action:{'|'.join(ACTIONS)}}}"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
_WANTED = {
    "release": "Deliver to my INBOX",
    "allow": "Deliver to my INBOX, and always let this sender in",
    "block": "Throw away, and block this sender",
}
_DONE = {
    "release": "The message is in your INBOX.",
    "allow": "The message is in your INBOX, and its sender is let in from now on.",
    "block": "The message is thrown away, and its sender is blocked from now on.",
}
_SAID = {
    "gone": (410, "The message is not kept any more: it was released or thrown away, or its time is over."),
    "expired": (410, "This link is too old: the message is not kept any more."),
    "bad": (404, "This link is not one of ours. Was it cut off?"),
    "forbidden": (403, "Only the administrator of this server can release this message."),
    "infected": (403, "A virus was found in this message: it is not released."),
    "later": (503, "It cannot be looked into for viruses just now. Please try again in some minutes."),
    "full": (409, "It cannot be done: your mailbox, or your list of senders, is full."),
}


async def show(request: web.Request) -> web.StreamResponse:
    token = request.query.get("token", "")
    store = request.app[STORE]
    return _page(_of_its_path(request, await store.aside(admin.look, store, token)), token)


async def act(request: web.Request) -> web.StreamResponse:
    store = request.app[STORE]
    token = str((await request.post()).get("token", ""))
    seen = _of_its_path(request, await store.aside(admin.look, store, token))
    return _page(await store.aside(admin.follow, store, token) if seen.result == "ready" else seen, token)


ROUTES = (web.get(PATH, show), web.post(PATH, act))


def _of_its_path(request: web.Request, found: Outcome) -> Outcome:
    """What the address says is what happens: a link to release is none to block."""
    same = not found.action or found.action == request.match_info["action"]
    return found if same else Outcome("bad")


def _page(found: Outcome, token: str) -> web.Response:
    about, button, status = "", "", 200
    if found.result in ("ready", "done", "forbidden", "infected", "later", "full"):
        author, subject = html.escape(found.author or "nobody"), html.escape(found.subject or "(no subject)")
        about = f"<p>From {author}<br>{format_date(found.kept_at / 1000)}<br><b>{subject}</b></p>"
    if found.result == "ready":
        said = "This message was kept from your INBOX."
        field = f'<input type="hidden" name="token" value="{html.escape(token)}">'
        button = f'<form method="post">{field}<button>{_WANTED[found.action]}</button></form>'
    elif found.result == "done":
        said = _DONE[found.action]
    else:
        status, said = _SAID[found.result]
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Kept mail</title></head>'
        f"<body><h1>Kept mail</h1><p>{said}</p>{about}{button}</body></html>"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)
