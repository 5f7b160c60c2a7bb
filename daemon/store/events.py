"""What happened to each message, in order: the rows behind `mailctl trace`.

A trace is one SMTP transaction, one append or one import; every message that grows out of it (forwards, notices)
keeps it. Strangers that are refused before a message exists are summed by the hour, and capped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store.tx import Tx

KINDS = {
    "accepted": "the message was taken, and is durable",
    "authenticated": "the proofs of the message were checked, and a verdict was found",
    "judged": "a verdict was found for some of its recipients, or for all",
    "refused": "the message or a recipient was refused",
    "ruled": "the owner's rules decided what is done with it",
    "delivered": "a copy is in a mailbox",
    "queued": "a recipient waits in the queue",
    "sent": "another server took the message",
    "deferred": "another server, or the way there, failed for now",
    "failed": "delivery to a recipient was given up",
    "held": "a recipient waits until released",
    "released": "a held recipient goes on",
    "expired": "the lifetime in the queue is over",
    "notified": "the sender was told (DSN)",
    "dropped": "thrown away on purpose, nobody told",
    "appended": "a client put the message into a mailbox",
    "copied": "a client copied it",
    "moved": "a client moved it",
    "expunged": "a client removed it",
    "login": "somebody logged in, or failed to",
    "secured": "how a user proves who he is was changed",
    "imported": "an import brought it",
}
_SHOWN = 254  # characters of what a stranger said that are kept; RFC 5321 §4.5.3.1.3 knows no longer address
_JSON = json.JSONEncoder(ensure_ascii=False)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letters that are read wrongly


def new_trace(now: int, random: Callable[[int], bytes]) -> str:
    """16 characters: the time in milliseconds (9), then chance (7). Later traces sort after earlier ones."""
    value = (now << 35) | (int.from_bytes(random(5), "big") & ((1 << 35) - 1))
    out = ""
    for _ in range(16):
        out = _ALPHABET[value & 31] + out
        value >>= 5
    return out


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    at: int
    trace: str
    kind: str
    reason: str
    sender: str | None
    recipient: str | None
    message_id: str | None
    peer: str | None
    detail: dict[str, Any]


def record(
    tx: Tx,
    trace: str,
    kind: str,
    reason: str = "",
    *,
    sender: str | None = None,
    recipient: str | None = None,
    message_id: str | None = None,
    peer: str | None = None,
    **detail: Any,
) -> None:
    """Add one event. `detail` must be JSON; leave out what is None."""
    tx.run(
        "insert into event (at, trace, kind, reason, sender, recipient, message_id, peer, detail)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        tx.now, trace, kind, reason, sender, recipient, message_id, peer,
        _written(detail),
    )  # fmt: skip


class New(NamedTuple):
    """An event not yet written. `detail` must be JSON; what is None in it is left out."""

    trace: str
    kind: str
    reason: str = ""
    sender: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    peer: str | None = None
    detail: dict[str, Any] | None = None


def record_all(tx: Tx, news: Iterable[New]) -> None:
    """Add many events in one go."""
    tx.many(
        "insert into event (at, trace, kind, reason, sender, recipient, message_id, peer, detail)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (tx.now, n.trace, n.kind, n.reason, n.sender, n.recipient, n.message_id, n.peer, _written(n.detail))
            for n in news
        ],
    )


def _written(detail: dict[str, Any] | None) -> str | None:
    return _JSON.encode({k: v for k, v in detail.items() if v is not None}) if detail else None


def refuse(tx: Tx, peer: str, reason: str, sender: str, recipient: str, reply: str, times: int = 1) -> None:
    """Count a refusal of a stranger. Beyond the cap of an hour only sums are kept; addresses and reply are cut."""
    hour = tx.now // 3_600_000
    sender, recipient, reply = sender[:_SHOWN], recipient[:_SHOWN], reply[:_SHOWN]
    known = tx.run(
        "update refusal set count = count + ?, last_at = ?, reply = ?"
        " where hour = ? and peer = ? and reason = ? and sender = ? and recipient = ?",
        times, tx.now, reply, hour, peer, reason, sender, recipient,
    )  # fmt: skip
    if known:
        return
    if tx.value("select count(*) from refusal where hour = ?", hour) >= LIMITS.refusals_per_hour:
        peer, sender, recipient = "*", "", ""
    tx.run(
        "insert into refusal (hour, peer, reason, sender, recipient, reply, count, first_at, last_at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (hour, peer, reason, sender, recipient)"
        " do update set count = count + excluded.count, last_at = excluded.last_at, reply = excluded.reply",
        hour, peer, reason, sender, recipient, reply, times, tx.now, tx.now,
    )  # fmt: skip


_COLUMNS = "id, at, trace, kind, reason, sender, recipient, message_id, peer, detail"


def of_trace(tx: Tx, trace: str) -> list[Event]:
    """The story of one trace, oldest first."""
    return [_event(r) for r in tx.all(f"select {_COLUMNS} from event where trace = ? order by id", trace)]


def find(
    tx: Tx,
    *,
    message_id: str | None = None,
    sender: str | None = None,
    recipient: str | None = None,
    since: int | None = None,
    limit: int = 100,
) -> list[str]:
    """Traces, newest first, of which events match all that is given, each condition maybe another event.

    `sender` and `recipient` match a part, any case; a recipient also as the user whose mailbox it became.
    """
    where, having, params = ["1 = 1"], list[str](), list[Any]()
    if message_id:
        where.append("trace in (select trace from event where message_id = ?)")
        params.append(message_id.strip("<> "))
    if since is not None:
        where.append("at >= ?")
        params.append(since)
    if sender:
        having.append("max(instr(lower(sender), ?)) > 0")
        params.append(sender.lower())
    if recipient:
        having.append(
            "max(instr(lower(recipient), ?) > 0 or kind in ('delivered', 'imported') and instr(lower(detail), ?) > 0)"
        )
        params += [recipient.lower(), recipient.lower()]
    sql = f"select trace, max(id) from event where {' and '.join(where)} group by trace"
    sql += f" having {' and '.join(having)}" if having else ""
    return [row[0] for row in tx.all(f"{sql} order by 2 desc limit ?", *params, limit)]


def of_forwards(tx: Tx) -> list[Event]:
    """The last success and the last failures, final or not, of every address that users' mail is forwarded to."""
    last = (
        "select max(id) from event where kind in ('sent', 'deferred', 'failed')"
        " and recipient in (select address from forward) group by recipient, kind"
    )
    return [_event(r) for r in tx.all(f"select {_COLUMNS} from event where id in ({last}) order by id")]


