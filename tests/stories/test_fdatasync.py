"""250 is a receipt, seen from below: what the daemon asked of the kernel between a message's last octet and its answer.

SIGKILL alone would pass without any sync, for the kernel lives on. Here every call is watched, and for each message it
is shown, in this order: its last octets were read; they were written to a segment and synced; a page with its row was
written to the database's log and synced; the answer left. And that the proof fails where a sync is missing.
"""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.syscalls import NAMING, READING, SENDING, SYNCING, WRITING, Call, Flow, Tracing

PASSWORD = "wonderland"
USERS = [f"{name}@example.test" for name in ("alice", "bob", "carol", "dora")]
_number = itertools.count()


@dataclass(frozen=True)
class Receipt:
    """One acknowledged message: its last octets, what its row has in it that no other has, and the answer."""

    end: bytes
    row: bytes
    answer: bytes


@dataclass(frozen=True)
class Change:
    """An acknowledged command without a message."""

    command: bytes
    answer: bytes


@dataclass
class Notes:
    """What the clients were told."""

    receipts: list[Receipt] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


class Letter:
    """A message that can be found again, in any heap of octets, by its first and by its last line."""

    def __init__(self, size: int = 2000) -> None:
        self.name = b"letter-%d-" % next(_number)
        line = b"x" * 70 + b"\r\n"
        self.end = b"end of " + self.name + b"\r\n"
        self.data = b"Subject: " + self.name + b"\r\n\r\n" + line * (size // 72) + self.end

    def was_answered(self, notes: Notes, reply: str) -> None:
        assert reply.startswith("250 2.0.0 "), reply
        notes.receipts.append(Receipt(self.end, reply.split()[2].encode(), reply.encode() + b"\r\n"))


# -- clients -----------------------------------------------------------------------------------------------------------


def one_by_one(server: Server, notes: Notes) -> None:
    with greeted(server, "smtp") as peer:
        for size in (100, 2000, 2000, 70_000, 300_000, 2000):
            letter = Letter(size)
            peer.says("MAIL FROM:<x@example.org>", "250")
            peer.says(f"RCPT TO:<{USERS[0]}>", "250")
            peer.says(f"RCPT TO:<{USERS[1]}>", "250")
            peer.says("DATA", "354")
            letter.was_answered(notes, peer.says(letter.data + b".\r\n", "250"))


def from_a_spool_file(server: Server, notes: Notes) -> None:
    with greeted(server, "smtp") as peer:
        letter = Letter(1_500_000)
        peer.says(f"MAIL FROM:<x@example.org>\r\nRCPT TO:<{USERS[2]}>\r\nDATA\r\n".encode(), "250", "250", "354")
        letter.was_answered(notes, peer.says(letter.data + b".\r\n", "250"))


def pipelined(server: Server, notes: Notes) -> None:
    """The next envelope comes in one packet with the content."""
    envelope = f"MAIL FROM:<x@example.org>\r\nRCPT TO:<{USERS[1]}>\r\nDATA\r\n".encode()
    with greeted(server, "smtp") as peer:
        peer.says(envelope, "250", "250", "354")
        for _ in range(8):
            letter = Letter()
            peer.send(letter.data + b".\r\n" + envelope)
            letter.was_answered(notes, peer.reply())
            peer.says(b"", "250", "250", "354")
        peer.says(b".\r\n", "250")


def in_chunks(server: Server, notes: Notes) -> None:
    """Whole transactions in one packet: when the first is answered the others have been read already."""
    with greeted(server, "smtp") as peer:
        for _ in range(3):
            letters = [Letter(500), Letter(5000), Letter(500)]
            said = b""
            for letter in letters:
                said += f"MAIL FROM:<x@example.org>\r\nRCPT TO:<{USERS[2]}>\r\nBDAT 10\r\n".encode() + letter.data[:10]
                said += b"BDAT %d LAST\r\n" % (len(letter.data) - 10) + letter.data[10:]
            peer.send(said)
            for letter in letters:
                peer.says(b"", "250", "250", "250")
                letter.was_answered(notes, peer.reply())


def by_lmtp(server: Server, notes: Notes) -> None:
    with greeted(server, "lmtp", "LHLO") as peer:
        for _ in range(4):
            letter = Letter()
            envelope = f"MAIL FROM:<x@example.org>\r\nRCPT TO:<{USERS[0]}>\r\nRCPT TO:<{USERS[3]}>\r\nDATA\r\n"
            peer.says(envelope.encode(), "250", "250", "250", "354")
            for reply in (peer.says(letter.data + b".\r\n", "250"), peer.reply()):
                letter.was_answered(notes, reply)


def into_the_queue(server: Server, notes: Notes) -> None:
    with greeted(server, "submission") as peer:
        secret = base64.b64encode(f"\0{USERS[3]}\0{PASSWORD}".encode()).decode()
        peer.says(f"AUTH PLAIN {secret}", "235")
        for _ in range(5):
            letter = Letter()
            envelope = f"MAIL FROM:<{USERS[3]}>\r\nRCPT TO:<y@example.org>\r\nRCPT TO:<{USERS[0]}>\r\nDATA\r\n"
            peer.says(envelope.encode(), "250", "250", "250", "354")
            data = f"From: <{USERS[3]}>\r\n".encode() + letter.data
            letter.was_answered(notes, peer.says(data + b".\r\n", "250"))


def appending(server: Server, notes: Notes) -> None:
    user = USERS[next(_number) % 4]
    with Peer(server.ports["imap"]) as peer:
        peer.line()
        peer.command(f"LOGIN {user} {PASSWORD}")
        for round_number in range(5):
            letter = Letter()
            peer.send(letter.name + b" APPEND Archive {%d%s}" % (len(letter.data), b"+" * (round_number % 2)) + b"\r\n")
            if not round_number % 2:
                assert peer.line().startswith(b"+ ")
            peer.send(letter.data + b"\r\n")
            notes.receipts.append(Receipt(letter.end, letter.name, tagged(peer, letter.name)))
        peer.command("SELECT Archive")
        for verb in (b"COPY", b"MOVE"):
            tag = b"%s-%d-" % (verb.lower(), next(_number))
            command = tag + b" " + verb + b" 1:2 Trash\r\n"
            peer.send(command)
            notes.changes.append(Change(command, tagged(peer, tag)))


def greeted(server: Server, door: str, hello: str = "EHLO") -> Peer:
    peer = Peer(server.ports[door])
    peer.says(f"{hello} client.example.org", "220", "250")
    return peer


def tagged(peer: Peer, tag: bytes) -> bytes:
    """The tagged answer, which must be OK."""
    while not (line := peer.line()).startswith(tag):
        assert line.startswith(b"* "), line
    assert line.startswith(tag + b" OK "), line
    return line + b"\r\n"


CLIENTS: Sequence[Callable[[Server, Notes], None]] = (
    *[one_by_one] * 3, from_a_spool_file, *[pipelined] * 2, *[in_chunks] * 2, *[by_lmtp] * 2, *[into_the_queue] * 2,
    *[appending] * 4,
)  # fmt: skip


# -- the proof ---------------------------------------------------------------------------------------------------------


class Trace:
    """All calls of a daemon's life, and where to look for what."""

    def __init__(self, data: Path, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.log = str(data / "mail.db-wal")
        self.heard = Flow(calls, READING, lambda path: path.startswith("socket:"))
        self.said = Flow(calls, SENDING, lambda path: path.startswith("socket:"))
        self.kept = Flow(calls, WRITING, lambda path: path.endswith(".seg"))
        self.rows = Flow(calls, WRITING, lambda path: path == self.log)

    def without(self, lost: Callable[[Call], bool]) -> Trace:
        return Trace(Path(self.log).parent, [call for call in self.calls if not lost(call)])

    def synced(self, path: str, after: Call) -> Call:
        """The first sync of a file that began when `after` had ended, and came to its end."""
        for call in self.calls:
            if call.name in SYNCING and call.path == path and call.result == 0 and call.began > after.ended:
                return call
        raise AssertionError(f"{path} was never synced after {after.name} at {after.ended}")

    def prove(self, receipt: Receipt) -> None:
        heard = self.heard.carried(receipt.end)[0]  # from the client; the writer's process hears it from ours later
        (kept,) = self.kept.carried(receipt.end)
        row = next(call for call in self.rows.carried(receipt.row) if call.began > heard.ended)
        octets_synced, row_synced = self.synced(kept.path, kept), self.synced(self.log, row)
        answers = [call for call in self.said.carried(receipt.answer) if call.path == heard.path]
        assert answers
        assert heard.ended < kept.began
        assert octets_synced.ended < row_synced.began, "a row may be durable that leads to nothing"
        for answer in answers:
            assert octets_synced.ended < answer.began, f"{receipt.answer!r} left before the octets were synced"
            assert row_synced.ended < answer.began, f"{receipt.answer!r} left before the row was synced"

    def prove_change(self, change: Change) -> None:
        (heard,) = self.heard.carried(change.command)
        (answer,) = self.said.carried(change.answer)
        assert self.synced(self.log, heard).ended < answer.began, f"{change.answer!r} left before a sync"

    def prove_name(self, path: str, before: Call) -> None:
        """The file has a name that survives: its folder was synced after it was made."""
        folder = str(Path(path).parent)
        named = [call for call in self.calls if call.name in NAMING and (call.result or 0) >= 0]
        about = [call for call in named if f'"{path}"' in call.arguments and call.ended < before.began]
        gone = max((call.ended for call in about if call.name.startswith("unlink")), default=-1)
        made = next(call for call in about if "O_CREAT" in call.arguments and call.began > gone)
        assert self.synced(folder, made).ended < before.began, f"the name of {path} was not synced"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trace, Notes]]:
    path = tmp_path_factory.mktemp("watched")
    settings = {"limits.exempt_networks": "127.0.0.0/8", "queue.hold_external": "yes"}
    server = Server(path / "data", dict.fromkeys(USERS, PASSWORD), settings)
    tracing, notes = Tracing(path / "calls"), Notes()
    server.start(*tracing.prefix)
    faults: list[BaseException] = []

    def run(client: Callable[[Server, Notes], None]) -> None:
        try:
            client(server, notes)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(client,)) for client in CLIENTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert not faults, faults
    finally:
        assert server.stop() == 0
    yield Trace(server.data.path, tracing.calls()), notes


