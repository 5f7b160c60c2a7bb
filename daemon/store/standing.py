"""Reputation: how mail of a domain, an author, an address and its network was received here before.

Each message adds one to `good` or `bad`, and what was added counts half after 30 days: a spammer who stops is forgiven,
a friend who is taken over loses his credit soon. Domain and author are only noted where a proof spoke for them.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store.tx import Tx
from daemon.trust.results import Standing, Tally

_DAY = 86_400_000  # ms
_HALF_LIFE = 30 * _DAY
_NOTHING = 0.05  # a weight that says nothing any more


class Source(NamedTuple):
    """Who a message comes from. `domain` and `author` ('' both without a proof) in lower case, `ip` the peer."""

    domain: str = ""
    author: str = ""
    ip: str = ""


def of(tx: Tx, source: Source) -> Standing:
    """What is known of it."""
    found = {(kind, name): Tally(good, bad) for kind, name, good, bad in _now(tx, _names(source))}
    none = Tally()
    named = dict(_names(source))
    return Standing(source.domain, *(found.get((kind, named.get(kind, "")), none) for kind in _KINDS))


_KINDS = ("domain", "author", "address", "network")


def note(tx: Tx, source: Source, *, good: float = 0.0, bad: float = 0.0) -> None:
    """A message of it was received so; what is taken back is negative, and no sum goes below 0."""
    names = _names(source)
    before = {(kind, name): (g, b) for kind, name, g, b in _now(tx, names)}
    rows = []
    for key in names:
        g, b = before.get(key, (0.0, 0.0))
        rows.append((*key, max(0.0, g + good), max(0.0, b + bad), tx.now))
    tx.many(
        "insert into standing (kind, name, good, bad, at) values (?, ?, ?, ?, ?) on conflict (kind, name)"
        " do update set good = excluded.good, bad = excluded.bad, at = excluded.at",
        rows,
    )


def reconsider(tx: Tx, source: Source, *, bad: bool) -> None:
    """A user says that a message which was noted as good is bad, or the other way: his word counts more than ours."""
    weight = float(LIMITS.standing_word)
    note(tx, source, **({"good": -1.0, "bad": weight} if bad else {"good": weight, "bad": -1.0}))


def heard(tx: Tx, account_id: int, blob_id: int, *, bad: bool) -> None:
    """A user says what a message of his is. Where the verdict on it was another one, its source is seen anew."""
    found = tx.one(
        f"select {_SOURCE}, j.detail ->> 'action' <> 'accept'"
        " from email e join event j on j.trace = e.trace and j.kind = 'judged'"
        " where e.account_id = ? and e.blob_id = ? limit 1",
        account_id, blob_id,
    ) or _moved_by_append(tx, account_id, blob_id)  # fmt: skip
    if found is not None and bool(found[3]) != bad:
        reconsider(tx, Source(*(word or "" for word in found[:3])), bad=bad)


_SOURCE = "j.detail ->> '$.source.domain', j.detail ->> '$.source.author', j.detail ->> '$.source.ip'"


def _moved_by_append(tx: Tx, account_id: int, blob_id: int) -> tuple[str | None, str | None, str | None, int] | None:
    """The source of the message that this one is a client's copy of, and whether that was delivered to Junk. It is
    known by its Message-ID; None where several of this user's have that and come from different sources."""
    rows = tx.all(
        f"select distinct {_SOURCE}, exists (select 1 from mailbox b where b.account_id = a.id"
        " and b.name = d.detail ->> 'mailbox' and b.special_use = '\\Junk')"
        " from (select distinct trace from (select trace from event where message_id ="
        " (select message_id from content where blob_id = ?) order by id desc limit 20)) t"
        " join event d on d.trace = t.trace and d.kind = 'delivered'"
        " join event j on j.trace = t.trace and j.kind = 'judged'"
        " join account a on a.id = ? join domain n on n.id = a.domain_id"
        " where d.detail ->> 'user' = a.local || '@' || n.name limit 2",
        blob_id, account_id,
    )  # fmt: skip
    return rows[0] if len(rows) == 1 else None


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` of the rows nobody added to for so long that they say nothing; and the oldest beyond
    `LIMITS.standings`; how many went."""
    faded = tx.run(
        "delete from standing where (kind, name) in (select kind, name from standing where at < ? order by at limit ?)",
        tx.now - LIMITS.standing_memory * 1000, limit,
    )  # fmt: skip
    many = tx.value("select count(*) from standing") - LIMITS.standings
    if many <= 0:
        return faded
    return faded + tx.run(
        "delete from standing where (kind, name) in (select kind, name from standing order by at limit ?)",
        min(many, limit),
    )


@lru_cache(maxsize=1024)  # it is asked when a message is judged, and when its verdict is noted
def network_of(ip: str) -> str:
    """The /24 or /64 an address is in, as text; '' for what is none. A mapped IPv4 address counts as IPv4."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))


def _names(source: Source) -> list[tuple[str, str]]:
    named = zip(_KINDS, (source.domain, source.author, source.ip, network_of(source.ip)), strict=True)
    return [(kind, name) for kind, name in named if name]


def _now(tx: Tx, names: list[tuple[str, str]]) -> list[tuple[str, str, float, float]]:
    """The rows of these as they count now."""
    if not names:
        return []
    values = ", ".join(["(?, ?)"] * len(names))
    rows = tx.all(
        f"select kind, name, good, bad, at from standing where (kind, name) in (values {values})",
        *(part for name in names for part in name),
    )
    found = []
    for kind, name, good, bad, at in rows:
        left = 0.5 ** (max(0, tx.now - at) / _HALF_LIFE)
        good, bad = good * left, bad * left
        if good + bad >= _NOTHING:
            found.append((kind, name, good, bad))
    return found
