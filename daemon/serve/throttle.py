"""Who failed lately, who has to wait, who is banned. Everything here is bounded in memory and costs microseconds.

A password that is tried again and again from one place counts once: a forgotten phone with the old password is told so,
and never banned. Private networks are slowed down, never banned (the gateway of a container host would take everybody
with it). An address that an account logged in from is not held against that account.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from daemon.limits import LIMITS
from daemon.store import bans
from daemon.store.db import Store, StoreError
from daemon.store.tx import Changes

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
        "::1/128", "fe80::/10", "fc00::/7",
    )
)  # fmt: skip
_FREE_BY_ADDRESS = 3  # failures without a delay
_FREE_BY_ACCOUNT = 10


@lru_cache(4096)
def network_of(address: str) -> str:
    """What is counted as one stranger: an IPv4 address, or an IPv6 /64 (one customer has all of it)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@lru_cache(4096)
def is_private(network: str) -> bool:
    """Whether it is nobody's in particular: never banned."""
    try:
        ip = ipaddress.ip_network(network).network_address
    except ValueError:
        return True
    return any(ip in private for private in _PRIVATE)


class _Count:
    __slots__ = ("since", "tried")

    def __init__(self, since: float) -> None:
        self.since = since
        self.tried: set[bytes] = set()


class Throttle:
    """Failures by network and by account within `LIMITS.login_window`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def failed(self, network: str, account: str, fingerprint: bytes) -> int:
        """Count a failure; how many different ones came from `network` in the window.

        `fingerprint` is the same for the same name and password.
        """
        self._add("account", account, fingerprint)
        return self._add("network", network, fingerprint)

    def delay(self, network: str, account: str) -> float:
        """Seconds to wait before looking at the next password."""
        return max(
            _growing(self._size("network", network) - _FREE_BY_ADDRESS),
            _growing(self._size("account", account) - _FREE_BY_ACCOUNT),
        )

    def forgive(self, network: str, account: str) -> None:
        """After a success."""
        self._counts.pop(("network", network), None)
        self._counts.pop(("account", account), None)

    def _add(self, kind: str, name: str, fingerprint: bytes) -> int:
        count = self._count(kind, name)
        if len(count.tried) < 4 * LIMITS.login_failures:
            count.tried.add(fingerprint)
        return len(count.tried)

    def _count(self, kind: str, name: str) -> _Count:
        now = self._clock()
        count = self._counts.get((kind, name))
        if count is None or count.since + LIMITS.login_window < now:
            count = self._counts[kind, name] = _Count(now)
            if len(self._counts) > 2 * LIMITS.login_cached:
                self._counts.popitem(last=False)
        self._counts.move_to_end((kind, name))
        return count

    def _size(self, kind: str, name: str) -> int:
        count = self._counts.get((kind, name))
        return 0 if count is None or count.since + LIMITS.login_window < self._clock() else len(count.tried)


def _growing(failures: int) -> float:
    """0.25 s, doubled each time, up to `LIMITS.login_delay`."""
    return min(float(LIMITS.login_delay), 0.25 * 2.0 ** min(failures, 10)) if failures >= 0 else 0.0


class Bans:
    """The store's `ban` table in memory, followed as it changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._exact: dict[str, tuple[str, int | None]] = {}
        self._wide: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, int | None]] = []
        self._stop = store.listen(self._changed)
        self.reload()

    def reason(self, address: str) -> str | None:
        """Why `address` may not talk to us now; None if it may."""
        if not self._exact and not self._wide:
            return None
        now = self._store.clock()
        for name in (network_of(address), address):
            found = self._exact.get(name)
            if found is not None and (found[1] is None or found[1] > now):
                return found[0]
        if self._wide:
            try:
                ip = ipaddress.ip_address(address)
            except ValueError:
                return None
            for network, reason, until in self._wide:
                if (until is None or until > now) and ip in network:
                    return reason
        return None

    async def ban(self, network: str, reason: str, seconds: int = LIMITS.ban) -> None:
        """From now on, and durably as soon as the store can."""
        until = self._store.clock() + seconds * 1000
        self._exact[network] = (reason, until)
        try:
            await self._store.write(bans.add, network, reason, until)
        except StoreError:
            pass  # it holds in this process until the next reload; the failures go on being counted

    def reload(self) -> None:
        exact: dict[str, tuple[str, int | None]] = {}
        wide: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, int | None]] = []
        for ban in self._store.peek(bans.in_force):
            exact[ban.network] = (ban.reason, ban.until_at)
            try:
                network = ipaddress.ip_network(ban.network, strict=False)
            except ValueError:
                continue
            if network.num_addresses > 1 and network != ipaddress.ip_network(network_of(str(network[0]))):
                wide.append((network, ban.reason, ban.until_at))
        self._exact, self._wide = exact, wide

    def close(self) -> None:
        self._stop()

    def _changed(self, changes: Changes) -> None:
        if changes.settings or changes.everything:
            self.reload()
