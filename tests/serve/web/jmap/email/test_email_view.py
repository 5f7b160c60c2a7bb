"""Email/view: what a webmail is told of a message beside itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.mail import view_link
from daemon.store import accounts, quarantine
from tests.serve.web.jmap.desk import USING, Desk
from tests.store.stage import open_store

HTML = (
    b"From: Ann <ann@remote.example>\r\nSubject: x\r\nContent-Type: text/html\r\n\r\n"
    b"<img src=https://a.example/1><img src=https://a.example/2>"
)
INVITATION = (
    b"From: ann@remote.example\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n"
    b"VERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261130\r\nSUMMARY:Plan\r\n"
    b"ORGANIZER;CN=Ann:mailto:ann@remote.example\r\nATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.org\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)
PROVED = b"Authentication-Results: mx; dkim=pass header.d=remote.example; dmarc=pass header.from=remote.example\r\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(DataDir(tmp_path / "desk"))
    yield Desk(store, using=[*USING, "urn:mailctl:owner"])
    store.close()


async def test_what_is_told_of_html(desk: Desk) -> None:
    email = desk.raw(HTML, prefix=PROVED)
    told = await desk.one("Email/view", id=email)
    assert told["id"] == email and told["accountId"] == desk.id and told["remoteImages"] == 2
    assert told["invitations"] == []
    assert told["authentication"] == {
        "verdict": "pass", "reason": "dmarc", "domain": "remote.example", "signer": "remote.example",
        "spf": None, "dkim": "pass", "dmarc": "pass",
    }  # fmt: skip


@pytest.mark.parametrize("asked", [False, True])
async def test_the_address_is_for_this_message_alone_and_says_which_pictures(desk: Desk, asked: bool) -> None:
    email = desk.raw(HTML)
    told = await desk.one("Email/view", id=email, remoteImages=asked)
    key = desk.store.read_now(quarantine.link_key)
    link = view_link.read(told["url"].removeprefix("/message/"), key, desk.store.clock() / 1000)
    assert link is not None and link[:3] == (desk.account, int(email[1:]), asked)
    assert told["remoteImages"] == 2


async def test_invitations(desk: Desk) -> None:
    told = await desk.one("Email/view", id=desk.raw(INVITATION))
    assert told["invitations"] == [
        {
            "method": "request", "uid": "1", "summary": "Plan", "start": "2026-11-30", "end": None, "allDay": True,
            "zone": None, "location": None, "description": None, "status": None, "every": None, "sequence": 0,
            "recurrence": None, "replies": None,
            "organizer": {"name": "Ann", "email": "ann@remote.example", "status": None},
            "attendees": [{"name": None, "email": "bob@example.org", "status": "declined"}],
        }
    ]  # fmt: skip


async def test_who_is_invited_may_answer(desk: Desk) -> None:
    me = str(desk.store.read_now(accounts.by_id, desk.account).address)
    email = desk.raw(INVITATION.replace(b"bob@example.org", me.upper().encode()))
    (told,) = (await desk.one("Email/view", id=email))["invitations"]
    assert set(told["replies"]) == {"attendee", "accepted", "tentative", "declined"}
    assert told["replies"]["attendee"] == me.upper()
    assert f"ATTENDEE;PARTSTAT=TENTATIVE:mailto:{me.upper()}" in told["replies"]["tentative"]


async def test_nothing_of_others_and_no_nonsense(desk: Desk) -> None:
    other = Desk(desk.store, "bob")
    theirs = other.raw(HTML)
    for email in (theirs, "e999", "m1", "x"):
        assert await desk.one("Email/view", id=email) == {"error": "notFound"}
    for arguments in ({}, {"id": 1}, {"id": theirs, "remoteImages": "yes"}, {"id": theirs, "x": 1}):
        assert await desk.one("Email/view", **arguments) == {"error": "invalidArguments"}


async def test_a_field_in_the_message_itself_proves_nothing(desk: Desk) -> None:
    told = await desk.one("Email/view", id=desk.raw(PROVED + HTML))
    assert told["authentication"]["verdict"] == "none" and told["authentication"]["reason"] == "not-checked"
