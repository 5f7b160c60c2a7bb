"""Lists that were found whole, kept while they are true: who scrolls through one asks for it again and again.

A list belongs to a query and a state of its account, so a change of anything makes another one; what is not asked for
any more goes first. Only numbers are kept, eight octets each; a query takes room too, for most find next to nothing.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

from daemon.limits import LIMITS
from daemon.store.db import Store

_QUERY = 128  # numbers that take as much memory as a short query


class Lists:
    """Of one store; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, array[int]] = OrderedDict()
        self._numbers = 0
        self._counts: OrderedDict[int, tuple[Hashable, int]] = OrderedDict()

    def get(self, key: Hashable) -> array[int] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable, numbers: array[int]) -> None:
        room = _room(key, numbers)
        with self._lock:
            if key in self._kept or room > LIMITS.jmap_kept:
                return
            self._kept[key] = numbers
            self._numbers += room
            while self._numbers > LIMITS.jmap_kept:
                self._numbers -= _room(*self._kept.popitem(last=False))

    def count(self, mailbox: int, version: Hashable, make: Callable[[], int]) -> int:
        """The emails of a mailbox: as `make` counts them, but for one version of it only once."""
        with self._lock:
            known, count = self._counts.get(mailbox, (None, 0))
        if known != version:
            count = make()
        with self._lock:
            self._counts[mailbox] = version, count
            self._counts.move_to_end(mailbox)
            if len(self._counts) > LIMITS.jmap_counts:
                self._counts.popitem(last=False)
        return count


def _room(key: Hashable, numbers: array[int]) -> int:
    return len(numbers) + _QUERY + len(repr(key)) // 4


_of_store: WeakKeyDictionary[Store, Lists] = WeakKeyDictionary()
_lock = threading.Lock()


def of(store: Store) -> Lists:
    with _lock:
        return _of_store.setdefault(store, Lists())
