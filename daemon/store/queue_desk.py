"""The administrator's verbs on the queue. Each works with the daemon running or not; ids are those of recipients.

What a worker has in its hands meanwhile is finished by it: `queue.settle` respects what was held or dropped here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.store import events, queue, routes
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx

MAX_LIST = 1_000_000
_FREE = "state = 'due', hold_reason = null, incident_id = null, due_at = ?"
AGES = (5, 15, 30, 60, 120, 240, 480, 1440, 2880)  # minutes, upper ends of the histogram's columns; then all older


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look at; conditions not given do not count.

    `sender` and `recipient` match a part, in any case; `domain` the recipient's; `user` who submitted it; `older` is
    milliseconds since acceptance; `error` a regular expression over the last reply; `incident` 0: held by none;
    `after`: with higher ids.
    """

    ids: tuple[int, ...] | None = None
    sender: str | None = None
    recipient: str | None = None
    domain: str | None = None
    user: str | None = None
    older: int | None = None
    since: int | None = None
    error: str | None = None
    state: str | None = None
    limit: int | None = None
    incident: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One recipient in the queue. `due_at` is the next try, not before its destination is worth one again."""

    id: int
    message_id: int
    trace: str
    sender: str
    recipient: str
    state: str
    destination: str
    size: int
    origin: str
    user: str | None
    created_at: int
    expires_at: int
    due_at: int
    attempts: int
    last_at: int | None
    last_host: str | None
    last_reply: str | None
    hold_reason: str | None
    incident: int | None
    active: bool


_SELECT = (
    "select r.id, r.message_id, m.trace, m.sender, r.address, r.state, r.destination, m.size, m.origin,"
    " case when a.id is null then null else a.local || '@' || d.name end, m.created_at, m.expires_at,"
    " max(r.due_at, coalesce(t.not_before_at, 0)), r.attempts, r.last_at, r.last_host, r.last_reply, r.hold_reason,"
    " r.incident_id, r.leased_until > ? from queue_recipient r join queue_message m on m.id = r.message_id"
    " left join account a on a.id = m.account_id left join domain d on d.id = a.domain_id"
    " left join destination t on t.name = r.destination"
)


def find(tx: Tx, wanted: Filter) -> Iterator[Row]:
    """Rows that match, oldest first. Raises `Invalid` for a regular expression that is none."""
    try:
        error = re.compile(wanted.error, re.IGNORECASE) if wanted.error is not None else None
    except re.error as problem:
        raise Invalid(f"{wanted.error!r} is not a regular expression: {problem}") from None
    where, params = _where(tx, wanted)
    left = wanted.limit if wanted.limit is not None else MAX_LIST
    for row in tx.each(f"{_SELECT} where {where} order by r.id", tx.now, *params):
        found = Row(*(*row[:-1], bool(row[-1])))
        if error is not None and not error.search(found.last_reply or ""):
            continue
        if left <= 0:
            return
        left -= 1
        yield found


def _where(tx: Tx, wanted: Filter) -> tuple[str, list[Any]]:
    where, params = ["1 = 1"], list[Any]()
    for condition, value in (
        ("r.id in (select value from json_each(?))", None if wanted.ids is None else json.dumps(list(wanted.ids))),
        ("instr(lower(m.sender), ?) > 0", None if wanted.sender is None else wanted.sender.lower()),
        ("instr(lower(r.address), ?) > 0", None if wanted.recipient is None else wanted.recipient.lower()),
        ("lower(r.address) like '%@' || ?", None if wanted.domain is None else wanted.domain.lower()),
        ("lower(a.local || '@' || d.name) = ?", None if wanted.user is None else wanted.user.lower()),
        ("m.created_at <= ?", None if wanted.older is None else tx.now - wanted.older),
        ("m.created_at >= ?", wanted.since),
        ("r.state = ?", wanted.state),
        ("coalesce(r.incident_id, 0) = ?", wanted.incident),
        ("r.id > ?", wanted.after),
    ):
        if value is not None:
            where.append(condition)
            params.append(value)
    return " and ".join(where), params


def of_traces(tx: Tx, traces: Sequence[str]) -> list[Row]:
    """What of these traces is in the queue."""
    rows = tx.all(
        f"{_SELECT} where m.trace in (select value from json_each(?)) order by r.id", tx.now, json.dumps(list(traces))
    )
    return [Row(*(*row[:-1], bool(row[-1]))) for row in rows]


def idle(tx: Tx, ids: Sequence[int]) -> list[int]:
    """Those of them that are there and in no worker's hands."""
    rows = tx.all(
        "select id from queue_recipient where id in (select value from json_each(?)) and leased_until <= ? order by id",
        json.dumps(list(ids)), tx.now,
    )  # fmt: skip
    return [row[0] for row in rows]


def get(tx: Tx, recipient_id: int) -> Row:
    """Raises `Missing`."""
    for row in find(tx, Filter(ids=(recipient_id,))):
        return row
    raise Missing(f"{recipient_id} is not in the queue; `mailctl queue list` shows what is")


def envelope(tx: Tx, recipient_id: int) -> queue.Claimed:
    """A recipient with its message, without claiming it. Raises `Missing`."""
    get(tx, recipient_id)
    return queue.load(tx, [recipient_id])[0]


def hold(tx: Tx, ids: Sequence[int], reason: str) -> int:
    """Keep recipients from being tried until they are released; how many were not held before."""
    return _change(tx, ids, "state = 'held', hold_reason = ?", (reason,), "state = 'due'", "held", reason)


