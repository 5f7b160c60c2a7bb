"""What waits to go out: from `enqueue`, in the transaction that accepts a message, to `settle`, its recipients' end.

A recipient is due or held. Who works on it has claimed it: until `leased_until` it is out of reach of others, and a
worker that dies gives it back by doing nothing. Every step is an event. `queue_desk` has the administrator's verbs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from daemon.store import blobs, events, routes, submissions
from daemon.store.blobs import Place
from daemon.store.tx import Tx

_FLUSHES = "queue-flush"  # the counter that grows when due times were moved back


class NewRecipient(NamedTuple):
    """`orcpt` (`type;xtext`) and `notify` as RFC 3461 has them; None when the sender did not say."""

    address: str
    orcpt: str | None = None
    notify: str | None = None


class NewMessage(NamedTuple):
    """An envelope for the queue. `origin`: submission, forward, alias, notice, relay, sendmail. Times are spans in ms.

    `prefix` goes before the blob's bytes; `size` counts both. `warn_after` 0: nobody is told of a delay. `tls` is
    required (REQUIRETLS) or optional (TLS-Required: No), or '' (RFC 8689).
    """

    trace: str
    sender: str
    origin: str
    prefix: bytes
    size: int
    lifetime: int
    warn_after: int = 0
    account_id: int | None = None
    eightbit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    tls: str = ""


def enqueue(
    tx: Tx,
    message: NewMessage,
    blob_id: int,
    recipients: Sequence[NewRecipient],
    *,
    held: str | None = None,
    incident: int | None = None,
    told: list[events.New] | None = None,
) -> int:
    """Queue a message; its id. With `held` (a reason) it waits for `release`; `incident`: the one that holds it.

    It is one of the holders of `blob_id` that `blobs.keep` was told of. The events are written, or added to `told` for
    the caller to write.
    """
    message_id = tx.insert(
        "insert into queue_message (trace, blob_id, prefix, size, sender, account_id, eightbit, smtputf8, ret, envid,"
        " origin, created_at, expires_at, warn_at, tls)"
        " values (?, ?, ?, ?, ?, (select id from account where id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # removed by now?
        message.trace, blob_id, message.prefix, message.size, message.sender, message.account_id,
        int(message.eightbit), int(message.smtputf8), message.ret, message.envid, message.origin, tx.now,
        tx.now + message.lifetime, tx.now + message.warn_after if message.warn_after and message.sender else None,
        message.tls,
    )  # fmt: skip
    table = routes.load(tx)
    state = "due" if held is None else "held"
    tx.many(
        "insert into queue_recipient (message_id, address, destination, orcpt, notify, state, due_at, hold_reason,"
        " incident_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (message_id, r.address, destination(table, message.sender, r.address), r.orcpt, r.notify, state, tx.now,
             held, incident)
            for r in recipients
        ],
    )  # fmt: skip
    detail = None if incident is None else {"incident": incident}
    news = [
        events.New(message.trace, "queued" if held is None else "held", held or message.origin,
                   sender=message.sender, recipient=r.address, detail=detail)
        for r in recipients
    ]  # fmt: skip
    if told is None:
        events.record_all(tx, news)
    else:
        told += news
    tx.queue_touched()
    return message_id


def destination(table: routes.Table, sender: str, address: str) -> str:
    """What a recipient is tried together and limited together with: a route or a domain."""
    route = table.match(sender, address)
    return routes.domain_of(address) if route is None else route.destination


# -- claiming ----------------------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """What all recipients of one queued message share."""

    id: int
    trace: str
    place: Place
    prefix: bytes
    size: int
    sender: str
    account_id: int | None
    eightbit: bool
    smtputf8: bool
    ret: str | None
    envid: str | None
    origin: str
    created_at: int
    expires_at: int
    warn_at: int | None
    tls: str = ""


class Claimed(NamedTuple):
    """One recipient in our hands until its lease ends."""

    id: int
    message: Message
    address: str
    destination: str
    orcpt: str | None
    notify: str | None
    attempts: int
    route_id: int | None
    last_reply: str | None = None


@dataclass(slots=True)
class Wish:
    """What a runner can take: `rooms` recipients for destinations it knows, `room` for any other, `limit` in all.

    `refill`: destinations to be filled from their own rows (the scan has passed them). `after`: where the scan is.
    """

    limit: int
    room: int
    lease: int
    rooms: Mapping[str, int] = field(default_factory=dict)
    refill: Sequence[str] = ()
    after: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Haul:
    """What `claim` brought. `passed`: destinations with due rows left where they are. `after`: where the next scan
    begins; `more`: that it should begin at once."""

    recipients: list[Claimed] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    after: tuple[int, int] = (0, 0)
    more: bool = False


_SCAN = 2000  # rows looked at in one claim: some milliseconds


def claim(tx: Tx, wish: Wish) -> Haul:
    """Put due recipients out of reach of others until the lease ends, oldest first, recipients of a message together.

    A destination without room keeps its rows; the scan goes on behind them, so that it delays nobody else.
    """
    haul = Haul(after=wish.after)
    rooms = dict(wish.rooms)
    picked: list[int] = []
    for name in wish.refill:
        room = min(rooms.get(name, wish.room), wish.limit - len(picked))
        rows = tx.all(
            "select id from queue_recipient where destination = ? and due_at <= ? and state = 'due'"
            " and leased_until <= ? order by due_at, id limit ?",
            name, tx.now, tx.now, room + 1,
        )  # fmt: skip
        if len(rows) > room:
            haul.passed.add(name)
            rows.pop()
        picked += (row[0] for row in rows)
        rooms[name] = room - len(rows)
    _scan(tx, wish, rooms, haul, picked)
    if picked:
        _lease(tx, picked, tx.now + wish.lease)
        haul.recipients = load(tx, picked, mend=True)
    return haul


def _scan(tx: Tx, wish: Wish, rooms: dict[str, int], haul: Haul, picked: list[int]) -> None:
    rows = tx.all(
        "select id, message_id, destination, due_at, leased_until from queue_recipient"
        " where state = 'due' and due_at <= ? and (due_at, id) > (?, ?) order by due_at, id limit ?",
        tx.now, *wish.after, _SCAN,
    )  # fmt: skip
    last = (0, "")
    have = set(picked)
    for row_id, message_id, name, due_at, leased_until in rows:
        if row_id in have:
            pass
        elif leased_until <= tx.now:
            room = rooms.get(name, wish.room)
            together = (message_id, name) == last  # a message's recipients in one place go in one transaction
            if not together and len(picked) >= wish.limit:
                haul.more = True
                return
            if room > 0 or together:
                rooms[name] = room - 1
                picked.append(row_id)
                last = (message_id, name)
            else:
                haul.passed.add(name)
        haul.after = (due_at, row_id)
    haul.more = len(rows) == _SCAN


def _lease(tx: Tx, ids: Iterable[int], until: int) -> None:
    tx.many("update queue_recipient set leased_until = ? where id = ?", [(until, row_id) for row_id in ids])


def load(tx: Tx, ids: list[int], *, mend: bool = False) -> list[Claimed]:
    """The rows with their messages, in the order of `ids`; `mend` also writes destinations that a route changed."""
    rows = tx.all(
        "select r.id, r.address, r.destination, r.orcpt, r.notify, r.attempts, r.route_id, r.last_reply,"
        " m.id, m.trace, b.segment_id, b.offset, b.length, m.prefix, m.size, m.sender, m.account_id, m.eightbit,"
        " m.smtputf8, m.ret, m.envid, m.origin, m.created_at, m.expires_at, m.warn_at, m.tls"
        " from json_each(?) j cross join queue_recipient r on r.id = j.value"
        " cross join queue_message m on m.id = r.message_id cross join blob b on b.id = m.blob_id order by j.key",
        json.dumps(ids),
    )
    table = routes.load(tx)
    messages: dict[int, Message] = {}
    found, moved = [], []
    for row in rows:
        message = messages.get(row[8])
        if message is None:
            message = messages[row[8]] = Message(
                row[8], row[9], Place(row[10], row[11], row[12]), row[13], row[14], row[15], row[16], bool(row[17]),
                bool(row[18]), *row[19:],
            )  # fmt: skip
        row_id, address, name, orcpt, notify, attempts, route_id, last_reply = row[:8]
        right = f"route:{route_id}" if route_id is not None else destination(table, message.sender, address)
        if right != name:
            moved.append((right, row_id))
        found.append(Claimed(row_id, message, address, right, orcpt, notify, attempts, route_id, last_reply))
    if moved and mend:
        tx.many("update queue_recipient set destination = ? where id = ?", moved)
    return found


def renew(tx: Tx, ids: Sequence[int], lease: int) -> None:
    """Keep what is still being worked on."""
    _lease(tx, ids, tx.now + lease)


def give_back(tx: Tx, ids: Sequence[int]) -> None:
    """Claimed, but not tried: anybody may have them now."""
    _lease(tx, ids, 0)


def recover(tx: Tx) -> int:
    """End all leases. Only for the one daemon of this data directory, when it starts: its predecessor is dead."""
    return tx.run("update queue_recipient set leased_until = 0 where leased_until > ?", 0)


def flushes(tx: Tx) -> int:
    """A number that grows when somebody made rows due, or a destination worth a try again."""
    return int(tx.value("select value from counter where name = ?", _FLUSHES) or 0)


def flushed(tx: Tx) -> None:
    """Tell the runner to look at everything again."""
    tx.run(
        "insert into counter (name, value) values (?, 1) on conflict (name) do update set value = value + 1", _FLUSHES
    )
    tx.queue_touched()


# -- settling ----------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What became of one claimed recipient: `kind` is sent, deferred or failed.

    `reason` is a word from a short list; `reply` the peer's own words, or ours when there was no peer; `host` who it
    was; `tls` what was spoken (`TLSv1.3`, '' for none). For deferred, `due_at` says when it is tried again, and
    `counted` whether this was a try of this message. `note` is for the trace only; `quiet`: no event, nothing is new.
    `policy` and `proof`: what the session was held to, and what proved it.
    """

    recipient_id: int
    message_id: int
    trace: str
    sender: str
    created_at: int
    address: str
    kind: str
    reason: str
    reply: str
    host: str = ""
    tls: str = ""
    tls_verified: bool = False
    due_at: int = 0
    counted: bool = True
    note: str = ""
    quiet: bool = False
    policy: str = ""
    proof: str = ""

    @classmethod
    def of(cls, claimed: Claimed, *what: Any, **more: Any) -> Outcome:
        """From `kind` on as above: what a recipient and its message tell is taken from them."""
        m = claimed.message
        return cls(claimed.id, m.id, m.trace, m.sender, m.created_at, claimed.address, *what, **more)


