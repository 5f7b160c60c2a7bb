"""The keys that sign what goes out: which there are, what to publish for them, how they are changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData, Unavailable
from daemon.flow import rotation, signing
from daemon.resolver import DNS
from daemon.store import dkim_keys, domains, settings
from daemon.store.db import Store
from daemon.store.dkim_keys import Algorithm
from daemon.store.tx import Tx

ALGORITHMS: Mapping[str, Algorithm] = {"rsa": "rsa-sha256", "ed25519": "ed25519-sha256"}
"""What administrators call them."""


@dataclass(frozen=True, slots=True)
class Key:
    """`name` and `record` are what is published: a TXT record. `state` is pending, active, retired or gone, `next` what
    is to be done: publish, wait (until `due_at`), remove its record, or nothing."""

    domain: str
    selector: str
    algorithm: Algorithm
    state: str
    next: str
    name: str
    record: str
    created_at: int
    seen_at: int | None
    activated_at: int | None
    retired_at: int | None
    gone_at: int | None
    due_at: int | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """What `rotate` has done: keys that were made, that changed their state, that still wait for the DNS."""

    domain: str
    made: tuple[Key, ...] = ()
    changed: tuple[Key, ...] = ()
    waiting: tuple[Key, ...] = ()


def public_records(tx: Tx, domain: str) -> list[tuple[str, str]]:
    """The TXT records a domain of ours (in A-labels) must have for its keys: names, and texts in one piece."""
    return [(key.name, key.record) for key in dkim_keys.published(tx, domain)]


def everyone(store: Store, domain: str | None = None) -> list[Key]:
    """Keys of one domain or of all, without those that are gone from here and from the DNS. Raises `Missing`."""

    def work(tx: Tx) -> list[Key]:
        name = None if domain is None else domains.get(tx, words.domain(domain)).name
        return [_key(tx, k) for k in dkim_keys.everyone(tx, name) if k.state != "gone" or k.seen_at is not None]

    return store.read_now(work)


def show(store: Store, domain: str, selector: str) -> Key:
    """Raises `Missing`."""
    return store.read_now(_get, words.domain(domain), selector)


def add(store: Store, domain: str, algorithms: Sequence[str] = ()) -> list[Key]:
    """New keys of these algorithms, of both when none is named: active where there is none yet, else pending.

    Raises `Missing`, `Exists`, `BadData`.
    """
    name = words.domain(domain)
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise BadData(f"{algorithm!r} is no algorithm; they are {', '.join(ALGORITHMS)}")
    store.read_now(domains.get, name)  # before the slow making
    made = signing.make(*(ALGORITHMS[a] for a in dict.fromkeys(algorithms)))
    return store.write_now(lambda tx: [_key(tx, k) for k in dkim_keys.add(tx, name, made)])


def rotate(store: Store, domain: str) -> Rotation:
    """The next step of changing a domain's keys: new ones, or, when those are there, the switch if the DNS has them.

    Raises `Missing`, `Unavailable` when keys wait and no name server answers.
    """
    name = words.domain(domain)
    store.read_now(domains.get, name)
    config = store.read_now(settings.load)
    waiting = {key.selector for key in store.read_now(_all, name) if key.state == "pending"}
    news = asyncio.run(rotation.look(store, DNS(config["dns.servers"]), config, name))
    if not waiting:
        now = store.read_now(_all, name)
        old = [key.algorithm for key in now if key.state == "active"]
        made = signing.make(*old)
        new = store.write_now(lambda tx: [_key(tx, k) for k in dkim_keys.add(tx, name, made)])
        return Rotation(name, made=tuple(new), changed=_now(store, news.changed))
    unknown = [reason for key, reason in news.unknown if key.selector in waiting]
    if len(unknown) == len(waiting):
        raise Unavailable(f"the name servers cannot say now whether the new keys of {name} are there: {unknown[0]}")
    left = tuple(key for key in store.read_now(_all, name) if key.state == "pending")
    return Rotation(name, changed=_now(store, news.changed), waiting=left)


def remove(store: Store, domain: str, selectors: Sequence[str]) -> list[Key]:
    """Sign with these no more; what is gone already is forgotten. The keys as they were. Raises `Missing`, and then
    none is touched."""
    name = words.domain(domain)

    def work(tx: Tx) -> list[Key]:
        keys = [_get(tx, name, selector) for selector in selectors]
        for selector in selectors:
            dkim_keys.remove(tx, name, selector)
        return keys

    return store.write_now(work)


def _now(store: Store, keys: Sequence[dkim_keys.Key]) -> tuple[Key, ...]:
    return tuple(store.read_now(_get, key.domain, key.selector) for key in keys)


def _all(tx: Tx, name: str) -> list[Key]:
    return [_key(tx, key) for key in dkim_keys.everyone(tx, name)]


def _get(tx: Tx, name: str, selector: str) -> Key:
    return _key(tx, dkim_keys.get(tx, name, selector))


def _key(tx: Tx, key: dkim_keys.Key) -> Key:
    due, following = None, ""
    if key.state in ("pending", "active") and key.seen_at is None:
        following = "publish"
    elif key.state == "retired":
        due, following = (key.retired_at or 0) + settings.load(tx)["dkim.retire_after"] * 1000, "wait"
    elif key.state == "gone" and key.seen_at is not None:
        following = "remove"
    return Key(
        key.domain, key.selector, key.algorithm, key.state, following, key.name, key.record, key.created_at,
        key.seen_at, key.activated_at, key.retired_at, key.gone_at, due,
    )  # fmt: skip
