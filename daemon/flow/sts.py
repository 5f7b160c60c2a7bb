"""MTA-STS policies of others, for as long as they say (RFC 8461 §3.3, §5): looked up, fetched, kept, fetched anew.

A policy in force is used at once, and looked after in the background; only the first mail to a domain waits for its
policy. What cannot be fetched changes nothing: the old policy holds until its time is over, and without one mail goes
as if there were none. Whoever could stop mail by stopping a web server would.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from daemon import log
from daemon.flow.https import Fetch, FetchFailed
from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.store import tls_memory
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.trust import mta_sts
from daemon.trust.mta_sts import BadPolicy, Policy

_LOOK = 600.0  # seconds between two looks at the TXT record of a domain whose policy is in force
_ROUND = 3600.0  # seconds between two rounds over all policies
_AT_ONCE = 50  # policies fetched anew in one round, one after another


class Found(NamedTuple):
    """The policy to go by, if any. `failure`: RFC 8460's word, where there is one that could not be had."""

    policy: Policy | None = None
    failure: str = ""


class Policies:
    """One per process, on the loop."""

    def __init__(
        self, store: Store, resolver: Resolver, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._fetch = fetch
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, str]] = OrderedDict()  # until when, and why
        self._looked: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, asyncio.Task[Found]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def of(self, domain: str) -> Found:
        """What holds for mail to this domain (A-labels, as in the recipient's address). Never raises."""
        kept = self._store.peek(tls_memory.policy, domain)
        if kept is not None:
            self._look_after(domain)
            return Found(Policy(kept.id, kept.mode, kept.mx, kept.max_age))  # type: ignore[arg-type]
        until, reason = self._failed.get(domain, (0.0, ""))
        if until > self._clock():
            return Found(None, reason)
        try:
            id = await mta_sts.discover(self._resolver, domain)
        except TemporaryDNSError:
            return Found()
        return await self._fetched(domain, id) if id else Found()

    async def _fetched(self, domain: str, id: str) -> Found:
        """One flight for all who ask; cancelling one of them does not disturb the others."""
        flight = self._flights.get(domain)
        if flight is None:
            flight = self._flights[domain] = asyncio.create_task(self._fetch_now(domain, id))
            flight.add_done_callback(lambda _: self._flights.pop(domain, None))
        return await asyncio.shield(flight)

    async def _fetch_now(self, domain: str, id: str) -> Found:
        try:
            policy = mta_sts.parse(await self._fetch(domain), id)
            self._failed.pop(domain, None)
            self._looked_at(domain)
            try:
                await self._store.write(
                    tls_memory.keep_policy, domain, policy.id, policy.mode, policy.mx, policy.max_age
                )
            except StoreError as error:  # it holds for this mail, and is fetched again for the next
                log.trouble("mta-sts-not-kept", domain=domain, error=str(error))
            return Found(policy)
        except FetchFailed as failed:
            return self._remember(domain, failed.reason, str(failed))
        except BadPolicy as bad:
            return self._remember(domain, "sts-policy-invalid", str(bad))
        except Exception as fault:  # a fault of ours: the domain's mail goes on
            log.fault("mta-sts", fault, domain=domain)
            return self._remember(domain, "sts-policy-fetch-error", "a fault of this server")

    def _remember(self, domain: str, reason: str, words: str) -> Found:
        log.trouble("mta-sts-failed", domain=domain, reason=reason, error=words)
        self._failed[domain] = (self._clock() + LIMITS.sts_failure, reason)
        while len(self._failed) > LIMITS.out_memory:
            self._failed.popitem(last=False)
        return Found(None, reason)

    # -- looking after what is kept ------------------------------------------------------------------------------------

    def _look_after(self, domain: str) -> None:
        """Begin a look, in the background, unless there was one lately."""
        if self._looked.get(domain, -_LOOK) + _LOOK > self._clock():
            return
        self._looked_at(domain)
        task = asyncio.create_task(self.refresh(domain))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    def _looked_at(self, domain: str) -> None:
        self._looked[domain] = self._clock()
        self._looked.move_to_end(domain)
        while len(self._looked) > LIMITS.out_memory:
            self._looked.popitem(last=False)

    async def refresh(self, domain: str) -> None:
        """Fetch anew when the record has another id, or the policy was not fetched for a day. Failure keeps it."""
        kept = self._store.peek(tls_memory.policy, domain)
        if kept is None or self._failed.get(domain, (0.0, ""))[0] > self._clock():
            return
        try:
            id = await mta_sts.discover(self._resolver, domain)
        except TemporaryDNSError:
            return
        old = self._store.clock() - kept.fetched_at > LIMITS.sts_refresh * 1000
        if id and (id != kept.id or old):  # a record that is gone changes nothing (§5.1)
            await self._fetched(domain, id)

    async def run(self) -> None:
        """Look after those that nobody asks for: a policy must not end because no mail was sent for a while."""
        while True:
            before = self._store.clock() - LIMITS.sts_refresh * 1000
            try:
                domains = await self._store.read(tls_memory.policies_to_refresh, before, _AT_ONCE)
                for domain in domains:
                    await self.refresh(domain)
            except Exception as error:
                log.fault("mta-sts-round", error)
            await asyncio.sleep(_ROUND)

    async def close(self) -> None:
        """Let go of what is under way."""
        tasks = [*self._looking, *self._flights.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
