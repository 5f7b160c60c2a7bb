"""`mailctl quarantine`: what the filter kept, found, shown, released and thrown away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.mail.address import parse_address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, messages, quarantine
from daemon.store.quarantine import Bounds, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.instruments.clamd import DROP, Clamd
from tests.mailctl.conftest import Ctl

ALICE, BOB = "alice@example.org", "bob@example.org"


def put(ctl: Ctl, user: str, number: int, reason: str = "spam-certain", junk: bool = False) -> int:
    """A message that the filter kept from a user."""
    data = (
        f"From: Shop <joerg@shop.example>\r\nSubject: order {number}\r\n\r\nYour login code is 4711.\x1b[31m\r\n"
    ).encode()

    def work(tx: Tx, body: Body) -> int:
        account = accounts.get(tx, parse_address(user)).id
        kept = Kept(
            user, "b@shop.example", "joerg@shop.example", "Shop", f"order {number}\x1b[31m", None, reason, 9, "w"
        )
        blob = blobs.keep(tx, body, summarize(data) if junk else None)
        if junk:
            placed = messages.put(tx, account, "Junk", blob, len(data))
            return quarantine.point(tx, account, kept, "t" * 16, placed.email_id, len(data))
        return quarantine.keep(tx, account, kept, "t" * 16, blob, len(data), b"X: y\r\n", Bounds(1 << 30, 1 << 30)) or 0

    store, body = ctl.store(), Body.of(data)
    try:
        return store.write_now(work, body, bodies=[body])
    finally:
        store.close()


@pytest.fixture
def full(town: Ctl) -> Ctl:
    """1 and 3 for Alice, 2 for Bob, 3 in Junk."""
    assert [put(town, ALICE, 1), put(town, BOB, 2, "virus"), put(town, ALICE, 3, "spam", junk=True)] == [1, 2, 3]
    return town


def test_what_is_kept_is_listed_by_what_is_known_of_it(full: Ctl) -> None:
    def ids(*words: str) -> list[int]:
        return [kept["id"] for kept in full.lines("quarantine", "list", *words)]

    assert ids() == [3, 2, 1] and ids("--limit", "1") == [3]
    assert ids("--user", ALICE) == [3, 1] and ids("--reason", "virus") == [2]
    assert ids("--from", "SHOP.example") == [3, 2, 1] and ids("--from", "nobody") == []
    assert ids("--since", "1h") == [3, 2, 1] and ids("--since", "2099-01-01") == []
    table = full.ok("quarantine", "list")
    assert "\x1b" not in table and "order 1" in table and "refused" in table and "junk" in table
    assert "USER" not in full.ok("quarantine", "list", "--user", ALICE)
    full.fails(1, "quarantine", "list", "--user", "nobody@example.org")
    full.fails(65, "quarantine", "list", "--since", "soon")


def test_one_is_shown_with_why_and_what_it_says(full: Ctl) -> None:
    said = full.ok("quarantine", "show", "1")
    assert "login code is 4711" in said and "spam-certain" in said and "\x1b" not in said
    shown = full.json("quarantine", "show", "3")
    assert shown["kept"]["state"] == "junk" and shown["headers"][0] == ["From", "Shop <joerg@shop.example>"]
    assert full.ok("quarantine", "show", "1", "--raw").startswith("X: y\nFrom: Shop")
    full.fails(1, "quarantine", "show", "99")
    full.fails(65, "quarantine", "show", "one")


def test_some_are_released_by_number_or_from_standard_input(full: Ctl) -> None:
    assert f"1 “order 1�[31m” from joerg@shop.example to the INBOX of {ALICE}" in full.ok("quarantine", "release", "1")
    full.fails(1, "quarantine", "release", "1")
    (done,) = full.lines("quarantine", "release", "-", "--allow", input="3\n")
    assert done["id"] == 3
    assert [mail["mailboxes"] for mail in full.lines("mail", "list", ALICE)] == [["INBOX"], ["INBOX"]]
    assert [entry["sender"] for entry in full.lines("spam", "allow", "--user", ALICE)] == ["joerg@shop.example"]
    full.ok("user", "set", ALICE, "--quota", "10")
    put(full, ALICE, 4)
    full.fails(75, "quarantine", "release", "4")
    full.ok("user", "set", ALICE, "--quota", "1M")
    full.ok("quarantine", "release", "4")
    assert [kept["id"] for kept in full.lines("quarantine", "list")] == [2]
    full.ok("doctor", "--store")


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_has_a_virus_is_released_to_nobody(full: Ctl, force: tuple[str, ...]) -> None:
    said = full.fails(77, "quarantine", "release", "2", *force)
    assert "message 2 has a virus" in said and "`mailctl quarantine show 2 --raw > FILE`" in said
    assert full.lines("mail", "list", BOB) == [] and full.json("quarantine", "show", "2")["kept"]["by"] == "nobody"
    assert full.ok("quarantine", "show", "2", "--raw").startswith("X: y\nFrom: Shop")


async def test_the_scanner_is_asked_again_before_a_release(full: Ctl) -> None:
    """It knows more than when the message came."""

    async def release(code: int, answer: bytes | None) -> str:
        scanner.answer = answer
        return await asyncio.to_thread(full.fails, code, "quarantine", "release", "1")

    async with Clamd() as scanner:
        await asyncio.to_thread(full.ok, "config", "set", "virus.scanner", scanner.setting)
        assert "has a virus (New.Worm)" in await release(77, b"stream: New.Worm FOUND\0")
        assert "for now" in await release(75, DROP)
        assert full.lines("mail", "list", ALICE, "INBOX") == []
        scanner.answer = None
        await asyncio.to_thread(full.ok, "quarantine", "release", "1", "3")
        assert [b"order 1" in seen for seen in scanner.seen] == [True] * 3, "what is in Junk was clean"
    assert len(full.lines("mail", "list", ALICE, "INBOX")) == 2


def test_some_are_thrown_away(full: Ctl) -> None:
    assert "would throw 2 messages away" in full.ok("quarantine", "rm", "1", "3", "--dry-run")
    full.fails(64, "quarantine", "rm", "1")
    full.fails(1, "quarantine", "rm", "1", "99", "--yes")
    assert len(full.lines("quarantine", "list")) == 3
    full.ok("quarantine", "rm", "1", "3", "--yes")
    assert [kept["id"] for kept in full.lines("quarantine", "list")] == [2]
    assert full.lines("mail", "list", ALICE) == []
    full.ok("doctor", "--store")


def test_who_is_removed_takes_along_what_was_kept_for_him(full: Ctl) -> None:
    full.ok("user", "rm", ALICE, "--yes")
    assert [kept["id"] for kept in full.lines("quarantine", "list")] == [2]
    full.ok("user", "rm", BOB, "--yes")
    full.ok("domain", "rm", "example.org", "--yes")
    full.ok("doctor", "--store")


def test_numbers_are_completed(full: Ctl, tmp_path: Path) -> None:
    from click.shell_completion import ShellComplete

    from mailctl.main import cli

    found = ShellComplete(cli, {}, "mailctl", "_X").get_completions(
        ["--data", str(full.path), "quarantine", "release"], ""
    )
    assert [item.value for item in found] == ["3", "2", "1"]
