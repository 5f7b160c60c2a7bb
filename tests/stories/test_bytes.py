"""1,200 messages go in by SMTP and come out by IMAP and POP3 byte for byte, behind what the server put before them."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.vitals import Vitals
from tests.mail.grammar import Value, check_body, check_envelope, read_at
from tests.messages.generate import Specimen, for_append, ordinary
from tests.messages.malformed import malformed
from tests.stories.test_receipt import check_store

USER, PASSWORD = "alice@example.test", "wonderland"
CONNECTIONS = 6
PREFIX = re.compile(
    rb"Return-Path: <s\+[0-9]@example\.org>\r\nDelivered-To: alice@example\.test\r\n"
    rb"Received: from client[0-9]\.example\.org \(\[127\.0\.0\.1\]\)\r\n"
    rb"\tby mx\.example\.test with (?:ESMTP|UTF8SMTP) id ([0-9a-z]{16})\r\n"
    rb"\tfor <alice@example\.test>;\r\n\t[^\r]+ \+0000\r\n"
)
pytestmark = pytest.mark.timeout(180)


@dataclass
class Delivered:
    """The server with the mail in it. `specimens` by the trace id that each was acknowledged with; processor time."""

    server: Server
    specimens: dict[bytes, Specimen]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    path = tmp_path_factory.mktemp("bytes") / "data"
    with Server(
        path, {USER: PASSWORD}, {"limits.exempt_networks": "127.0.0.0/8", "attachments.action": "accept"}
    ) as server:
        found = Delivered(server, {}, {})
        good = ordinary()

        def batch(number: int) -> dict[bytes, Specimen]:
            with opened(server, number) as peer:
                return {sent(peer, specimen, number): specimen for specimen in good[number::CONNECTIONS]}

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for receipts in pool.map(batch, range(CONNECTIONS)):
                found.specimens |= receipts
        vitals = Vitals(server.pid)
        with opened(server, 9) as peer:
            for specimen in malformed():
                before = vitals.processor()
                found.specimens[sent(peer, specimen, 9)] = specimen
                found.seconds[specimen.name] = vitals.processor() - before
        assert len(found.specimens) == 1200
        yield found


def opened(server: Server, number: int) -> Peer:
    peer = Peer(server.ports["smtp"])
    assert peer.reply().startswith("220 ")
    peer.says(f"EHLO client{number}.example.org", "250")
    return peer


def sent(peer: Peer, specimen: Specimen, number: int) -> bytes:
    """Hand in one message, by DATA or BDAT; the trace id of the receipt."""
    data = specimen.data
    parameters = "" if data.isascii() else " BODY=8BITMIME SMTPUTF8"
    envelope = f"MAIL FROM:<s+{number}@example.org>{parameters}\r\nRCPT TO:<{USER}>\r\n".encode()
    dice = random.Random(specimen.name)
    if specimen.whole_lines and dice.random() < 0.6:
        peer.says(envelope + b"DATA\r\n", "250 2.1.0", "250 2.1.5", "354")
        answer = peer.says((b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n", "250 2.0.0")
    else:
        places = sorted(dice.randint(0, len(data)) for _ in range(dice.randint(0, 3)))
        chunks = [data[at:end] for at, end in zip([0, *places], [*places, len(data)], strict=True)]
        told = b"".join(b"BDAT %d\r\n" % len(chunk) + chunk for chunk in chunks[:-1])
        told += b"BDAT %d LAST\r\n" % len(chunks[-1]) + chunks[-1]
        answer = peer.says(envelope + told, "250 2.1.0", "250 2.1.5", *["250 2.0.0"] * len(chunks))
    return answer.split()[2].encode()


def selected(server: Server, mailbox: str = "INBOX") -> Peer:
    peer = Peer(server.ports["imap"])
    assert peer.line().startswith(b"* OK")
    peer.command(f"LOGIN {USER} {PASSWORD}")
    peer.command(f"SELECT {mailbox}")
    return peer


def original(delivered: Delivered, data: bytes) -> Specimen:
    """Which message this is, if it is that one behind a prefix and nothing else."""
    prefix = PREFIX.match(data)
    assert prefix is not None, data[:600]
    specimen = delivered.specimens[prefix[1]]
    assert data[prefix.end() :] == specimen.data, specimen.name
    return specimen


def octets(peer: Peer, items: str, count: int = 1) -> Iterator[tuple[int, list[bytes], bytes]]:
    """FETCH 1:* of literals: message number, the literals, and the first line of each answer."""
    for response in peer.command(f"FETCH 1:* ({items})"):
        number = int(response[0].split()[1])
        assert len(response) == 2 * count + 1 and response[-1] == b")", response[0]
        yield number, response[1::2], response[0]


def test_every_message_comes_out_by_imap_as_it_went_in(delivered: Delivered) -> None:
    with selected(delivered.server) as peer:
        names = []
        for _, (data,), line in octets(peer, "RFC822.SIZE BODY.PEEK[]"):
            names.append(original(delivered, data).name)
            assert b"RFC822.SIZE %d " % len(data) in line, line
        assert sorted(names) == sorted(specimen.name for specimen in delivered.specimens.values())
        for _, (head, text), _ in octets(peer, "BODY.PEEK[HEADER] BODY.PEEK[TEXT]", 2):
            original(delivered, head + text)
        for _, (head, text), _ in octets(peer, "RFC822.HEADER BODY.PEEK[TEXT]", 2):
            original(delivered, head + text)


def test_a_message_in_pieces_is_the_message(delivered: Delivered) -> None:
    """Partial fetches over the seam between our prefix and the original, and over each end."""
    with selected(delivered.server) as peer:
        items = "BODY.PEEK[]<0.100> BODY.PEEK[]<100.250> BODY.PEEK[]<350.4294967295>"
        for _, pieces, line in octets(peer, items, 3):
            original(delivered, b"".join(pieces))
            assert b"BODY[]<0> {" in line


def test_every_message_comes_out_by_pop3_as_it_went_in(delivered: Delivered) -> None:
    with Peer(delivered.server.ports["pop3"]) as peer:
        assert peer.line().startswith(b"+OK")
        peer.send(f"USER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nLIST\r\nUIDL\r\n".encode())
        assert peer.line().startswith(b"+OK") and peer.line().startswith(b"+OK")
        count, total = map(int, peer.line().split()[1:3])
        sizes = [int(line.split()[1]) for line in peer.multi_line()[1].splitlines()]
        ids = [line.split()[1] for line in peer.multi_line()[1].splitlines()]
        assert count == len(sizes) == len(set(ids)) == 1200 and total == sum(sizes)
        for first in range(1, count + 1, 40):
            numbers = range(first, min(first + 40, count + 1))
            peer.send("".join(f"RETR {number}\r\n" for number in numbers).encode())
            for number in numbers:
                data = peer.multi_line()[1]
                if len(data) != sizes[number - 1]:  # a last line without an end gets one (RFC 1939 §3)
                    assert len(data) == sizes[number - 1] + 2
                    data = data[:-2]
                    assert not data.endswith(b"\r\n")
                original(delivered, data)
        peer.send("QUIT")
        assert peer.line().startswith(b"+OK")


def described(line: bytes) -> dict[bytes, Value]:
    """`* 1 FETCH (NAME value NAME value ...)`, every value in the strict grammar."""
    found: dict[bytes, Value] = {}
    place = line.index(b"(") + 1
    while True:
        name = line[place : line.index(b" ", place)]
        found[name], place = read_at(line, place + len(name) + 1)
        if line[place:] == b")":
            return found
        assert line[place : place + 1] == b" ", line[place : place + 40]
        place += 1


def check_described(line: bytes) -> dict[bytes, Value]:
    found = described(line)
    assert found.keys() == {b"UID", b"RFC822.SIZE", b"ENVELOPE", b"BODYSTRUCTURE", b"BODY"}
    check_envelope(found[b"ENVELOPE"])
    check_body(found[b"BODYSTRUCTURE"], extended=True)
    check_body(found[b"BODY"], extended=False)
    return found


DESCRIBED = "UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY"


def test_every_description_is_in_the_strict_grammar_and_true(delivered: Delivered) -> None:
    """Clients cut messages where BODYSTRUCTURE says: the octets of part 1 are as many as it tells."""
    with selected(delivered.server) as peer:
        told = {}
        for (line,) in peer.command(f"FETCH 1:* ({DESCRIBED})"):
            told[int(line.split()[1])] = check_described(line)
        assert len(told) == 1200
        multiparts = 0
        for number, (first,), _ in octets(peer, "BODY.PEEK[1]"):
            part = told[number][b"BODYSTRUCTURE"]
            assert isinstance(part, list)
            if isinstance(part[0], list):
                multiparts += 1
                part = part[0]
            if isinstance(part[0], bytes):
                assert part[6] == len(first), delivered.specimens
            if part[0] == b"text":
                assert part[7] == first.count(b"\n")
        assert multiparts > 300


def test_no_message_costs_a_second(delivered: Delivered) -> None:
    """Delivered already; now looked at in every way that a client has."""
    vitals = Vitals(delivered.server.pid)
    assert max(delivered.seconds.values()) < 1, max(delivered.seconds.items(), key=lambda item: item[1])
    with selected(delivered.server) as peer:
        for number in range(1001, 1201):
            before = vitals.processor()
            peer.command(
                f"FETCH {number} (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM TO)] BODY.PEEK[1.MIME])"
            )
            peer.command(f'SEARCH {number} OR TEXT "not to be found anywhere" BODY "nor this"')
            assert vitals.processor() - before < 1, number


def test_mbsync_takes_every_message_once(delivered: Delivered, tmp_path: Path) -> None:
    """RFC822.SIZE that is not the literal's, or a UID that changes, and it would fetch some of them again (I25).

    It leaves a header without the blank line behind it where it is, on any server (RFC 5322 §2.1 allows those).
    """
    (tmp_path / "mail").mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount a\nHost 127.0.0.1\nPort {delivered.server.ports['imap']}\nUser {USER}\nPass {PASSWORD}\n"
        "SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath mail/\n"
        "Inbox mail/INBOX\n\nChannel c\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n"
    )
    command = ["mbsync", "-c", str(settings), "-a"]
    runs, home = [], {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, env=home, check=True, capture_output=True)
        runs.append({p: p.stat().st_size for p in (tmp_path / "mail").rglob("*") if p.parent.name in ("cur", "new")})
    complete = [b"\r\n\r\n" in b"\r\n" + specimen.data for specimen in delivered.specimens.values()]
    assert len(runs[0]) == sum(complete) > 1100 and runs[0] == runs[1]


def test_what_is_appended_is_kept_with_its_own_line_ends(delivered: Delivered) -> None:
    with selected(delivered.server) as peer:
        peer.command("CREATE Endings")
        specimens = for_append()
        for specimen in specimens:
            peer.send(b"a APPEND Endings (\\Seen) {%d+}\r\n" % len(specimen.data) + specimen.data + b"\r\n")
            peer.responses(b"a")
        peer.command("SELECT Endings")
        kept = [data for _, (data,), _ in octets(peer, "RFC822.SIZE BODY.PEEK[]")]
        assert kept == [specimen.data for specimen in specimens]
        for (line,), data in zip(peer.command(f"FETCH 1:* ({DESCRIBED})"), kept, strict=True):
            assert check_described(line)[b"RFC822.SIZE"] == len(data)
        for _, (head, text), _ in octets(peer, "BODY.PEEK[HEADER] BODY.PEEK[TEXT]", 2):
            assert head + text == kept.pop(0)


def test_the_store_is_sound(delivered: Delivered) -> None:
    check_store(delivered.server)
