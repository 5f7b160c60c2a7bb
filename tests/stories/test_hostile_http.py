"""A hostile stranger at the doors of HTTP; after each story all is as it was (`neighbourhood.after`)."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.instruments.vitals import MIB
from tests.stories.neighbourhood import ALICE, BOB, CAROL, PASSWORD, Neighbourhood, Stranger

HOST = "mx.example.test"
OURS = f"Host: {HOST}\r\nOrigin: https://{HOST}\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    path = tmp_path_factory.mktemp("hostile") / "data"
    users = dict.fromkeys((ALICE, BOB, CAROL), PASSWORD)
    with Server(path, users, {"limits.exempt_networks": "127.0.0.1/32"}) as server:
        home = Neighbourhood(server)
        with Peer(server.ports["http"]) as peer:  # what is loaded at the first request is no stranger's doing
            peer.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            assert peer.rest().startswith(b"HTTP/1.1 308 ")
        sign_in(server, "127.0.0.1")
        yield home
        home.close()


@pytest.fixture
def stranger(home: Neighbourhood) -> Iterator[Stranger]:
    home.before()
    stranger = next(home.strangers)
    yield stranger
    stranger.unharmed()
    stranger.go()
    home.after()


def sign_in(server: Server, source: str) -> bytes:
    """A user's whole sign-in, from an address of his own: the answer."""
    body = json.dumps({"login": ALICE, "password": PASSWORD})
    with Peer(server.ports["https"], tls=True, source=source) as peer:
        peer.send(
            f"POST /login HTTP/1.1\r\n{OURS}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = peer.rest()
    assert answer.startswith(b"HTTP/1.1 200 ") and b'"state":"in"' in answer, answer
    return answer


def answers(said: bytes) -> list[bytes]:
    """The status of each answer."""
    return re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", said)


def heard(peer: Peer) -> bytes:
    """What comes until the server closes, or says nothing for a while: it may wait for the rest of a request."""
    said = b""
    peer.socket.settimeout(1)
    with contextlib.suppress(OSError):
        while piece := peer.socket.recv(1 << 16):
            said += piece
    return said


# -- heads -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 10 * MIB,
        b"GET / HTTP/1.1\r\nHost: a.example\r\nX: " + b"x" * 10 * MIB,
        b"GET / HTTP/1.1\r\nHost: a.example\r\n" + b"X: y\r\n" * MIB,
        b"GET / HTTP/1.1\r\nHost: a.example\r\nX: y\r\n" + b" folded\r\n" * MIB,
        b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: " + b"a=b; " * 2 * MIB,
        b"x" * 10 * MIB,
        b"\r\n" * 5 * MIB,
        b"\0" * 10 * MIB,
    ],
    ids=["path", "field", "fields", "folded", "cookies", "line", "newlines", "nul"],
)
@pytest.mark.parametrize("door", ["http", "https", "metrics"])
def test_a_head_without_end_is_refused(stranger: Stranger, door: str, head: bytes) -> None:
    peer = stranger.at(door, tls=door == "https")
    poured = peer.pour(head)
    stranger.unharmed()
    with contextlib.suppress(OSError):
        peer.half_close()
    assert set(answers(peer.rest())) <= {b"400", b"431"} and poured <= len(head)


