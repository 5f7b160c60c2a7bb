"""Rules in real servers: made with one command; two that forward to each other while both are on vacation; a kill."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
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
from tests.mailctl.conftest import Ctl

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


def mailctl(server: Server, *words: str) -> str:
    """What it says; it does what it is told while the server runs."""
    return Ctl(server.data.path).ok(*words)


def subjects(server: Server, user: str, mailbox: str) -> list[str]:
    """Of the messages in a mailbox, as a mail program sees them."""
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(user, "wonderland")
        assert imap.select(mailbox, readonly=True)[0] == "OK", f"there is no mailbox {mailbox}"
        found = imap.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")[1] if imap.untagged_responses["EXISTS"] else []
    return [each[1].decode().strip().partition(": ")[2] for each in found if isinstance(each, tuple)]


def test_a_rule_of_one_command_files_what_comes_from_then_on(tmp_path: Path) -> None:
    with Server(tmp_path / "data", {ANN: "wonderland"}, {"limits.exempt_networks": "127.0.0.0/8"}) as server:
        _send(server, ANN, "early", "billing@shop.example")
        said = mailctl(server, "rule", "add", ANN, "--from", "carol@far.example", "--file", "Receipts", "--read")
        assert said == "rule 1 of ann@one.test: from is “carol@far.example”: mark it read, file into Receipts\n"
        _send(server, ANN, "late")
        assert subjects(server, ANN, "INBOX") == ["early"] and subjects(server, ANN, "Receipts") == ["late"]
        script = mailctl(server, "sieve", "get", ANN, "mailctl").splitlines()
        line = next(number for number, text in enumerate(script, 1) if "fileinto" in text and "require" not in text)
        told = mailctl(server, "trace", "<late@far.example>")
        assert f"filed into Receipts (a new mailbox) with \\Seen (script mailctl, line {line})" in told, told
        mailctl(server, "rule", "rm", ANN, "1", "--yes")
        _send(server, ANN, "last")
        assert subjects(server, ANN, "INBOX") == ["early", "last"] and subjects(server, ANN, "Receipts") == ["late"]


FIELDS = {
    "a list": "List-Id: <talk.far.example>",
    "bulk": "Precedence: bulk",
    "a machine": "Auto-Submitted: auto-generated",
    "another answer": "Auto-Submitted: auto-replied",
}


async def test_an_answer_of_one_command_is_given_once_and_only_to_people(tmp_path: Path) -> None:
    async with Sink() as world, AsyncExitStack() as stack:
        one = await started(stack, tmp_path / "one", ANN)
        mailctl(one, "route", "add", "--default", f"127.0.0.1:{world.port}", "--tls", "none")
        text = "I am back on Monday."
        mailctl(one, "vacation", "set", ANN, "--text", text, "--subject", "Away")

        def letters() -> None:
            for subject in ("hello", "again"):
                _send(one, ANN, subject)
            for number, field in enumerate(FIELDS.values()):
                _send(one, ANN, f"no{number}", f"no{number}@far.example", field)
            _send(one, ANN, "nobody", "")
            _send(one, ANN, "blind", "blind@far.example", to="Friends <friends@far.example>")
            _send(one, ANN, "daemon", "mailer-daemon@far.example")
            _send(one, ANN, "last", "dora@far.example")

        await asyncio.to_thread(letters)
        await soon(lambda: len(world.copies) >= 2, one.log)
        await soon(lambda: not queued(one), one.log)
        assert [(each.sender, *each.recipients) for each in world.copies] == [
            ("", "carol@far.example"), ("", "dora@far.example")]  # fmt: skip
        assert all(b"\r\nSubject: Away\r\n" in each.data and text.encode() in each.data for each in world.copies)
        assert len(subjects(one, ANN, "INBOX")) == 6 + len(FIELDS), "an answer keeps the message"
        told = mailctl(one, "trace", "<hello@far.example>")
        assert "answered carol@far.example" in told, told
        mailctl(one, "vacation", "off", ANN)
        await asyncio.to_thread(_send, one, ANN, "back", "emma@far.example")
        await soon(lambda: not queued(one), one.log)
        assert len(world.copies) == 2


async def test_two_that_forward_by_command_and_are_away_answer_once(tmp_path: Path) -> None:
    """The same circle, made of `mailctl forward` and `mailctl vacation`."""
    async with Sink() as world, AsyncExitStack() as stack:
        one = await started(stack, tmp_path / "one", ANN)
        two = await started(stack, tmp_path / "two", BOB)
        for server, user, other, port in ((one, ANN, BOB, two.ports["smtp"]), (two, BOB, ANN, one.ports["smtp"])):
            mailctl(server, "route", "add", "--default", f"127.0.0.1:{world.port}", "--tls", "none")
            to = other.partition("@")[2]
            mailctl(server, "route", "add", "--to", to, f"127.0.0.1:{port}", "--tls", "none")
            mailctl(server, "forward", "add", user, other, "--keep")
            mailctl(server, "vacation", "set", user, "--text", "I am away.")
        await asyncio.to_thread(_send, one, ANN, "hello")
        await soon(lambda: len(world.copies) >= 2, lambda: one.log() + two.log())
        await soon(lambda: not queued(one) and not queued(two), lambda: one.log() + two.log())
        assert subjects(one, ANN, "INBOX")[0] == subjects(two, BOB, "INBOX")[0] == "hello"
    notices = [each for each in world.copies if b"multipart/report" in each.data]
    answers = [each for each in world.copies if b"auto-replied (vacation)" in each.data]
    assert len(answers) <= 1 and len(notices) <= 1 and len(world.copies) == len(answers) + len(notices)


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


def _send(
    server: Server, recipient: str, subject: str, sender: str = "carol@far.example", field: str = "", to: str = ""
) -> None:
    letter = LETTER.format(subject).replace("Ann <ann@one.test>", to or "Ann <ann@one.test>")
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as smtp:
        smtp.sendmail(sender, [recipient], (f"{field}\r\n{letter}" if field else letter).encode())


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
