"""The scanner is killed in the middle of many messages, and started again: each is taken once, refused for what is in
it, or put off and tried again by its sender; no virus comes in, none is lost, and the trace has all of it."""

from __future__ import annotations

import contextlib
import imaplib
import json
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.store import drills, events
from daemon.store.db import Store
from tests.instruments import filters
from tests.instruments.filters import VIRUS, Filters
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl

ALICE, PASSWORD = "alice@example.test", "correct horse"
SENDERS = 8
PATIENCE = 60  # seconds in which a sender tries again


@dataclass
class Post:
    """What the senders were told: for each message the codes of its replies, in order, each with its trace."""

    server: Server
    scanner: Filters
    told: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    back: threading.Event = field(default_factory=threading.Event)

    def give(self, number: int) -> None:
        """As a real sender does: what is put off is tried again, later."""
        replies = self.told[number] = []
        while not replies or replies[-1][0] == 451:
            if replies:
                assert self.back.wait(PATIENCE)
            with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as smtp:
                smtp.ehlo()
                smtp.mail(f"s{number}@far.example")
                smtp.rcpt(ALICE)
                code, said = smtp.data(letter(number))
            text = said.decode()
            trace = re.search(r"\(trace (\w+)\)", text)
            replies.append((code, trace[1] if trace else text.split()[-1]))

    def put_off(self) -> int:
        return sum(code == 451 for replies in list(self.told.values()) for code, _ in list(replies))


def is_bad(number: int) -> bool:
    return number % 5 == 0


def letter(number: int) -> bytes:
    head = f"From: <s{number}@far.example>\r\nMessage-ID: <{number}@far.example>\r\n\r\nmessage {number}\r\n".encode()
    return head + (VIRUS + b"\r\n" if is_bad(number) else b"")


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with filters.clamd() as scanner:
        settings = {"virus.scanner": scanner.url, "limits.exempt_networks": "127.0.0.0/8"}
        with Server(tmp_path / "data", {ALICE: PASSWORD}, settings) as server:
            yield Post(server, scanner)
            assert "Traceback" not in server.log(), server.log()[-3000:]


def in_mailbox(server: Server) -> list[int]:
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(ALICE, PASSWORD)
        assert imap.select("INBOX")[0] == "OK"
        _, found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        return [int(number) for part in found if isinstance(part, tuple) for number in re.findall(rb"<(\d+)@", part[1])]


@pytest.mark.parametrize("many", [150, pytest.param(1000, marks=pytest.mark.long)])
def test_a_scanner_that_is_killed_among_many_messages(post: Post, many: int) -> None:
    def killer() -> None:
        until(lambda: len(post.told) >= many // 3)
        post.scanner.programs[-1].kill()
        post.scanner.programs[-1].wait()
        until(lambda: post.put_off() >= SENDERS // 2)
        filters.start_clamd(post.scanner)
        post.back.set()

    with ThreadPoolExecutor(SENDERS + 1) as pool:
        killing = pool.submit(killer)
        list(pool.map(post.give, range(many)))
        killing.result()
    ends = Counter((is_bad(number), replies[-1][0]) for number, replies in post.told.items())
    assert ends == {(True, 550): many // 5, (False, 250): many - many // 5}
    assert post.put_off() >= SENDERS // 2
    assert sorted(in_mailbox(post.server)) == [number for number in range(many) if not is_bad(number)]
    with contextlib.closing(Store.open(DataDir(post.server.data.path))) as store:
        for replies in post.told.values():
            for code, trace in replies:
                kinds = [(each.kind, each.reason) for each in store.read_now(events.of_trace, trace)]
                if code == 250:
                    assert [kind for kind, _ in kinds] == ["accepted", "judged", "delivered"]
                else:
                    why = "unscanned" if code == 451 else "virus"
                    kept = [] if code == 451 else [("held", "quarantine")]
                    assert kinds == [("judged", why), ("refused", why), *kept]


def test_the_doctor_tells_of_the_scanner_and_of_its_death(post: Post) -> None:
    ctl = Ctl(post.server.data.path)
    with contextlib.closing(Store.open(DataDir(post.server.data.path))) as store:

        def failures() -> int | None:
            return {each.name: each.failures for each in store.read_now(drills.everyone)}.get("scanner")

        until(lambda: failures() == 0)
        post.scanner.programs[-1].kill()
        post.scanner.programs[-1].wait()
        ctl.ok("config", "set", "virus.timeout", "10s")  # a changed setting is a reason to try at once
        until(lambda: (failures() or 0) >= 1)
    assert "trial of the filter fails" in ctl.ok("status")
    told = {line["reason"]: line["text"] for line in map(json.loads, ctl("doctor", "--json").stdout.splitlines())}
    assert "senders are told to try again" in told["scanner-silent"]
    assert "does not find EICAR" in told["drill-failed"]
