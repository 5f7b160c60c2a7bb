"""A runner over a house, with a resolver out of a table and little patience."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from daemon.config import Config
from daemon.flow.peer import Patience
from daemon.flow.queue import Runner
from daemon.flow.route import Ourselves, Router
from daemon.flow.send import Sender
from daemon.flow.tls import Tls
from daemon.resolver import MX, Resolver
from tests.flow.house import House
from tests.flow.table import Table

QUICK = Patience(connect=2, stagger=0.05, handshake=2, greeting=0.4, command=0.4, content=0.4, end=0.4, quit=0.2)


class Office:
    """`settings` may change while it runs. `port` is that of all other servers but smart hosts."""

    def __init__(
        self,
        house: House,
        records: Mapping[str, str] | Resolver,
        port: int = 1,
        settings: Mapping[str, str] | None = None,
        patience: Patience = QUICK,
    ) -> None:
        self.house = house
        resolver = table(records) if isinstance(records, Mapping) else records
        router = Router(resolver, Ourselves("mx.here.example", listeners=()), port=port, chance=random.Random(1))
        self.sender = Sender(
            house.store.segments, router, Tls(), name=lambda: "mx.here.example", patience=patience
        )  # fmt: skip
        self.config = Config([*house.config.rows.items(), *(settings or {}).items()])
        self.runner = Runner(house.store, self.sender, lambda: self.config, chance=random.Random(1))

    def tick(self, seconds: float) -> None:
        """Time passes, and the runner looks at the clock."""
        self.house.clock.now += int(seconds * 1000)
        self.runner._wake.set()

    async def until(self, true: Callable[[], Any], patience: float = 10) -> None:
        """Look now and then, until something is so."""
        async with asyncio.timeout(patience):
            while not true():
                await asyncio.sleep(0.01)


def table(addresses: Mapping[str, str]) -> Table:
    """Each domain has one MX, `mx.DOMAIN`, at the address given."""
    records: dict[tuple[str, str], list[Any] | str] = {}
    for domain, address in addresses.items():
        records[domain, "MX"] = [MX(10, f"mx.{domain}")]
        records[f"mx.{domain}", "A"] = [address]
    return Table(records)


@contextlib.asynccontextmanager
async def running(office: Office) -> AsyncIterator[Office]:
    office.house.store.attach(asyncio.get_running_loop())
    task = asyncio.create_task(office.runner.run())
    try:
        yield office
    finally:
        await office.runner.stop(2)
        await task
        assert not office.runner.dialing and not office.runner._open, "lines and places are given back"
