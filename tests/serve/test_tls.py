"""Which certificate a client sees, and how TLS is spoken."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.admin import pem
from daemon.admin.pem import BadCertificate
from daemon.config import BadSetting, Config, DataDir
from daemon.serve.connection import Connection
from daemon.serve.inlet import Inlet
from daemon.serve.tls import Keyring, end_point_of
from daemon.store import certificates, domains
from daemon.store.db import Store

YEAR = 365 * 86_400_000


class Keys:
    """A store with some domains, and a keyring over it."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(DataDir(path))
        self.store.attach(asyncio.get_running_loop())
        self.settings = {"hostname": "mail.example.org"}
        self.authority = trustme.CA()
        self._ring: Keyring | None = None

    @property
    def ring(self) -> Keyring:
        if self._ring is None:
            self._ring = Keyring(self.store, lambda: Config(self.settings.items()))
        return self._ring

    def issue(self, *names: str) -> tuple[str, str]:
        """Chain and key of a new certificate of our authority."""
        issued = self.authority.issue_cert(*names)
        return "".join(p.bytes().decode() for p in issued.cert_chain_pems), issued.private_key_pem.bytes().decode()

    def add(self, *names: str, chain: str = "", key: str = "", source: str = "imported", until: int = YEAR) -> None:
        if not chain:
            chain, key = self.issue(*names)
        now = self.store.clock()
        self.store.write_now(certificates.add, names, chain, key, source, now - 1000, now + until)

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
        self.store.close()


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    keys = Keys(tmp_path / "data")
    yield keys
    keys.close()


def shake(
    server: ssl.SSLContext, name: str | None = "localhost", change: Callable[[ssl.SSLContext], Any] = lambda c: None
) -> tuple[ssl.SSLObject, ssl.SSLObject, bytes]:
    """Both ends after a handshake in memory, and what the server still sent after it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    change(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = context.wrap_bio(to_client, to_server, server_hostname=name)
    here = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for end in (there, here):
            if end not in done:
                try:
                    end.do_handshake()
                    done.add(end)
                except ssl.SSLWantReadError:
                    pass
    assert len(done) == 2
    return there, here, to_client.read()


def names_seen(server: ssl.SSLContext, name: str | None) -> tuple[str, ...]:
    there, _, _ = shake(server, name)
    der = there.getpeercert(True)
    assert der is not None
    return pem.examine(ssl.DER_cert_to_PEM_cert(der)).names


# -- the first start ---------------------------------------------------------------------------------------------------


async def test_the_first_start_makes_a_certificate_for_host_and_domains(keys: Keys) -> None:
    keys.store.write_now(domains.add, "example.org")
    keys.store.write_now(domains.add, "xn--bcher-kva.example")
    assert keys.ring.made
    assert names_seen(keys.ring.context, None) == ("mail.example.org", "example.org", "xn--bcher-kva.example")
    [kept] = keys.store.peek(certificates.everyone)
    assert kept.source == "self-signed" and "EC PRIVATE" not in kept.chain
    seen = pem.examine(kept.chain, kept.private_key)
    assert seen.self_signed and seen.not_after_at == kept.not_after_at
    again = Keyring(keys.store, lambda: Config(keys.settings.items()))
    assert not again.made
    again.close()


async def test_a_self_signed_certificate_is_made_anew_before_it_ends(keys: Keys) -> None:
    pair = pem.self_signed(("mail.example.org",), keys.store.clock())
    keys.add("mail.example.org", chain=pair.chain, key=pair.private_key, source="self-signed", until=YEAR // 24)
    assert keys.ring.made
    assert len(keys.store.peek(certificates.everyone)) == 1


async def test_an_imported_certificate_is_enough(keys: Keys) -> None:
    keys.add("mail.example.org")
    assert not keys.ring.made


# -- SNI ---------------------------------------------------------------------------------------------------------------


async def test_each_name_gets_its_certificate(keys: Keys) -> None:
    keys.add("mail.example.org")
    keys.add("mail.example.net", "imap.example.net")
    keys.add("*.example.com")
    for context in (keys.ring.context, keys.ring.port25_context):
        assert names_seen(context, "imap.example.net") == ("mail.example.net", "imap.example.net")
        assert names_seen(context, "IMAP.Example.NET") == ("mail.example.net", "imap.example.net")
        assert names_seen(context, "anything.example.com") == ("*.example.com",)
        for other in (None, "mail.example.org", "unknown.example", "a.b.example.com"):
            assert names_seen(context, other) == ("mail.example.org",)


async def test_i13_a_trailing_dot_in_the_name_is_understood(keys: Keys) -> None:
    """Python's client does not send one, so ask what OpenSSL would ask."""
    keys.add("mail.example.org")
    keys.add("mail.example.net")
    ring = keys.ring
    there, here, _ = shake(ring.context, "mail.example.org")
    ring._choose(here, "mail.example.net.", ring.context)
    assert here.context is ring._by_name["mail.example.net"]


