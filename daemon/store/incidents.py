"""Incidents: a user sent more than he may, and from then on his mail to other servers is held, all of it, until
somebody has looked. One lasts until it is ended by a release or a drop; there is never a second one of the same user.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.store import allowance, correspondents, queue_desk
from daemon.store.allowance import Amount, Over
from daemon.store.errors import Missing
from daemon.store.tx import Tx

HELD = "allowance"
"""Why recipients are held."""


@dataclass(frozen=True, slots=True)
class Incident:
    """`reason`, `allowed` and `found` as `allowance.Over` has them. `messages` and `recipients` were held in all,
    `waiting` of the recipients are now. `ended_by`: release, drop."""

    id: int
    account_id: int
    user: str
    reason: str
    allowed: int
    found: int
    trace: str
    messages: int
    recipients: int
    waiting: int
    began_at: int
    last_at: int
    told_at: int | None
    ended_at: int | None
    ended_by: str | None


def begin(tx: Tx, account_id: int, over: Over, trace: str, amount: Amount) -> int:
    """A message of that amount is too much; the incident's number."""
    tx.incidents_touched()
    return tx.insert(
        "insert into incident (account_id, reason, allowed, found, trace, messages, recipients, began_at, last_at)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        account_id, *over, trace, amount.messages, amount.recipients, tx.now,
    )  # fmt: skip


def add(tx: Tx, number: int, amount: Amount) -> None:
    """Another message that is held with it."""
    tx.run(
        "update incident set messages = messages + ?, recipients = recipients + ?, last_at = max(last_at, ?)"
        " where id = ?",
        amount.messages, amount.recipients, tx.now, number,
    )  # fmt: skip


# -- what there is -----------------------------------------------------------------------------------------------------

_ROWS = (
    "select i.id, i.account_id, a.local || '@' || d.name, i.reason, i.allowed, i.found, i.trace, i.messages,"
    " i.recipients, (select count(*) from queue_recipient r where r.incident_id = i.id), i.began_at, i.last_at,"
    " i.told_at, i.ended_at, i.ended_by from incident i join account a on a.id = i.account_id"
    " join domain d on d.id = a.domain_id"
)


def open_ones(tx: Tx, account_id: int | None = None) -> list[Incident]:
    """Those that last, the oldest first; of one user, or of all."""
    rows = tx.all(f"{_ROWS} where i.ended_at is null and (?1 is null or i.account_id = ?1) order by i.id", account_id)
    return [Incident(*row) for row in rows]


def get(tx: Tx, number: int) -> Incident:
    """One that lasts. Raises `Missing`."""
    row = tx.one(f"{_ROWS} where i.id = ?", number)
    if row is None:
        raise Missing(f"there is no incident {number}; `mailctl queue list` shows those that last")
    found = Incident(*row)
    if found.ended_by is not None:
        raise Missing(f"incident {number} is over: its mail was {_ENDED[found.ended_by]}")
    return found


_ENDED = {"release": "released", "drop": "dropped"}


def untold(tx: Tx) -> list[Incident]:
    """Those that nobody was told of."""
    return [Incident(*row) for row in tx.all(f"{_ROWS} where i.told_at is null and i.ended_at is null order by i.id")]


def told(tx: Tx, number: int) -> bool:
    """Owner and administrators are told now; False when they were before, or there is nothing to tell any more."""
    return bool(
        tx.run("update incident set told_at = ? where id = ? and told_at is null and ended_at is null", tx.now, number)
    )


# -- its end -----------------------------------------------------------------------------------------------------------


def release_some(tx: Tx, number: int, lifetime: int, limit: int) -> int:
    """Let up to `limit` recipients go; how many. With the last of them the incident ends, and the user has his whole
    allowance again: somebody looked at what he sends, and the next message must not begin another one.

    The `lifetime` (ms) counts from now: that they waited was our doing. Raises `Missing`.
    """
    found = get(tx, number)
    rows = _held(tx, number, limit)
    queue_desk.release(tx, [row[0] for row in rows], incident=number, lifetime=lifetime)
    _acquaint(tx, found.account_id, rows)
    if len(rows) < limit:
        _end(tx, number, "release")
        allowance.reset(tx, found.account_id)
    return len(rows)


def drop_some(tx: Tx, number: int, limit: int) -> int:
    """Throw up to `limit` recipients away; how many. With the last of them the incident ends. What had gone out before
    stays counted: a thief who is still in is stopped again by his next message. Raises `Missing`."""
    get(tx, number)
    rows = _held(tx, number, limit)
    queue_desk.drop(tx, [row[0] for row in rows], incident=number)
    if len(rows) < limit:
        _end(tx, number, "drop")
    return len(rows)


def _held(tx: Tx, number: int, limit: int) -> list[tuple[int, int, str, str]]:
    """Recipients with their messages, addresses and origins, message by message."""
    return tx.all(
        "select r.id, r.message_id, r.address, m.origin from queue_recipient r join queue_message m"
        " on m.id = r.message_id where r.incident_id = ? order by r.message_id, r.id limit ?",
        number, limit,
    )  # fmt: skip


def _acquaint(tx: Tx, account_id: int, rows: Iterable[tuple[int, int, str, str]]) -> None:
    """Whom the user himself writes to after all becomes a correspondent, as if nothing had been held."""
    written: dict[int, list[str]] = {}
    for _, message_id, address, origin in rows:
        if origin == "submission":
            written.setdefault(message_id, []).append(address)
    for some in written.values():
        correspondents.wrote(tx, account_id, _addresses(some), None)


def _addresses(texts: Iterable[str]) -> list[Address]:
    found = []
    for text in texts:
        try:
            found.append(parse_address(text))
        except BadAddress:
            continue
    return found


def _end(tx: Tx, number: int, how: str) -> None:
    tx.run("update incident set ended_at = max(began_at, ?), ended_by = ? where id = ?", tx.now, how, number)


def forget(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` that ended before that time; how many went."""
    return tx.run(
        "delete from incident where id in (select id from incident where ended_at < ? order by ended_at limit ?)",
        before, limit,
    )  # fmt: skip


def forget_user(tx: Tx, account_id: int) -> None:
    """What is left of a user who goes; his mail was dropped before, in steps."""
    for incident in open_ones(tx, account_id):
        while drop_some(tx, incident.id, LIMITS.step) == LIMITS.step:
            pass


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What does not hold: (subject, what is wrong)."""
    found = [
        (f"queue recipient {number}", "is of an incident, and not held, or the incident is over")
        for (number,) in tx.all(
            "select r.id from queue_recipient r left join incident i on i.id = r.incident_id"
            " where r.incident_id is not null and (r.state <> 'held' or i.id is null or i.ended_at is not null)"
            " limit ?",
            limit,
        )
    ]
    found += [
        (f"incident {number}", "holds more than it counted")
        for (number,) in tx.all(
            "select i.id from incident i join queue_recipient r on r.incident_id = i.id group by i.id"
            " having count(*) > i.recipients or count(distinct r.message_id) > i.messages limit ?",
            limit,
        )
    ]
    found += [
        (f"allowance of account {account}", "counts days to come")
        for (account,) in tx.all(
            "select account_id from allowance where slot > ? group by account_id limit ?",
            tx.now // allowance.SLOT + allowance.DAY, limit,
        )
    ]  # fmt: skip
    return found
