"""What goes out is signed, if it is ours; what only passes through stays as it is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import cache

import pytest

from daemon.config import Config
from daemon.flow import receive, signing
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import dkim_keys, domains
from daemon.store.dkim_keys import Made
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import MESSAGE, House
from tests.flow.office import Office, running
from tests.instruments.sink import Sink

ANN = "ann@here.example"
TWO = ["here.example 202701-rsa-1", "here.example 202701-ed25519-2"]


@cache
def pair() -> list[Made]:
    """Made once for all."""
    return signing.make()


@pytest.fixture
def signer(house: House) -> Iterator[House]:
    house.store.write_now(dkim_keys.add, "here.example", pair())
    yield house


def signed(data: bytes) -> list[str]:
    """Domain and selector of each signature in the header, from the top."""
    head = data.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b"").decode()
    return [f"{d} {s}" for d, s in re.findall(r"^DKIM-Signature:.*;d=([^;]+); s=([^;]+);", head, re.MULTILINE)]


def prefixes(house: House) -> list[bytes]:
    """Of what is queued, in order."""
    return [row[0] for row in house.store.read_now(Tx.all, "select prefix from queue_message order by id")]


@pytest.mark.parametrize("kind", ["submission", "sendmail", "relay"])
def test_what_is_submitted_is_signed_by_both_keys(signer: House, kind: str) -> None:
    signer.mail(ANN, "x@far.example", "bob@here.example", data=MESSAGE, kind=kind)
    (prefix,) = prefixes(signer)
    assert signed(prefix) == TWO
    assert re.findall(rb"^([\w-]+):", prefix, re.MULTILINE) == [b"Received", b"DKIM-Signature", b"DKIM-Signature"]
    (copy,) = signer.inbox("bob@here.example")
    assert signed(copy) == TWO and copy.endswith(MESSAGE)


@pytest.mark.parametrize(
    "data, why",
    [
        (MESSAGE.replace(b"ann@here", b"ann@there"), "foreign From"),
        (b"From: a@there.example\r\nSender: ann@here.example\r\n\r\nx\r\n", "foreign From, whoever sends it"),
        (b"From: ann@here.example\r\nFrom: a@there.example\r\n\r\nx\r\n", "which of the two?"),
        (b"Subject: no From\r\n\r\nFrom: ann@here.example\r\n", "the body says nothing"),
        (b"From: undisclosed:;\r\n\r\nx\r\n", "nobody"),
        (b"From: <ann@[127.0.0.1]>\r\n\r\nx\r\n", "no domain"),
        (b"From: <ann@..>\r\n\r\nx\r\n", "no domain either"),
        (b"From: <ann@example>\r\n\r\nx\r\n", "above us, not ours"),
        (b"From: <ann@nothere.example>\r\n\r\nx\r\n", "ends as ours does"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_from_us_is_not_signed(signer: House, data: bytes, why: str) -> None:
    signer.mail(ANN, "x@far.example", data=data, kind="relay")
    assert signed(prefixes(signer)[0]) == [], why


def test_what_comes_in_is_not_signed_whatever_it_says(signer: House) -> None:
    signer.forward(ANN, "ann@elsewhere.example", keep=True)
    for kind in ("smtp", "lmtp"):
        signer.mail("carl@far.example", ANN, data=MESSAGE, kind=kind)
    assert [signed(prefix) for prefix in prefixes(signer)] == [[], []]
    assert [signed(copy) for copy in signer.inbox(ANN)] == [[], []]


def test_what_our_users_send_to_a_forward_carries_their_signature_along(signer: House) -> None:
    signer.forward("bob@here.example", "bob@elsewhere.example")
    signer.mail(ANN, "bob@here.example")
    (prefix,) = prefixes(signer)
    assert signed(prefix) == TWO and prefix.startswith(b"Delivered-To: bob@here.example\r\nReceived: ")


@pytest.mark.parametrize("hostname", ["mx.here.example", "here.example", "mx.provider.example"])
def test_notices_are_from_a_domain_of_ours_and_signed(signer: House, hostname: str) -> None:
    """Wherever the host's name is: with that of who is told to fall back on, not with the first there is."""
    signer.store.write_now(domains.add, "a.example")
    signer.config = Config([("hostname", hostname)])
    signer.mail(ANN, "bob@here.example", notify="SUCCESS")
    (told,) = signer.inbox(ANN)
    assert b"From: Mail Delivery System <postmaster@here.example>" in told and signed(told) == TWO


