"""Files that users uploaded: each its owner's, one for equal bytes, gone after a day, and never more than may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.limits import LIMITS
from daemon.store import blobs, uploads
from daemon.store.db import Store
from daemon.store.errors import OverQuota
from daemon.store.spool import Body
from tests.store import stage
from tests.store.stage import Clock

HOUR = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = stage.open_store(DataDir(tmp_path / "data"), clock)
    yield store
    store.close()


def user(store: Store, name: str) -> int:
    return store.write_now(lambda tx: stage.add_user(tx, name))


def put(store: Store, account: int, data: bytes) -> str:
    with Body.of(data) as body:
        return store.write_now(uploads.put, account, body, "text/plain", bodies=[body])


def test_an_upload_is_its_owners(store: Store) -> None:
    ann, bob = user(store, "ann"), user(store, "bob")
    name = put(store, ann, b"hello")
    found = store.peek(uploads.find, ann, name)
    assert found is not None
    assert store.bytes_of(found.place) == b"hello" and (found.type, found.size) == ("text/plain", 5)
    assert store.peek(uploads.find, bob, name) is None and store.peek(uploads.find, ann, "f0") is None
    other = put(store, bob, b"hello")
    assert other != name
    again = store.peek(uploads.find, bob, other)
    assert again is not None and again.place == found.place
    stage.clean(store)


def test_an_upload_is_forgotten_after_a_day_and_its_bytes_after_a_grace(store: Store, clock: Clock) -> None:
    ann = user(store, "ann")
    name = put(store, ann, b"hello")
    clock.forward(LIMITS.upload_memory + 1)
    before = store.clock() - LIMITS.upload_memory * 1000
    assert store.write_now(uploads.forget, before, 100) == 1 and store.peek(uploads.find, ann, name) is None
    stage.clean(store)
    assert store.write_now(blobs.forget, store.clock() + 1, 100) == 1


def test_uploads_within_an_hour_have_a_ceiling_and_older_ones_make_room(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LIMITS", dataclasses.replace(LIMITS, uploads=3, uploads_storage=100))
    ann = user(store, "ann")
    first = put(store, ann, b"1" * 30)
    clock.forward(1)
    second = put(store, ann, b"2" * 30)
    clock.forward(1)
    put(store, ann, b"3" * 30)
    for size in (1, 40):
        with pytest.raises(OverQuota):
            put(store, ann, b"4" * size)
    clock.forward(LIMITS.upload_kept + 1)
    put(store, ann, b"5" * 60)
    assert store.peek(uploads.find, ann, first) is None and store.peek(uploads.find, ann, second) is None
    with pytest.raises(OverQuota):
        store.peek(uploads.check_room, ann, 41)
    stage.clean(store)


def test_uploads_go_with_their_user(store: Store) -> None:
    ann = user(store, "ann")
    put(store, ann, b"hello")
    store.write_now(uploads.forget_user, ann)
    stage.clean(store)
