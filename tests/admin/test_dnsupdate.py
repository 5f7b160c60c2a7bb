"""A zone is changed where it lives, with a key; a server that will not says why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest

from daemon.admin import dnsupdate
from daemon.admin.dnsupdate import Key, read_key
from daemon.admin.errors import BadData, NotPermitted, Unavailable
from daemon.config import Config, HostPort
from tests.instruments.primary import Primary
from tests.instruments.server import free_ports

SECRET = "c2VjcmV0IG9mIHRlbiBvY3RldHM="
CHALLENGE = "_acme-challenge.mail.example.org"


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Primary]:
    zones = {"example.org": "", "sub.example.org": "mail IN A 192.0.2.1"}
    with Primary(tmp_path_factory.mktemp("primary"), zones) as one:
        yield one


@pytest.mark.parametrize(
    "text, want",
    [
        (f'key "k.example" {{ algorithm hmac-sha512; secret "{SECRET}"; }};', ("k.example", "hmac-sha512")),
        (f"# made by hand\nkey k {{\n  secret {SECRET};\n  algorithm HMAC-SHA256;\n}};\n", ("k", "hmac-sha256")),
        (f"hmac-sha1:K.example.:{SECRET}\n", ("k.example", "hmac-sha1")),
        (f"k.example:{SECRET}", ("k.example", "hmac-sha256")),
        (f"hmac-md5:k:{SECRET}", ("k", "hmac-md5.sig-alg.reg.int")),
        ("", BadData),
        ("nonsense", BadData),
        (f"rot13:k:{SECRET}", BadData),
        ("hmac-sha256:k:not base64!", BadData),
        (f"hmac-sha256:{'x' * 64}:{SECRET}", BadData),
        ('key "k" { algorithm hmac-sha256; };', BadData),
    ],
)
def test_a_key_is_read_in_the_forms_it_comes_in(text: str, want: tuple[str, str] | type[Exception]) -> None:
    if isinstance(want, tuple):
        key = read_key(text)
        assert (key.name, key.algorithm) == want and key.secret == b"secret of ten octets"
        assert "secret" not in repr(key)
    else:
        with pytest.raises(want) as refused:
            read_key(text)
        assert SECRET not in str(refused.value) and "not base64!" not in str(refused.value)


def test_the_settings_name_server_and_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"k:{SECRET}\n")
    assert dnsupdate.configured(Config([("dns.update_key", str(file))])) is None
    found = dnsupdate.configured(Config([("dns.update_key", str(file)), ("dns.update_server", "192.0.2.53")]))
    assert found is not None and found[0] == HostPort("192.0.2.53", 53) and found[1].name == "k"


async def test_a_challenge_is_set_and_removed(primary: Primary) -> None:
    key = read_key(primary.key_text)
    await dnsupdate.set_txt(primary.server, key, CHALLENGE, ["one", "two"])
    assert primary.ask(CHALLENGE, "TXT") == ['"one"', '"two"']
    await dnsupdate.set_txt(primary.server, key, CHALLENGE + ".", ["three", 'with "quotes" \\ and more'])
    assert primary.ask(CHALLENGE, "TXT") == ['"three"', '"with \\"quotes\\" \\\\ and more"']
    await dnsupdate.remove_txt(primary.server, key, CHALLENGE, ["three", "not there"])
    assert primary.ask(CHALLENGE, "TXT") == ['"with \\"quotes\\" \\\\ and more"']
    await dnsupdate.remove_txt(primary.server, key, CHALLENGE)
    assert primary.ask(CHALLENGE, "TXT") == []


async def test_the_zone_is_the_nearest_one_above_the_name(primary: Primary) -> None:
    key = read_key(primary.key_text)
    assert await dnsupdate.zone_of(primary.server, key, CHALLENGE) == "example.org"
    assert await dnsupdate.zone_of(primary.server, key, "example.org") == "example.org"
    assert await dnsupdate.zone_of(primary.server, key, "mail.sub.example.org") == "sub.example.org"
    assert await dnsupdate.zone_of(primary.server, key, "a.b.c.sub.example.org") == "sub.example.org"


async def test_a_server_that_refuses_is_quoted_and_the_secret_is_not(primary: Primary) -> None:
    other = primary.secrets["stranger"]
    for text, name, kind, word in (
        (f"nobody:{other}", CHALLENGE, NotPermitted, "BADKEY"),
        (f"mailctl:{other}", CHALLENGE, NotPermitted, "BADSIG"),
        (primary.clause("stranger"), CHALLENGE, NotPermitted, "REFUSED"),
        (primary.key_text, "_acme-challenge.elsewhere.example", NotPermitted, "REFUSED"),
    ):
        with pytest.raises(kind, match=word) as refused:
            await dnsupdate.set_txt(primary.server, read_key(text), name, ["x"])
        assert other not in str(refused.value)
    assert primary.ask(CHALLENGE, "TXT") == []


async def test_clocks_that_differ_are_named(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time
    monkeypatch.setattr(dns.message.time, "time", lambda: now() - 4000)
    with pytest.raises(NotPermitted, match="BADTIME"):
        await dnsupdate.set_txt(primary.server, read_key(primary.key_text), CHALLENGE, ["x"])


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    key = Key("k", "hmac-sha256", b"secret")
    with pytest.raises(Unavailable, match="does not answer"):
        await dnsupdate.set_txt(HostPort("127.0.0.1", free_ports(1)[0]), key, CHALLENGE, ["x"])


async def test_what_is_no_name_is_said(primary: Primary) -> None:
    with pytest.raises(BadData):
        await dnsupdate.set_txt(primary.server, read_key(primary.key_text), "a..example.org", ["x"])


async def test_garbage_for_an_answer_is_unavailable() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x00\x05hello")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        at = HostPort("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(Unavailable):
            await dnsupdate.set_txt(at, Key("k", "hmac-sha256", b"secret"), CHALLENGE, ["x"])
