"""Invitations: what is told of them, and what makes no sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from daemon.limits import LIMITS
from daemon.mail import invitation
from daemon.mail.invitation import Invitation, Person, invitations, read
from daemon.mail.message import scan
from tests.mail.test_message import multipart

ZONE = """BEGIN:VTIMEZONE
TZID:Ours
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0300
TZOFFSETTO:+0300
END:STANDARD
END:VTIMEZONE
"""


def calendar(lines: str, method: str = "REQUEST", before: str = "") -> str:
    said = f"METHOD:{method}\n" if method else ""
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{said}{before}BEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"


def one(lines: str, method: str = "REQUEST", before: str = "") -> Invitation:
    (found,) = read(calendar(lines, method, before).replace("\n", "\r\n"))
    return found


def test_what_is_told() -> None:
    found = one(
        "UID:1@example.org\nDTSTART;TZID=Europe/Berlin:20261130T100000\nDTEND;TZID=Europe/Berlin:20261130T113000\n"
        "SUMMARY:Plan\\, then\\ndo\nLOCATION:Room 5\nDESCRIPTION:Bring \u202epaper\nSTATUS:CONFIRMED\nSEQUENCE:2\n"
        "ORGANIZER;CN=Ann Example:mailto:ann@example.org\n"
        'ATTENDEE;CN="Bob, B";PARTSTAT=ACCEPTED:MAILTO:bob@example.org\nATTENDEE;PARTSTAT=x:mailto:c@example.org\n'
        "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=5"
    )
    assert found == Invitation(
        "request", "1@example.org", "Plan, then\ndo", "2026-11-30T09:00:00Z", "2026-11-30T10:30:00Z", False,
        "Europe/Berlin", "Room 5", "Bring  paper", Person("Ann Example", "ann@example.org"),
        (Person("Bob, B", "bob@example.org", "accepted"), Person("", "c@example.org", "needs-action")),
        "confirmed", "every 2 weeks", 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    "lines, start, end, all_day",
    [
        ("DTSTART:20261130T100000Z\nDTEND:20261130T110000Z", "2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z", False),
        ("DTSTART:20261130T100000\nDURATION:PT90M", "2026-11-30T10:00:00", "2026-11-30T11:30:00", False),
        ("DTSTART;VALUE=DATE:20261130\nDTEND;VALUE=DATE:20261202", "2026-11-30", "2026-12-01", True),
        ("DTSTART;VALUE=DATE:20261130", "2026-11-30", "", True),
        ("DTSTART:20261130T100000Z\nDTEND:20261129T110000Z", "2026-11-30T10:00:00Z", "", False),
        ("DTSTART;TZID=Ours:20261130T100000", "2026-11-30T07:00:00Z", "", False),
        ("DTEND:20261130T100000Z", "", "2026-11-30T10:00:00Z", False),
        ("SUMMARY:x", "", "", False),
    ],
)
def test_times(lines: str, start: str, end: str, all_day: bool) -> None:
    found = one(lines, before=ZONE)
    assert (found.start, found.end, found.all_day) == (start, end, all_day)


@pytest.mark.parametrize(
    "rule, every",
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=YEARLY;INTERVAL=4", "every 4 years"),
        ("FREQ=SECONDLY", ""),
        ("FREQ=MONTHLY;INTERVAL=0", "every month"),
    ],
)
def test_repetitions(rule: str, every: str) -> None:
    assert one(f"SUMMARY:x\nRRULE:{rule}").every == every
    assert one(f"SUMMARY:x\nRRULE:{rule}\nRRULE:FREQ=DAILY").every == every


@pytest.mark.parametrize("method, told", [("CANCEL", "cancel"), ("reply", "reply"), ("<script>", ""), ("", "")])
def test_methods(method: str, told: str) -> None:
    assert one("SUMMARY:x", method).method == told


def test_several_of_what_should_be_one() -> None:
    found = one("SUMMARY:a\nSUMMARY:b\nORGANIZER:mailto:x@example.org\nATTENDEE:y@example.org\nSEQUENCE:99999999999")
    assert found.summary == "a" and found.attendees == (Person("", "y@example.org", "needs-action"),)
    assert found.organizer == Person("", "x@example.org") and found.sequence == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BEGIN:VCALENDAR",
        "END:VEVENT",
        "x",
        "\0",
        calendar("DTSTART:99999999T999999Z"),
        calendar("DTSTART;TZID=\x00:20261130T100000"),
        calendar("DTSTART:00010101T000000Z\nDURATION:-P99999W"),
        calendar("RRULE:x\nDURATION:y"),
        calendar("ORGANIZER\nATTENDEE;"),
    ],
)
def test_what_makes_no_sense_is_left_out_or_told_as_far_as_it_does(text: str) -> None:
    for found in read(text):
        assert isinstance(found, Invitation) and found.start in ("", "0001-01-01T00:00:00Z")


def parts(texts: Iterable[str], media: bytes = b"text/calendar; charset=utf-8") -> bytes:
    return multipart(b"b", *[b"Content-Type: " + media + b"\r\n\r\n" + text.encode() for text in texts])


def told(data: bytes) -> list[Invitation]:
    message = scan(data)
    return invitations(message.data, message.root)


def test_each_event_of_a_message_once() -> None:
    a, b = calendar("UID:a\nSUMMARY:ä"), calendar("UID:b")
    assert [found.uid for found in told(parts([a, a, b]))] == ["a", "b"]
    assert told(parts([a]))[0].summary == "ä"
    assert told(parts([a], b"application/ics"))[0].uid == "a"
    assert told(parts([a], b"text/plain")) == []


def test_events_of_one_message_are_bounded() -> None:
    many = [calendar(f"UID:{number}") for number in range(LIMITS.invitations + 5)]
    assert len(told(parts(many))) == LIMITS.invitations
    inner = "\nEND:VEVENT\nBEGIN:VEVENT\n".join(f"UID:{number}" for number in range(LIMITS.invitations + 5))
    assert len(read(calendar(inner))) == LIMITS.invitations


def test_an_invitation_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = calendar("DESCRIPTION:" + "x" * 3000)
    assert len(read(text)[0].description) == LIMITS.invitation_text
    assert told(parts([calendar("SUMMARY:" + "x" * 2 * LIMITS.invitation)])) == []
    assert read(calendar("X:y\n" * LIMITS.invitation_lines)) == []
    monkeypatch.setattr(invitation, "LIMITS", dataclasses.replace(LIMITS, invitation=100))
    assert read(text) == []
