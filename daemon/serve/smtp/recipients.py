"""The resolver's answers, kept for a moment: a sender with a thousand messages asks the same a thousand times.

Only answers that take the mail are kept (for who may relay, "not ours" is one), for `KEPT` seconds at most, and none
when a user or a setting changes. So nobody is refused by an old answer, and a disabled address is refused within a
second whoever disabled it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from daemon.flow.planning import FULL
from daemon.mail.address import Address
from daemon.store import accounts, addresses
from daemon.store.addresses import NOT_OURS, Resolution
from daemon.store.db import Store
from daemon.store.errors import Missing, OverQuota
from daemon.store.tx import Changes, Tx

KEPT = 1.0
_MOST = 10_000


@dataclass(slots=True)
class _Known:
    resolution: Resolution
    limited: bool  # somebody there has a quota: it is looked at each time
    until: float


class Recipients:
    """One for all SMTP doors of a process."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[tuple[Address, bool], _Known] = {}
        self.close = store.listen(self._changed)

    def resolve(self, address: Address, size: int, default_quota: int, *, relay: bool) -> Resolution:
        """Where mail for an address goes; denied as `FULL` when that is only mailboxes without room for `size`.

        `relay`: the client may send to other servers.
        """
        now = self._clock()
        known = self._known.get((address, relay))
        if known is None or known.until <= now:
            resolution, limited = self._store.peek(_resolve, address, default_quota)
            if resolution.denial is not None and not (relay and resolution.denial is NOT_OURS):
                return resolution
            known = _Known(resolution, limited, now + KEPT)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[address, relay] = known
        if known.limited and not self._store.peek(_has_room, known.resolution, size, default_quota):
            return Resolution(address, ours=True, denial=FULL)
        return known.resolution

    def _changed(self, changes: Changes) -> None:
        if changes.accounts or changes.settings or changes.everything:
            self._known.clear()


def _resolve(tx: Tx, address: Address, default_quota: int) -> tuple[Resolution, bool]:
    found = addresses.resolve(tx, address)
    return found, any(accounts.quota_of(tx, local.account_id, default_quota) for local in found.locals)


def _has_room(tx: Tx, found: Resolution, size: int, default_quota: int) -> bool:
    """Whether anything that the address leads to can take `size` octets more."""
    if found.onward:
        return True
    for local in found.locals:
        try:
            accounts.check_room(tx, local.account_id, max(size, 1), default_quota)
        except (OverQuota, Missing):
            continue
        return True
    return False
