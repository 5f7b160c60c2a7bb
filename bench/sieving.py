"""Delivery with rules: the same ten of them active for every user, and afterwards every message must lie where they
say. The scripts come by ManageSieve on both sides, as they do from users.

The generator numbers its messages in their subjects, and the digit of the hundreds is what half of the rules ask for:
so each user gets mail for all of them. What no rule wants is half of the mail, and has been through all ten.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from bench.delivering import arriving, generated
from bench.row import Field, Figures, Row
from bench.suite import Server

SCRIPT = """\
require ["fileinto", "imap4flags"];
# rule:[announcements]
if header :contains "list-id" ["<announce.lists.example.org>", "<dev.lists.example.org>"]
{ fileinto "Lists"; stop; }
# rule:[family]
if address :is "from" ["mother@family.example", "father@family.example", "sister@family.example"]
{ addflag "\\\\Flagged"; keep; stop; }
# rule:[first]
if header :matches "subject" "load test message *1?? about *"
{ fileinto "First"; stop; }
# rule:[shops]
if anyof (address :domain :is "from" ["shop.example", "books.example"], header :contains "subject" "your order")
{ fileinto "Shops"; stop; }
# rule:[second]
if header :matches "subject" "load test message *2?? about *"
{ fileinto "Second"; stop; }
# rule:[third]
if allof (address :is "from" "sender@example.org", header :matches "subject" "load test message *3?? about *")
{ fileinto :flags "\\\\Flagged" "Third"; stop; }
# rule:[bulk]
if anyof (header :is "precedence" ["bulk", "list", "junk"], exists "list-unsubscribe")
{ fileinto "Lists"; stop; }
# rule:[large]
if size :over 5M
{ fileinto "Large"; stop; }
# rule:[fourth]
if allof (header :contains ["to", "cc"] "bench.test", header :matches "subject" "load test message *4?? about *")
{ fileinto "Fourth"; stop; }
# rule:[fifth]
if header :matches "subject" "load test message *5?? about *"
{ fileinto "Fifth"; stop; }
"""
INBOX = "INBOX"
BY_DIGIT = {1: "First", 2: "Second", 3: "Third", 4: "Fourth", 5: "Fifth"}  # of the hundreds
BOXES = (INBOX, *BY_DIGIT.values())
FLAGGED = "Third"
MADE = (*BOXES[1:], "Lists", "Shops", "Large")
FIRST = 1000  # messages of the first try: enough for every digit
_MESSAGES = re.compile(rb"\* STATUS \S+ \(MESSAGES (\d+)\)", re.IGNORECASE)
_LETTER = re.compile(rb"\* \d+ FETCH [^\n]*?FLAGS \(([^)]*)\)[^\n]*\r\nSubject: [^\n]*message (\d+) about")


def ruled_by(field: Field, server: Server, row: Row) -> Figures:
    """The row: messages over ten connections until IMAP shows all of them, wherever; each user has the ten rules."""
    with active_rules(server, SCRIPT):
        return _delivered(field, server, row, BY_DIGIT)


def beside_itself(field: Field, server: Server, row: Row) -> Figures:
    """The same server without rules, with, with, and without: what share of the rate is left, in percent."""
    runs: dict[str, list[Figures]] = {"without": [], "with": []}
    for way in ("without", "with", "with", "without"):
        if way == "without":
            runs[way].append(_delivered(field, server, row, {}))
            continue
        with active_rules(server, SCRIPT):
            runs[way].append(_delivered(field, server, row, BY_DIGIT))
    rates = {way: sum(one["rate"] for one in both) / 2 for way, both in runs.items()}
    cpu = {way: sum(one["cpu"] for one in both) / 2 for way, both in runs.items()}
    return runs["with"][-1] | {
        "share": rates["with"] / rates["without"] * 100,
        "more": (cpu["with"] / cpu["without"] - 1) * 100,
        "rate": rates["with"],
        "plain": rates["without"],
        "cpu": cpu["with"],
    }


def _delivered(field: Field, server: Server, row: Row, by_digit: Mapping[int, str]) -> Figures:
    boxes = Boxes(field, server)

    def look(count: int) -> None:
        boxes.check(count, by_digit)

    return arriving(field, server, row, FIRST, generated(field, server, 10, 0, 2048), look, boxes)


class Boxes:
    """The mailboxes of all users, over connections that are held: what is in them, in place of the suite's counter,
    which knows INBOX only."""

    def __init__(self, field: Field, server: Server) -> None:
        self.users: int = server["nusers"]
        self.c = [field.suite.imap(server, user) for user in range(self.users)]
        for connection in self.c:
            for box in MADE:
                with contextlib.suppress(RuntimeError):  # it is there
                    connection.cmd(f"CREATE {box}")
        self.base = [0] * self.users

    def one(self, connection: Any) -> int:
        """The messages of one user."""
        answer = connection.cmd('LIST "" "*" RETURN (STATUS (MESSAGES))', True)
        return sum(map(int, _MESSAGES.findall(answer)))

    def purge(self) -> None:
        for connection in self.c:
            for box in BOXES:
                connection.cmd(f"SELECT {box}")
                with contextlib.suppress(RuntimeError):  # nothing is in it
                    connection.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)")
                connection.cmd("CLOSE")
        self.base = [self.one(connection) for connection in self.c]

    def close(self) -> None:
        for connection in self.c:
            connection.close()

    def check(self, count: int, by_digit: Mapping[int, str]) -> None:
        """Every one of the `count` messages lies where it belongs, and is flagged if it should be. Raises
        `RuntimeError`."""
        for user, connection in enumerate(self.c):
            wanted: dict[str, list[int]] = {box: [] for box in BOXES}
            for number in range(user, count, self.users):
                wanted[by_digit.get(number // 100 % 10, INBOX)].append(number)
            for box in BOXES:
                found, flagged = self._numbers(connection, box)
                if found != wanted[box]:
                    astray = sorted({*found} ^ {*wanted[box]}) or found
                    raise RuntimeError(f"user {user}: in {box}, {len(found)} messages, astray or missing: {astray[:9]}")
                if flagged != (found if box == FLAGGED else []):
                    raise RuntimeError(f"user {user} has {len(flagged)} flagged messages in {box}")

    @staticmethod
    def _numbers(connection: Any, box: str) -> tuple[list[int], list[int]]:
        """Of all messages in a mailbox, and of the flagged ones."""
        connection.cmd(f"EXAMINE {box}")
        try:
            answer = connection.cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])", True)
        except RuntimeError:  # nothing is in it
            return [], []
        letters = [(int(number), b"flagged" in flags.lower()) for flags, number in _LETTER.findall(answer)]
        return sorted(number for number, _ in letters), sorted(number for number, flagged in letters if flagged)


@contextlib.contextmanager
def active_rules(server: Server, text: str) -> Iterator[None]:
    """Every user's active script is this one, until the end."""
    octets = text.encode()
    put = b'PUTSCRIPT "rules" {%d+}\r\n%s' % (len(octets), octets)
    for user in range(server["nusers"]):
        manage(server, user, put, b'SETACTIVE "rules"')
    try:
        yield
    finally:
        for user in range(server["nusers"]):
            manage(server, user, b'SETACTIVE ""')


def manage(server: Server, user: int, *commands: bytes) -> None:
    """One session of ManageSieve. Raises `RuntimeError` for what is not answered by OK."""
    plain = base64.b64encode(f"\0{server['user'] % user}\0{server['password']}".encode())
    with socket.create_connection(server["sieve"], timeout=30) as connection, connection.makefile("rb") as answers:
        for command in (b"", b'AUTHENTICATE "PLAIN" "%s"' % plain, *commands):
            if command:
                connection.sendall(command + b"\r\n")
            answer = answers.readline()
            while answer and not answer.startswith((b"OK", b"NO", b"BYE")):
                answer = answers.readline()
            if not answer.startswith(b"OK"):
                raise RuntimeError(f"{command[:20]!r} was answered {answer!r}")
