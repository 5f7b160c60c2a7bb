"""Aliases: one address, several targets, local or external. `*` as the local part is the domain's catch-all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.mail.address import Address, fold_local
from daemon.store import domains
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx

CATCH_ALL = "*"


@dataclass(frozen=True, slots=True)
class Alias:
    id: int
    local: str
    domain: str
    enabled: bool
    note: str
    created_at: int
    expires_at: int | None
    targets: tuple[str, ...]

    @property
    def address(self) -> Address:
        return Address(self.local, self.domain)


_COLUMNS = "x.id, x.local, d.name, x.enabled, x.note, x.created_at, x.expires_at"
_FROM = "from alias x join domain d on d.id = x.domain_id"


def find(tx: Tx, address: Address) -> Alias | None:
    key, domain = address.key
    row = tx.one(f"select {_COLUMNS} {_FROM} where d.name = ? and x.local_key = ?", domain, key)
    return None if row is None else _alias(tx, row)


def get(tx: Tx, address: Address) -> Alias:
    """Raises `Missing`."""
    alias = find(tx, address)
    if alias is None:
        raise Missing(f"there is no alias {address}; `mailctl alias list` names them all")
    return alias


def everyone(tx: Tx, domain: str | None = None) -> list[Alias]:
    sql = f"select {_COLUMNS} {_FROM} where ? is null or d.name = ? order by d.name, x.local_key"
    return [_alias(tx, r) for r in tx.all(sql, domain, domain)]


def add(tx: Tx, address: Address, targets: Sequence[Address], *, note: str = "", expires_at: int | None = None) -> int:
    """Raises `Missing` (the domain), `Exists`, `Invalid`."""
    domain = domains.get(tx, address.domain)
    key = fold_local(address.local)
    if tx.value("select 1 from account where domain_id = ? and local_key = ?", domain.id, key):
        raise Exists(f"{address} is a user; use `mailctl forward` to send mail on")
    if find(tx, address) is not None:
        raise Exists(f"the alias {address} is there already; `mailctl alias set` changes it")
    alias_id = tx.insert(
        "insert into alias (domain_id, local, local_key, note, created_at, expires_at) values (?, ?, ?, ?, ?, ?)",
        domain.id, address.local, key, note, tx.now, expires_at,
    )  # fmt: skip
    _set_targets(tx, alias_id, targets)
    tx.settings_touched()
    return alias_id


def change(tx: Tx, address: Address, *, targets: Sequence[Address] | None = None, **values: Any) -> None:
    """Set `targets`, `enabled`, `note`, `expires_at`. Raises `Missing`, `Invalid`."""
    alias = get(tx, address)
    if targets is not None:
        tx.run("delete from alias_target where alias_id = ?", alias.id)
        _set_targets(tx, alias.id, targets)
    for column, value in values.items():
        if column not in ("enabled", "note", "expires_at"):
            raise Invalid(f"an alias has no {column}")
        tx.run(f"update alias set {column} = ? where id = ?", value, alias.id)
    tx.settings_touched()


def remove(tx: Tx, address: Address) -> None:
    """Raises `Missing`."""
    tx.run("delete from alias where id = ?", get(tx, address).id)
    tx.settings_touched()


def _set_targets(tx: Tx, alias_id: int, targets: Sequence[Address]) -> None:
    if not targets:
        raise Invalid("an alias needs at least one target")
    for target in dict.fromkeys(str(t) for t in targets):
        tx.run("insert into alias_target (alias_id, address) values (?, ?)", alias_id, target)


def _alias(tx: Tx, r: tuple[Any, ...]) -> Alias:
    targets = tx.all("select address from alias_target where alias_id = ? order by address", r[0])
    return Alias(r[0], r[1], r[2], bool(r[3]), r[4], r[5], r[6], tuple(t[0] for t in targets))
