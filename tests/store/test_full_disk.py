"""A full disk, at the level of the store: on a small file system of its own where we may mount, and everywhere under
limits on files and pages. Nothing acknowledged is lost, nothing is broken, and with room again everything goes on.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.store import messages
from daemon.store.compact import Janitor
from daemon.store.db import Store, StoreFull
from daemon.store.tx import Tx
from tests.store.stage import Clock, add_user, box_id, bytes_in, clean, deliver, message, open_store

MIB = 1 << 20
SIZE = 16 * MIB


def mounted(place: Path) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        if mounted(Path(place)):
            subprocess.run(["umount", place], check=True)
            return True
    return False


@pytest.fixture(params=["disk", "count"] if may_mount() else ["count"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens a store that has 16 MiB: on a disk that ends there, or by counting what its files take."""
    place = tmp_path / "disk"
    place.mkdir()
    clock = Clock()
    real = request.param == "disk"
    assert not real or mounted(place)
    opened: list[Store] = []

    def opens() -> Store:
        store = open_store(DataDir(place / "data"), clock)
        opened.append(store)
        if not real:
            taken = lambda: sum(f.stat().st_blocks * 512 for f in place.rglob("*") if f.is_file())  # noqa: E731
            store.free = lambda: SIZE - taken()  # type: ignore[method-assign]
        return store

    yield opens
    for store in opened:
        store.close()
    if real:
        subprocess.run(["umount", str(place)], check=True)


def fill(store: Store, account: int, size: int = 50_000) -> list[bytes]:
    """Deliver until there is no room; what was acknowledged."""
    taken: list[bytes] = []
    while True:
        data = message(f"number {len(taken)}", size)
        try:
            deliver(store, account, data)
        except StoreFull:
            return taken
        taken.append(data)
        assert len(taken) < 1000


def test_below_the_reserve_all_but_new_mail_goes_on_and_room_comes_back(small: Callable[[], Store]) -> None:
    store = small()
    clock = store.clock
    assert isinstance(clock, Clock)
    store.reserve = 6 * MIB
    store.segment_size = 1 * MIB
    account = store.write_now(add_user)
    box, archive = box_id(store, account), box_id(store, account, "Archive")
    taken = fill(store, account)
    assert len(taken) > 50
    assert not store.has_room() or not store.has_room(50_000)
    assert bytes_in(store, box) == taken
    store.write_now(messages.set_flags, box, messages.ALL, "+", 1)
    store.write_now(messages.copy, box, messages.ALL, archive)
    store.write_now(messages.remove, archive)
    keep = list(range(1, len(taken) + 1, 3))
    gone = [uid for uid in range(1, len(taken) + 1) if uid not in keep]
    store.write_now(messages.remove, box, messages.to_ranges(gone))
    clean(store)
    with pytest.raises(StoreFull):
        deliver(store, account, message("not yet", 50_000))

    async def keep_house() -> None:
        house = Janitor(store, Config, asyncio.Event())
        for work in house.works:
            await work()

    asyncio.run(keep_house())
    clock.forward(LIMITS.blob_grace + 1)
    asyncio.run(keep_house())  # rewrites what lives, into the reserve
    for file in store.data.segments.iterdir():
        os.utime(file, (1, 1))
    asyncio.run(keep_house())
    deliver(store, account, message("again", 50_000))
    assert bytes_in(store, box) == [taken[uid - 1] for uid in keep] + [message("again", 50_000)]
    clean(store)
    assert not store.broken


def test_a_disk_filled_to_the_last_octet_loses_nothing(small: Callable[[], Store]) -> None:
    store = small()
    account = store.write_now(add_user)
    box = box_id(store, account)
    ballast = store.data.path.parent / "ballast"
    ballast.write_bytes(bytes(4 * MIB))
    taken = fill(store, account)
    for number in range(300):  # small ones, until rows do not fit either
        try:
            deliver(store, account, data := message(f"small {number}"))
        except StoreFull:
            break
        taken.append(data)
    assert not store.broken
    assert bytes_in(store, box) == taken
    clean(store)
    ballast.unlink()
    deliver(store, account, message("again", 20_000))
    assert bytes_in(store, box) == [*taken, message("again", 20_000)]
    clean(store)
    store.close()
    store = small()
    assert bytes_in(store, box) == [*taken, message("again", 20_000)]
    clean(store)


LIMITED = """
import resource, sys
from pathlib import Path
from daemon.config import DataDir
from daemon.store import messages
from daemon.store.db import StoreFull
from tests.store.stage import add_user, box_id, bytes_in, clean, deliver, message, open_store
from tests.store.test_full_disk import fill

store = open_store(DataDir(Path(sys.argv[1])))
account = store.write_now(add_user)
box = box_id(store, account)
if sys.argv[2] == "files":  # the segment reaches it long before the log does
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
else:
    store.write_now(lambda tx: tx.one(f"pragma max_page_count = {tx.value('pragma page_count') + 8}"))
taken = fill(store, account, 400_000)
assert len(taken) > 3, len(taken)
assert not store.broken
assert bytes_in(store, box) == taken
clean(store)
store.write_now(messages.set_flags, box, [(1, 2)], "+", 1)
if sys.argv[2] == "files":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    store.write_now(lambda tx: tx.one("pragma max_page_count = 1000000"))
deliver(store, account, message("again", 20_000))
assert bytes_in(store, box) == [*taken, message("again", 20_000)]
clean(store)
store.close()
"""


@pytest.mark.parametrize("limit", ["files", "pages"])
def test_limits_on_files_and_pages_are_a_full_disk(tmp_path: Path, limit: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "data"), limit], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_start_on_a_full_disk_says_so(small: Callable[[], Store], tmp_path: Path) -> None:
    """Where the disk is real there is no room for a first database."""
    if not may_mount():
        store = small()
        assert store.read_now(Tx.value, "select 1") == 1
        return
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    try:
        with pytest.raises(StoreFull, match="full"):
            Store.open(DataDir(place / "data"))
    finally:
        subprocess.run(["umount", str(place)], check=True)
