"""VacationResponse/get, VacationResponse/set (RFC 8621 §8): the answer while away, a block of the user's Sieve.

A user has one, `singleton`. What it says while it is not given is kept beside. The answer is given on whole days of the
server's clock, and in plain text: where a client asked for more, it is told what came of it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from daemon.admin import vacations
from daemon.admin.errors import BadData
from daemon.mail.text import strip_html
from daemon.serve.web.jmap import gets, sets
from daemon.serve.web.jmap.method import Arguments, Call, Method
from daemon.serve.web.jmap.sets import SetError, bad
from daemon.store import sieve, states
from daemon.store.tx import Tx
from daemon.wire import jmap

ID = "singleton"
_PROPERTIES = ("id", "isEnabled", "fromDate", "toDate", "subject", "textBody", "htmlBody")


class Answer(NamedTuple):
    """What is given, or would be. Days as 2026-12-24, '' without a bound."""

    on: bool
    text: str
    subject: str
    first: str
    last: str


async def get(call: Call, arguments: Arguments) -> Arguments:
    state = sets.state(call)
    return gets.answer(call, arguments, state, {ID: _told(await _shown(call))}, _PROPERTIES)


async def set_(call: Call, arguments: Arguments) -> Arguments:
    return await sets.run(call, arguments, sets.Type(update=_update, single=True))


async def _shown(call: Call) -> Answer:
    kept = call.store.peek(sieve.vacation_kept, call.account_id) or ("", "", "", "")
    try:
        given = await asyncio.to_thread(vacations.show, call.store, _user(call))
    except BadData:
        given = None  # written by hand: what it says is the script's
    if given is None or given.state == "off":
        return Answer(False, *kept)
    return Answer(True, given.text, given.subject, given.first, given.last)


def _told(answer: Answer) -> Arguments:
    return {
        "id": ID,
        "isEnabled": answer.on,
        "fromDate": _moment(answer.first, 0),
        "toDate": _moment(answer.last, 1),
        "subject": answer.subject or None,
        "textBody": answer.text or None,
        "htmlBody": None,
    }


async def _update(call: Call, name: str, patch: Arguments) -> Arguments | None:
    if name != ID:
        raise SetError("notFound", f"there is one, {ID}")
    sets.flat(patch, _CHECKS, ("id",))
    was = await _shown(call)
    wanted = Answer(
        patch.get("isEnabled", was.on) is True,
        _text(patch, was),
        (patch["subject"] or "") if "subject" in patch else was.subject,
        _day(patch["fromDate"], 0) if "fromDate" in patch else was.first,
        _day(patch["toDate"], 1) if "toDate" in patch else was.last,
    )
    if wanted.on and not wanted.text.strip():
        raise bad(["textBody"], "an answer that is given has a text")
    if wanted.first and wanted.last and wanted.last < wanted.first:
        raise bad(["toDate"], "it is before fromDate")
    try:
        await asyncio.to_thread(_give, call, was, wanted)
    except BadData as error:
        raise bad(["textBody"], str(error)) from None
    await call.store.write(keep, call.account_id, wanted[1:])
    told, asked = _told(wanted), {"isEnabled": was.on, **patch}
    changed = {prop: told[prop] for prop in patch if told[prop] != asked[prop]}
    return changed or None


def keep(tx: Tx, account_id: int, words: tuple[str, str, str, str]) -> None:
    """What it says or would say; who listens hears that it changed."""
    sieve.keep_vacation(tx, account_id, *words)
    states.changed(tx, account_id, "VacationResponse")


def _give(call: Call, was: Answer, wanted: Answer) -> None:
    """The block of the script, by a thread. Raises `BadData`."""
    if wanted.on:
        vacations.set(
            call.store, _user(call), text=wanted.text, subject=wanted.subject, first=wanted.first, last=wanted.last
        )
    elif was.on:
        vacations.off(call.store, _user(call))


def _text(patch: Arguments, was: Answer) -> str:
    """Plain text; of HTML alone, what can be read of it."""
    if patch.get("textBody"):
        return str(patch["textBody"])
    if patch.get("htmlBody"):
        return strip_html(patch["htmlBody"]).strip()
    return "" if "textBody" in patch else was.text


def _user(call: Call) -> str:
    return str(call.visitor.identity.address)


def _day(value: Any, before: int) -> str:
    """The day of a moment; with `before`, the last one that is over by then."""
    if value is None:
        return ""
    at = jmap.read_utc_date(value)
    assert at is not None
    return datetime.fromtimestamp((at - before) / 1000).date().isoformat()


def _moment(day: str, days: int) -> str | None:
    """Midnight of that day, or of one behind it."""
    if not day:
        return None
    return jmap.utc_date(int((datetime.fromisoformat(day) + timedelta(days=days)).timestamp()) * 1000)


def _is_words(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 100_000 and "\0" not in value)


def _is_date(value: Any) -> bool:
    return value is None or jmap.read_utc_date(value) is not None


_CHECKS = {
    "isEnabled": lambda value: isinstance(value, bool),
    "fromDate": _is_date,
    "toDate": _is_date,
    "subject": lambda value: _is_words(value) and "\n" not in (value or ""),
    "textBody": _is_words,
    "htmlBody": _is_words,
}
METHODS: dict[str, Method] = {"VacationResponse/get": get, "VacationResponse/set": set_}
