"""The self-test: a message on the whole road of a real server, and the step that fails named."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import selftest
from daemon.admin.carrier import Carrier
from daemon.store import settings
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl

ALICE = "alice@example.test"
ROAD = ["user", "submission", "queue", "mx", "filters", "imap", "pop3", "cleaning up"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("selftest") / "data"
    with Server(path, {ALICE: "wonderland"}) as started:
        yield started


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = Store.open(server.data)
    yield opened
    opened.close()


@pytest.fixture
def changed(store: Store) -> Iterator[Any]:
    """Settings that are put back: both sides read them anew."""
    keys: list[str] = []

    def change(**values: str) -> None:
        for key, value in values.items():
            keys.append(key.replace("__", "."))
            store.write_now(settings.put, keys[-1], value, "test")

    before = store.read_now(settings.rows)
    yield change
    for key in keys:
        if key in before:
            store.write_now(settings.put, key, before[key], "test")
        else:
            store.write_now(settings.unset, key, "test")


def nothing_is_left(store: Store) -> None:
    def look(tx: Tx) -> list[Any]:
        return [
            tx.value("select count(*) from account"),
            tx.value("select count(*) from app_password"),
            tx.value("select count(*) from route"),
            tx.value("select count(*) from email"),
            tx.value("select count(*) from queue_recipient"),
        ]

    assert store.read_now(look) == [1, 0, 0, 0, 0]


def test_a_message_goes_the_whole_road_and_leaves_nothing(store: Store) -> None:
    told: list[selftest.Step] = []
    steps = selftest.run(store, tell=told.append)
    assert [(step.name, step.result) for step in steps] == [(name, "ok") for name in ROAD], steps
    assert told == steps
    assert "TLSv1." in steps[1].text and "far server" in steps[2].text
    nothing_is_left(store)


def test_a_named_user_keeps_what_he_had(store: Store, server: Server) -> None:
    ctl = Ctl(server.data.path)
    lines = ctl.lines("selftest", "--user", ALICE)
    assert [step["result"] for step in lines] == ["ok"] * 8, lines
    assert ALICE in lines[0]["text"]
    nothing_is_left(store)
    assert "mail goes out" in ctl.ok("selftest")


def test_held_mail_is_carried_by_hand(store: Store, changed: Any) -> None:
    changed(queue__hold_external="yes")
    steps = selftest.run(store)
    assert [step.result for step in steps] == ["ok"] * 8, steps
    assert "held in the queue" in steps[2].text
    nothing_is_left(store)


@pytest.mark.parametrize(
    "values, step, said",
    [
        ({"limits__message_size": "100"}, "submission", "552 5.3.4"),
        ({"listen__submission": "off", "listen__submissions": "off"}, "submission", "are off"),
        ({"listen__smtp": "off"}, "mx", "listen.smtp are off"),
        ({"limits__quota": "10"}, "mx", "full"),
    ],
)
def test_the_step_that_fails_is_named_with_what_was_said(
    store: Store, changed: Any, values: dict[str, str], step: str, said: str
) -> None:
    changed(**values)

    def failing() -> selftest.Step | None:
        return next((s for s in selftest.run(store) if s.result == "failed"), None)

    failed = until(failing, f"{step} fails once the server has heard of {values}")
    assert failed.name == step and said in failed.text
    nothing_is_left(store)


def test_protocols_that_are_off_are_skipped(store: Store, changed: Any) -> None:
    changed(listen__imap="off", listen__imaps="off", listen__pop3s="off")
    results = {step.name: step.result for step in selftest.run(store)}
    assert results == dict.fromkeys(ROAD, "ok") | {"imap": "skipped"}


def test_a_port_that_is_not_ours_is_a_failed_step(store: Store, changed: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    changed(listen__imaps=f"127.0.0.1:{port}")
    steps = selftest.run(store)
    assert [(s.name, s.text) for s in steps if s.result == "failed"] == [("imap", "connection refused")]
    assert steps[-1].name == "cleaning up" and steps[-1].result == "ok"


def test_without_a_server_there_is_nothing_to_try(tmp_path: Path) -> None:
    ctl = Ctl(tmp_path / "data")
    assert "mailctl serve" in ctl.fails(69, "selftest")
    with contextlib.closing(ctl.store()) as store:
        assert not store.read_now(lambda tx: tx.value("select count(*) from account"))


def test_a_user_who_is_not_there(server: Server) -> None:
    ctl = Ctl(server.data.path)
    ctl.fails(1, "selftest", "--user", "nobody@example.test")
    assert json.loads(ctl.ok("user", "list", "--json").splitlines()[0])["address"] == ALICE


def test_the_carrier_takes_one_message_and_is_not_flooded() -> None:
    with Carrier() as carrier:
        with socket.create_connection(("127.0.0.1", carrier.port)) as peer, peer.makefile("rb") as lines:
            peer.sendall(b"EHLO x\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<x>\r\nDATA\r\n")
            assert [lines.readline()[:3] for _ in range(6)] == [b"220", b"250", b"500", b"250", b"250", b"354"]
            with contextlib.suppress(OSError):  # it hangs up in the middle
                peer.sendall(b"x" * 3_000_000)
                peer.shutdown(socket.SHUT_WR)
                assert lines.read() == b""
        assert carrier.wait(0) is None
        with socket.create_connection(("127.0.0.1", carrier.port)) as peer, peer.makefile("rb") as lines:
            peer.sendall(b"DATA\r\n..one\r\ntwo\r\n.\r\n")
            assert lines.read().splitlines()[-1].startswith(b"250")
        assert carrier.wait(5) == b".one\r\ntwo\r\n"