def test_every_answer_left_after_its_message_was_synced(watched: tuple[Trace, Notes]) -> None:
    trace, notes = watched
    assert len(notes.receipts) > 90
    for receipt in notes.receipts:
        trace.prove(receipt)


def test_a_copy_and_a_move_are_synced_before_they_are_acknowledged(watched: tuple[Trace, Notes]) -> None:
    trace, notes = watched
    assert len(notes.changes) == 8
    for change in notes.changes:
        trace.prove_change(change)


def test_the_names_of_new_files_are_synced_before_the_first_answer(watched: tuple[Trace, Notes]) -> None:
    trace, notes = watched
    first = min((trace.said.carried(receipt.answer)[0] for receipt in notes.receipts), key=lambda call: call.began)
    segments = {call.path for call in trace.calls if call.name in WRITING and call.path.endswith(".seg")}
    assert segments
    for path in (*segments, trace.log):
        trace.prove_name(path, first)


@pytest.mark.parametrize("lost", [".seg", "-wal"])
def test_the_proof_fails_where_a_sync_is_missing(watched: tuple[Trace, Notes], lost: str) -> None:
    trace, notes = watched
    less = trace.without(lambda call: call.name in SYNCING and call.path.endswith(lost))
    for receipt in notes.receipts:
        with pytest.raises(AssertionError, match="never synced"):
            less.prove(receipt)


def test_the_proof_fails_where_syncs_come_late(watched: tuple[Trace, Notes]) -> None:
    """One sync at the end of the day is not enough: the proof looks at the order."""
    trace, notes = watched
    last = {call.path: call.ended for call in trace.calls if call.name in SYNCING}
    less = trace.without(lambda call: call.name in SYNCING and call.ended != last[call.path])
    caught = 0
    for receipt in notes.receipts:
        try:
            less.prove(receipt)
        except AssertionError:
            caught += 1
    assert caught >= len(notes.receipts) - 1
