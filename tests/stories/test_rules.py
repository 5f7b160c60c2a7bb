"""Rules in real servers: two that forward to each other while both are on vacation; and one that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import smtplib
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from daemon.mail.address import parse_address
from daemon.store import accounts, routes, sieve
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.instruments.server import Server
from tests.instruments.sink import Sink
from tests.instruments.until import soon

ANN, BOB = "ann@one.test", "bob@two.test"
LETTER = (
    "From: Carol <carol@far.example>\r\nTo: Ann <ann@one.test>\r\nSubject: {0}\r\n"
    "Message-ID: <{0}@far.example>\r\n\r\nHello.\r\n"
)


def prepare(server: Server, user: str, script: str, **ways: int) -> None:
    """An active script, and the port that each domain (`far` stands for all others) is reached at."""
    store = Store.open(server.data)

    def work(tx: Tx) -> None:
        account = accounts.get(tx, parse_address(user)).id
        sieve.put(tx, account, "main", script)
        sieve.activate(tx, account, "main")
        for name, port in ways.items():
            kind, pattern = ("default", "*") if name == "far" else ("recipient", f"{name}.test")
            routes.add(tx, kind, pattern, "127.0.0.1", port, tls="none")

    store.write_now(work)
    store.close()


async def started(stack: AsyncExitStack, path: Path, user: str) -> Server:
    quick = {"limits.exempt_networks": "127.0.0.0/8", "queue.retry": "1s"}
    server = Server(path, {user: "wonderland"}, {**quick, "hostname": f"mx.{user.partition('@')[2]}"})
    stack.push_async_callback(asyncio.to_thread, server.kill)
    await asyncio.to_thread(server.start)
    return server


def queued(server: Server) -> int:
    store = Store.open(server.data)
    try:
        return int(store.read_now(Tx.value, "select count(*) from queue_recipient"))
    finally:
        store.close()


@pytest.mark.parametrize("copy", ["", ":copy "])
async def test_two_that_forward_to_each_other_and_are_away_answer_once(tmp_path: Path, copy: str) -> None:
    script = 'require ["vacation", "copy"];\nvacation "I am away.";\nredirect ' + copy
    async with Sink() as world, AsyncExitStack() as stack:
        one = await started(stack, tmp_path / "one", ANN)
        two = await started(stack, tmp_path / "two", BOB)
        prepare(one, ANN, f'{script}"{BOB}";', two=two.ports["smtp"], far=world.port)
        prepare(two, BOB, f'{script}"{ANN}";', one=one.ports["smtp"], far=world.port)
        await asyncio.to_thread(_send, one, ANN, "hello")
        await soon(lambda: len(world.copies) >= 2, lambda: one.log() + two.log())
        await soon(lambda: not queued(one) and not queued(two), lambda: one.log() + two.log())
    notices = [each for each in world.copies if b"multipart/report" in each.data]
    answers = [each for each in world.copies if b"auto-replied (vacation)" in each.data]
    assert len(answers) == 1 and len(notices) == 1 and len(world.copies) == 2
    assert {(each.sender, *each.recipients) for each in world.copies} == {("", "carol@far.example")}
    for server in (one, two):
        store = Store.open(server.data)
        assert [*check(store)] == []
        store.close()


def _send(server: Server, to: str, subject: str, sender: str = "carol@far.example") -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as smtp:
        smtp.sendmail(sender, [to], LETTER.format(subject).encode())


SORTING = """require ["fileinto", "mailbox", "vacation", "duplicate", "copy", "imap4flags", "editheader"];
if duplicate { discard; stop; }
vacation :addresses "ann@one.test" "away";
addheader "X-Sorted" "yes";
fileinto :create :flags "\\\\Flagged" "Lists/A";
redirect :copy "archive@far.example";
"""


@pytest.mark.parametrize("kill", [Server.kill, Server.kill_writer], ids=["server", "writer"])
def test_what_rules_did_is_whole_after_a_kill(tmp_path: Path, kill: Callable[[Server], None]) -> None:
    config = {"queue.hold_external": "yes", "limits.exempt_networks": "127.0.0.0/8"}
    server = Server(tmp_path / "data", {ANN: "wonderland"}, config)
    prepare(server, ANN, SORTING)
    taken: list[str] = []

    def client(number: int) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):  # the server is killed
            for count in range(1000):
                name = f"{number}-{count}"
                _send(server, ANN, name, f"carol{number}@far.example")
                taken.append(name)

    for rounds in range(2):
        server.start()
        clients = [threading.Thread(target=client, args=(rounds * 10 + number,)) for number in range(5)]
        for each in clients:
            each.start()
        wanted = len(taken) + 40
        while len(taken) < wanted and any(each.is_alive() for each in clients):
            clients[0].join(0.01)
        kill(server)
        for each in clients:
            each.join()
    store = Store.open(server.data)
    assert [*check(store)] == []
    rows = store.read_now(
        Tx.all,
        "select c.message_id, count(*), max(m.flags) from membership m join email e on e.id = m.email_id"
        " join content c on c.blob_id = e.blob_id join mailbox b on b.id = m.mailbox_id"
        " where b.name = 'Lists/A' group by 1",
    )
    filed = {message_id.strip("<>").partition("@")[0]: (count, flags) for message_id, count, flags in rows}
    assert set(taken) <= set(filed) and set(filed.values()) == {(1, 4)}
    sums = store.read_now(
        Tx.one,
        "select (select count(*) from queue_recipient where address = 'archive@far.example'),"
        " (select count(*) from queue_recipient where address like 'carol%'),"
        " (select count(*) from vacation_answer), (select count(*) from sieve_seen)",
    )
    senders = len({name.partition("-")[0] for name in filed})
    assert sums == (len(filed), senders, senders, len(filed)), json.dumps(sums)
    store.close()
