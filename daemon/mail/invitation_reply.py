"""The answer to an invitation (RFC 5546 §3.2.3): a calendar that tells the organiser whether somebody comes."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import NamedTuple

from daemon.mail.address import BadAddress, parse_address
from daemon.mail.invitation import Invitation, Person

ANSWERS = ("accepted", "tentative", "declined")
_PRODUCT = "-//mailctl//webmail//EN"


class Replies(NamedTuple):
    """`attendee`: the address that was invited, and answers. `texts`: a calendar for each of ANSWERS."""

    attendee: str
    texts: dict[str, str]


def replies(one: Invitation, own: Collection[str], at: datetime.datetime) -> Replies | None:
    """What somebody whose addresses are `own` (in lower case) may answer at that time (in UTC). None: nothing is asked
    of him: only who is named is, by somebody else who can be told, and for an event that is not called off."""
    organizer = one.organizer
    if one.method != "request" or one.status == "cancelled" or not one.uid or organizer is None:
        return None
    invited = next((each for each in one.attendees if each.email.lower() in own), None)
    if invited is None or organizer.email.lower() in own or not _is_address(organizer.email):
        return None
    return Replies(invited.email, {answer: _reply(one, organizer, invited, answer, at) for answer in ANSWERS})


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except BadAddress:
        return False
    return True


def _reply(one: Invitation, organizer: Person, invited: Person, answer: str, at: datetime.datetime) -> str:
    """Of the invitation's lines those by which the organiser's calendar knows it again: a later answer has a later
    DTSTAMP, one to a changed event its SEQUENCE, one to a single day of many its RECURRENCE-ID."""
    from icalendar import Calendar, Event, vCalAddress  # read already: an invitation was

    def person(who: Person, **more: str) -> vCalAddress:
        made = vCalAddress(f"mailto:{who.email}")
        named = {"CN": " ".join(who.name.split())} if who.name else {}
        made.params.update(named | more)
        return made

    event = Event()
    event.add("UID", one.uid)
    event.add("DTSTAMP", at)
    event.add("SEQUENCE", one.sequence)
    event.add("ORGANIZER", person(organizer))
    event.add("ATTENDEE", person(invited, PARTSTAT=answer.upper()))
    for name, told in (("RECURRENCE-ID", one.recurrence), ("DTSTART", one.start)):
        if told:
            event.add(name, _at(told, one.all_day))
    if one.summary:
        event.add("SUMMARY", one.summary)
    calendar = Calendar()
    for name, value in (("PRODID", _PRODUCT), ("VERSION", "2.0"), ("METHOD", "REPLY")):
        calendar.add(name, value)
    calendar.add_component(event)
    text: str = calendar.to_ical().decode()
    return text


def _at(told: str, all_day: bool) -> datetime.datetime | datetime.date:
    return datetime.date.fromisoformat(told) if all_day else datetime.datetime.fromisoformat(told)
