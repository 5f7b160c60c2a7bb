"""The road out as one piece: resolver, router, sessions and runner made from the settings, and kept up with them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Mapping

from daemon.config import Config
from daemon.flow import signing
from daemon.flow.https import PolicyFetcher
from daemon.flow.queue import Runner
from daemon.flow.route import Ourselves, Router
from daemon.flow.send import Sender
from daemon.flow.sts import Policies
from daemon.flow.tls import Tls
from daemon.resolver import DNS
from daemon.store.db import Store
from daemon.store.tx import Changes


class Outbound:
    """One per process, made on the loop. `resolver` may be shared; it follows `dns.servers` all the same."""

    def __init__(self, store: Store, config: Callable[[], Config], resolver: DNS | None = None) -> None:
        self._store = store
        self._config = config
        now = config()
        self._servers = now["dns.servers"]
        self.resolver = resolver or DNS(self._servers)
        self._router = Router(self.resolver, ourselves(now), port=now["smtp.out_port"])
        tls = Tls()
        self._fetch = PolicyFetcher(self.resolver, tls.sts)
        self._policies = Policies(store, self.resolver, self._fetch)
        self._use_port(now["smtp.sts_port"])
        sender = Sender(
            store.segments, self._router, tls, name=lambda: config()["hostname"], local=lambda: local(config()),
            sts=self._policies,
            sign=lambda data: store.peek(signing.of, data),
        )  # fmt: skip
        self.runner = Runner(store, sender, config)
        self._deaf = store.listen(self._changed)

    async def run(self) -> None:
        """Send what is due, until `stop`."""
        looking = asyncio.create_task(self._policies.run())
        try:
            await self.runner.run()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self._policies.close()

    def _use_port(self, port: int) -> None:
        """Policies are at 443 of machines in the world; a test has another port, and its machines on loopback."""
        self._fetch.port, self._fetch.private = port, port != 443

    async def stop(self, deadline: float = 10) -> None:
        """Finish what is under way; see `Runner.stop`."""
        self._deaf()
        await self.runner.stop(deadline)

    def _changed(self, changes: Changes) -> None:
        if not (changes.settings or changes.everything):
            return
        now = self._config()
        if now["dns.servers"] != self._servers:
            self._servers = now["dns.servers"]
            self.resolver.use(self._servers)
        self._router.port = now["smtp.out_port"]
        self._router.ourselves = ourselves(now)
        self._use_port(now["smtp.sts_port"])


def ourselves(config: Config) -> Ourselves:
    """Our name, and where mail sent there would come back to us."""
    return Ourselves(config["hostname"], config["listen.smtp"])


def local(config: Config) -> Mapping[int, str]:
    """The addresses to come from: `smtp.out_address` may name one of each family, divided by a comma or a space."""
    found: dict[int, str] = {}
    for text in config["smtp.out_address"].replace(",", " ").split():
        with contextlib.suppress(ValueError):
            found[ipaddress.ip_address(text).version] = text
    return found
