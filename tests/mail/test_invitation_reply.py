"""What is answered to an invitation: to whom, by whom, and in the lines that RFC 5546 asks for."""

from __future__ import annotations

import datetime

import pytest
from icalendar import Calendar

from daemon.mail.invitation import read
from daemon.mail.invitation_reply import ANSWERS, Replies, replies

AT = datetime.datetime(2026, 11, 28, 9, 30, tzinfo=datetime.UTC)
OWN = frozenset(("bob@example.org", "robert@example.org"))
ASKED = (
    "UID:1@example.org\nDTSTART;TZID=Europe/Berlin:20261130T100000\nSEQUENCE:2\nSUMMARY:Plan\\, then do\n"
    'ORGANIZER;CN="Ann, B":mailto:ann@example.org\nATTENDEE:mailto:carol@example.org\n'
    "ATTENDEE;CN=Bob;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT:mailto:Bob@example.org\n"
)


def asked(lines: str = ASKED, method: str = "REQUEST") -> Replies | None:
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:{method}\nBEGIN:VEVENT\n{lines}END:VEVENT\nEND:VCALENDAR\n"
    (one,) = read(text.replace("\n", "\r\n"))
    return replies(one, OWN, AT)


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_lines_of_an_answer(answer: str) -> None:
    found = asked()
    assert found is not None and found.attendee == "Bob@example.org" and set(found.texts) == set(ANSWERS)
    lines = found.texts[answer].split("\r\n")
    assert lines == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//mailctl//webmail//EN", "METHOD:REPLY", "BEGIN:VEVENT",
        "SUMMARY:Plan\\, then do", "DTSTART:20261130T090000Z", "DTSTAMP:20261128T093000Z", "UID:1@example.org",
        "SEQUENCE:2", f"ATTENDEE;CN=Bob;PARTSTAT={answer.upper()}:mailto:Bob@example.org",
        'ORGANIZER;CN="Ann, B":mailto:ann@example.org', "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line, told",
    [
        ("RECURRENCE-ID;TZID=Europe/Berlin:20261130T100000", "RECURRENCE-ID:20261130T090000Z"),
        ("RECURRENCE-ID:20261130T100000", "RECURRENCE-ID:20261130T100000"),
        ("DTSTART;VALUE=DATE:20261130\nRECURRENCE-ID;VALUE=DATE:20261207", "RECURRENCE-ID;VALUE=DATE:20261207"),
    ],
)
def test_one_day_of_many(line: str, told: str) -> None:
    rest = ASKED.replace("DTSTART;TZID=Europe/Berlin:20261130T100000\n", "") if "DTSTART" in line else ASKED
    found = asked(f"{line}\n{rest}")
    assert found is not None and f"\r\n{told}\r\n" in found.texts["accepted"]


@pytest.mark.parametrize(
    "old, new, method",
    [
        ("", "", "CANCEL"),
        ("", "", "REPLY"),
        ("SEQUENCE:2", "STATUS:CANCELLED", "REQUEST"),
        ("UID:1@example.org\n", "", "REQUEST"),
        ("mailto:Bob@", "mailto:dan@", "REQUEST"),
        ('ORGANIZER;CN="Ann, B":mailto:ann@example.org\n', "", "REQUEST"),
        ("mailto:ann@example.org", "mailto:robert@example.org", "REQUEST"),
        ("mailto:ann@example.org", "https://example.org/ann", "REQUEST"),
    ],
)
def test_where_nothing_is_asked_or_there_is_nobody_to_tell(old: str, new: str, method: str) -> None:
    assert asked(ASKED.replace(old, new) if old else ASKED, method) is None


def test_whatever_a_stranger_wrote_makes_no_line_of_its_own() -> None:
    evil = 'ORGANIZER;CN="x^nATTENDEE:mailto:eve@x.test":mailto:ann@example.org\nSUMMARY:a\\nMETHOD:CANCEL\n'
    found = asked(ASKED.replace("SUMMARY:Plan\\, then do\n", "").replace("ORGANIZER", "COMMENT") + evil)
    assert found is not None
    made = Calendar.from_ical(found.texts["declined"])
    (event,) = made.walk("VEVENT")
    assert made["METHOD"] == "REPLY" and str(event["ATTENDEE"]) == "mailto:Bob@example.org"
    assert event["SUMMARY"] == "a\nMETHOD:CANCEL" and found.texts["declined"].count("\r\nMETHOD:") == 1
