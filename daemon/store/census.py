"""How much there is of everything: one look for `mailctl status`."""

from __future__ import annotations

from dataclasses import dataclass

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