async def test_notices_of_the_queue_are_signed(signer: House) -> None:
    signer.store.write_now(domains.add, "a.example")
    signer.config = Config([("hostname", "mx.provider.example")])
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        async with running(Office(signer, {"far.example": "127.0.0.1"}, sink.port)) as office:
            signer.mail(ANN, "x@far.example")
            await office.until(lambda: not signer.queued())
    (told,) = signer.inbox(ANN)
    assert b"report-type=delivery-status" in told and signed(told) == TWO
    assert TWO[0].split()[1].encode() in told.partition(b"Content-Type: message/rfc822")[2], "returned as it went"


def test_an_alias_domain_signs_as_itself(signer: House) -> None:
    def work(tx: Tx) -> None:
        domains.add(tx, "alias.example", alias_of="here.example")
        dkim_keys.add(tx, "alias.example", pair())

    signer.store.write_now(work)
    signer.mail(
        "ann@alias.example", "x@far.example", data=MESSAGE.replace(b"here.example>\r\nS", b"ALIAS.Example>\r\nS")
    )
    assert signed(prefixes(signer)[0]) == ["alias.example 202701-rsa-3", "alias.example 202701-ed25519-4"]


def test_an_international_domain_is_signed_in_a_labels(house: House) -> None:
    def work(tx: Tx) -> None:
        domains.add(tx, "xn--bcher-kva.example")
        dkim_keys.add(tx, "xn--bcher-kva.example", pair()[1:])

    house.store.write_now(work)
    house.mail("a@xn--bcher-kva.example", "x@far.example", data="From: a@Bücher.example\r\n\r\nx\r\n".encode())
    assert signed(prefixes(house)[0]) == ["xn--bcher-kva.example 202701-ed25519-1"]


def test_a_key_that_is_removed_signs_no_more_and_a_disabled_domain_neither(signer: House) -> None:
    signer.store.write_now(dkim_keys.remove, "here.example", "202701-rsa-1")
    signer.mail(ANN, "x@far.example")
    signer.store.write_now(lambda tx: domains.change(tx, "here.example", enabled=0))
    signer.mail(ANN, "y@far.example", kind="relay")
    assert [signed(prefix) for prefix in prefixes(signer)] == [TWO[1:], []]


async def test_a_long_message_is_signed_in_a_thread(signer: House, monkeypatch: pytest.MonkeyPatch) -> None:
    where = []

    def watched(tx: Tx, data: bytes) -> bytes:
        where.append(threading.current_thread())
        return b"DKIM-Signature: d=here.example; s=x;\r\n"

    monkeypatch.setattr(signing, "of", watched)
    for text in (b"", b"x\r\n" * (LIMITS.parse_inline // 3)):
        envelope = Envelope(parse_address(ANN), [Recipient(parse_address("x@far.example"))])
        body = Body.of(MESSAGE + text)
        await receive.accept(signer.store, Origin("submission"), envelope, body, config=signer.config)
    assert [thread is threading.main_thread() for thread in where] == [True, False]


def test_private_keys_are_read_once_and_so_many_are_held(signer: House) -> None:
    signing._key.cache_clear()
    for _ in range(3):
        signer.mail(ANN, "x@far.example")
    known = signing._key.cache_info()
    assert (known.misses, known.hits, known.maxsize) == (2, 4, LIMITS.signing_keys)
