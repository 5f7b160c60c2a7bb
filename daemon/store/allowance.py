"""How much a user may send to other servers in an hour and in a day, and how much it was.

Counted is by slots of ten minutes. A window is its whole slots and the one it begins in, so that in no hour and no day
goes out more than is allowed, whenever it begins; what went out counts for up to ten minutes longer.
"""

from __future__ import annotations

from typing import NamedTuple

from daemon.store.tx import Tx

SLOT = 600_000  # ms
HOUR, DAY = 6, 144  # slots


class Amount(NamedTuple):
    """`strangers` are recipients whom the user had not written to before."""

    messages: int
    recipients: int
    strangers: int


class Limits(NamedTuple):
    """0: no limit."""

    hour: Amount
    day: Amount


class Over(NamedTuple):
    """The limit that a message does not fit in, as its setting is called; what it allows, and what it would be."""

    reason: str
    allowed: int
    found: int


class State(NamedTuple):
    """What a user sent, how many times the limits of the settings he may send (0: no limit), and his open incident."""

    hour: Amount
    day: Amount
    times: int = 1
    incident: int | None = None

    def over(self, more: Amount, limits: Limits) -> Over | None:
        """The first limit that `more` does not fit in."""
        for span, sent, allowed in (("hour", self.hour, limits.hour), ("day", self.day, limits.day)):
            for what, before, new, limit in zip(Amount._fields, sent, more, allowed, strict=True):
                if limit and self.times and before + new > limit * self.times:
                    return Over(f"{what}-per-{span}", limit * self.times, before + new)
        return None


def state(tx: Tx, account_id: int) -> State | None:
    """All that decides, in one look; None for a user who is gone."""
    slot = tx.now // SLOT
    row = tx.one(
        "select coalesce(a.allowance, 1), (select i.id from incident i where i.account_id = a.id and ended_at is null),"
        " coalesce(sum(s.messages) filter (where s.slot >= ?1), 0),"
        " coalesce(sum(s.recipients) filter (where s.slot >= ?1), 0),"
        " coalesce(sum(s.strangers) filter (where s.slot >= ?1), 0),"
        " coalesce(sum(s.messages), 0), coalesce(sum(s.recipients), 0), coalesce(sum(s.strangers), 0)"
        " from account a left join allowance s on s.account_id = a.id and s.slot >= ?2 where a.id = ?3 group by a.id",
        slot - HOUR, slot - DAY, account_id,
    )  # fmt: skip
    return None if row is None else State(Amount(*row[2:5]), Amount(*row[5:8]), row[0], row[1])


def spend(tx: Tx, account_id: int, amount: Amount) -> None:
    """It goes out."""
    tx.run(
        "insert into allowance (account_id, slot, messages, recipients, strangers) values (?, ?, ?, ?, ?)"
        " on conflict (account_id, slot) do update set messages = messages + excluded.messages,"
        " recipients = recipients + excluded.recipients, strangers = strangers + excluded.strangers",
        account_id, tx.now // SLOT, *amount,
    )  # fmt: skip


def reset(tx: Tx, account_id: int) -> None:
    """Nothing was sent."""
    tx.run("delete from allowance where account_id = ?", account_id)


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` rows that count no more, and those of days to come: a clock went wrong; how many went."""
    slot = tx.now // SLOT
    return tx.run(
        "delete from allowance where (account_id, slot) in (select account_id, slot from allowance where slot < ?"
        " union all select account_id, slot from allowance where slot > ? limit ?)",
        slot - DAY, slot + DAY, limit,
    )  # fmt: skip