def refusals(
    tx: Tx, *, sender: str | None = None, recipient: str | None = None, since: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Refused strangers, newest first, as rows of the table."""
    where, params = ["1 = 1"], list[Any]()
    if sender:
        where.append("instr(lower(sender), lower(?)) > 0")
        params.append(sender)
    if recipient:
        where.append("instr(lower(recipient), lower(?)) > 0")
        params.append(recipient)
    if since is not None:
        where.append("last_at >= ?")
        params.append(since)
    names = ("peer", "reason", "sender", "recipient", "reply", "count", "first_at", "last_at")
    sql = f"select {', '.join(names)} from refusal where {' and '.join(where)} order by last_at desc limit ?"
    return [dict(zip(names, row, strict=True)) for row in tx.all(sql, *params, limit)]


def newest(tx: Tx) -> int | None:
    """When the last of all events happened."""
    at: int | None = tx.value("select max(at) from event")
    return at


def forget(tx: Tx, before: int, limit: int = LIMITS.step) -> int:
    """Remove up to `limit` events older than `before`, and as many refusals; how many went."""
    gone = tx.run(
        "delete from event where id in (select id from event where at < ? order by at limit ?)", before, limit
    )
    return gone + forget_refusals(tx, before, limit)


def forget_refusals(tx: Tx, before: int, limit: int = LIMITS.step) -> int:
    """Remove up to `limit` sums of refusals older than the hour of `before`; how many went."""
    return tx.run(
        "delete from refusal where (hour, peer, reason, sender, recipient) in"
        " (select hour, peer, reason, sender, recipient from refusal where hour < ? order by hour limit ?)",
        before // 3_600_000,
        limit,
    )


def refusals_to_forget(tx: Tx) -> int:
    """A time before which refusals must go so that not more than `LIMITS.refusals` rows are kept; 0: none."""
    hour = tx.value("select hour from refusal order by hour desc limit 1 offset ?", LIMITS.refusals)
    return 0 if hour is None else int(hour + 1) * 3_600_000


def _event(r: tuple[Any, ...]) -> Event:
    return Event(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], json.loads(r[9]) if r[9] else {})
