"""A hostile stranger against a real server.

After each story: memory grew by less than 30 MiB at its height, the users' own sessions are answered at once, no
socket is left, no exception was logged, and the checker finds the store sound (`neighbourhood.after`).
"""

from __future__ import annotations

import contextlib
import random
import re
import zlib
from base64 import b64encode as b64
from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from tests.fuzz.conversations import IMAP, MANAGESIEVE, POP3, SMTP
from tests.fuzz.harness import Mutator
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.instruments.vitals import MIB
from tests.stories.neighbourhood import ALICE, BOB, CAROL, PASSWORD, Neighbourhood, Stranger

GREETED = (b"220 ", b"* OK", b"+OK", b'"IMPLEMENTATION"')
HASHING = LIMITS.login_workers * LIMITS.argon2_memory * 1024  # octets; it is what passwords cost, whoever tries
DOORS = ("smtp", "submission", "lmtp", "imap", "pop3", "managesieve")
HELLO = {"smtp": "EHLO x", "submission": "EHLO x", "lmtp": "LHLO x"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    path = tmp_path_factory.mktemp("hostile") / "data"
    settings = {
        "limits.message_size": "12M",
        "limits.exempt_networks": "127.0.0.1/32",  # the users', not the strangers'
        "queue.hold_external": "yes",
    }
    with Server(path, dict.fromkeys((ALICE, BOB, CAROL), PASSWORD), settings) as server:
        home = Neighbourhood(server)
        yield home
        home.close()


@pytest.fixture
def stranger(home: Neighbourhood) -> Iterator[Stranger]:
    home.before()
    stranger = next(home.strangers)
    yield stranger
    stranger.unharmed()
    stranger.go()
    home.after()


# -- lines, literals, parentheses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_an_endless_line_ends_the_connection(stranger: Stranger, door: str) -> None:
    peer = stranger.greeted(door)
    peer.pour(b"x" * 10 * MIB)
    stranger.unharmed()
    said = peer.rest()
    assert said.startswith((b"500 5.5.6 ", b"* BAD ", b"-ERR ", b"BYE ")) and len(said) < 100, said


@pytest.mark.parametrize("door", DOORS)
def test_a_line_of_ten_megabytes_is_refused_and_what_follows_is_not_obeyed(stranger: Stranger, door: str) -> None:
    peer = stranger.greeted(door)
    peer.pour(b"a1 LOGIN " + b"x" * 10 * MIB + b"\r\nNOOP\r\nQUIT\r\n")
    said = peer.rest()
    assert b"250 " not in said and b"OK" not in said and b"221" not in said, said


def test_a_line_of_ten_megabytes_in_a_message_is_kept(stranger: Stranger) -> None:
    home, uid = stranger.home, stranger.home.last_uid()
    message = b"Subject: long\r\n\r\n" + b"x" * 10 * MIB + b"\r\n"
    stranger.in_data().says(message + b".\r\n", "250 2.0.0")
    assert home.subjects(uid) == [b"Subject: long"]
    (response,) = home.imap.command("UID FETCH * (BODY.PEEK[TEXT]<10485750.100>)")
    assert response[1] == b"x" * 10 + b"\r\n"


def test_a_message_over_the_limit_is_refused_and_the_dialogue_goes_on(stranger: Stranger) -> None:
    peer = stranger.in_data()
    peer.says(b"x" * 76 + b"\r\n" + (b"x" * 1022 + b"\r\n") * 14 * 1024 + b".\r\n", "552 5.3.4")
    peer.says("MAIL FROM:<s@example.org> SIZE=99999999999", "552 5.3.4")
    peer.says("MAIL FROM:<s@example.org>", "250")
    peer.says(f"RCPT TO:<{ALICE}>", "250")
    chunk = b"y" * MIB
    for _ in range(12):
        peer.says(b"BDAT %d\r\n" % MIB + chunk, "250 2.0.0")
    peer.says(b"BDAT %d\r\n" % MIB + chunk, "552 5.3.4")
    peer.says(b"BDAT 3 LAST\r\nyyy", "503")
    peer.says("NOOP", "250")


def test_a_chunk_beyond_all_bounds_ends_the_connection_before_it_is_read(stranger: Stranger) -> None:
    for size in (b"4294967295", b"999999999999999999", b"99999999999999999999", b"-1"):
        peer = stranger.ehlo()
        peer.says(f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{ALICE}>\r\n".encode(), "250", "250")
        peer.send(b"BDAT " + size + b"\r\nNOOP\r\n")
        assert peer.rest()[:4] in (b"552 ", b"501 ")


@pytest.mark.parametrize("before", [b"a1 ", b"a1 LOGIN ", b""], ids=["command", "argument", "tag"])
def test_a_million_parentheses_before_login(stranger: Stranger, before: bytes) -> None:
    peer = stranger.greeted("imap")
    peer.pour(before + b"(" * 1_000_000 + b"\r\na2 NOOP\r\n")
    assert peer.line().startswith((b"a1 BAD ", b"* BAD "))
    assert peer.line() == b"a2 OK NOOP completed"


def test_parentheses_after_login(stranger: Stranger) -> None:
    peer = stranger.logged_in()
    peer.command("SELECT INBOX")
    for depth in (51, 5001, 60_000):
        peer.command(b"SEARCH " + b"(" * depth + b"ALL" + b")" * depth, "BAD")
    peer.command(b"SEARCH " + b"OR ALL " * 2000 + b"ALL", "OK")
    peer.command(b"SEARCH " + b"NOT " * 4000 + b"ALL", "OK")
    peer.command(b"SEARCH " + b"NOT " * 6000 + b"ALL", "BAD")


@pytest.mark.parametrize(
    "size,message",
    [("16385", "LOGIN"), ("4294967295", "LOGIN"), ("9" * 30, "LOGIN"), ("1", "NOOP"), ("4294967295", "APPEND INBOX")],
)
def test_a_literal_that_is_too_large_is_refused_before_it_is_read(stranger: Stranger, size: str, message: str) -> None:
    peer = stranger.greeted("imap")
    peer.send(f"a1 {message} {{{size}}}")
    assert peer.line().startswith(b"a1 BAD ")  # it waits for us: nothing was sent
    peer.send("a2 NOOP")
    assert peer.line() == b"a2 OK NOOP completed"
    peer.send(f"a3 {message} {{{size}+}}")
    if int(size) < LIMITS.imap_skip:
        peer.send("x" * int(size))
        assert peer.line().startswith(b"a3 BAD ")
        peer.send("a4 NOOP")
        assert peer.line() == b"a4 OK NOOP completed"
    else:
        assert peer.line().startswith(b"a3 BAD ") and peer.line().startswith(b"* BYE ") and peer.rest() == b""


def test_literals_after_login_have_limits_too(stranger: Stranger) -> None:
    peer = stranger.logged_in()
    peer.send("a1 APPEND INBOX {4294967295+}")
    assert peer.line().startswith(b"a1 NO [TOOBIG] ") and peer.line().startswith(b"* BYE ")
    peer = stranger.logged_in()
    peer.send("a1 SEARCH SUBJECT {70000}")
    assert peer.line().startswith(b"a1 BAD ")
    peer.pour(b"a2 APPEND INBOX {12582912+}\r\n" + b"x" * MIB)  # and then nothing
    stranger.unharmed()


def test_a_literal_of_managesieve_is_refused_before_it_is_read(stranger: Stranger) -> None:
    """Nobody waits for a go-ahead there: what is too large to be thrown away ends the connection at once."""
    for size in ("4194305", "4294967295", "9" * 30):
        for said in ('AUTHENTICATE "PLAIN" ', "NOOP ", ""):
            peer = stranger.greeted("managesieve")
            peer.send(f"{said}{{{size}+}}")
            assert peer.rest().startswith(b"BYE ")
        peer = stranger.keeper()
        peer.send(f'PUTSCRIPT "x" {{{size}+}}')
        assert peer.rest().startswith(b"BYE ")
    peer = stranger.keeper()
    peer.pour(b'PUTSCRIPT "x" {4000000+}\r\n' + b"x" * 4_000_000 + b"\r\n")
    assert peer.line().startswith(b"NO (QUOTA/MAXSIZE) ")
    for _ in range(60):  # and those who announce what they may send, and do not
        stranger.keeper().send(b'PUTSCRIPT "x" {%d+}\r\nkeep;' % LIMITS.sieve_script)
    stranger.unharmed()


# -- slow ones, halves, and those who never finish ---------------------------------------------------------------------


def test_those_who_send_an_octet_at_a_time_are_answered_in_the_end(stranger: Stranger) -> None:
    """And hold nothing up meanwhile: 90 of them, all in the middle of something."""
    told = {
        "smtp": (b"EHLO slow.example.org\r\n", b"250-"),
        "imap": (b"a1 LOGIN {18+}\r\nalice@example.test {10+}\r\nwonderland\r\n", b"a1 OK"),
        "pop3": (b"USER slow\r\nQUIT\r\n", b"+OK"),
        "managesieve": (b"NOOP {4+}\r\nslow\r\n", b"OK (TAG"),
    }
    slow = [(stranger.greeted(door), data, want) for door, (data, want) in told.items() for _ in range(24)]
    for at in range(max(len(data) for data, _ in told.values())):
        for peer, data, _ in slow:
            if at < len(data):
                peer.send(data[at : at + 1])
        if at % 8 == 0:
            stranger.unharmed()
    for peer, _, want in slow:
        assert peer.line().startswith(want)


def test_ninety_unfinished_messages_are_held_within_bounds(stranger: Stranger) -> None:
    home, uid = stranger.home, stranger.home.last_uid()
    for number in range(90):
        peer = stranger.in_data()
        peer.pour(b"Subject: unfinished\r\n\r\n" + b"x" * (2 * MIB if number < 10 else 100_000))
    stranger.unharmed()
    home.deliver(b"Subject: in between\r\n\r\n\r\n")
    stranger.go()
    home.deliver(b"Subject: after\r\n\r\n\r\n")
    assert home.subjects(uid) == [b"Subject: in between", b"Subject: after"]
    home.until(lambda: not any(home.server.data.spool.iterdir()))


@pytest.mark.parametrize(
    "door,said,want",
    [
        ("smtp", "EHLO x\r\nNOOP\r\n", b"250 2.0.0"),
        ("submission", "EHLO x\r\nNOOP\r\n", b"250 2.0.0"),
        ("imap", "a1 CAPABILITY\r\na2 NOOP\r\n", b"a2 OK"),
        ("imap", f"a1 LOGIN {ALICE} {PASSWORD}\r\na2 SELECT INBOX\r\na3 IDLE\r\n", b"+ "),
        ("pop3", f"USER {ALICE}\r\nPASS {PASSWORD}\r\nLIST\r\n", b".\r\n"),
        ("managesieve", 'NOOP "a"\r\nNOOP "b"\r\n', b'OK (TAG "b")'),
    ],
)
def test_who_closes_half_is_answered_and_shown_out(stranger: Stranger, door: str, said: str, want: bytes) -> None:
    peer = stranger.greeted(door)
    peer.send(said.encode())
    peer.half_close()
    assert want in peer.rest()


def test_a_message_whose_sender_closes_half_is_receipted(stranger: Stranger) -> None:
    home, uid = stranger.home, stranger.home.last_uid()
    peer = stranger.in_data()
    peer.send(b"Subject: half closed\r\n\r\nx\r\n.\r\n")
    peer.half_close()
    assert peer.rest().startswith(b"250 2.0.0 ")
    assert home.subjects(uid) == [b"Subject: half closed"]


def test_a_message_that_is_cut_off_is_not_there(stranger: Stranger) -> None:
    home, uid = stranger.home, stranger.home.last_uid()
    for end in (b"", b"\r\n", b"\r\n.", b"\r\n.\r"):
        peer = stranger.in_data()
        peer.send(b"Subject: cut off\r\n\r\nx" + end)
        peer.half_close()
        assert peer.rest() == b""
        peer = stranger.in_data()
        peer.send(b"Subject: cut off\r\n\r\nx" + end)
        peer.reset()
    assert home.subjects(uid) == []


def test_handshakes_that_are_never_finished_hold_nobody_up(stranger: Stranger) -> None:
    client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
    for number in range(90):
        peer = stranger.at(("imaps", "pop3s", "submissions")[number % 3])
        peer.send((b"", client_hello[:5], client_hello)[number // 30])
    stranger.unharmed()
    with Peer(stranger.home.server.ports["imaps"], tls=True) as friend:
        assert friend.line().startswith(b"* OK")


@pytest.mark.parametrize("door", ["imaps", "pop3s", "submissions"])
def test_garbage_instead_of_a_handshake_ends_the_connection(stranger: Stranger, door: str) -> None:
    dice = random.Random(door)
    for garbage in (
        b"EHLO x\r\n" * 100,
        dice.randbytes(5000),
        b"\x16\x03\x01\xff\xff" + dice.randbytes(70000),
        b"\0" * 9000,
    ):
        peer = stranger.at(door)
        peer.pour(garbage)
        assert len(peer.rest()) < 100  # an alert at most


@pytest.mark.parametrize(
    "door,ask", [("smtp", "STARTTLS"), ("imap", "a1 STARTTLS"), ("pop3", "STLS"), ("managesieve", "STARTTLS")]
)
def test_garbage_after_starttls_ends_the_connection(stranger: Stranger, door: str, ask: str) -> None:
    peer = stranger.greeted(door)
    if door in HELLO:
        peer.says(HELLO[door], "250")
    peer.send(ask)
    peer.line()
    peer.pour(random.Random(door).randbytes(100_000))
    assert len(peer.rest()) < 100


# -- injection and smuggling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["smtp", "submission"])
def test_what_stands_behind_starttls_in_the_clear_is_forgotten_by_smtp(stranger: Stranger, door: str) -> None:
    peer = stranger.ehlo(door)
    peer.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.org>\r\nRSET\r\n")
    assert peer.reply().startswith("220 ")
    peer.start_tls()
    peer.says("MAIL FROM:<x@example.org>", "503" if door == "smtp" else "5")  # who said EHLO before says it again
    assert "STARTTLS" not in peer.says("EHLO good", "250")
    peer.says("NOOP", "250")


def test_what_stands_behind_starttls_in_the_clear_is_forgotten_by_imap(stranger: Stranger) -> None:
    peer = stranger.greeted("imap")
    peer.send(f"a1 STARTTLS\r\na2 LOGIN {BOB} {PASSWORD}\r\na3 CAPABILITY\r\n".encode())
    assert peer.line().startswith(b"a1 OK")
    peer.start_tls()
    peer.send("a4 SELECT INBOX")
    assert peer.line().startswith(b"a4 BAD ")


def test_what_stands_behind_stls_in_the_clear_is_forgotten_by_pop3(stranger: Stranger) -> None:
    peer = stranger.greeted("pop3")
    peer.send(f"STLS\r\nUSER {BOB}\r\nPASS {PASSWORD}\r\nSTAT\r\n".encode())
    assert peer.line().startswith(b"+OK")
    peer.start_tls()
    peer.send("STAT")
    assert peer.line().startswith(b"-ERR")


def test_what_stands_behind_starttls_in_the_clear_is_forgotten_by_managesieve(stranger: Stranger) -> None:
    peer = stranger.greeted("managesieve")
    peer.send(
        b'STARTTLS\r\nAUTHENTICATE "PLAIN" "%s"\r\nNOOP "in the clear"\r\n' % b64(f"\0{BOB}\0{PASSWORD}".encode())
    )
    assert peer.line().startswith(b"OK")
    peer.start_tls()
    peer.send("LISTSCRIPTS\r\nLOGOUT")
    said = peer.rest()
    assert b"in the clear" not in said and b'NO "log in first"' in said


END = b"\r\n.\r\n"
FALSE_ENDS = {
    "lf-dot-lf": b"\n.\n",
    "lf-dot-crlf": b"\n.\r\n",
    "cr-dot-cr": b"\r.\r",
    "crlf-dot-lf": b"\r\n.\n",
    "crlf-dot-cr": b"\r\n.\r",
    "crcrlf-dot-crcrlf": b"\r\r\n.\r\r\n",
    "crlf-nul-dot": b"\r\n\x00.\r\n",
    "cr-dot-crlf": b"\r.\r\n",
    "crlf-dot-crcrlf": b"\r\n.\r\r\n",
    "lf-dot-cr": b"\n.\r",
    "crlf-dot-nul": b"\r\n.\x00\r\n",
    "lfcr-dot-lfcr": b"\n\r.\n\r",
}
SMUGGLED = f"MAIL FROM:<evil@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx".encode()


@pytest.mark.parametrize("false_end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_no_false_end_of_data_makes_two_messages_of_one(stranger: Stranger, false_end: bytes) -> None:
    """Traps S1: refused at port 25, with one answer; what stood behind it was never a command."""
    home, uid = stranger.home, stranger.home.last_uid()
    for cut in range(len(false_end) + 1):  # between any two packets
        peer = stranger.in_data()
        peer.send(b"Subject: outer\r\n\r\nx" + false_end[:cut])
        home.calm()
        answer = peer.says(false_end[cut:] + SMUGGLED + END + b"NOOP\r\n", "550 5.6.", "250 2.0.0")
        assert "\n" not in answer
        peer.says("QUIT", "221")
        assert peer.rest() == b""
        stranger.go()
    assert home.subjects(uid) == []


@pytest.mark.parametrize("false_end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_a_user_may_hand_in_any_line_ends_and_they_become_one_message(stranger: Stranger, false_end: bytes) -> None:
    """Traps S2: at submission they are made CRLF; dots that came so far stay text."""
    home, uid = stranger.home, stranger.home.last_uid()
    peer = stranger.ehlo("submission")
    login = b64(f"\0{BOB}\0{PASSWORD}".encode()).decode()
    peer.says(f"AUTH PLAIN {login}", "235")
    peer.says(f"MAIL FROM:<{BOB}>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode(), "250", "250", "354")
    outer = b"From: " + BOB.encode() + b"\r\nSubject: outer\r\n\r\nx"
    peer.says(outer + false_end + SMUGGLED + END + b"NOOP\r\n", "250 2.0.0", "250 2.0.0")
    assert home.subjects(uid) == [b"Subject: outer"]
    (response,) = home.imap.command("UID FETCH * (BODY.PEEK[])")
    data = response[1]
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n") and b"\0" not in data
    assert b"MAIL FROM:<evil@example.org>\r\n" in data


def test_the_true_end_is_found_however_it_is_cut(stranger: Stranger) -> None:
    home, uid = stranger.home, stranger.home.last_uid()
    peer = stranger.ehlo()
    for cut in range(1, len(END)):
        peer.says(f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode(), "250", "250", "354")
        peer.send(b"Subject: cut\r\n\r\nx" + END[:cut])
        home.calm()
        peer.says(END[cut:], "250 2.0.0")
    assert home.subjects(uid) == [b"Subject: cut"] * (len(END) - 1)


def test_commands_with_bare_newlines_are_not_obeyed_at_port_25(stranger: Stranger) -> None:
    peer = stranger.ehlo()
    peer.says(b"MAIL FROM:<s@example.org>\nRCPT TO:<%b>\nNOOP\r\n" % ALICE.encode(), "500 5.5.2", "500 5.5.2", "250")
    peer.says(f"RCPT TO:<{ALICE}>", "503")


# -- crowds and floods -------------------------------------------------------------------------------------------------


def test_five_hundred_connections_from_one_address(stranger: Stranger) -> None:
    """A hundred are let in; the others hear why not; another address comes in as ever."""
    heard = [stranger.at(DOORS[number % len(DOORS)]).line() for number in range(500)]
    let_in = [line for line in heard if line.startswith(GREETED)]
    assert len(let_in) == LIMITS.connections_per_address
    assert all(
        line.startswith((b"421 4.", b"* BYE [UNAVAILABLE]", b"-ERR [SYS/TEMP]", b"BYE (TRYLATER)"))
        for line in heard[100:]
    )
    stranger.unharmed()
    other = next(stranger.home.strangers)
    assert other.greeted("smtp")
    other.go()
    stranger.go()
    until(lambda: stranger.at("imap").line().startswith(GREETED), "a place is free again when the crowd has gone")


def test_two_thousand_who_come_and_go(stranger: Stranger) -> None:
    for number in range(2000):
        stranger.at((*DOORS, "imaps", "pop3s")[number % 8]).reset()
        stranger.peers.clear()
    stranger.unharmed()


NOT_FOR_US = {
    "PROXY-v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n",
    "PROXY-v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 25)),
    "GET": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST": b"POST /x HTTP/1.1\r\nContent-Length: 99\r\n\r\nMAIL FROM:<a@b>\r\n",
}


@pytest.mark.parametrize("said", NOT_FOR_US.values(), ids=NOT_FOR_US)
@pytest.mark.parametrize("door", ["smtp", "imap", "pop3", "managesieve"])
def test_a_stranger_is_no_proxy_and_we_are_no_web_server(stranger: Stranger, door: str, said: bytes) -> None:
    peer = stranger.at(door)
    peer.send(said)
    peer.half_close()
    greeting, *answers = peer.rest().splitlines()
    assert greeting.startswith(GREETED)
    if door == "managesieve":
        answers = answers[[line[:2] for line in answers].index(b"OK") + 1 :]
    refusals = [
        line
        for line in answers
        if line[:1] in b"45" or line[:4] == b"-ERR" or b"BAD " in line or b"BYE " in line or line[:3] == b"NO "
    ]
    goodbyes = [line for line in answers if line.startswith(b"+OK")]  # the header of PROXY v2 says QUIT
    assert refusals and len(refusals) + len(goodbyes) == len(answers) and len(goodbyes) <= said.count(b"QUIT")


@pytest.mark.parametrize(
    "door,command,answer",
    [
        ("smtp", b"NOOP\r\n", b"250 2.0.0"),
        ("imap", b"a NOOP\r\n", b"a OK"),
        ("pop3", b"CAPA\r\n", b"."),
        ("managesieve", b'NOOP "x"\r\n', b"OK (TAG"),
    ],
)
def test_a_flood_of_commands_is_answered_as_fast_as_it_is_read(
    stranger: Stranger, door: str, command: bytes, answer: bytes
) -> None:
    """Nothing of the answers is read: the server stops reading too, and holds no more than its buffers."""
    stranger.address = "127.0.0.1"  # or SMTP would have enough of it soon
    peer = stranger.greeted(door)
    if door in HELLO:
        peer.says(HELLO[door], "250")
    taken = peer.pour(command * 300_000)
    stranger.unharmed()
    for _ in range(min(20_000, taken // len(command))):
        while not peer.line().startswith(answer):
            pass


def test_who_only_passes_the_time_with_smtp_is_shown_out(stranger: Stranger) -> None:
    peer = stranger.ehlo()
    peer.pour(b"NOOP\r\nRSET\r\n" * 10_000)
    said = peer.rest().splitlines()
    assert len(said) <= LIMITS.smtp_idle_commands + 1 and said[-1].startswith(b"421 4.7.0")


def test_bad_commands_end_the_connection_after_some(stranger: Stranger) -> None:
    for door, most in (
        ("smtp", LIMITS.smtp_errors),
        ("imap", LIMITS.imap_errors),
        ("pop3", LIMITS.pop3_errors),
        ("managesieve", LIMITS.managesieve_errors),
    ):
        peer = stranger.greeted(door)
        peer.pour(b"WHAT IS THIS\r\n" * 10_000)
        said = peer.rest().splitlines()
        assert most <= len(said) <= most + 2 and said[-1].startswith((b"421 4.7.0", b"* BYE", b"-ERR", b"BYE ")), said[
            -3:
        ]


def test_recipients_are_counted(stranger: Stranger) -> None:
    peer = stranger.ehlo()
    peer.says("MAIL FROM:<s@example.org>", "250")
    many = b"".join(b"RCPT TO:<%s>\r\n" % ALICE.encode() for _ in range(LIMITS.smtp_recipients + 1))
    peer.says(many, *["250"] * LIMITS.smtp_recipients, "452 4.5.3")
    peer.says("RSET\r\nMAIL FROM:<s@example.org>", "250", "250")
    unknown = LIMITS.smtp_recipients_unknown
    peer.send(b"".join(b"RCPT TO:<u%d@example.test>\r\n" % number for number in range(unknown + 1)))
    for _ in range(unknown):
        assert peer.reply().startswith("550 5.1.1")
    assert peer.reply().startswith("421 4.7.0") and peer.rest() == b""


def test_who_does_not_read_what_he_asks_for_holds_little(stranger: Stranger) -> None:
    stranger.allowed = 20 * 2 * MIB + 8 * MIB  # for each pair some pieces of 224 KiB, and the message as it comes in
    stranger.home.deliver(b"Subject: large\r\n\r\n" + b"x" * 8 * MIB + b"\r\n")
    for _ in range(20):
        peer = stranger.logged_in()
        peer.command("SELECT INBOX")
        peer.send(b"".join(b"b%d FETCH * (BODY.PEEK[])\r\n" % number for number in range(50)))
        pop3 = stranger.greeted("pop3")
        pop3.send(f"USER {ALICE}\r\nPASS {PASSWORD}\r\nLIST\r\nRETR 1\r\nRETR 1\r\n".encode())
    stranger.unharmed()


@pytest.mark.parametrize("inside", [b" " * 64 * MIB, b"a NOOP\r\n" * 500_000], ids=["spaces", "commands"])
def test_a_bomb_under_compress_goes_off_in_a_small_room(stranger: Stranger, inside: bytes) -> None:
    peer = stranger.logged_in()
    peer.command("COMPRESS DEFLATE")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    peer.pour(packer.compress(inside) + packer.flush(zlib.Z_SYNC_FLUSH))
    stranger.unharmed()
    peer.pour(random.Random(1).randbytes(MIB))  # and what cannot be unpacked at all
    stranger.unharmed()


# -- passwords ---------------------------------------------------------------------------------------------------------

NONSENSE = (
    b"=", b"*", b"====", b"!!!!", b"AAAA", b"\xff\xff", b"AGFsaWNl", b"AAAA" * 3000, b"AGEAYg==", b64(b"\0" * 3000),
    b64(b"n,,n=alice,r=" + b"x" * 9000), b64(b"p=tls-unique,,n=a,r=bcdefghij"), b64(b"n,a=x,n=,r="), b64(b"a\0" * 1000),
    b64(b"y,,n=alice,r=abcdefghi,m=x"), b64(b"\xff\xfe\0\xed\xa0\x80\0\x80"),
)  # fmt: skip


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "NTLM", "\x01"])
def test_nonsense_for_a_password_is_refused_in_words(stranger: Stranger, mechanism: str) -> None:
    """Every answer is a refusal of its protocol, whatever is sent in whatever place; nobody is logged in."""
    stranger.allowed += HASHING
    asked = []
    for nonsense in NONSENSE:
        smtp, imap, pop3 = stranger.ehlo("submission"), stranger.greeted("imap"), stranger.greeted("pop3")
        said = mechanism.encode() + b" " + nonsense + b"\r\n" + (nonsense + b"\r\n") * 2 + b"*\r\n"
        smtp.send(b"AUTH " + said + b"MAIL FROM:<x@example.test>\r\nQUIT\r\n")
        imap.send(b"a1 AUTHENTICATE " + said + b"a2 SELECT INBOX\r\na3 LOGOUT\r\n")
        pop3.send(b"AUTH " + said + b"STAT\r\nQUIT\r\n")
        asked += [(smtp, (b"235", b"250"), nonsense), (imap, (b"a1 OK", b"a2 OK"), nonsense), (pop3, (), nonsense)]
    for peer, successes, nonsense in asked:
        lines = peer.rest().splitlines()
        assert lines and not any(line.startswith(successes) for line in lines), (nonsense, lines)
        if not successes:
            assert sum(line.startswith(b"+OK") for line in lines) <= 1, (nonsense, lines)  # QUIT


# -- anything ----------------------------------------------------------------------------------------------------------

BEFORE = {
    "smtp": b"EHLO stranger.example.org\r\n",
    "lmtp": b"LHLO stranger.example.org\r\n",
    "submission": b"EHLO x\r\nAUTH PLAIN " + b64(f"\0{CAROL}\0{PASSWORD}".encode()) + b"\r\n",
    "imap": f"b1 LOGIN {CAROL} {PASSWORD}\r\nb2 SELECT INBOX\r\n".encode(),
    "pop3": f"USER {CAROL}\r\nPASS {PASSWORD}\r\n".encode(),
    "managesieve": b'AUTHENTICATE "PLAIN" "' + b64(f"\0{CAROL}\0{PASSWORD}".encode()) + b'"\r\n',
}
SPOKEN = {
    "smtp": re.compile(rb"[2-5][0-9][0-9][ -][ -~]*\r\n"),
    "imap": re.compile(rb"(?:[*+]|[!-~]+) [^\r\n\0]*\r\n(?s:.*)"),
    "pop3": re.compile(rb"[^\0]*\r\n"),
    "managesieve": re.compile(rb"(?s:.*)"),  # scripts as they are
}


def mutants_of_conversations(stranger: Stranger, door: str, rounds: int, seed: int) -> None:
    """The seeds of the fuzz harness, changed anyhow, said by somebody who may do something."""
    stranger.home.deliver(b"Subject: for Carol\r\n\r\nx\r\n", CAROL)
    target = {"imap": IMAP, "pop3": POP3, "managesieve": MANAGESIEVE}.get(door, SMTP)
    for number, data in zip(range(rounds), Mutator(target.seeds, target.words, random.Random(seed)), strict=False):
        peer = stranger.at(door)
        said = data.replace(b"b@example.org", CAROL.encode()).replace(b"a@example.org", CAROL.encode())
        peer.pour(BEFORE[door] + said)
        with contextlib.suppress(OSError):
            peer.half_close()
        answers = peer.rest()
        spoken = SPOKEN.get(door, SPOKEN["smtp"])
        lines = answers.splitlines(keepends=True)
        assert lines and (door == "imap" or all(map(spoken.fullmatch, lines))), (data, answers)
        stranger.go()
        if number % 50 == 49:
            stranger.unharmed()


@pytest.mark.parametrize("door", DOORS)
def test_mutants_of_conversations_are_answered_or_shown_out(stranger: Stranger, door: str) -> None:
    mutants_of_conversations(stranger, door, 250, 0)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", range(1, 4))
def test_thousands_of_mutants_of_conversations(stranger: Stranger, door: str, seed: int) -> None:
    mutants_of_conversations(stranger, door, 5000, seed)
