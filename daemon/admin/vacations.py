"""Answers of users who are away: set, shown, ended. They are kept as a block of the user's script."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from daemon.admin import scripts, words
from daemon.admin.errors import BadData
from daemon.admin.scripts import Own
from daemon.sieve import simple
from daemon.store.db import Store


@dataclass(frozen=True, slots=True)
class Vacation:
    """The answer of a user. `state`: on, waiting (its first day is to come), over, or off (its script is not active).
    `first` and `last` '': without bound."""

    user: str
    script: str
    state: str
    text: str
    subject: str
    first: str
    last: str
    days: int
    addresses: tuple[str, ...]


def show(store: Store, user: str) -> Vacation | None:
    """None: he gives no answer. Raises `Missing`; `BadData`: changed by hand."""
    return _shown(store, store.read_now(scripts.own, user))


def set(
    store: Store,
    user: str,
    *,
    text: str | None = None,
    subject: str | None = None,
    first: str | None = None,
    last: str | None = None,
    days: int | None = None,
    addresses: tuple[str, ...] | None = None,
) -> Vacation:
    """Give an answer, or change the one that is given; None leaves what there is. A day is a date, or a span from
    today; '' takes the bound away. Raises `Missing`, `BadData`, `BadScript`, `Invalid`."""
    wanted = {
        "text": None if text is None else text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"),
        "subject": subject,
        "first": None if first is None else _day(store, first),
        "last": None if last is None else _day(store, last),
        "days": days,
        "addresses": addresses,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    change = partial(_changed, user=user, given=given, today=_today(store).isoformat())
    shown = _shown(store, scripts.edit(store, user, change))
    assert shown is not None
    return shown


def _changed(script: str, *, user: str, given: dict[str, Any], today: str) -> str:
    """The script with the answer; at the top of the module, for the writer may be another process."""
    there = simple.vacation(script)
    if there is None and "text" not in given:
        raise BadData(f"{user} gives no answer yet; say what it is with --text or --text-file")
    answer = replace(there or simple.Vacation(""), **given)
    if answer.last and answer.last < today:
        raise BadData(f"the last day, {answer.last}, has gone by")
    return simple.with_vacation(script, answer)


def _without(script: str) -> str:
    return simple.with_vacation(script, None)


def off(store: Store, user: str) -> Vacation | None:
    """Give no answer any more; what it was, None: there was none. Raises `Missing`, `BadData`, `BadScript`."""
    before = show(store, user)
    if before is not None:
        scripts.edit(store, user, _without, activate=False)
    return before


def _shown(store: Store, own: Own) -> Vacation | None:
    there = scripts.understood(own, simple.vacation)
    if there is None:
        return None
    today = _today(store).isoformat()
    state = "on"
    if not own.active:
        state = "off"
    elif there.first and today < there.first:
        state = "waiting"
    elif there.last and today > there.last:
        state = "over"
    return Vacation(
        str(own.user), own.name, state, there.text, there.subject, there.first, there.last, there.days, there.addresses
    )


def _day(store: Store, text: str) -> str:
    return datetime.fromtimestamp(words.ahead(text, store.clock()) / 1000).date().isoformat() if text else ""


def _today(store: Store) -> date:
    return datetime.fromtimestamp(store.clock() / 1000).date()
