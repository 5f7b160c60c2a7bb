"""The webmail's files: `/` and `/static/...`. Plain files, read and packed once, when the first of them is asked for.

The page names its files below `/static/v-<digest of them all>/`: a browser keeps those for good, and a new version of
the server has new names. Nothing here is anybody's data; who signs in asks JMAP from this page.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

PLACE = Path(__file__).parent / "static"
_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_VERSION = re.compile(r"v-([0-9a-f]{16})/", re.ASCII)
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"  # may be kept, and is asked for with its tag
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class File(NamedTuple):
    kind: str
    body: bytes
    packed: bytes
    tag: str


class Shelf(NamedTuple):
    """All files by their path below `static`, and the digest that names this set of them."""

    files: dict[str, File]
    version: str


@cache
def shelf() -> Shelf:
    """What there is. Reads the disk once; some milliseconds."""
    found = {p.relative_to(PLACE).as_posix(): p.read_bytes() for p in sorted(PLACE.rglob("*")) if p.suffix in _KINDS}
    whole = hashlib.sha256()
    for name, body in found.items():
        whole.update(f"{name}\0{len(body)}\0".encode() + body)
    version = whole.hexdigest()[:16]
    files = {}
    for name, body in found.items():
        if name.endswith(".html"):
            body = body.replace(b'"/static/', f'"/static/v-{version}/'.encode())
        tag = hashlib.sha256(body).hexdigest()[:20]
        files[name] = File(_KINDS[Path(name).suffix], body, gzip.compress(body, 9, mtime=0), tag)
    return Shelf(files, version)


async def index(request: web.Request) -> web.StreamResponse:
    """The one page of the webmail."""
    return answer(request, (await _shelf()).files["index.html"], _ASK, POLICY)


async def static(request: web.Request) -> web.StreamResponse:
    """A file of the webmail. Raises `HTTPNotFound`."""
    shelf = await _shelf()
    path = request.match_info["path"]
    version = _VERSION.match(path)
    file = shelf.files.get(path[version.end() :] if version else path)
    if file is None or file.kind == "text/html":
        raise web.HTTPNotFound
    same = version is not None and version[1] == shelf.version
    return answer(request, file, _FOREVER if same else _ASK)


ROUTES = (web.get("/", index), web.get("/static/{path:.+}", static))


def answer(request: web.Request, file: File, keep: str, policy: str = "") -> web.Response:
    """The file, packed where the browser unpacks; 304 when it has it. No policy: the one of all that is no page."""
    headers = {"ETag": f'"{file.tag}"', "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if policy:
        headers["Content-Security-Policy"] = policy
    if any(tag.value == file.tag for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = file.packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, content_type=file.kind, charset="utf-8", headers=headers)


async def _shelf() -> Shelf:
    return await asyncio.to_thread(shelf)
