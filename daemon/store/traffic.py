"""How much mail moved in each hour, and what the filter made of it: counted from the events, for pictures of a day."""

from __future__ import annotations

from typing import Any

from daemon.store.tx import Tx

HOUR = 3_600_000


def by_hour(tx: Tx, since: int) -> list[tuple[int, str, int]]:
    """`(hour, what, count)` since a time, in hours of the epoch; `what` is one of incoming, submitted, sent, deferred,
    failed, refused. Senders and recipients that were refused count too; connections and sign-ins that were do not."""
    moved = tx.all(
        "select at / ?1, case when kind <> 'accepted' then kind"
        " when reason in ('smtp', 'relay', 'lmtp') then 'incoming'"
        " when reason in ('submission', 'sendmail') then 'submitted' else '' end as what, count(*) from event"
        " where at >= ?2 and kind in ('accepted', 'sent', 'deferred', 'failed', 'refused') group by 1, 2",
        HOUR,
        since,
    )
    turned = tx.all(
        "select hour, 'refused', sum(count) from refusal where hour >= ? and reason not like 'login-%'"
        " and reason not like 'too-many-connections%' and reason not in ('banned', 'proxy-header', 'tls-failed')"
        " group by hour",
        since // HOUR,
    )
    return [(hour, what, count) for hour, what, count in (*moved, *turned) if what]


def verdicts(tx: Tx, since: int) -> list[tuple[str, str, int]]:
    """`(action, reason, count)` of verdicts about messages since a time, the most frequent first."""
    found: list[tuple[Any, ...]] = tx.all(
        "select coalesce(detail ->> '$.action', ''), reason, count(distinct trace) from event"
        " where at >= ? and kind in ('judged', 'authenticated') group by 1, 2 order by 3 desc, 1, 2",
        since,
    )
    return [(action, reason, count) for action, reason, count in found]
