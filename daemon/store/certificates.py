"""Certificates and their private keys, kept in the store so that every listener finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Certificate:
    """`chain` and `private_key` are PEM; the key is never shown."""

    id: int
    names: tuple[str, ...]
    chain: str
    private_key: str
    source: str
    not_before_at: int
    not_after_at: int
    created_at: int


_COLUMNS = "id, names, chain, private_key, source, not_before_at, not_after_at, created_at"


def everyone(tx: Tx) -> list[Certificate]:
    """Newest first."""
    return [_certificate(r) for r in tx.all(f"select {_COLUMNS} from certificate order by id desc")]


def get(tx: Tx, certificate_id: int) -> Certificate:
    """Raises `Missing`."""
    row = tx.one(f"select {_COLUMNS} from certificate where id = ?", certificate_id)
    if row is None:
        raise Missing(f"there is no certificate {certificate_id}; `mailctl cert list` names them all")
    return _certificate(row)


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate with these names is one for `host`."""
    return host in names or "*." + host.partition(".")[2] in names


def standing(certificate: Certificate, now: int) -> tuple[int, int, int]:
    """The greater is shown where two have the same name: valid before expired, signed by an authority before signed by
    itself, the newest."""
    return int(certificate.not_after_at > now), int(certificate.source != "self-signed"), certificate.id


def best(tx: Tx, host: str) -> Certificate | None:
    """The one that stands for `host`: one with its name before one with `*`, and any other before none."""
    return max(everyone(tx), key=lambda c: (covers(c.names, host), host in c.names, *standing(c, tx.now)), default=None)


def shown(tx: Tx, host: str) -> Certificate | None:
    """The same, if it is for `host`."""
    found = best(tx, host)
    return found if found is not None and covers(found.names, host) else None


def add(
    tx: Tx, names: tuple[str, ...], chain: str, private_key: str, source: str, not_before_at: int, not_after_at: int
) -> int:
    """A new certificate; older ones from the same source with the same names go."""
    tx.run("delete from certificate where source = ? and names = ?", source, " ".join(names))
    tx.settings_touched()
    return tx.insert(
        "insert into certificate (names, chain, private_key, source, not_before_at, not_after_at, created_at)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        " ".join(names), chain, private_key, source, not_before_at, not_after_at, tx.now,
    )  # fmt: skip


def remove(tx: Tx, certificate_id: int) -> None:
    """Raises `Missing`."""
    if not tx.run("delete from certificate where id = ?", certificate_id):
        raise Missing(f"there is no certificate {certificate_id}")
    tx.settings_touched()


def _certificate(r: tuple[Any, ...]) -> Certificate:
    return Certificate(r[0], tuple(r[1].split()), *r[2:])
