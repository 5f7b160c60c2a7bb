"""A login code that the filter refused is found and released, and the next one arrives; a digest tells of kept mail,
and its links work; a flood of refused mail takes no more room than it may, and a kill in its middle loses nothing.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from daemon.store import quarantine
from daemon.store.tx import Tx
from daemon.trust.rules import GTUBE
from tests.instruments.server import Server
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl
from tests.store.stage import clean
from tests.stories.test_lessons import ALICE, BOB, PASSWORD, Place
from tests.stories.test_spam import HAM, SPAM, box, letter

CODE = (
    "Only today! Your login code is 4711. Buy now, free shipping, click the link below. The harbour walk begins at the"
    " old pier, Captain Haddock tells of storms, gulls, ropes and lanterns."
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    settings = {"spam.check": "yes", "spam.greylist": "no", "hostname": "localhost"}
    settings |= {"spam.junk": "3", "spam.refuse": "3"}
    with Server(tmp_path / "data", {ALICE: PASSWORD, BOB: PASSWORD}, settings) as server:
        place = Place(server)
        yield place
        clean(place.store)
        place.store.close()
        assert "Traceback" not in server.log(), server.log()[-3000:]


def give(place: Place, data: bytes, *to: str) -> tuple[int, str]:
    with smtplib.SMTP("127.0.0.1", place.server.ports["smtp"]) as smtp:
        smtp.ehlo()
        smtp.mail("bounce@club.example")
        for each in to or (ALICE,):
            smtp.rcpt(each)
        code, said = smtp.data(data)
    return code, said.decode()


def mails(ctl: Ctl, user: str = ALICE, mailbox: str = "INBOX") -> list[Any]:
    return ctl.lines("mail", "list", user, mailbox)


def test_a_login_code_that_was_refused_is_found_released_and_its_twin_arrives(place: Place, tmp_path: Path) -> None:
    ctl = Ctl(place.server.data.path)
    ctl.ok("spam", "train", "--spam", str(box(tmp_path / "spam.mbox", SPAM, "deals@watches.example")))
    ctl.ok("spam", "train", "--ham", str(box(tmp_path / "ham.mbox", HAM, "ann@office.example")))
    ctl.ok("config", "set", "spam.junk", "3")
    ctl.ok("config", "set", "spam.refuse", "3")
    until(lambda: give(place, letter(CODE, 1, "code@club.example"))[0] == 550)
    (kept,) = ctl.lines(
        "quarantine", "list", "--user", ALICE, "--from", "club.example", "--since", "1h", "--limit", "1"
    )
    assert kept["reason"] == "spam-certain" and kept["state"] == "refused" and mails(ctl) == []
    number = str(kept["id"])
    assert "Your login code is 4711" in ctl.ok("quarantine", "show", number)
    ctl.ok("quarantine", "release", number)
    mail = mails(ctl)[0]
    assert mail["trace"] == kept["trace"] and mail["received_at"] == kept["kept_at"]
    place.soon(1, 0)
    assert give(place, letter(CODE, 2, "code@club.example"))[0] == 250
    assert len(mails(ctl)) == 2 and mails(ctl, mailbox="Junk") == []
    said = ctl.ok("trace", kept["trace"])
    assert f"kept in the quarantine for {ALICE} (entry {number})" in said and f"released to INBOX of {ALICE}" in said
    assert "refused for alice@example.test: spam-certain" in said and "in INBOX of alice@example.test" in said


def test_a_digest_comes_and_its_links_work(place: Place) -> None:
    ctl = Ctl(place.server.data.path)
    assert give(place, letter("a test", 3, "x@far.example") + GTUBE + b"\r\n", ALICE, BOB)[0] == 550
    ctl.ok("quarantine", "rm", str(ctl.lines("quarantine", "list", "--user", BOB)[0]["id"]), "--yes")
    assert place.server.stop() == 0
    place.store.write_now(lambda tx: tx.run("update quarantine set at = at - 86400000"))  # a day passes
    place.server.start()
    until(lambda: mails(ctl))
    (mail,) = mails(ctl)
    assert mails(ctl, BOB) == [] and mail["subject"] == "1 message kept from your INBOX"
    raw = ctl("mail", "show", str(mail["id"]), "--raw").stdout_bytes
    message: Any = message_from_bytes(raw, policy=default)
    text = message.get_body(("plain",)).get_content()
    url = re.search(r"https://localhost:\d+/quarantine/release\?token=\S+", text)
    assert url is not None, text
    trusting = ssl._create_unverified_context()
    where = url[0].replace("localhost", "127.0.0.1")
    with urllib.request.urlopen(where, context=trusting) as page:
        assert "Deliver to my INBOX" in page.read().decode()
    assert len(mails(ctl)) == 1, "looking at it does nothing"
    path, _, query = where.partition("?")
    with urllib.request.urlopen(path, query.encode(), context=trusting) as page:
        assert "The message is in your INBOX." in page.read().decode()
    assert sorted(mail["subject"] for mail in mails(ctl)) == ["1 message kept from your INBOX", "a test"]
    assert ctl.lines("quarantine", "list") == []


def test_a_flood_is_bounded_and_a_kill_in_the_middle_of_it_loses_nothing(place: Place) -> None:
    ctl = Ctl(place.server.data.path)
    ctl.ok("config", "set", "quarantine.user_limit", "300K")
    refused: list[int] = []

    def flood(base: int) -> None:
        """Until the server is gone."""
        with smtplib.SMTP("127.0.0.1", place.server.ports["smtp"], timeout=20) as smtp:
            for number in range(base, base + 500):
                smtp.ehlo_or_helo_if_needed()
                smtp.mail("x@far.example")
                smtp.rcpt(ALICE)
                smtp.rcpt(BOB)
                body = GTUBE + b"\r\n" + b"z" * 70 + b"\r\n"
                assert smtp.data(letter(f"number {number}", number, "x@far.example") + body * 30)[0] == 550
                refused.append(number)

    def until_it_ends(base: int) -> None:
        try:
            flood(base)
        except (smtplib.SMTPException, OSError):
            return

    threads = [threading.Thread(target=until_it_ends, args=(base,)) for base in (1000, 2000)]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) >= 120)
    place.server.kill()
    for thread in threads:
        thread.join()
    clean(place.store)
    kept = ctl.lines("quarantine", "list", "--user", ALICE)
    weight = place.store.read_now(Tx.one, "select max(weight), count(*) from quarantine_sum where account_id <> 0")
    assert weight is not None and weight[0] <= 300 << 10 and weight[1] == 2
    assert 20 < len(kept) < len(refused), "the oldest made room"
    newest = refused[-1]
    assert f"{newest}@far.example" in {one["message_id"] for one in kept}, "whoever heard 550 is kept"
    place.server.start()
    assert len(place.store.read_now(quarantine.find)) == len(ctl.lines("quarantine", "list"))
    ctl.ok("config", "set", "quarantine.keep", "0s")
    assert give(place, letter("late", 9, "x@far.example") + GTUBE + b"\r\n")[0] == 550