class Standing(NamedTuple):
    """What a destination answered lately, for the `destination` table."""

    name: str
    failures: int = 0
    not_before_at: int = 0
    tls: str | None = None
    tls_verified: bool = False
    last_success_at: int | None = None
    last_error: str | None = None
    tls_policy: str = ""


_KEPT_REPLY = 1000  # characters of the peer's words kept on the row and in the event


def settle(tx: Tx, outcomes: Sequence[Outcome], standings: Sequence[Standing] = ()) -> set[int]:
    """Record outcomes: sent and failed recipients leave, deferred ones get their next time; all leases end.

    The ids of recipients that were still there. One that was dropped meanwhile stays dropped, one that was held stays
    held. A message whose last recipient left goes with it, and lets go of its bytes.
    """
    done = [o for o in outcomes if o.kind != "deferred"]
    deferred = [o for o in outcomes if o.kind == "deferred"]
    there = _remove(tx, [o.recipient_id for o in done], [o.message_id for o in done]) if done else set()
    for o in deferred:
        if tx.run(
            "update queue_recipient set due_at = ?, leased_until = 0, attempts = attempts + ?, last_at = ?,"
            " last_host = ?, last_reply = ? where id = ?",
            o.due_at, int(o.counted), tx.now, o.host or None, o.reply[:_KEPT_REPLY], o.recipient_id,
        ):  # fmt: skip
            there.add(o.recipient_id)
    if deferred:
        tx.queue_touched()  # the runner sleeps until what was due next, and these are due again perhaps before that
    events.record_all(
        tx, [_event(tx.now, o) for o in outcomes if not o.quiet and (o.kind == "sent" or o.recipient_id in there)]
    )
    submissions.heard(tx, {o.trace for o in outcomes if not o.quiet})
    for standing in standings:
        _note(tx, standing)
    return there


