"""The webmail's files: kept by browsers as long as they are right, under a policy that lets nothing else run."""

from __future__ import annotations

import gzip
import re

import pytest

from daemon.serve.web import pages
from tests.serve.web.conftest import Site, leave

HOST = "mail.example.org"


async def ask(site: Site, path: str, *fields: str) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields in small letters, body."""
    reader, writer = await site.dial(host=HOST)
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *fields]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    await leave(writer)
    first, *rest = head.decode().split("\r\n")
    named = dict(line.split(": ", 1) for line in rest)
    return int(first.split(" ")[1]), {key.lower(): value for key, value in named.items()}, body


async def test_the_page_names_its_files_by_what_they_hold(site: Site) -> None:
    site.open()
    status, head, body = await ask(site, "/")
    assert (status, head["content-type"], head["cache-control"]) == (200, "text/html; charset=utf-8", "no-cache")
    paths = re.findall(r'"(/static/[^"]+)"', body.decode())
    assert paths and all(path.startswith(f"/static/v-{pages.shelf().version}/") for path in paths)
    for path in paths:
        status, head, _ = await ask(site, path)
        assert status == 200 and "immutable" in head["cache-control"], path


async def test_nothing_runs_but_our_own_scripts(site: Site) -> None:
    site.open()
    _, head, body = await ask(site, "/")
    policy = dict(part.split(" ", 1) for part in head["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert head["x-content-type-options"] == "nosniff" and head["referrer-policy"] == "no-referrer"
    assert not re.search(rb"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", body)


async def test_a_browser_that_has_it_gets_it_not_again(site: Site) -> None:
    site.open()
    _, head, _ = await ask(site, "/static/base.css")
    assert head["cache-control"] == "no-cache"
    status, _, body = await ask(site, "/static/base.css", f"If-None-Match: {head['etag']}")
    assert (status, body) == (304, b"")
    status, _, body = await ask(site, "/static/base.css", 'If-None-Match: "another"')
    assert status == 200 and body == pages.shelf().files["base.css"].body


async def test_files_travel_packed(site: Site) -> None:
    site.open()
    _, head, body = await ask(site, "/static/main.js", "Accept-Encoding: gzip, br")
    assert head["content-encoding"] == "gzip" and head["vary"] == "Accept-Encoding"
    assert gzip.decompress(body) == pages.shelf().files["main.js"].body


async def test_a_page_of_another_version_gets_ours_and_keeps_it_not(site: Site) -> None:
    site.open()
    status, head, _ = await ask(site, "/static/v-0123456789abcdef/main.js")
    assert (status, head["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/none.js", "/static/index.html", "/static/../pages.py", "/static/%2e%2e/pages.py",
        "/static/..%2fpages.py", "/static//etc/passwd", "/static/v-0123456789abcdef/", "/static/v-XYZ/main.js",
        "/static/main.js%00", "/static/v-0123456789abcdef/v-0123456789abcdef/main.js",
    ],
)  # fmt: skip
async def test_nothing_else_is_there(site: Site, path: str) -> None:
    site.open()
    assert (await ask(site, path))[0] == 404


async def test_every_module_that_a_module_asks_for_is_there() -> None:
    files = pages.shelf().files
    for name, file in files.items():
        if not name.endswith(".js"):
            continue
        here = name.rpartition("/")[0]
        asked = re.findall(r'(?:from|import)\s*\(?\s*["\'](\.{1,2}/[^"\'$]+)["\']', file.body.decode())
        for path in asked:
            parts = here.split("/") if here else []
            for part in path.split("/"):
                if part == "..":
                    parts.pop()
                elif part != ".":
                    parts.append(part)
            assert "/".join(parts) in files, f"{name} asks for {path}"


async def test_the_page_asks_for_all_modules_at_once_that_it_needs_to_begin() -> None:
    files = pages.shelf().files
    needed: set[str] = set()
    new = ["main.js"]
    while new:
        name = new.pop()
        asked = set(re.findall(r'^import[^;]*?"\./([^"]+)"', files[name].body.decode(), re.MULTILINE)) - needed
        needed |= asked
        new += asked
    preloaded = set(re.findall(r'"modulepreload" href="/static/v-\w+/([^"]+)"', files["index.html"].body.decode()))
    assert preloaded == needed
