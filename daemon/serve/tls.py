"""The keys of the doors: which certificate a client sees, and how TLS is spoken.

A `Keyring` holds the certificates of the store and of the settings `tls.certificate` and `tls.key`, chooses by the name
the client asks for (SNI), and is loaded anew when they change; connections keep what they began with. The context for
port 25 gives out no session tickets: Microsoft's servers break STARTTLS off because of them (traps S3).

How it can fail: `BadSetting` when the files of the settings cannot be used. A certificate of the store that cannot be
used is left out, and said in the log.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon import log
from daemon.admin import pem
from daemon.admin.pem import BadCertificate
from daemon.config import BadSetting, Config
from daemon.store import certificates
from daemon.store.db import Store
from daemon.store.tx import Changes

# Mozilla's "intermediate" without finite-field DH; TLS 1.3 has its own list.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
# Other servers on port 25 that can do no better would send in clear text else.
_CIPHERS_25 = _CIPHERS + ":ECDHE+AES:RSA+AESGCM:RSA+AES"


class ServerContext(ssl.SSLContext):
    """A context that knows the hash of its certificate (RFC 5929 §4.1), and whether somebody else vouches for it."""

    end_point: bytes
    vouched: bool


def end_point_of(tls: ssl.SSLObject | None) -> bytes | None:
    """The hash of the certificate that this connection showed, for SCRAM's channel binding; None in the clear."""
    return getattr(tls.context, "end_point", None) if tls is not None else None


@dataclass(frozen=True, slots=True)
class _Pair:
    chain: str
    private_key: str
    names: tuple[str, ...]
    rank: tuple[int, int, int]  # the greater is shown where two have the same name


class Keyring:
    """One per process; all contexts are made anew by `reload`."""

    def __init__(self, store: Store, config: Callable[[], Config]) -> None:
        """Makes a self-signed certificate when there is none at all. Raises `BadSetting`, `StoreError`."""
        self._store = store
        self._config = config
        self.made = not config()["tls.certificate"] and store.write_now(pem.ensure, config().hostname)
        if self.made:
            log.event("certificate-made", host=config().hostname)
        self._by_name: dict[str, ServerContext] = {}
        self._loaded: tuple[_Pair, ...] = ()
        self._contexts: tuple[ServerContext, ServerContext] | None = None
        self._load()
        self._stop = store.listen(self._changed)

    @property
    def context(self) -> ServerContext:
        """For users: implicit TLS and STARTTLS."""
        assert self._contexts is not None
        return self._contexts[0]

    @property
    def port25_context(self) -> ServerContext:
        """For other servers: no tickets, a few more ciphers."""
        assert self._contexts is not None
        return self._contexts[1]

    def reload(self) -> bool:
        """Read all certificates again (SIGHUP, or a change in the store); what cannot be used changes nothing."""
        try:
            self._load()
        except (BadSetting, OSError) as error:
            log.trouble("certificate-not-loaded", error=error)
            return False
        return True

    def close(self) -> None:
        self._stop()

    def _changed(self, changes: Changes) -> None:
        if changes.settings or changes.everything:
            self.reload()

    def _load(self) -> None:
        pairs = tuple(self._pairs())
        if pairs == self._loaded:
            return
        by_name: dict[str, ServerContext] = {}
        usable: list[tuple[_Pair, ServerContext]] = []
        for pair in sorted(pairs, key=lambda p: p.rank):
            try:
                context = _context(pair)
            except (BadCertificate, ssl.SSLError) as error:
                log.trouble("certificate-not-usable", names=" ".join(pair.names), error=error)
                continue
            usable.append((pair, context))
            by_name.update(dict.fromkeys(pair.names, context))
        if not usable:
            raise BadSetting("there is no certificate that can be used; import one with `mailctl cert import`")
        default = self._default(usable, by_name)
        self._contexts = (_front(default, self._choose), _front(default, self._choose, port25=True))
        self._by_name, self._loaded = by_name, pairs

    def _default(self, usable: list[tuple[_Pair, ServerContext]], by_name: dict[str, ServerContext]) -> _Pair:
        """Who asks for no name sees the host's, else the best there is."""
        wanted = _lookup(by_name, self._config().hostname)
        for pair, context in usable:
            if context is wanted:
                return pair
        return usable[-1][0]

    def _pairs(self) -> Iterator[_Pair]:
        now = self._store.clock()
        config = self._config()
        chain_path, key_path = config["tls.certificate"], config["tls.key"]
        if chain_path or key_path:
            yield _from_files(chain_path, key_path or chain_path, now)
        for kept in self._store.peek(certificates.everyone):
            yield _Pair(kept.chain, kept.private_key, kept.names, certificates.standing(kept, now))

    def _choose(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL asks with the name the client sent. A name nobody has is no reason to refuse it."""
        found = _lookup(self._by_name, name) if name else None
        if found is not None:
            tls.context = found


def _lookup(by_name: dict[str, ServerContext], name: str) -> ServerContext | None:
    name = name.removesuffix(".").lower()  # Microsoft's relays send the dot (traps I13)
    return by_name.get(name) or by_name.get("*." + name.partition(".")[2])


def _from_files(chain_path: str, key_path: str, now: int) -> _Pair:
    texts = []
    for key, path in (("tls.certificate", chain_path), ("tls.key", key_path)):
        try:
            texts.append(Path(path).read_text())
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise BadSetting(f"{key}: {path or 'no file'} cannot be read ({reason})") from None
    try:
        seen = pem.examine(*texts)
    except BadCertificate as error:
        raise BadSetting(f"tls.certificate: {chain_path}: {error}") from None
    return _Pair(texts[0], texts[1], seen.names, (int(seen.not_after_at > now), 2, 0))


def context_for(chain: str, private_key: str, protocol: str) -> ServerContext:
    """A context of its own for who offers one protocol (ALPN)."""
    context = _context(_Pair(chain, private_key, (), (0, 0, 0)))
    context.set_alpn_protocols([protocol])
    return context


def _context(pair: _Pair, ciphers: str = _CIPHERS) -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(ciphers)
    context.end_point = pem.end_point(pair.chain)
    leaf = pem.leaf_of(pair.chain)
    context.vouched = leaf.issuer != leaf.subject
    with _as_file(pair.chain + "\n" + pair.private_key) as path:
        context.load_cert_chain(path)
    return context


def _front(
    pair: _Pair, choose: Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None], *, port25: bool = False
) -> ServerContext:
    """The context that connections begin with; its options stay when the certificate is changed for another."""
    context = _context(pair, _CIPHERS_25 if port25 else _CIPHERS)
    context.num_tickets = 0 if port25 else 1  # TLS 1.3; OpenSSL would make two, and each costs a tenth of the handshake
    if port25:
        context.options |= ssl.OP_NO_TICKET  # TLS 1.2
    context.sni_callback = choose
    return context


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path to `text` for OpenSSL, in memory where the system can: the key does not touch the disk."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(fd, text.encode())
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
    else:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            yield file.name
