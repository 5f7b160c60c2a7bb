"""A newsletter that looks like spam is junked; its reader moves it to the Inbox with mbsync, and its twin arrives there
too. `mailctl trace` says why, both times. The test string of spam filters is refused, or junked.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import standing
from daemon.trust.rules import GTUBE
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl
from tests.stories.test_lessons import ALICE, BOB, PASSWORD, Place, maildir

SPAM = "Cheap watches, only today! Limited offer, buy now, free shipping, click the link below."
NEWS = (
    "Limited offer for our members: buy tickets now for the lighthouse tour, free shipping of the printed gazette."
    " The harbour walk begins at the old pier, Captain Haddock tells of storms, gulls, ropes and lanterns."
)
HAM = "Shall we meet at the station on Tuesday? I will bring the minutes of the last meeting and the budget."


def letter(text: str, number: int, author: str) -> bytes:
    head = f"From: <{author}>\r\nTo: <{ALICE}>\r\nSubject: {text[:24]}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    return f"{head}Message-ID: <{number}@{author.partition('@')[2]}>\r\n\r\n{text}\r\n".encode()


def box(path: Path, text: str, author: str) -> Path:
    """Many such messages, none quite like another."""
    words = text.split()
    with path.open("wb") as file:
        for number in range(40):
            some = " ".join(words[number % 5 :] + words[: number % 3])
            file.write(b"From x@y.example Mon Nov 23 10:00:00 2026\n")
            file.write(letter(some, number, author).replace(b"\r\n", b"\n") + b"\n")
    return path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    settings = {"spam.check": "yes", "spam.greylist": "no"}
    with Server(tmp_path / "data", {ALICE: PASSWORD, BOB: PASSWORD}, settings) as server:
        place = Place(server)
        yield place
        place.store.close()
        assert "Traceback" not in server.log(), server.log()[-3000:]


def give(place: Place, data: bytes, *to: str) -> str:
    """Hand a message in on port 25; the trace."""
    with smtplib.SMTP("127.0.0.1", place.server.ports["smtp"]) as smtp:
        smtp.ehlo()
        smtp.mail("bounce@club.example")
        for each in to or (ALICE,):
            smtp.rcpt(each)
        code, said = smtp.data(data)
    assert code == 250, said
    return said.decode().split()[-1]


def test_a_wrong_verdict_is_undone_by_moving_the_message_and_its_twin_arrives(place: Place, tmp_path: Path) -> None:
    ctl = Ctl(place.server.data.path)
    ctl.ok("spam", "train", "--spam", str(box(tmp_path / "spam.mbox", SPAM, "deals@watches.example")))
    ctl.ok("spam", "train", "--ham", str(box(tmp_path / "ham.mbox", HAM, "ann@office.example")))
    first = give(place, letter(NEWS, 1, "news@club.example"))
    synchronise = maildir(place, tmp_path)
    synchronise()
    (there,) = (tmp_path / "mail/Junk").glob("*/*")
    assert b"X-Spam-Flag: YES\n" in there.read_bytes()
    there.rename(tmp_path / "mail/INBOX/cur" / re.sub(r",U=\d+", "", there.name.partition(":")[0] + ":2,S"))
    synchronise()
    place.soon(1, 0)
    repute = place.store.read_now(standing.of, standing.Source(ip="127.0.0.1")).of_address
    assert repute.good > repute.bad == 0, "its source has the word of the reader, and not that of the filter"
    second = give(place, letter(NEWS, 2, "news@club.example"))
    synchronise()
    assert len(list((tmp_path / "mail/INBOX").glob("*/*"))) == 2 and not list((tmp_path / "mail/Junk").glob("*/*"))
    told = [ctl.ok("trace", trace) for trace in (first, second)]
    assert f"to Junk for {ALICE}: " in told[0] and "delivered to Junk of" in told[0]
    assert re.search(
        r"to Junk for \S+ \d+\.\d points, limit 5\.0: the words look like spam \(\+[\d.]+: .*has “", told[0]
    )
    assert re.search(rf"let in for {ALICE}: -?\d+\.\d points, limit 5\.0: the words look like wanted mail \(-", told[1])
    assert "delivered to INBOX of" in told[1]
    until(lambda: place.server.log().count("event=accepted") == 2)
    assert "verdict=junk why=spam score=" in place.server.log()


def test_spam_goes_to_junk_from_the_first_day(place: Place) -> None:
    """Nobody has taught anything yet."""
    scam = (
        b'From: "Dr. Frank Mbeki" <frank.mbeki2026@mail.example>\r\nTo: undisclosed-recipients:;\r\n'
        b"Subject: URGENT BUSINESS PROPOSAL!!! $$$\r\nMessage-ID: <1@mail.example>\r\n"
        b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nContent-Type: text/html\r\n\r\n"
        b"<html><body><font color=red size=5><b>DEAR FRIEND,</b></font><br>\r\nI am contacting you for the transfer"
        b" of US$25,000,000 (twenty five million dollars) out of my country.\r\nYou will receive 30% of it, 100% RISK"
        b" FREE and GUARANTEED! Please send your bank account number and\r\ntelephone number for confidential"
        b' assistance. <a href="http://192.0.2.7/click/here.html">CLICK HERE</a> now!\r\nTo be removed from our mailing'
        b" list click here to unsubscribe. Order now, limited time offer, money back guarantee.\r\n</body></html>\r\n"
    )
    give(place, scam)
    give(place, letter(HAM, 2, "ann@office.example"))
    ctl = Ctl(place.server.data.path)
    (junk,) = ctl.lines("mail", "list", ALICE, "Junk")
    (kept,) = ctl.lines("mail", "list", ALICE, "INBOX")
    assert "URGENT" in junk["subject"] and "URGENT" not in kept["subject"]
    assert "the words look like spam (+" in ctl.ok("trace", "1@mail.example")


def test_two_users_and_the_test_string(place: Place) -> None:
    test = letter("a test", 3, "x@far.example") + GTUBE + b"\r\n"
    with pytest.raises(AssertionError, match=r"5\.7\.1 Not taken: its score is that of spam beyond doubt"):
        give(place, test, ALICE, BOB)
    ctl = Ctl(place.server.data.path)
    ctl.ok("config", "set", "spam.refuse", "0")
    until(lambda: give_or_not(place, test))
    (story, *_) = ctl.lines("trace", "3@far.example")
    assert [step["kind"] for step in story["steps"]] == ["accepted", "judged", "delivered", "delivered"]
    assert all("in Junk of" in where for where in story["now"])


def give_or_not(place: Place, data: bytes) -> bool:
    try:
        return bool(give(place, data, ALICE, BOB))
    except AssertionError:
        return False
