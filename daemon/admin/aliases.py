"""Aliases: one address, several targets, here or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.store import aliases, domains
from daemon.store.db import Store
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Alias:
    address: str
    targets: tuple[str, ...]
    enabled: bool
    expired: bool
    note: str
    created_at: int
    expires_at: int | None


def everyone(store: Store, domain: str | None = None, target: str | None = None) -> list[Alias]:
    """All aliases, or those of a domain, or those that name a target. Raises `Missing` for an unknown domain."""

    def work(tx: Tx) -> list[Alias]:
        name = None if domain is None else domains.get(tx, words.domain(domain)).name
        key = None if target is None else words.address(target).key
        found = aliases.everyone(tx, name)
        return [_alias(tx, a) for a in found if key is None or any(words.address(t).key == key for t in a.targets)]

    return store.read_now(work)


def show(store: Store, address: str) -> Alias:
    """Raises `Missing`."""
    return store.read_now(lambda tx: _alias(tx, aliases.get(tx, words.address(address))))


def add(store: Store, address: str, targets: Sequence[str], *, note: str = "", expires: str | None = None) -> Alias:
    """Raises `Missing` (the domain), `Exists`, `Invalid`, `BadData`."""
    who = words.address(address)
    wanted = [words.address(t) for t in targets]
    until = None if expires is None else words.ahead(expires, store.clock())

    def work(tx: Tx) -> Alias:
        aliases.add(tx, who, wanted, note=note, expires_at=until)
        return _alias(tx, aliases.get(tx, who))

    return store.write_now(work)


def change(
    store: Store,
    address: str,
    *,
    targets: Sequence[str] = (),
    more: Sequence[str] = (),
    less: Sequence[str] = (),
    note: str | None = None,
    expires: str | None = None,
    enabled: bool | None = None,
) -> Alias:
    """Set what is given: all `targets` anew, or some `more` and some `less`; `expires` `never` ends the term.

    Raises `Missing`, `Invalid`, `BadData`.
    """
    values: dict[str, object] = {}
    if note is not None:
        values["note"] = note
    if enabled is not None:
        values["enabled"] = int(enabled)
    if expires is not None:
        values["expires_at"] = None if expires.lower() == "never" else words.ahead(expires, store.clock())

    def work(tx: Tx) -> Alias:
        who = words.address(address)
        there = {words.address(t).key: words.address(t) for t in aliases.get(tx, who).targets}
        wanted = {a.key: a for a in map(words.address, targets)} or dict(there)
        wanted.update((a.key, a) for a in map(words.address, more))
        for one in map(words.address, less):
            if wanted.pop(one.key, None) is None:
                raise Missing(f"{one} is not a target of {who}")
        if not wanted:
            raise Invalid(f"{who} would have no target left; remove or disable the alias instead")
        changed = list(wanted.values()) if wanted != there else None
        aliases.change(tx, who, targets=changed, **values)
        return _alias(tx, aliases.get(tx, who))

    return store.write_now(work)


def remove(store: Store, address: str) -> None:
    """Raises `Missing`."""
    store.write_now(lambda tx: aliases.remove(tx, words.address(address)))


def _alias(tx: Tx, alias: aliases.Alias) -> Alias:
    return Alias(
        address=str(alias.address),
        targets=alias.targets,
        enabled=alias.enabled,
        expired=alias.expires_at is not None and alias.expires_at <= tx.now,
        note=alias.note,
        created_at=alias.created_at,
        expires_at=alias.expires_at,
    )
