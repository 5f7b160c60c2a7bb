"""New keys wait for the DNS, and nobody has to come back for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from daemon.flow import rotation
from daemon.flow.rotation import Rotation, is_published, look
from daemon.limits import LIMITS
from daemon.store import dkim_keys, domains
from daemon.store.dkim_keys import Key, Made
from daemon.store.errors import StoreBusy
from tests.flow.house import House
from tests.flow.table import Table
from tests.instruments.until import soon

RSA = Made("rsa-sha256", "PEM of RSA", "UlNB")
ED = Made("ed25519-sha256", "PEM of Ed25519", "RWQ=")


@contextlib.asynccontextmanager
async def worker(house: House, table: Table, every: float = 0.01) -> AsyncIterator[None]:
    house.store.attach(asyncio.get_running_loop())
    task = asyncio.create_task(Rotation(house.store, lambda: house.config, table, every=every).run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def states(house: House) -> list[str]:
    return [f"{key.selector} {key.state}" for key in house.store.read_now(dkim_keys.everyone)]


def key(number: int, house: House) -> Key:
    return next(k for k in house.store.read_now(dkim_keys.everyone) if k.id == number)


async def test_a_domain_without_keys_gets_them(house: House) -> None:
    async with worker(house, Table({})):
        await soon(lambda: len(states(house)) == 2)
        assert states(house) == ["202701-rsa-1 active", "202701-ed25519-2 active"]
        await house.store.write(domains.add, "new.example")  # wakes it
        await soon(lambda: len(states(house)) == 4)
    assert key(3, house).domain == "new.example"


async def test_each_key_is_switched_when_it_is_seen_retired_and_let_go(house: House) -> None:
    house.store.write_now(dkim_keys.add, "here.example", [RSA, ED])
    new = house.store.write_now(dkim_keys.add, "here.example", [RSA._replace(public_key="TmV3"), ED])
    table = Table({})
    async with worker(house, table):
        await soon(lambda: table.asked.count((new[0].name, "TXT")) > 2)
        assert states(house)[2:] == ["202701-rsa-3 pending", "202701-ed25519-4 pending"]
        table.records[new[0].name, "TXT"] = [b"v=DKIM1; k=rsa; p=T2xk"]  # not this key
        table.records[new[1].name, "TXT"] = "SERVFAIL"
        asked = len(table.asked)
        await soon(lambda: len(table.asked) > asked + 8)
        assert states(house)[2:] == ["202701-rsa-3 pending", "202701-ed25519-4 pending"]
        table.records[new[0].name, "TXT"] = [new[0].record.encode()]
        await soon(lambda: "202701-rsa-3 active" in states(house))
        assert states(house) == [
            "202701-rsa-1 retired", "202701-ed25519-2 active", "202701-rsa-3 active", "202701-ed25519-4 pending"
        ]  # fmt: skip
        table.records[new[1].name, "TXT"] = [new[1].record.encode()]
        await soon(lambda: "202701-ed25519-2 retired" in states(house))
        house.clock.now += 7 * 86_400_000 - 1
        await look(house.store, table, house.config)
        assert states(house)[:2] == ["202701-rsa-1 retired", "202701-ed25519-2 retired"]
        house.clock.now += 1
        await soon(lambda: "202701-ed25519-2 gone" in states(house))
    assert states(house)[:2] == ["202701-rsa-1 gone", "202701-ed25519-2 gone"]


async def test_a_record_that_is_to_be_removed_is_looked_for_until_it_is(house: House) -> None:
    (made,) = house.store.write_now(dkim_keys.add, "here.example", [ED])
    table = Table({(made.name, "TXT"): [made.record.encode()]})
    await look(house.store, table, house.config)
    house.store.write_now(dkim_keys.remove, "here.example", made.selector)
    table.records[made.name, "TXT"] = [b"v=DKIM1; p="]
    await look(house.store, table, house.config)
    assert key(1, house).seen_at is not None, "whatever it is, it is still there"
    del table.records[made.name, "TXT"]
    await look(house.store, table, house.config)
    assert key(1, house).seen_at is None
    asked = len(table.asked)
    await look(house.store, table, house.config)
    assert len(table.asked) == asked, "that is the end of it"


@pytest.mark.parametrize(
    "records, there",
    [
        ([], False),
        ([b"v=DKIM1; k=ed25519; p=RWQ="], True),
        ([b"v=DKIM1;k=ed25519;p=R WQ\t=;"], True),
        ([b"p=RWQ=; k=ed25519"], True),
        ([b"v=DKIM1; k=ed25519; p="], False),
        ([b"v=DKIM1; k=ed25519; p=RWR="], False),
        ([b"v=DKIM1; p=RWQ="], False),
        ([b"v=DKIM1; k=rsa; p=RWQ="], False),
        ([b"v=DKIM2; k=ed25519; p=RWQ="], False),
        ([b"k=\xff; p=RWQ="], False),
        ([b"v=DKIM1; k=ed25519; p=RWQ=", b"v=spf1 -all"], False),
        ([b";;=;\x00" * 10_000], False),
    ],
)
async def test_only_the_very_key_counts_as_published(house: House, records: list[bytes], there: bool) -> None:
    (made,) = house.store.write_now(dkim_keys.add, "here.example", [ED])
    assert is_published(tuple(records), made) == there


async def test_the_worker_looks_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is busy and a fault of ours are told, and it goes on."""
    rounds = []

    async def troubled(*_: object) -> rotation.News:
        rounds.append(None)
        if len(rounds) == 1:
            raise StoreBusy("just now")
        if len(rounds) == 2:
            raise ValueError("a fault of ours")
        return rotation.News()

    house.store.write_now(dkim_keys.add, "here.example", [ED])
    monkeypatch.setattr(rotation, "look", troubled)
    async with worker(house, Table({})):
        await soon(lambda: len(rounds) > 3)
    assert Rotation(house.store, lambda: house.config, Table({}))._every == LIMITS.signing_round