def release(tx: Tx, ids: Sequence[int], *, incident: int | None = None, lifetime: int = 0) -> int:
    """Let held recipients go on at once; how many there were. With a `lifetime` (ms) that counts from now. `incident`:
    they go since it is released."""
    if lifetime:
        _extend(tx, ids, lifetime)
    reason = "" if incident is None else "incident"
    return _change(tx, ids, _FREE, (tx.now,), "state = 'held'", "released", reason, incident)


def flush(tx: Tx, ids: Sequence[int]) -> int:
    """Try these now, whatever the schedule and the memory of their destinations say; how many are due now."""
    count = tx.run(
        "update queue_recipient set due_at = ? where state = 'due' and id in (select value from json_each(?))",
        tx.now, json.dumps(list(ids)),
    )  # fmt: skip
    _forgive(tx, ids)
    return count


def retry(tx: Tx, ids: Sequence[int], lifetime: int) -> int:
    """Begin again: due now, tries and lifetime (ms) counted from now; how many. Held ones are released."""
    _extend(tx, ids, lifetime)
    count = _change(tx, ids, f"attempts = 0, {_FREE}", (tx.now,), "1 = 1", "released", "retry")
    _forgive(tx, ids)
    return count


def drop(tx: Tx, ids: Sequence[int], *, incident: int | None = None) -> int:
    """Take recipients out without telling the sender; how many. `incident`: since all it holds is dropped."""
    rows = _rows(tx, ids, "1 = 1")
    _record(tx, rows, "dropped", "by-administrator" if incident is None else "incident", incident)
    queue.remove(tx, [row[0] for row in rows])
    return len(rows)


def reroute(tx: Tx, ids: Sequence[int], route_id: int | None) -> int:
    """Send these by another route, whatever the table says, or by the table again; due now. Raises `Missing`."""
    if route_id is None:
        return _change(tx, ids, "route_id = null, due_at = ?", (tx.now,), "1 = 1", "released", "rerouted")
    route = routes.get(tx, route_id)
    return _change(
        tx, ids, "route_id = ?, destination = ?, due_at = ?", (route.id, route.destination, tx.now), "1 = 1",
        "released", "rerouted",
    )  # fmt: skip


def hold_due(tx: Tx, reason: str, limit: int) -> int:
    """Hold up to `limit` of those that are due (trial mode: nothing leaves the machine); how many."""
    rows = tx.all("select id from queue_recipient where state = 'due' order by due_at limit ?", limit)
    return hold(tx, [row[0] for row in rows], reason) if rows else 0


@dataclass(frozen=True, slots=True)
class Count:
    """Recipients for one destination: in all, held, and by age (`AGES`, then older). `standing` is its memory."""

    destination: str
    total: int
    held: int
    ages: tuple[int, ...]
    standing: queue.Standing | None


def stats(tx: Tx) -> list[Count]:
    """A histogram of age by destination, the fullest first."""
    edges = [tx.now - minutes * 60_000 for minutes in AGES]
    columns = ", ".join("sum(m.created_at > ?)" for _ in edges)
    found = []
    for name, total, held, *younger in tx.all(
        f"select r.destination, count(*), sum(r.state = 'held'), {columns} from queue_recipient r"
        " join queue_message m on m.id = r.message_id group by r.destination order by 2 desc, 1",
        *edges,
    ):
        ages = [b - a for a, b in zip([0, *younger], [*younger, total], strict=True)]
        found.append(Count(name, total, held, tuple(ages), queue.standing(tx, name)))
    return found


def _change(
    tx: Tx,
    ids: Sequence[int],
    assignments: str,
    values: tuple[Any, ...],
    condition: str,
    kind: str,
    reason: str,
    incident: int | None = None,
) -> int:
    rows = _rows(tx, ids, condition)
    listed = json.dumps([row[0] for row in rows])
    tx.run(f"update queue_recipient set {assignments} where id in (select value from json_each(?))", *values, listed)
    _record(tx, rows, kind, reason, incident)
    queue.flushed(tx)
    return len(rows)


def _rows(tx: Tx, ids: Sequence[int], condition: str) -> list[tuple[Any, ...]]:
    return tx.all(
        "select r.id, m.trace, m.sender, r.address from json_each(?) j join queue_recipient r on r.id = j.value"
        f" join queue_message m on m.id = r.message_id where {condition} order by r.id",
        json.dumps(sorted(set(ids))),
    )


def _extend(tx: Tx, ids: Sequence[int], lifetime: int) -> None:
    tx.run(
        "update queue_message set expires_at = ? where id in"
        " (select message_id from queue_recipient where id in (select value from json_each(?)))",
        tx.now + lifetime, json.dumps(list(ids)),
    )  # fmt: skip


def _record(tx: Tx, rows: list[tuple[Any, ...]], kind: str, reason: str, incident: int | None = None) -> None:
    about = None if incident is None else {"incident": incident}
    events.record_all(tx, [events.New(trace, kind, reason, sender, to, detail=about) for _, trace, sender, to in rows])


def _forgive(tx: Tx, ids: Sequence[int]) -> None:
    """Their destinations are worth a try at once."""
    tx.run(
        "update destination set failures = 0, not_before_at = 0 where name in (select destination from queue_recipient"
        " where id in (select value from json_each(?)))",
        json.dumps(list(ids)),
    )
    queue.flushed(tx)