def _event(now: int, o: Outcome) -> events.New:
    detail = {
        "reply": o.reply[:_KEPT_REPLY] or None,
        "tls": o.tls or None,
        "verified": o.tls_verified or None,
        "policy": o.policy or None,
        "proof": o.proof or None,
        "next": o.due_at or None,
        "note": o.note or None,
        "took": now - o.created_at,
    }
    return events.New(
        o.trace, o.kind, o.reason, sender=o.sender, recipient=o.address, peer=o.host or None,
        detail=detail,
    )  # fmt: skip


def _remove(tx: Tx, ids: Iterable[int], message_ids: Iterable[int]) -> set[int]:
    """Take recipients out, and messages that have none left; which recipients were there."""
    gone = {row_id for row_id in ids if tx.run("delete from queue_recipient where id = ?", row_id)}
    freed = [
        tx.value(
            "delete from queue_message where id = ? and not exists"
            " (select 1 from queue_recipient r where r.message_id = queue_message.id) returning blob_id",
            message_id,
        )
        for message_id in set(message_ids)
    ]
    blobs.release(tx, (blob_id for blob_id in freed if blob_id is not None))
    return gone


def remove(tx: Tx, ids: Sequence[int]) -> None:
    """Take recipients out without a word; their events are the caller's."""
    listed = json.dumps(list(ids))
    messages = tx.all(
        "select distinct message_id from queue_recipient where id in (select value from json_each(?))", listed
    )
    _remove(tx, ids, (row[0] for row in messages))
    tx.queue_touched()


