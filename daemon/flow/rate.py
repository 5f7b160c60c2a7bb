"""How much mail comes from a network just now, beside what is usual for it: in memory, of as many networks as the limit
says. A server that was broken into sends in minutes what it never sent before.

Two counts that fade, one in minutes, one in hours, are all that is kept. Who is new here is not unusual: what is usual
is at least `LIMITS.rate_usual`.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log2

from daemon.limits import LIMITS
from daemon.store import standing

_LATELY = 600.0  # seconds in which the short count fades to 1/e
_USUALLY = 86_400.0  # the long one
_TIMES = 16  # so many times more than usual is the most that counts


class Rates:
    """One for all doors of a process."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float, float]] = {}  # network: when, lately, usually

    def note(self, ip: str, now: float, recipients: int = 1) -> float:
        """Count a message that came at `now` (seconds) for so many recipients; from 0 (as usual) to 1."""
        network = network_of(ip)
        at, lately, usually = self._known.pop(network, (now, 0.0, 0.0))
        passed = max(0.0, now - at)
        usual = max(usually * (_LATELY / _USUALLY), LIMITS.rate_usual)
        lately = lately * exp(-passed / _LATELY) + recipients
        usually = usually * exp(-passed / _USUALLY) + recipients
        if len(self._known) >= LIMITS.rate_networks:
            del self._known[next(iter(self._known))]  # whoever has been silent for longest
        self._known[network] = now, lately, usually
        return min(1.0, max(0.0, log2(lately / (4 * usual)) / log2(_TIMES)))

    def __len__(self) -> int:
        return len(self._known)


@lru_cache(maxsize=1024)
def network_of(ip: str) -> str:
    """The network that counts as one sender: a /24, an IPv6 /64; what is no address is its own."""
    return standing.network_of(ip.partition("%")[0]) or ip
