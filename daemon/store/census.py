"""How much there is of everything: one look for `mailctl status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Census:
    """Counts; `used` in octets as users see them, `stored` as bytes are kept (shared ones once)."""

    domains: int
    users: int
    aliases: int
    messages: int
    used: int
    stored: int
    waiting: int
    held: int
    oldest_at: int | None
    bans: int


def count(tx: Tx) -> Census:
    users = tx.one("select count(*), coalesce(sum(messages), 0), coalesce(sum(used), 0) from account") or (0, 0, 0)
    queue = tx.one(
        "select count(*), coalesce(sum(r.state = 'held'), 0), min(m.created_at) from queue_recipient r"
        " join queue_message m on m.id = r.message_id"
    ) or (0, 0, None)
    return Census(
        domains=tx.value("select count(*) from domain"),
        users=users[0],
        aliases=tx.value("select count(*) from alias"),
        messages=users[1],
        used=users[2],
        stored=tx.value("select coalesce(sum(length), 0) from blob"),
        waiting=queue[0],
        held=queue[1],
        oldest_at=queue[2],
        bans=tx.value("select count(*) from ban where until_at is null or until_at > ?", tx.now),
    )


class Down(NamedTuple):
    """A destination that was not reached lately."""

    name: str
    failures: int
    last_error: str
    waiting: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """Whether mail moves. `oldest_due_at`: since when the first recipient that nobody has in hand is due, its
    destination being worth a try. `down`: those that recipients wait for, the longest list first."""

    waiting: int
    held: int
    leased: int
    oldest_at: int | None
    oldest_due_at: int | None
    last_success_at: int | None
    down: tuple[Down, ...]


_DOWN = 20  # destinations told


def queue_state(tx: Tx) -> QueueState:
    """Counts, ages and destinations in trouble."""
    waiting, held, leased, oldest = tx.one(
        "select count(*), coalesce(sum(r.state = 'held'), 0), coalesce(sum(r.leased_until > ?), 0), min(m.created_at)"
        " from queue_recipient r join queue_message m on m.id = r.message_id",
        tx.now,
    ) or (0, 0, 0, None)
    due = tx.value(
        "select min(max(r.due_at, coalesce(d.not_before_at, 0))) from queue_recipient r"
        " left join destination d on d.name = r.destination where r.state = 'due' and r.leased_until <= ?",
        tx.now,
    )
    down = tx.all(
        "select d.name, d.failures, coalesce(d.last_error, ''), count(*) from destination d"
        " join queue_recipient r on r.destination = d.name where d.failures > 0 and d.not_before_at > ?"
        " group by d.name order by 4 desc, 1 limit ?",
        tx.now, _DOWN,
    )  # fmt: skip
    success = tx.value("select max(last_success_at) from destination")
    return QueueState(waiting, held, leased, oldest, due, success, tuple(Down(*row) for row in down))
