"""Dates (RFC 5260): `date` on a header field, `currentdate`; each part of a date as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from daemon.mail.decode import unfold
from daemon.mail.summary import parse_date, zone_minutes
from daemon.sieve.index import INDEX, chosen
from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Option, test

_ZONE = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
_WRITTEN = re.compile(rb"([+-][0-9]{4}|[A-Za-z]{1,5})\s*(?:\(.*)?$", re.DOTALL)
_DAY = 24 * 60  # minutes
_JULIAN = 678576  # the proleptic day of year 1 before the modified Julian day 0
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONES = (Option("zone", STRING, group="zone"), Option("originalzone", group="zone"))


def _offset(at: datetime) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def _std11(at: datetime) -> str:
    day, month = _WEEKDAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year:04d} {at:%H:%M:%S} {_offset(at)}"


PARTS: dict[str, Callable[[datetime], str]] = {
    "year": lambda at: f"{at.year:04d}",
    "month": lambda at: f"{at.month:02d}",
    "day": lambda at: f"{at.day:02d}",
    "date": lambda at: f"{at.year:04d}-{at.month:02d}-{at.day:02d}",
    "julian": lambda at: str(at.toordinal() - _JULIAN),
    "hour": lambda at: f"{at.hour:02d}",
    "minute": lambda at: f"{at.minute:02d}",
    "second": lambda at: f"{at.second:02d}",
    "time": lambda at: f"{at:%H:%M:%S}",
    "iso8601": lambda at: f"{at.year:04d}-{at:%m-%dT%H:%M:%S}{_offset(at)[:3]}:{_offset(at)[3:]}",
    "std11": _std11,
    "zone": _offset,
    "weekday": lambda at: str(at.isoweekday() % 7),
}
"""Section 4.2."""


@test("date", STRING, STRING, STRINGS, needs="date", options=(*options(), *_ZONES, *INDEX))
def date(call: Call) -> Ask:
    name, part, match = call.text(0), _part(call, 1), matcher(call, call.texts(2), 2)
    zone, original, pick = _zone(call), call.has("originalzone"), chosen(call)

    def ask(run: Run) -> bool:
        found = pick(run.subject.head.raw(name(run)))
        at = _moment(found[0]) if found else None
        try:
            at = at.astimezone(zone(run)) if at is not None and not original else at
        except OverflowError:  # at the ends of the calendar
            at = None
        return match(run, () if at is None else (part(at),))

    return ask


@test("currentdate", STRING, STRINGS, needs="date", options=(*options(), _ZONES[0]))
def currentdate(call: Call) -> Ask:
    part, match, zone = _part(call, 0), matcher(call, call.texts(1), 1), _zone(call)

    def ask(run: Run) -> bool:
        at = datetime.fromtimestamp(run.subject.facts.now / 1000, UTC)
        return match(run, (part(at.astimezone(zone(run))),))

    return ask


def _moment(value: bytes) -> datetime | None:
    """The date of a field, in the zone where it was written; in Received it stands behind the last semicolon."""
    stamp = unfold(value).rpartition(b";")[2].strip()
    sent, written = parse_date(stamp), _WRITTEN.search(stamp)
    if sent is None:
        return None
    minutes = zone_minutes(written[1] if written is not None else None)
    try:
        return datetime.fromtimestamp(sent.at, timezone(timedelta(minutes=minutes if abs(minutes) < _DAY else 0)))
    except (ValueError, OverflowError, OSError):
        return None


def _part(call: Call, at: int) -> Callable[[datetime], str]:
    name = call.text(at).constant
    if name is None:
        call.fault("the part of a date is a constant", at)
    name = name.lower()
    if name not in PARTS:
        call.fault(f"a date has no part {name!r}; it has {', '.join(PARTS)}", at)
    return PARTS[name]


def _zone(call: Call) -> Callable[[Run], timezone]:
    """The zone in which a date is compared: the one given, else the owner's."""
    given = call.option_text("zone")
    if given is None:
        return lambda run: timezone(timedelta(minutes=run.subject.facts.zone))
    found = _ZONE.fullmatch(given.constant or "")
    if found is None or int(found[2]) > 23:
        call.fault("a zone is written +hhmm or -hhmm")
    minutes = (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
    fixed = timezone(timedelta(minutes=minutes))
    return lambda run: fixed
