"""How much there is and how much happened, in one short look: for monitoring, every few seconds."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Happened:
    """So many events of a kind and reason; `action` is what a verdict did with the message, '' for others."""

    kind: str
    reason: str
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class Meters:
    """`newest` is the last event that `happened` counts. `queue` is by state, `sessions` by protocol, `segments`,
    `segment_octets` and `dead_octets` are the files of mail and what in them is not used any more."""

    newest: int
    happened: tuple[Happened, ...]
    queue: dict[str, int]
    leased: int
    oldest_at: int | None
    sessions: dict[str, int]
    browsers: int
    domains: int
    users: int
    messages: int
    used: int
    segments: int
    segment_octets: int
    dead_octets: int
    quarantined: int
    quarantine_octets: int
    bans: int
    incidents: int


def newest(tx: Tx) -> int:
    """The last event."""
    value: int = tx.value("select coalesce(max(id), 0) from event")
    return value


def read(tx: Tx, since: int) -> Meters:
    """All of it; events that came after `since`."""
    last = newest(tx)
    happened = tx.all(
        "select kind, reason, case when kind in ('judged', 'authenticated') then coalesce(detail ->> '$.action', '')"
        " else '' end, count(*) from event where id > ? and id <= ? group by 1, 2, 3",
        since,
        last,
    )
    users = tx.one("select count(*), coalesce(sum(messages), 0), coalesce(sum(used), 0) from account") or (0, 0, 0)
    files = tx.one("select count(*), coalesce(sum(size), 0), coalesce(sum(dead), 0) from segment") or (0, 0, 0)
    kept = tx.one("select count(*), coalesce(sum(size), 0) from quarantine") or (0, 0)
    return Meters(
        newest=last,
        happened=tuple(Happened(*row) for row in happened),
        queue=dict(tx.all("select state, count(*) from queue_recipient group by state")),
        leased=tx.value("select count(*) from queue_recipient where leased_until > ?", tx.now),
        oldest_at=tx.value("select min(created_at) from queue_message"),
        sessions=dict(tx.all("select protocol, count(*) from session group by protocol")),
        browsers=tx.value("select count(*) from web_session where until_at > ?1 and seen_at + idle > ?1", tx.now),
        domains=tx.value("select count(*) from domain"),
        users=users[0],
        messages=users[1],
        used=users[2],
        segments=files[0],
        segment_octets=files[1],
        dead_octets=files[2],
        quarantined=kept[0],
        quarantine_octets=kept[1],
        bans=tx.value("select count(*) from ban where until_at is null or until_at > ?", tx.now),
        incidents=tx.value("select count(*) from incident where ended_at is null"),
    )


def beat(tx: Tx) -> int:
    """A real write; what a reader finds with `last_beat` after it."""
    tx.run(
        "insert into counter (name, value) values ('heartbeat', 1) on conflict (name) do update set value = value + 1"
    )
    return last_beat(tx)


def last_beat(tx: Tx) -> int:
    value: int = tx.value("select value from counter where name = 'heartbeat'")
    return value