async def test_without_the_hosts_own_the_best_certificate_is_shown(keys: Keys) -> None:
    pair = pem.self_signed(("old.example",), keys.store.clock())
    keys.add("good.example")
    keys.add("old.example", chain=pair.chain, key=pair.private_key, source="self-signed")
    keys.add("ended.example", until=-1)
    assert names_seen(keys.ring.context, None) == ("good.example",)
    assert names_seen(keys.ring.context, "ended.example") == ("ended.example",)


async def test_the_better_of_two_with_one_name_is_shown(keys: Keys) -> None:
    pair = pem.self_signed(("mail.example.org",), keys.store.clock())
    keys.add("mail.example.org", "example.org")
    keys.add("mail.example.org", chain=pair.chain, key=pair.private_key, source="self-signed")
    assert names_seen(keys.ring.context, "mail.example.org") == ("mail.example.org", "example.org")


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_a_new_certificate_is_shown_without_a_restart_and_open_connections_stay(keys: Keys) -> None:
    keys.add("mail.example.org")
    old = keys.ring.context
    await keys.store.write(_add, keys, "mail.example.org", "new.example.org")
    assert keys.ring.context is not old
    assert names_seen(keys.ring.context, None) == ("mail.example.org", "new.example.org")
    now = keys.ring.context
    assert keys.ring.reload() and keys.ring.context is now  # nothing changed


def _add(tx: Any, keys: Keys, *names: str) -> None:
    chain, key = keys.issue(*names)
    certificates.add(tx, names, chain, key, "imported", tx.now - 1000, tx.now + YEAR)


async def test_files_of_the_settings_go_before_the_store(keys: Keys, tmp_path: Path) -> None:
    keys.add("mail.example.org")
    chain, key = keys.issue("mail.example.org", "files.example")
    (tmp_path / "chain.pem").write_text(chain)
    (tmp_path / "key.pem").write_text(key)
    keys.settings |= {"tls.certificate": str(tmp_path / "chain.pem"), "tls.key": str(tmp_path / "key.pem")}
    assert names_seen(keys.ring.context, None) == ("mail.example.org", "files.example")
    chain, key = keys.issue("mail.example.org", "renewed.example")
    (tmp_path / "chain.pem").write_text(chain)
    assert not keys.ring.reload()  # the key does not fit: what was stays
    assert names_seen(keys.ring.context, None) == ("mail.example.org", "files.example")
    (tmp_path / "key.pem").write_text(key)
    assert keys.ring.reload()
    assert names_seen(keys.ring.context, None) == ("mail.example.org", "renewed.example")


