"""The page behind a link of a digest: looking changes nothing, the button does, and nothing else works."""

from __future__ import annotations

import pytest

from daemon.mail import link
from daemon.mail.link import Link
from daemon.store import accounts, blobs, mailboxes, quarantine, settings
from daemon.store.quarantine import Bounds, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.instruments.clamd import DROP, Clamd
from tests.serve.web.conftest import Site, leave
from tests.store.stage import address, clean

DATA = b"From: joerg@shop.example\r\nSubject: order\r\n\r\nx\r\n"
KEPT = Kept(
    "ann@example.org", "b@x.example", "joerg@shop.example", "<x>", "<b>order</b>", None, "spam-certain", 16.0, "words"
)


def put(site: Site, action: str = "release", reason: str = "spam-certain") -> str:
    """A message that is kept; a link's token."""

    def work(tx: Tx, body: Body) -> Link:
        account = accounts.find(tx, address("ann@example.org"))
        owner = account.id if account is not None else accounts.add(tx, address("ann@example.org"), None)
        blob = blobs.keep(tx, body)
        kept = KEPT._replace(reason=reason)
        number = quarantine.keep(tx, owner, kept, "t" * 16, blob, len(DATA), b"", Bounds(1 << 30, 1 << 30))
        return Link(action, number or 0, owner, tx.now // 1000 + 60)

    body = Body.of(DATA)
    made = site.store.write_now(work, body, bodies=[body])
    return link.make(made, site.store.read_now(quarantine.link_key))


async def post(site: Site, path: str, body: str) -> str:
    reader, writer = await site.dial()
    head = f"POST {path} HTTP/1.1\r\nHost: mail.example.org\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
    answer = (await reader.read()).decode()
    await leave(writer)
    return answer


def inbox(site: Site) -> int:
    def work(tx: Tx) -> int:
        account = accounts.get(tx, address("ann@example.org"))
        return mailboxes.get(tx, account.id, "INBOX").total

    return site.store.read_now(work)


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


async def test_a_link_shows_a_button_and_the_button_releases(site: Site) -> None:
    site.open()
    token = put(site)
    for verb in ("GET", "HEAD", "GET"):
        answer = await site.ask(f"/quarantine/release?token={token}", host="mail.example.org", verb=verb)
        assert status(answer) == 200 and inbox(site) == 0
    head, _, page = answer.partition("\r\n\r\n")
    assert f'name="token" value="{token}"' in page and page.count("<button>") == 1 and "<script" not in page
    assert "&lt;b&gt;order&lt;/b&gt;" in page and "<x>" not in page
    for field in (
        "Cache-Control: no-store", "Referrer-Policy: no-referrer", "X-Frame-Options: DENY",
        "X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'none'; form-action 'self';",
    ):  # fmt: skip
        assert field in head, field
    answer = await post(site, "/quarantine/release", f"token={token}")
    assert status(answer) == 200 and "The message is in your INBOX." in answer and "<button>" not in answer
    assert inbox(site) == 1
    for again in (
        await post(site, "/quarantine/release", f"token={token}"),
        await site.ask(f"/quarantine/release?token={token}"),
    ):
        assert status(again) == 410 and "not kept any more" in again
    assert inbox(site) == 1
    clean(site.store)


async def test_what_is_not_right_does_nothing(site: Site) -> None:
    site.open()
    token = put(site)
    for path, body, want in (
        ("/quarantine/allow", f"token={token}", 404),  # another deed than the link's
        ("/quarantine/release", "token=" + "A" * 56, 404),
        ("/quarantine/release", "token=", 404),
        ("/quarantine/release", "", 404),
        (f"/quarantine/release?token={token}", "", 404),  # only what the button sends counts
        ("/quarantine/remove", f"token={token}", 404),
        ("/quarantine/release", f"token={token}" + "&x=" + "y" * 100_000, 413),
    ):
        assert status(await post(site, path, body)) == want, (path, body[:80])
    forbidden = put(site, reason="attachment")
    assert status(await post(site, "/quarantine/release", f"token={forbidden}")) == 403
    assert "Only the administrator" in await site.ask(f"/quarantine/release?token={forbidden}")
    assert inbox(site) == 0
    assert status(await site.ask(f"/quarantine/release?token={token}", name="http")) == 308, "never in the clear"


@pytest.mark.parametrize("action,said", [("allow", "is let in from now on"), ("block", "is blocked from now on")])
async def test_the_other_deeds(site: Site, action: str, said: str) -> None:
    site.open()
    token = put(site, action)
    assert said in await post(site, f"/quarantine/{action}", f"token={token}")
    assert inbox(site) == (action == "allow")
    assert site.store.read_now(Tx.all, "select allowed from sender_list") == [(int(action == "allow"),)]


async def test_no_link_puts_a_virus_into_a_mailbox(site: Site) -> None:
    site.open()
    token = put(site)
    async with Clamd() as scanner:
        site.store.write_now(settings.put, "virus.scanner", scanner.setting, "a test")
        for answer, want, said in (
            (b"stream: New.Worm FOUND\0", 403, "A virus was found"), (DROP, 503, "try again in some minutes"),
        ):  # fmt: skip
            scanner.answer = answer
            page = await post(site, "/quarantine/release", f"token={token}")
            assert status(page) == want and said in page and inbox(site) == 0
        scanner.answer = None
        assert status(await post(site, "/quarantine/release", f"token={token}")) == 200 and inbox(site) == 1