def warned(tx: Tx, message_id: int) -> bool:
    """The sender is told of the delay now: once is enough. False when he was told before."""
    return bool(tx.run("update queue_message set warn_at = null where id = ? and warn_at is not null", message_id))


def waiting(tx: Tx, message_id: int) -> list[tuple[int, str, str | None, str | None, str, str]]:
    """Recipients of a message that were tried without success: id, address, orcpt, notify, last host, last reply."""
    return tx.all(
        "select id, address, orcpt, notify, coalesce(last_host, ''), last_reply from queue_recipient"
        " where message_id = ? and last_reply is not null order by id",
        message_id,
    )


def any_due(tx: Tx, after: tuple[int, int]) -> bool:
    """Whether `claim` would find something behind that place."""
    return tx.value(
        "select 1 from queue_recipient where state = 'due' and due_at <= ? and (due_at, id) > (?, ?) limit 1",
        tx.now, *after,
    ) is not None  # fmt: skip


def next_due(tx: Tx, after: tuple[int, int]) -> int | None:
    """When the next one behind that place is due."""
    found: int | None = tx.value(
        "select min(due_at) from queue_recipient where state = 'due' and (due_at, id) > (?, ?)", *after
    )
    return found


# -- destinations ------------------------------------------------------------------------------------------------------


def _note(tx: Tx, s: Standing) -> None:
    tx.run(
        "insert into destination (name, failures, not_before_at, tls, tls_verified, last_success_at, last_error,"
        " tls_policy) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (name) do update set failures = excluded.failures,"
        " not_before_at = excluded.not_before_at, tls = coalesce(excluded.tls, destination.tls),"
        " tls_verified = iif(excluded.tls is null, destination.tls_verified, excluded.tls_verified),"
        " tls_policy = iif(excluded.tls is null, destination.tls_policy, excluded.tls_policy),"
        " last_success_at = coalesce(excluded.last_success_at, destination.last_success_at),"
        " last_error = excluded.last_error",
        s.name, s.failures, s.not_before_at, s.tls, int(s.tls_verified), s.last_success_at, s.last_error,
        s.tls_policy,
    )  # fmt: skip


def forget_destinations(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` destinations that nothing was heard of or tried since that time; how many went."""
    return tx.run(
        "delete from destination where name in (select name from destination d where not_before_at < ?"
        " and coalesce(last_success_at, 0) < ? and not exists"
        " (select 1 from queue_recipient r where r.destination = d.name) limit ?)",
        before, before, limit,
    )  # fmt: skip


def standing(tx: Tx, name: str) -> Standing | None:
    """What is remembered of a destination."""
    row = tx.one(
        "select name, failures, not_before_at, tls, tls_verified, last_success_at, last_error, tls_policy"
        " from destination where name = ?",
        name,
    )
    if row is None:
        return None
    name, failures, not_before_at, tls, verified, *rest = row
    return Standing(name, failures, not_before_at, tls, bool(verified), *rest)
