"""Users whose mail is held since they sent too much: what is held of each is let go, or thrown away, as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.admin import words
from daemon.flow.alarm import why
from daemon.limits import LIMITS
from daemon.store import accounts, incidents, settings
from daemon.store.db import Store
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Incident:
    """`messages` and `recipients` were held in all, `waiting` of the recipients are now. `reason` is the limit, `why`
    says it in words. `trace` is of the message that began it."""

    incident: int
    user: str
    reason: str
    why: str
    allowed: int
    found: int
    messages: int
    recipients: int
    waiting: int
    trace: str
    began_at: int
    last_at: int
    type: str = "incident"


def open_ones(store: Store, user: str | None = None) -> list[Incident]:
    """Those that last, the oldest first; of one user, or of all. Raises `Missing`."""

    def work(tx: Tx) -> list[Incident]:
        whose = None if user is None else accounts.get(tx, words.address(user)).id
        return [_incident(one) for one in incidents.open_ones(tx, whose)]

    return store.read_now(work)


def get(store: Store, number: int) -> Incident:
    """One that lasts. Raises `Missing`."""
    return _incident(store.read_now(incidents.get, number))


def release(store: Store, number: int, progress: Callable[[int], None] = lambda _: None) -> int:
    """Send what is held, and end it: how many recipients. Cut off, it is run again. Raises `Missing`."""
    lifetime = store.read_now(settings.load)["queue.lifetime"] * 1000
    return _stepwise(store, lambda tx: incidents.release_some(tx, number, lifetime, LIMITS.step), progress)


def drop(store: Store, number: int, progress: Callable[[int], None] = lambda _: None) -> int:
    """Throw what is held away, and end it: how many recipients. Nobody is told. Raises `Missing`."""
    return _stepwise(store, lambda tx: incidents.drop_some(tx, number, LIMITS.step), progress)


def _stepwise(store: Store, work: Callable[[Tx], int], progress: Callable[[int], None]) -> int:
    """Steps until the one that ends it, which is not full."""
    done = 0
    while True:
        some = store.write_now(work)
        done += some
        progress(some)
        if some < LIMITS.step:
            return done


def _incident(one: incidents.Incident) -> Incident:
    return Incident(
        incident=one.id,
        user=one.user,
        reason=one.reason,
        why=why(one),
        allowed=one.allowed,
        found=one.found,
        messages=one.messages,
        recipients=one.recipients,
        waiting=one.waiting,
        trace=one.trace,
        began_at=one.began_at,
        last_at=one.last_at,
    )
