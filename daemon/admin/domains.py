"""Domains: what they are, what they stand for, and who gets what nobody else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.flow import signing
from daemon.mail.address import Address, display_domain
from daemon.store import aliases, dkim_keys, domains
from daemon.store.db import Store
from daemon.store.tx import Tx

_SEPARATORS = "+-_.=#"  # what mail systems use; a letter or @ as separator would cut names in two


@dataclass(frozen=True, slots=True)
class Domain:
    """`display` is the name with its letters as people write them. `catch_all` holds the targets, if there is one."""

    name: str
    display: str
    alias_of: str | None
    enabled: bool
    separators: str
    max_users: int | None
    users: int
    aliases: int
    catch_all: tuple[str, ...]
    created_at: int


def everyone(store: Store) -> list[Domain]:
    return store.read_now(lambda tx: [_domain(tx, d) for d in domains.everyone(tx)])


def show(store: Store, name: str) -> Domain:
    """Raises `Missing`."""
    return store.read_now(lambda tx: _domain(tx, domains.get(tx, words.domain(name))))


def add(
    store: Store,
    name: str,
    *,
    alias_of: str | None = None,
    separators: str | None = None,
    max_users: int | None = None,
    catch_all: Sequence[str] = (),
) -> Domain:
    """A domain with its first keys, which sign at once. Raises `Exists`, `Missing` (the domain it stands for),
    `Invalid`, `BadData`."""
    ours = words.domain(name)
    keys = signing.make()

    def work(tx: Tx) -> Domain:
        domains.add(tx, ours, alias_of=None if alias_of is None else words.domain(alias_of))
        dkim_keys.add(tx, ours, keys)
        tx.changes.everything = True
        return _set(tx, ours, None, separators, max_users, None, catch_all or None)

    return store.write_now(work)


def change(
    store: Store,
    name: str,
    *,
    alias_of: str | None = None,
    separators: str | None = None,
    max_users: int | None = None,
    enabled: bool | None = None,
    catch_all: Sequence[str] | None = None,
) -> Domain:
    """Set what is given. `alias_of` '' makes it stand for itself, `max_users` 0 is no limit, an empty `catch_all` none.

    Raises `Missing`, `Invalid`, `BadData`.
    """
    ours = words.domain(name)
    return store.write_now(_set, ours, alias_of, separators, max_users, enabled, catch_all)


def remove(store: Store, name: str) -> None:
    """Raises `Missing`, `Invalid` while somebody lives there."""

    def work(tx: Tx) -> None:
        domains.remove(tx, words.domain(name))
        tx.changes.everything = True

    store.write_now(work)


def _set(
    tx: Tx,
    name: str,
    alias_of: str | None,
    separators: str | None,
    max_users: int | None,
    enabled: bool | None,
    catch_all: Sequence[str] | None,
) -> Domain:
    domains.get(tx, name)
    values: dict[str, object] = {}
    if alias_of is not None:
        values["alias_of"] = words.domain(alias_of) if alias_of else None
    if separators is not None:
        wrong = set(separators) - set(_SEPARATORS)
        if wrong:
            raise BadData(f"{''.join(sorted(wrong))!r} cannot separate a subaddress; choose from {_SEPARATORS}")
        values["separators"] = "".join(dict.fromkeys(separators))
    if max_users is not None:
        values["max_users"] = max_users or None
    if enabled is not None:
        values["enabled"] = int(enabled)
    if values:
        domains.change(tx, name, **values)
    if catch_all is not None:
        _set_catch_all(tx, name, catch_all)
    return _domain(tx, domains.get(tx, name))


def _set_catch_all(tx: Tx, name: str, targets: Sequence[str]) -> None:
    address = Address(aliases.CATCH_ALL, name)
    there = aliases.find(tx, address) is not None
    wanted = [words.address(t) for t in targets]
    if not wanted and there:
        aliases.remove(tx, address)
    elif wanted and there:
        aliases.change(tx, address, targets=wanted)
    elif wanted:
        aliases.add(tx, address, wanted)


def _domain(tx: Tx, domain: domains.Domain) -> Domain:
    users, others = domains.inhabitants(tx, domain.id)
    catch_all = aliases.find(tx, Address(aliases.CATCH_ALL, domain.name))
    return Domain(
        name=domain.name,
        display=display_domain(domain.name),
        alias_of=None if domain.alias_of is None else domains.by_id(tx, domain.alias_of).name,
        enabled=domain.enabled,
        separators=domain.separators,
        max_users=domain.max_users,
        users=users,
        aliases=others,
        catch_all=() if catch_all is None else catch_all.targets,
        created_at=domain.created_at,
    )
