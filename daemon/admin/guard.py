"""Networks that may not talk to us for a while."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.store import bans
from daemon.store.db import Store
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Ban:
    """`until_at` None: until removed."""

    network: str
    reason: str
    created_at: int
    until_at: int | None


def everyone(store: Store) -> list[Ban]:
    """Those in force."""
    return [Ban(b.network, b.reason, b.created_at, b.until_at) for b in store.read_now(bans.in_force)]


def add(store: Store, network: str, *, reason: str = "by hand", until: str | None = None) -> Ban:
    """`until`: a span or a date; None for good. Raises `BadData`."""
    name = _network(network)
    end = None if until is None else words.ahead(until, store.clock())
    if end is not None and end <= store.clock():
        raise BadData(f"{until!r} is in the past")

    def work(tx: Tx) -> Ban:
        bans.add(tx, name, reason, end)
        return next(Ban(b.network, b.reason, b.created_at, b.until_at) for b in bans.in_force(tx) if b.network == name)

    return store.write_now(work)


def remove(store: Store, networks: list[str]) -> list[str]:
    """Raises `Missing`, and then none is removed; `BadData`."""
    names = [_network(n) for n in networks]

    def work(tx: Tx) -> None:
        for name in names:
            bans.remove(tx, name)

    store.write_now(work)
    return names


def _network(text: str) -> str:
    """As bans are kept: an IPv4 address, an IPv6 /64, or a network."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise BadData(f"{text!r} is neither an IP address nor a network such as 192.0.2.0/24") from None
    if network.version == 6 and "/" not in text:
        network = network.supernet(new_prefix=64)
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise BadData(f"{network} is too large a part of the world to ban")
    return str(network.network_address) if network.version == 4 and network.prefixlen == 32 else str(network)
