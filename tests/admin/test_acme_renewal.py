"""What an authority suggests of renewals (RFC 9773), and what happens when it says nothing, or nonsense."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from daemon.admin import acme
from daemon.limits import LIMITS
from daemon.store import acme as rows
from daemon.store import certificates
from daemon.store.check import check
from tests.admin.test_acme import DAY, HOST, HOUR, START, Desk

ASK = LIMITS.acme_ask * 1000


class Authority:
    """One that gives nothing, and answers when to renew. `says` is the answer: (status, document, Retry-After)."""

    def __init__(self, path: Path) -> None:
        self.says: tuple[int, object, str] = (404, {}, "")
        self.asked: list[str] = []
        self.offers = True
        self.root = trustme.CA()
        self.ca_bundle = path / "root.pem"
        self.root.cert_pem.write_to_path(str(self.ca_bundle))
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/dir":
                    status, document, again = 200, authority.directory(), ""
                else:
                    authority.asked.append(self.path)
                    status, document, again = authority.says
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if again:
                    self.send_header("Retry-After", again)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.root.issue_cert("localhost").configure_cert(context)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"

    def directory(self) -> dict[str, str]:
        words = {word: f"{self.url}/{word}" for word in ("newNonce", "newAccount", "newOrder", "revokeCert")}
        return words | ({"renewalInfo": f"{self.url}/renewal"} if self.offers else {})

    def suggests(self, start: int, end: int, again: str = "") -> None:
        """A window, in ms."""
        window = {
            name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000))
            for name, at in (("start", start), ("end", end))
        }
        self.says = (200, {"suggestedWindow": window}, again)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    authority = Authority(tmp_path)
    thread = threading.Thread(target=authority.server.serve_forever, args=(0.02,))
    thread.start()
    yield authority
    authority.server.shutdown()
    thread.join()
    authority.server.server_close()


@pytest.fixture
def desk(tmp_path: Path, authority: Authority) -> Iterator[Desk]:
    """With a certificate of the authority that is good for 90 days."""
    desk = Desk(tmp_path / "data")
    desk.set(acme__directory=f"{authority.url}/dir", acme__ca_bundle=str(authority.ca_bundle), acme__names=HOST)
    issued = authority.root.issue_cert(HOST)
    chain, key = issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()
    desk.store.write_now(rows.fulfil_order, 1, (HOST,), chain, key, START, START + 90 * DAY)
    yield desk
    desk.store.close()


def plan(desk: Desk) -> acme.Plan:
    return desk.plans()[HOST]


def asks(desk: Desk) -> acme.Plan:
    """The time to ask comes."""
    desk.now = plan(desk).ask_at or 0
    [done] = acme.renew(desk.store)
    assert done.state == "good" and done.due_at == plan(desk).due_at
    return plan(desk)


def test_a_certificate_is_due_within_the_window_that_is_suggested(desk: Desk, authority: Authority) -> None:
    assert (plan(desk).due_at, plan(desk).ask_at) == (START + 60 * DAY, START + ASK)
    assert acme.renew(desk.store)[0].state == "good" and authority.asked == [], "it is not asked all the time"
    authority.suggests(START + 70 * DAY, START + 72 * DAY)
    found = asks(desk)
    assert START + 70 * DAY <= found.due_at == found.try_at <= START + 72 * DAY
    assert not found.is_up(desk.now) and found.next_at == found.ask_at
    [path] = authority.asked
    assert path.startswith("/renewal/") and path.count(".") == 1
    authority.suggests(START + 30 * DAY, START + 31 * DAY)  # it has to revoke some
    assert asks(desk).due_at <= START + 31 * DAY
    assert not list(check(desk.store))


def test_who_does_not_answer_is_asked_later_and_two_thirds_count(desk: Desk, authority: Authority) -> None:
    nonsense: list[tuple[int, object, str]] = [
        (404, {}, ""), (500, {"type": "about:blank"}, ""), (200, {}, ""), (200, [], ""),
        (200, {"suggestedWindow": {}}, ""), (200, {"suggestedWindow": {"start": "soon", "end": "later"}}, ""),
        (200, {"suggestedWindow": {"start": "9999-12-31T23:59:59Z", "end": 5}}, ""),
    ]  # fmt: skip
    for authority.says in nonsense:
        found = asks(desk)
        assert (found.due_at, found.ask_at) == (START + 60 * DAY, desk.now + ASK), authority.says
    assert len(authority.asked) == len(nonsense)
    authority.offers = False
    assert asks(desk).due_at == START + 60 * DAY and len(authority.asked) == len(nonsense)
    desk.set(acme__directory="https://127.0.0.1:1/dir")
    assert asks(desk).ask_at == desk.now + ASK
    desk.set(acme__directory=f"{authority.url}/dir")
    authority.offers = True
    authority.suggests(START + 40 * DAY, START + 41 * DAY)
    known = asks(desk).due_at
    authority.says = (503, {}, "")
    assert asks(desk).due_at == known, "what it said last counts until it says something else"


@pytest.mark.parametrize(
    ("again", "pause"),
    [
        ("", LIMITS.acme_ask),
        ("7200", 7200),
        ("1", LIMITS.acme_ask_least),
        ("99999999", LIMITS.acme_ask_most),
        (formatdate(0, usegmt=True), LIMITS.acme_ask_least),
    ],
)
def test_it_is_asked_again_when_it_says_within_bounds(desk: Desk, authority: Authority, again: str, pause: int) -> None:
    authority.suggests(START + 70 * DAY, START + 72 * DAY, again)
    ask_at = asks(desk).ask_at
    assert ask_at is not None and abs(ask_at - desk.now - pause * 1000) < 10_000


@pytest.mark.parametrize(
    ("start", "due"),
    [
        (-900 * DAY, START + DAY),  # else they would be fetched in a circle
        (START + 900 * DAY, START + 81 * DAY),  # it would be over
    ],
)
def test_whatever_it_suggests_has_bounds(desk: Desk, authority: Authority, start: int, due: int) -> None:
    authority.suggests(max(start, 0), max(start, 0) + HOUR)
    assert asks(desk).due_at == due


def test_one_that_is_over_is_renewed_and_not_asked_about(desk: Desk, authority: Authority) -> None:
    desk.now = START + 91 * DAY
    assert plan(desk).ask_at is None and plan(desk).is_up(desk.now)
    assert acme._ask(desk.store, desk.store.read_now(acme.settings.load), [plan(desk)]) is False
    assert authority.asked == []


def test_what_was_said_goes_with_the_certificate(desk: Desk, authority: Authority) -> None:
    authority.suggests(START + 70 * DAY, START + 72 * DAY)
    asks(desk)
    [old] = desk.store.read_now(certificates.everyone)
    desk.get(HOST)
    assert desk.store.read_now(rows.renewal, old.id) is None
    desk.store.write_now(rows.note_renewal, old.id, 5, 5)
    desk.store.write_now(rows.put_off, [old.id], 5)
    assert desk.store.read_now(rows.renewal, old.id) is None and plan(desk).due_at == desk.now + 60 * DAY