async def test_one_file_may_hold_both(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_text("".join(keys.issue("mail.example.org")))
    keys.settings["tls.certificate"] = str(tmp_path / "both.pem")
    assert names_seen(keys.ring.context, None) == ("mail.example.org",)


@pytest.mark.parametrize("what", ["missing", "directory", "no pem", "no key", "other key", "binary", "key alone"])
async def test_files_that_cannot_be_used_are_one_clear_sentence(keys: Keys, tmp_path: Path, what: str) -> None:
    chain, key = keys.issue("mail.example.org")
    files = {"chain": tmp_path / "chain.pem", "key": tmp_path / "key.pem"}
    files["chain"].write_text("nothing" if what == "no pem" else chain)
    files["key"].write_text({"no key": "nothing", "other key": keys.issue("a.example")[1]}.get(what, key))
    if what == "missing":
        files["chain"].unlink()
    if what == "binary":
        files["key"].write_bytes(b"\xff\xfe\x00")
    if what == "directory":
        files["key"] = tmp_path
    keys.settings |= {"tls.certificate": str(files["chain"]), "tls.key": str(files["key"])}
    if what == "key alone":
        keys.settings["tls.certificate"] = ""
    with pytest.raises(BadSetting) as caught:
        _ = keys.ring
    assert str(caught.value).startswith("tls.") and "\n" not in str(caught.value)


async def test_a_spoilt_certificate_in_the_store_is_left_out(keys: Keys) -> None:
    chain, key = keys.issue("mail.example.org")
    keys.add("mail.example.org", chain=chain, key=keys.issue("x.example")[1])
    with pytest.raises(BadSetting):
        _ = keys.ring
    keys.add("good.example")
    assert names_seen(keys.ring.context, "mail.example.org") == ("good.example",)


# -- how it is spoken --------------------------------------------------------------------------------------------------


async def test_s3_port_25_gives_out_no_session_tickets(keys: Keys) -> None:
    """Microsoft's servers abort STARTTLS because of them, and no mail comes for weeks."""
    ring = keys.ring
    assert ring.port25_context.num_tickets == 0
    assert ring.port25_context.options & ssl.OP_NO_TICKET
    for name in ("localhost", "mail.example.org"):  # also when SNI changes the certificate
        there, _, rest = shake(ring.port25_context, name)
        assert there.version() == "TLSv1.3" and rest == b""
        there, _, _ = shake(ring.port25_context, name, _only_12)
        assert there.session is not None and not there.session.has_ticket
    _, _, rest = shake(ring.context)
    assert rest != b""  # users may resume: their phones are glad of it
    assert ring.context.num_tickets == 1
    there, _, _ = shake(ring.context, "localhost", _only_12)
    assert there.session is not None and there.session.has_ticket


def _only_12(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


async def test_nothing_older_than_tls_1_2_and_no_weak_cipher(keys: Keys) -> None:
    for context in (keys.ring.context, keys.ring.port25_context):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION and context.options & ssl.OP_NO_RENEGOTIATION
        for cipher in context.get_ciphers():
            assert not {"RC4", "DES", "NULL", "EXPORT", "MD5", "aNULL"} & set(cipher["name"].split("-"))
    assert all("ECDHE" in c["name"] or c["protocol"] == "TLSv1.3" for c in keys.ring.context.get_ciphers())


async def test_the_end_point_is_the_hash_of_the_certificate_that_was_shown(keys: Keys) -> None:
    import hashlib

    keys.add("mail.example.org")
    keys.add("mail.example.net")
    for name in (None, "mail.example.org", "mail.example.net"):
        there, here, _ = shake(keys.ring.context, name)
        der = there.getpeercert(True)
        assert der is not None
        assert end_point_of(here) == hashlib.sha256(der).digest()
    assert end_point_of(None) is None


async def test_it_works_over_sockets_with_starttls(keys: Keys) -> None:
    keys.add("mail.example.org")
    keys.add("mail.example.net")
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[bytes | None] = loop.create_future()

    class Owner:
        name, closing = "test", False

        def closed(self, conn: Connection) -> None: ...

    async def serve(conn: Connection) -> None:
        await conn.start_tls(keys.ring.port25_context)
        conn.write(b"secret\r\n")
        await conn.drain()
        ended.set_result(end_point_of(conn.ssl_object))
        conn.close()

    tasks = []

    def make() -> Inlet:
        conn = Connection(Owner())
        loop.call_soon(lambda: tasks.append(loop.create_task(serve(conn))))
        return Inlet(conn)

    server = await loop.create_server(make, "127.0.0.1", 0)
    client = ssl.create_default_context()
    keys.authority.configure_trust(client)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    await writer.start_tls(client, server_hostname="mail.example.net")
    assert await reader.read() == b"secret\r\n"
    chain = keys.ring._by_name["mail.example.net"]
    assert await ended == chain.end_point
    writer.close()
    server.close()


# -- certificates ------------------------------------------------------------------------------------------------------


def test_examining_says_what_is_wrong() -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("a.example", "192.0.2.1")
    chain, key = issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()
    seen = pem.examine(chain, key)
    assert seen.names == ("a.example", "192.0.2.1") and not seen.self_signed
    for bad in (("", key), ("nonsense", key), (chain, ""), (chain, "nonsense")):
        with pytest.raises(BadCertificate):
            pem.examine(*bad)
    other = authority.issue_cert("a.example").private_key_pem.bytes().decode()
    with pytest.raises(BadCertificate, match="not the one"):
        pem.examine(chain, other)
    locked = _locked()
    with pytest.raises(BadCertificate, match="encrypted"):
        pem.examine(chain, locked)


def _locked() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        .decode()
    )


def test_a_self_signed_certificate_may_name_an_address() -> None:
    pair = pem.self_signed(("mail.example.org", "192.0.2.1"), 1_800_000_000_000)
    assert pem.examine(pair.chain, pair.private_key).names == ("mail.example.org", "192.0.2.1")
