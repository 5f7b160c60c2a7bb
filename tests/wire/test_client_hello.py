"""The first words of a TLS client."""

from __future__ import annotations

import ssl

import pytest

from daemon.wire import client_hello
from daemon.wire.client_hello import Hello, NoHello


def hello_of(name: str | None = "mail.example.org", *protocols: str) -> bytes:
    """What Python's own client says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "name, protocols",
    [
        ("mail.example.org", ("acme-tls/1",)),
        ("mail.example.org", ("h2", "http/1.1")),
        ("Mail.Example.ORG", ()),
        (None, ()),
    ],
)
def test_a_hello_says_name_and_protocols(name: str | None, protocols: tuple[str, ...]) -> None:
    want = Hello((name or "").lower(), tuple(p.encode() for p in protocols))
    assert client_hello.read(hello_of(name, *protocols)) == want
    assert client_hello.read(hello_of(name, *protocols) + b"more") == want


def test_a_hello_that_is_not_all_there_is_waited_for() -> None:
    whole = hello_of()
    for length in range(len(whole)):
        assert client_hello.read(whole[:length]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",  # a ServerHello
        b"\x16\x03\x01\xff\xff\x01",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ],
)
def test_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(NoHello):
        client_hello.read(data)


def test_no_cut_or_changed_octet_is_more_than_no_hello() -> None:
    whole = bytearray(hello_of("mail.example.org", "acme-tls/1"))
    for at in range(5, len(whole)):
        for octet in (0, 1, 0x7F, 0xFF):
            changed = whole.copy()
            changed[at] = octet
            try:
                found = client_hello.read(bytes(changed))
            except NoHello:
                continue
            assert found is not None


def record(body: bytes) -> bytes:
    shake = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(shake).to_bytes(2) + shake


def test_an_old_hello_has_no_extensions() -> None:
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00"
    assert client_hello.read(record(body)) == Hello("", ())


def test_a_name_of_another_kind_is_none() -> None:
    names = b"\x05\x00\x01x" + b"\x00\x00\x04a.B."
    extension = b"\x00\x00" + (len(names) + 2).to_bytes(2) + len(names).to_bytes(2) + names
    body = (
        b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00" + len(extension).to_bytes(2) + extension
    )
    assert client_hello.read(record(body)) == Hello("a.b", ())
