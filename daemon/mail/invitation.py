"""Invitations that come with a message (RFC 5545 in RFC 6047): what, when, where, who, and what is asked or answered.

Times are told as they are: in UTC where the calendar names a zone that is known, as a day alone for a whole day,
without a zone where it names none ("floating": the reader's own time). Repetitions are told as a rule, and
never counted out.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_transfer
from daemon.mail.message import Part

if TYPE_CHECKING:
    from daemon.mail.header import Data

MEDIA = frozenset(("text/calendar", "application/ics"))
_METHODS = frozenset(("PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"))
_ANSWERS = frozenset(("ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "NEEDS-ACTION"))
_STATUSES = frozenset(("TENTATIVE", "CONFIRMED", "CANCELLED"))
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FREQUENCIES = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}


class Person(NamedTuple):
    """`status`: accepted, declined, tentative, delegated, needs-action; '' for an organiser."""

    name: str
    email: str
    status: str = ""


class Invitation(NamedTuple):
    """One event. `method` and `status` are words of RFC 5545 in lower case, '' where nothing is said. `start`, `end`:
    `2026-11-28T10:00:00Z`, without the Z for floating time, `2026-11-28` for a whole day, '' where there is none; `end`
    of whole days is the last of them. `every`: how it repeats (`every 2 weeks`), '' for once. `recurrence`: when
    the one of many that it is about was to begin (RECURRENCE-ID), '' where it is about all."""

    method: str
    uid: str
    summary: str
    start: str
    end: str
    all_day: bool
    zone: str
    location: str
    description: str
    organizer: Person | None
    attendees: tuple[Person, ...]
    status: str
    every: str
    sequence: int
    recurrence: str = ""


def invitations(data: Data, root: Part) -> list[Invitation]:
    """All that come with a message, each event of a calendar once; those that make no sense are left out."""
    found: dict[tuple[str, str, str], Invitation] = {}
    for part in root.walk():
        if part.media in MEDIA and part.size <= 2 * LIMITS.invitation:
            octets = decode_transfer(bytes(data[part.body : part.end]), part.encoding)
            for one in read(decode_text(octets, part.charset or "utf-8")):
                found.setdefault((one.uid, one.method, one.start), one)  # the same comes twice: to see, and to save
    return list(found.values())[: LIMITS.invitations]


def read(text: str) -> list[Invitation]:
    """The events of a calendar; none when it cannot be read."""
    if len(text) > LIMITS.invitation or text.count("\n") > LIMITS.invitation_lines:
        return []
    from icalendar import Calendar  # read when the first invitation is opened

    try:
        calendar: Any = Calendar.from_ical(text)
        method = _word(calendar.get("METHOD"), _METHODS)
        return [_event(method, event) for event in calendar.walk("VEVENT")[: LIMITS.invitations]]
    except Exception:  # whatever a stranger wrote, and whatever the library makes of it
        return []


def _event(method: str, event: Any) -> Invitation:
    first, all_day = _time(event.get("DTSTART"))
    last, _ = _time(event.get("DTEND"))
    if last is None and first is not None and event.get("DURATION") is not None:
        last = first + event.get("DURATION").dt
    if last is not None and all_day:
        last -= datetime.timedelta(days=1)  # RFC 5545 §3.6.1: DTEND is the day after
    zone = getattr(getattr(event.get("DTSTART"), "dt", None), "tzinfo", None)
    organizer = event.get("ORGANIZER")
    attendees = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    return Invitation(
        method,
        _text(event.get("UID"), 1000),  # an answer has it whole
        _text(event.get("SUMMARY"), 500),
        _told(first),
        _told(last) if last is None or first is None or last >= first else "",
        all_day,
        _text(zone, 60) if zone is not None else "",
        _text(event.get("LOCATION"), 500),
        _text(event.get("DESCRIPTION"), LIMITS.invitation_text),
        None if organizer is None else _person(organizer)._replace(status=""),
        tuple(_person(one) for one in attendees[: LIMITS.addresses]),
        _word(event.get("STATUS"), _STATUSES),
        _every(event.get("RRULE")),
        _whole(event.get("SEQUENCE")),
        _told(_time(event.get("RECURRENCE-ID"))[0]),
    )


def _time(value: Any) -> tuple[Any, bool]:
    """A date, or a time in UTC where it has a zone, and whether it is a date; None for none."""
    at = getattr(value, "dt", None)
    if isinstance(at, datetime.datetime):
        return (at if at.tzinfo is None else at.astimezone(datetime.UTC)), False
    return (at, True) if isinstance(at, datetime.date) else (None, False)


def _told(at: datetime.datetime | datetime.date | None) -> str:
    if isinstance(at, datetime.datetime):
        return at.replace(tzinfo=None, microsecond=0).isoformat() + ("" if at.tzinfo is None else "Z")
    return "" if at is None else at.isoformat()


def _person(value: Any) -> Person:
    address = _text(value, 320)
    if address[:7].lower() == "mailto:":
        address = address[7:]
    said = getattr(value, "params", {})
    status = _word(said.get("PARTSTAT", "NEEDS-ACTION"), _ANSWERS) or "needs-action"
    return Person(_text(said.get("CN"), 200), address, status)


def _every(rule: Any) -> str:
    rule = next(iter(rule), None) if isinstance(rule, list) and rule else rule
    frequency = next(_words(rule.get("FREQ")), "") if rule else ""
    unit = _FREQUENCIES.get(frequency.upper())
    if unit is None:
        return ""
    interval = _whole(next(iter(rule.get("INTERVAL", [1])), 1))
    return f"every {unit}" if interval <= 1 else f"every {interval} {unit}s"


def _words(value: Any) -> Iterator[str]:
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    return (str(one) for one in values)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _word(value: Any, known: frozenset[str]) -> str:
    word = str(value or "").strip().upper()
    return word.lower() if word in known else ""


def _text(value: Any, most: int) -> str:
    """Text for the eye, without what turns or hides what follows."""
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else _CONTROL.sub(" ", str(value)[:most]).strip()
