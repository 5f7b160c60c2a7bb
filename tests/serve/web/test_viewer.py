"""The frame of a message: what it is held to, and who may see it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Callable

import pytest

from daemon.limits import LIMITS
from daemon.serve.web import viewer
from daemon.store import accounts, domains, messages
from daemon.store.tx import Tx
from tests.mail.test_message import multipart
from tests.serve.web.conftest import Site
from tests.serve.web.test_app import status
from tests.store.stage import DOMAIN, add_user, deliver

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
PART = b"Content-Type: image/png; name=x.png\r\nContent-ID: <a@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
LETTER = multipart(
    b"b",
    b"Content-Type: text/html\r\n\r\n<p>Hello<script>x</script><img src=cid:a@x><img src=https://a.example/1>",
    PART + base64.b64encode(PNG),
    b"Content-Type: image/svg+xml\r\n\r\n<svg/>",
).replace(b"mixed", b"related")


def placed(site: Site, data: bytes = LETTER) -> tuple[int, int]:
    account = site.store.write_now(add_user, "alice")
    return account, deliver(site.store, account, data).email_id


def fields(answer: str) -> dict[str, str]:
    lines = answer.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def test_the_page_and_what_it_is_held_to(site: Site) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    answer = await site.ask(where)
    assert status(answer) == 200
    assert f'<p>Hello<img src="{where}/2"><img></p>' in answer and "script" not in answer.partition("\r\n\r\n")[2]
    held = fields(answer)
    policy = {rule.partition(" ")[0]: rule.partition(" ")[2] for rule in held["content-security-policy"].split("; ")}
    assert policy == {
        "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "'self' data:", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'self'", "sandbox": "allow-popups allow-popups-to-escape-sandbox",
    }  # fmt: skip
    assert held["x-frame-options"] == "SAMEORIGIN" and held["x-content-type-options"] == "nosniff"
    assert held["referrer-policy"] == "no-referrer" and held["cache-control"] == "no-store"
    assert held["content-type"].startswith("text/html")


async def test_the_page_that_prints_itself(site: Site) -> None:
    """One script may run there, and it is ours; the page is of no origin all the same, and nobody frames it."""
    account, email = placed(site, b"Subject: <b>\r\nDate: Tue, 03 Nov 2026 10:31:00 +0000\r\n" + LETTER)
    site.open()
    where = viewer.address(site.store, account, email, False)
    answer = await site.ask(f"{where}/print")
    page = answer.partition("\r\n\r\n")[2]
    (script,) = re.findall(r"<script>(.*?)</script>", page)
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = fields(answer)["content-security-policy"]
    assert f"script-src 'sha256-{known}';" in policy and "default-src 'none';" in policy
    assert "frame-ancestors 'none'" in policy and "sandbox" in policy and "allow-same-origin" not in policy
    assert "<h1>&lt;b&gt;</h1>" in page and f'<img src="{where}/2">' in page and "a.example" not in page
    assert "a.example" in await site.ask(viewer.address(site.store, account, email, True) + "/print")
    for gone in (f"{where}A/print", viewer.address(site.store, account, email + 1, False) + "/print"):
        answer = await site.ask(gone)
        assert status(answer) == 410 and "<script" not in answer and "script-src" not in answer


async def test_pictures_from_elsewhere_only_where_the_address_says_so(site: Site) -> None:
    account, email = placed(site)
    site.open()
    answer = await site.ask(viewer.address(site.store, account, email, True))
    assert "img-src 'self' data: http: https:;" in fields(answer)["content-security-policy"]
    assert '<img src="https://a.example/1">' in answer


async def test_pictures_that_came_with_it(site: Site) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    reader, writer = await site.dial()
    writer.write(f"GET {where}/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    held = fields(head.decode())
    assert body == PNG and held["content-type"] == "image/png" and held["x-content-type-options"] == "nosniff"
    assert held["content-disposition"] == "attachment" and "sandbox" in held["content-security-policy"]
    assert held["cross-origin-resource-policy"] == "cross-origin"
    for part in ("1", "3", "4", "0", "x", "2.1", "../2", "2/"):
        assert status(await site.ask(f"{where}/{part}")) == 404, part


async def test_who_has_no_address_of_ours_sees_nothing(site: Site) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    for wrong in ("/message/x", where + "A", where[:-1] + ("A" if where[-1] != "A" else "B")):
        answer = await site.ask(wrong)
        assert (
            status(answer) == 410 and "Hello" not in answer and "sandbox" in fields(answer)["content-security-policy"]
        )
    assert status(await site.ask(viewer.address(site.store, account, email + 1, False))) == 410
    assert status(await site.ask(viewer.address(site.store, account + 1, email, False))) == 410
    site.store.write_now(messages.purge, account, 10)
    assert status(await site.ask(where)) == 410 and status(await site.ask(where + "/2")) == 404


def _disable_user(tx: Tx, account: int, enabled: bool) -> None:
    accounts.change(tx, account, enabled=int(enabled))


def _disable_domain(tx: Tx, _account: int, enabled: bool) -> None:
    domains.change(tx, DOMAIN, enabled=int(enabled))


@pytest.mark.parametrize("put", [_disable_user, _disable_domain])
async def test_who_is_shut_out_sees_nothing_by_an_address_of_before(
    site: Site, put: Callable[[Tx, int, bool], None]
) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    assert status(await site.ask(where)) == 200
    site.store.write_now(put, account, False)
    answer = await site.ask(where)
    assert status(answer) == 410 and "Hello" not in answer
    assert status(await site.ask(where + "/2")) == 404
    site.store.write_now(put, account, True)
    assert status(await site.ask(where)) == 200


async def test_the_addresses_of_a_user_go_with_him(site: Site) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    site.store.write_now(messages.purge, account, 10)
    site.store.write_now(accounts.remove, account)
    assert status(await site.ask(where)) == 410 and status(await site.ask(where + "/2")) == 404


async def test_an_address_of_a_view_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    account, email = placed(site)
    site.open()
    monkeypatch.setattr(viewer, "LIMITS", dataclasses.replace(LIMITS, view_life=-1))
    assert status(await site.ask(viewer.address(site.store, account, email, False))) == 410


async def test_a_picture_has_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    account, email = placed(site)
    site.open()
    where = viewer.address(site.store, account, email, False)
    monkeypatch.setattr(viewer, "LIMITS", dataclasses.replace(LIMITS, view_picture=10))
    assert status(await site.ask(where + "/2")) == 404