def test_a_request_without_a_host_is_refused_and_asks_no_resolver(stranger: Stranger) -> None:
    for head in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET /healthz HTTP/1.1\r\nX: y\r\n\r\n"):
        for door in ("http", "https"):
            peer = stranger.at(door, tls=door == "https")
            peer.send(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert answers(peer.rest()) == [b"400"], (door, head)


def test_those_who_never_finish_a_head_hold_nobody_up(stranger: Stranger) -> None:
    """Slowloris: ninety of them, an octet now and then."""
    head = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX: y\r\n".encode()
    slow = [stranger.at(("http", "https")[n % 2], tls=bool(n % 2)) for n in range(90)]
    for at in range(len(head)):
        for peer in slow:
            peer.send(head[at : at + 1])
        if at % 8 == 0:
            stranger.unharmed()
    sign_in(stranger.home.server, "127.0.0.1")
    for peer in slow:
        peer.send(b"\r\n")
    for peer in slow:
        assert re.match(rb"HTTP/1\.1 (200|308|404) ", peer.line())


# -- smuggling ---------------------------------------------------------------------------------------------------------

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: mx.example.test\r\nConnection: close\r\n\r\n"
AMBIGUOUS = {
    "both": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "both-turned": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "two-lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n",
    "list-of-lengths": b"Content-Length: 0, 5\r\n",
    "signed-length": b"Content-Length: +5\r\n",
    "negative-length": b"Content-Length: -5\r\n",
    "hexadecimal-length": b"Content-Length: 0x5\r\n",
    "long-length": b"Content-Length: 99999999999999999999999999\r\n",
    "space-before-colon": b"Content-Length : 5\r\n",
    "tab-in-coding": b"Transfer-Encoding:\tchunked\tx\r\n",
    "unknown-coding": b"Transfer-Encoding: xchunked\r\n",
    "coding-not-last": b"Transfer-Encoding: chunked, identity\r\n",
    "coding-twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "vertical-tab": b"Transfer-Encoding:\x0bchunked\r\n",
    "nul": b"Transfer-Encoding: chun\0ked\r\n",
    "bare-cr": b"X: y\rTransfer-Encoding: chunked\r\n",
    "fold": b"X: y\r\n Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("fields", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_body_whose_end_is_in_doubt_is_refused_and_ends_the_connection(stranger: Stranger, fields: bytes) -> None:
    """A proxy in front might find another end than we do: what follows must never be a request."""
    peer = stranger.at("https", tls=True)
    peer.send(b"POST /login HTTP/1.1\r\n" + OURS.encode() + fields + b"\r\n0\r\n\r\n" + SMUGGLED)
    said = peer.rest()
    found = answers(said)
    assert b"\r\n\r\nok\n" not in said, "the smuggled request was answered"
    assert found in ([b"400"], [b"400", b"400"]), (found, said[:300])


@pytest.mark.parametrize(
    "chunks",
    [
        b"g\r\n", b"-1\r\n", b"0x5\r\nhello\r\n", b"5;" + b"x" * 100_000, b"ffffffffffffffff\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\nhello\n0\n\n", b"0\r\nX: " + b"y" * 100_000,
    ],
    ids=["letter", "negative", "hexadecimal", "extension", "size", "no-end", "bare-newlines", "trailer"],
)  # fmt: skip
def test_chunks_that_are_none_end_the_connection(stranger: Stranger, chunks: bytes) -> None:
    peer = stranger.at("https", tls=True)
    head = b"POST /login HTTP/1.1\r\n" + OURS.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    peer.pour(head + chunks + SMUGGLED)
    said = heard(peer)
    assert b"\r\n\r\nok\n" not in said and set(answers(said)) <= {b"400"}, said[:300]


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_body_without_end_is_refused_before_it_is_held(stranger: Stranger) -> None:
    for fields, body in (
        (b"Content-Length: 4294967295\r\n", b"x" * 10 * MIB),
        (b"Transfer-Encoding: chunked\r\n", b"100000\r\n" + b"x" * MIB + b"\r\n" + b"100000\r\n" + b"x" * 9 * MIB),
    ):
        peer = stranger.at("https", tls=True)
        peer.pour(b"POST /login HTTP/1.1\r\n" + OURS.encode() + fields + b"\r\n" + body)
        stranger.unharmed()
        assert answers(peer.rest()) in ([b"413"], []), fields


def test_a_body_that_unpacks_to_a_gigabyte_is_refused(stranger: Stranger) -> None:
    bomb = gzip.compress(b" " * 64 * MIB, 9)
    head = f"POST /login HTTP/1.1\r\n{OURS}Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    for _ in range(5):
        peer = stranger.at("https", tls=True)
        peer.pour(head.encode() + bomb)
        assert answers(peer.line() + b" ") == [b"413"]
        stranger.unharmed()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000, b'{"login":' * 7000, b'"', b"\xff\xfe", b"", b"null", b"1e999999",
        b'{"login":"' + b"\\u0000" * 9000,
        b'{"login":' + b"9" * 60_000 + b"}", b'{"passkey":{"id":' + b"[" * 50_000,
        b'{"pending":"x","passkey":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_json_that_is_none_is_refused(stranger: Stranger, body: bytes) -> None:
    peer = stranger.at("https", tls=True)
    head = f"POST /login HTTP/1.1\r\n{OURS}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    peer.send(head.encode() + body)
    assert answers(peer.rest())[0] in (b"400", b"401")


# -- crowds ------------------------------------------------------------------------------------------------------------


def test_five_hundred_connections_from_one_address_to_the_web(stranger: Stranger) -> None:
    server = stranger.home.server
    for _ in range(500):
        stranger.at("http")
    until(lambda: stranger.home.vitals.sockets() - stranger.home.sockets <= LIMITS.connections_per_address)
    refused = stranger.peers[-1].rest()
    assert refused == b"" or answers(refused) == [b"503"]
    stranger.unharmed()
    sign_in(server, "127.0.0.1")


def test_a_thousand_requests_in_one_go_are_answered_in_turn_or_not_at_all(stranger: Stranger) -> None:
    peer = stranger.at("https", tls=True)
    peer.pour(f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 1000, 2)
    for _ in range(1000):
        assert peer.line() == b"HTTP/1.1 200 OK"
        length = 0
        while line := peer.line():
            length = int(line[15:]) if line.startswith(b"Content-Length:") else length
        assert peer.exactly(length) == b"ok\n"


def test_who_asks_and_never_reads_is_not_fed(stranger: Stranger) -> None:
    for _ in range(20):
        peer = stranger.at("metrics")
        peer.pour(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 2000)
    stranger.unharmed()


@pytest.mark.parametrize("door", ["http", "metrics"])
def test_noise_is_no_request(stranger: Stranger, door: str) -> None:
    dice = random.Random(door)
    for _ in range(30):
        peer = stranger.at(door)
        peer.pour(dice.randbytes(5000))
        with contextlib.suppress(OSError):
            peer.half_close()
        assert set(answers(peer.rest())) <= {b"400"}


def test_guessing_at_the_sign_in_page_is_slowed_and_counted(stranger: Stranger) -> None:
    body = json.dumps({"login": BOB, "password": "guess"})
    for _ in range(5):
        peer = stranger.at("https", tls=True)
        peer.send(
            f"POST /login HTTP/1.1\r\n{OURS}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        said = peer.rest()
        assert answers(said) == [b"401"] and b"Set-Cookie" not in said
