"""A full disk: below the reserve new mail waits outside (452 4.3.1), all else goes on, and nothing is lost (traps D26).

Where we may mount, on a disk of 64 MiB that is really full; everywhere with a reserve that no disk has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.instruments.peer import Peer
from tests.instruments.server import Server, free_ports
from tests.instruments.sink import Sink
from tests.instruments.vitals import MIB
from tests.stories.neighbourhood import ALICE, BOB, PASSWORD, opened
from tests.stories.test_receipt import check_store

SIZE, RESERVE = 64 * MIB, 12 * MIB
pytestmark = pytest.mark.timeout(180)


def mounted(place: Path) -> bool:
    """A small disk of its own at `place`, if we may."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmounted(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        if mounted(Path(place)):
            unmounted(Path(place))
            return True
    return False


@dataclass
class Disk:
    """Where the data lies, and how it gets full, so full that not even the reserve is left, and has room again."""

    path: Path
    fill: Callable[[Server], None]
    brim: Callable[[Server], None]
    free: Callable[[Server], None]
    real: bool = False


@pytest.fixture(params=["a disk of 64 MiB", "a reserve"] if may_mount() else ["a reserve"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "a reserve":

        def full(server: Server) -> None:
            reserve(server, "100T")

        yield Disk(tmp_path, full, full, lambda server: reserve(server, str(RESERVE)))
        return
    place = tmp_path / "disk"
    place.mkdir()
    assert mounted(place)
    try:
        filler = place / "filler"
        yield Disk(
            place,
            lambda _: fill(filler, RESERVE - MIB),
            lambda _: fill(filler, 0),
            lambda _: filler.unlink(missing_ok=True),
            real=True,
        )
    finally:
        unmounted(place)


def fill(filler: Path, leave: int) -> None:
    """Make the file `filler` so large that `leave` octets of its disk are left."""
    with filler.open("ab", buffering=0) as file:
        while (room := os.statvfs(filler).f_bavail * os.statvfs(filler).f_frsize - leave) > 0:
            try:
                file.write(bytes(min(room, MIB)))
            except OSError:
                if room < 2 * MIB:
                    return


def mailctl(server: Server, *words: str, given: bytes = b"", code: int = 0) -> str:
    command = [sys.executable, "-m", "mailctl", "--data", str(server.data.path), *words]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return (done.stdout + done.stderr).decode()


def reserve(server: Server, size: str) -> None:
    mailctl(server, "config", "set", "store.reserve", size)


@contextlib.contextmanager
def another_server(port: int) -> Iterator[Sink]:
    """A mail server of somebody else, for the time of this block."""
    sink, loop = Sink(port=port), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sink.start(), loop).result(10)
        yield sink
    finally:
        asyncio.run_coroutine_threadsafe(sink.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def prepared(disk: Disk) -> Server:
    settings = {"store.reserve": str(RESERVE), "limits.exempt_networks": "127.0.0.0/8", "limits.message_size": "5M"}
    return Server(disk.path / "data", {ALICE: PASSWORD, BOB: PASSWORD}, settings)


def hand_in(server: Server, subject: str, *, size: int = 1000) -> str:
    """Send to ALICE; what became of it: the first answer that is no success, or the last."""
    with opened(server, "smtp") as peer:
        peer.says("EHLO there.example.org", "250")
        for line in ("MAIL FROM:<s@example.org>", f"RCPT TO:<{ALICE}>", "DATA"):
            peer.send(line)
            if not (answer := peer.reply()).startswith(("250", "354")):
                return answer
        peer.send(f"Subject: {subject}\r\n\r\n".encode() + b"x" * size + b"\r\n.\r\n")
        return peer.reply()


def refused_from_now_on(server: Server, acknowledged: list[bytes]) -> None:
    """What is still let in (the disk is looked at once a second) counts as acknowledged."""
    for number in range(100_000):
        answer = hand_in(server, f"late {number}", size=100)
        if not answer.startswith("250"):
            assert answer.startswith("452 4.3.1 "), answer
            return
        acknowledged.append(b"late %d" % number)
    raise AssertionError("new mail is taken though the disk is full")


def inbox(server: Server) -> Peer:
    peer = opened(server, "imap")
    peer.command(f"LOGIN {ALICE} {PASSWORD}")
    peer.command("SELECT INBOX")
    return peer


def subjects(peer: Peer) -> list[bytes]:
    found = peer.command("UID FETCH 1:* (BODY.PEEK[])")
    return [response[1].split(b"Subject: ")[1].split(b"\r\n")[0] for response in found if len(response) == 3]


def test_a_full_disk_stops_new_mail_and_nothing_else(disk: Disk) -> None:
    server = prepared(disk)
    there = [b"early %d" % number for number in range(20)]
    with server:
        for number in range(20):
            assert hand_in(server, f"early {number}", size=200_000).startswith("250")
        port = queued(server)
        disk.fill(server)
        refused_from_now_on(server, there)
        doors_say_no(server)
        others_go_on(server, there)
        queue_goes_on(server, port)
        assert server.process is not None and server.process.poll() is None
        server.kill()
        disk.fill(server)
        server.start()
        disk.fill(server)  # the room that the database's log had is free after a start
        assert hand_in(server, "no").startswith("452 4.3.1")
        with inbox(server) as peer:
            assert sorted(subjects(peer)) == sorted(there)
        disk.free(server)
        while hand_in(server, "after").startswith("452 4.3.1"):
            pass  # the setting is on its way
        with inbox(server) as peer:
            assert sorted(subjects(peer)) == sorted([*there, b"after"])
        assert "Traceback" not in server.log() and "-fault" not in server.log(), server.log()[-3000:]
        check_store(server)


def queued(server: Server) -> int:
    """Hand in mail for elsewhere, where nobody is at home yet; the port of elsewhere."""
    (port,) = free_ports(1)
    mailctl(server, "route", "add", "--default", f"127.0.0.1:{port}", "--tls", "none")
    with opened(server, "submission") as peer:
        logged_in(peer)
        peer.says(f"MAIL FROM:<{BOB}>\r\nRCPT TO:<friend@remote.example>\r\nDATA\r\n".encode(), "250", "250", "354")
        peer.says(f"From: {BOB}\r\nSubject: on its way\r\n\r\nx\r\n.\r\n".encode(), "250 2.0.0")
    return port


def queue_goes_on(server: Server, port: int) -> None:
    with another_server(port) as sink:
        assert len(mailctl(server, "queue", "list", "--json").splitlines()) == 1
        mailctl(server, "queue", "flush")
        while mailctl(server, "queue", "list", "--json"):
            pass
        assert [copy.recipients for copy in sink.copies] == [["friend@remote.example"]]
        assert b"Subject: on its way\r\n" in sink.copies[0].data


def logged_in(peer: Peer) -> None:
    peer.says("EHLO here", "250")
    peer.says("AUTH PLAIN " + b64encode(f"\0{BOB}\0{PASSWORD}".encode()).decode(), "235")


def doors_say_no(server: Server) -> None:
    """In the words of each protocol, before the message is sent where that is possible."""
    with opened(server, "submission") as peer:
        logged_in(peer)
        peer.says(f"MAIL FROM:<{BOB}> SIZE=1000", "452 4.3.1")
    with opened(server, "lmtp") as peer:
        peer.says("LHLO here", "250")
        peer.says("MAIL FROM:<>", "452 4.3.1")
    with inbox(server) as peer:
        peer.send("a APPEND INBOX {100}")
        assert peer.line().startswith(b"a NO ")
        peer.send(b"b APPEND INBOX {5+}\r\nx: y\n\r\n")
        assert peer.line().startswith(b"b NO ")
    said = mailctl(server, "mail", "deliver", "-", "--to", ALICE, given=b"Subject: x\n\nx\n", code=75)
    assert "mailctl: error: " in said and "Traceback" not in said


def others_go_on(server: Server, there: list[bytes]) -> None:
    """Reading, marking, copying, moving and deleting, by IMAP and POP3."""
    with inbox(server) as peer:
        assert sorted(subjects(peer)) == sorted(there)
        peer.command('SEARCH BODY "xxxx"')
        peer.command("STORE 1:* +FLAGS.SILENT (\\Flagged $Forwarded)")
        peer.command("COPY 1:3 Archive")
        peer.command("CREATE Elsewhere")
        peer.command("MOVE 1 Elsewhere")
        peer.command("STORE 1 +FLAGS.SILENT (\\Deleted)")
        peer.command("EXPUNGE")
        peer.command("STATUS Elsewhere (MESSAGES SIZE)")
    with opened(server, "pop3") as peer:
        peer.send(f"USER {ALICE}\r\nPASS {PASSWORD}\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n".encode())
        assert peer.line().startswith(b"+OK") and peer.line().startswith(b"+OK")
        assert b"Subject: early" in peer.multi_line()[1]
        assert peer.line().startswith(b"+OK") and peer.line().startswith(b"+OK")
    del there[:3]  # moved, expunged, fetched and deleted
    with inbox(server) as peer:
        assert sorted(subjects(peer)) == sorted(there)
    mailctl(server, "user", "list")
    mailctl(server, "user", "set", BOB, "--name", "Bob")


def test_a_disk_that_others_filled_to_the_brim_costs_no_mail(disk: Disk) -> None:
    """What cannot be written is refused for now, also in the middle of a message; what is there can be read."""
    server = prepared(disk)
    there = [b"early %d" % number for number in range(10)]
    with server:
        for number in range(10):
            assert hand_in(server, f"early {number}", size=100_000).startswith("250")
        with opened(server, "smtp") as sender:
            sender.says("EHLO there.example.org", "250")
            sender.says(f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode(), "250", "250", "354")
            sender.pour(b"Subject: caught\r\n\r\n" + b"x" * 2 * MIB)
            disk.brim(server)
            sender.pour(b"x" * 2 * MIB)
            sender.says(b"\r\n.\r\n", "452 4.3.1")
            sender.says("NOOP", "250")
        for size in (10, 3 * MIB):
            assert hand_in(server, "no", size=size).startswith("452 4.3.1")
        with inbox(server) as peer:
            assert sorted(subjects(peer)) == sorted(there)
            for number in range(300):
                peer.tags += 1
                peer.send(f"t{peer.tags} STORE 1:* {'+-'[number % 2]}FLAGS.SILENT (\\Flagged)")
                while not (line := peer.line()).startswith(b"t"):
                    pass
                assert line.split()[1] in (b"OK", b"NO"), line
            assert sorted(subjects(peer)) == sorted(there)
        assert server.process is not None and server.process.poll() is None, server.log()
        disk.free(server)
        while not hand_in(server, "after").startswith("250"):
            pass
        with inbox(server) as peer:
            assert sorted(subjects(peer)) == sorted([*there, b"after"])
            peer.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            peer.command("EXPUNGE")
        assert "Traceback" not in server.log(), server.log()[-3000:]
        check_store(server)


def test_a_start_without_an_octet_of_room_says_so(disk: Disk) -> None:
    server = prepared(disk)
    disk.brim(server)
    if disk.real:
        said = mailctl(server, "serve", code=75)  # EX_TEMPFAIL: a supervisor tries again
        assert said.endswith("mail.db: the disk is full; make room\n") and said.count("\n") == 1, said
        assert mailctl(server, "user", "list", code=75).count("\n") == 1
    else:
        with server:
            assert hand_in(server, "no").startswith("452 4.3.1")
    disk.free(server)
    with server:
        assert hand_in(server, "after").startswith("250")
