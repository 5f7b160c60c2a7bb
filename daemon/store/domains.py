"""The domains we are responsible for. Names are lower-case A-labels (`mail.address.normal_domain`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.store import greylist
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Domain:
    id: int
    name: str
    alias_of: int | None
    separators: str
    enabled: bool
    max_users: int | None
    created_at: int


_COLUMNS = "id, name, alias_of, separators, enabled, max_users, created_at"


def find(tx: Tx, name: str) -> Domain | None:
    row = tx.one(f"select {_COLUMNS} from domain where name = ?", name)
    return None if row is None else _domain(row)


def get(tx: Tx, name: str) -> Domain:
    """Raises `Missing`."""
    domain = find(tx, name)
    if domain is None:
        raise Missing(f"there is no domain {name}; `mailctl domain add {name}` makes it")
    return domain


def by_id(tx: Tx, domain_id: int) -> Domain:
    row = tx.one(f"select {_COLUMNS} from domain where id = ?", domain_id)
    if row is None:
        raise Missing(f"there is no domain number {domain_id}")
    return _domain(row)


def everyone(tx: Tx) -> list[Domain]:
    return [_domain(r) for r in tx.all(f"select {_COLUMNS} from domain order by name")]


def home(tx: Tx, names: Sequence[str]) -> str | None:
    """The domain that the first of these names is, or lies below, or stands for; else the first there is; only enabled
    ones."""
    for name in names:
        labels = name.split(".")
        for at in range(len(labels)):
            domain = find(tx, ".".join(labels[at:]))
            if domain is not None and domain.alias_of is not None:
                domain = by_id(tx, domain.alias_of)
            if domain is not None and domain.enabled:
                return domain.name
    first: str | None = tx.value("select name from domain where enabled and alias_of is null order by name limit 1")
    return first


def add(tx: Tx, name: str, *, alias_of: str | None = None) -> int:
    """Raises `Exists`, `Missing` (the domain it is an alias of), `Invalid`."""
    if find(tx, name) is not None:
        raise Exists(f"the domain {name} is there already")
    target = None if alias_of is None else _alias_target(tx, name, alias_of)
    tx.settings_touched()
    return tx.insert("insert into domain (name, alias_of, created_at) values (?, ?, ?)", name, target, tx.now)


def change(tx: Tx, name: str, **values: Any) -> None:
    """Set `alias_of` (a name or None), `separators`, `enabled`, `max_users`. Raises `Missing`, `Invalid`."""
    domain = get(tx, name)
    if values.get("alias_of") is not None:
        values["alias_of"] = _alias_target(tx, name, values["alias_of"])
        if tx.value("select 1 from account where domain_id = ? limit 1", domain.id):
            raise Invalid(f"{name} has users, who could not log in any more; remove them first")
        if tx.value("select 1 from domain where alias_of = ? limit 1", domain.id):
            raise Invalid(f"other domains stand for {name}; name its target for them first")
    for column in values:
        if column not in ("alias_of", "separators", "enabled", "max_users"):
            raise Invalid(f"a domain has no {column}")
        tx.run(f"update domain set {column} = ? where id = ?", values[column], domain.id)
    tx.changes.everything = True


def remove(tx: Tx, name: str) -> None:
    """Raises `Missing`, or `Invalid` while users, aliases or alias domains are there."""
    domain = get(tx, name)
    for what, sql in (
        ("users", "select count(*) from account where domain_id = ?"),
        ("aliases", "select count(*) from alias where domain_id = ?"),
        ("alias domains", "select count(*) from domain where alias_of = ?"),
    ):
        count = tx.value(sql, domain.id)
        if count:
            raise Invalid(f"{name} has {count} {what}; remove them first")
    greylist.remove(tx, domain.name)
    tx.run("delete from domain where id = ?", domain.id)
    tx.settings_touched()


def inhabitants(tx: Tx, domain_id: int) -> tuple[int, int]:
    """How many users and aliases a domain has; a catch-all counts as one."""
    row = tx.one(
        "select (select count(*) from account where domain_id = ?1), (select count(*) from alias where domain_id = ?1)",
        domain_id,
    )
    return (0, 0) if row is None else (row[0], row[1])


def _alias_target(tx: Tx, name: str, alias_of: str) -> int:
    target = get(tx, alias_of)
    if target.name == name or target.alias_of is not None:
        raise Invalid(f"{alias_of} is an alias domain itself; name the domain it stands for")
    return target.id


def _domain(row: tuple[Any, ...]) -> Domain:
    return Domain(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6])
