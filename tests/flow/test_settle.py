import random
from typing import Any

import pytest

from daemon.flow import bounce, settle
from daemon.flow.deliver import Stale
from daemon.store.db import StoreFull
from tests.flow.house import House
from tests.flow.office import Office, running
from tests.instruments.sink import Sink

ONE = {"there.example": "127.0.0.1"}


async def test_a_full_disk_puts_off_failures_and_settles_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = house.store.write
    full = True

    async def no_room(work: Any, *args: Any, bodies: Any = (), **how: Any) -> Any:
        if bodies and full:
            raise StoreFull("the disk is full")
        return await write(work, *args, bodies=bodies, **how)

    monkeypatch.setattr(house.store, "write", no_room)
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("RCPT", "550 5.1.1 nobody", match="x@")
        sink.on("RCPT", "450 4.1.1 later", match="z@", times=1)
        house.mail("ann@here.example", "x@there.example", "y@there.example", "z@there.example")
        await office.until(lambda: len(house.queued()) == 2 and all(row.attempts for row in house.queued()))
        one, two = house.queued()
        assert one.last_reply == "this server's disk is too full for the notice of: 550 5.1.1 nobody"
        assert two.last_reply == "450 4.1.1 later"
        full = False
        office.tick(300)
        await office.until(lambda: not house.queued())
    assert len(sink.copies) == 2 and len(house.inbox("ann@here.example")) == 1


async def test_a_mailbox_that_changes_meanwhile_is_looked_up_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = settle.commit
    times = 0

    def stale(tx: Any, plan: Any) -> None:
        nonlocal times
        times += 1
        if times < 3:
            raise Stale("gone")
        commit(tx, plan)

    monkeypatch.setattr(settle, "commit", stale)
    async with running(Office(house, {})) as office:
        house.mail("ann@here.example", "x@nowhere.example")
        await office.until(lambda: not house.queued())
        assert len(house.inbox("ann@here.example")) == 1
        times = -100
        house.mail("ann@here.example", "y@nowhere.example")
        await office.until(lambda: house.queued() and house.queued()[0].attempts)
    assert len(house.inbox("ann@here.example")) == 1, "put off, since it cannot be told"


async def test_a_notice_that_cannot_be_made_does_not_stop_the_queue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bounce, "plan", broken)
    async with running(Office(house, {})) as office:
        receipt = house.mail("ann@here.example", "x@nowhere.example")
        await office.until(lambda: not house.queued())
    assert house.story(receipt)[-1] == "dropped sender-unknown"


async def test_a_fault_in_settling_leaves_the_rest_alive(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        judge = settle.Settler._judge

        def broken(self: Any, batch: Any, *args: Any) -> Any:
            if any(settled.claimed.address.startswith("poison") for settled in batch):
                raise RuntimeError("a bug")
            return judge(self, batch, *args)

        monkeypatch.setattr(settle.Settler, "_judge", broken)
        house.mail("ann@here.example", "poison@there.example")
        await sink.wait(1)
        await office.until(lambda: not office.runner._hands)
        house.mail("ann@here.example", "x@there.example")
        await office.until(lambda: len(house.queued()) == 1)


def test_the_delay_has_some_chance_in_it(house: House) -> None:
    settler = settle.Settler(house.store, lambda: house.config, lambda ids: None, chance=random.Random(3))
    delays = {settler.delay(0) for _ in range(20)}
    assert len(delays) > 10 and 255_000 <= min(delays) and max(delays) <= 300_000
    assert settler.delay(100) > 3 * 3600 * 1000 and settler.delay(100, 60) <= 60_000
