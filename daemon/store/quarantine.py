"""Mail that was refused, or went to Junk, by the filter's verdict: kept for a while, so that a wrong verdict is undone.

Refused mail is bytes with a reference of their own, and a row for each user it was for; the sender was told 550 all the
same. Of what went to Junk the row only points at the message there, and goes with it. Refused mail is bounded for each
user and in all, the oldest goes first, so that nobody fills the disk with what is not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store import blobs, states
from daemon.store.blobs import Place
from daemon.store.errors import Missing
from daemon.store.tx import Tx

ALL = 0  # whose sum is that of everybody
TYPE = "QuarantinedMessage"  # in JMAP


class Kept(NamedTuple):
    """What is remembered of a message: the address it was for, the reverse-path, the author (From), and the verdict
    with what weighed most. `quiet`: no digest tells the user of it."""

    recipient: str
    sender: str
    author: str
    author_name: str
    subject: str
    message_id: str | None
    reason: str
    score: float
    why: str
    quiet: bool = False


class Bounds(NamedTuple):
    """How much refused mail is kept, in octets: of one user, and in all."""

    user: int
    total: int


@dataclass(frozen=True, slots=True)
class Row:
    """A message that is kept. `email_id` is there for one in Junk, `place` is where its bytes are."""

    id: int
    account_id: int
    user: str
    trace: str
    email_id: int | None
    prefix: bytes
    size: int
    kept: Kept
    at: int
    place: Place

    @property
    def junked(self) -> bool:
        return self.email_id is not None


def keep(
    tx: Tx, account_id: int, kept: Kept, trace: str, blob_id: int, length: int, prefix: bytes, bounds: Bounds
) -> int | None:
    """Keep a refused message, one of the holders that `blobs.keep` was told of; the row's id. Older ones make room, but
    not too many at once: None when that does not do, and then it is not kept."""
    size = len(prefix) + length
    weight = size + LIMITS.quarantine_row
    made = _insert(tx, account_id, kept, trace, blob_id, None, prefix, size, weight)
    tx.many(
        "insert into quarantine_sum (account_id, weight) values (?, ?)"
        " on conflict (account_id) do update set weight = weight + excluded.weight",
        [(account_id, weight), (ALL, weight)],
    )
    for owner, most in ((account_id, bounds.user), (ALL, bounds.total)):
        _trim(tx, owner, most, LIMITS.quarantine_trim)
        if _weight(tx, owner) > most:
            drop(tx, [made])
    return made if tx.value("select 1 from quarantine where id = ?", made) else None


def point(tx: Tx, account_id: int, kept: Kept, trace: str, email_id: int, size: int) -> int:
    """Remember that a message went to Junk; the row's id."""
    return _insert(tx, account_id, kept, trace, None, email_id, b"", size, 0)


def _insert(tx: Tx, account_id: int, kept: Kept, *columns: Any) -> int:
    states.changed(tx, account_id, TYPE)
    return tx.insert(
        "insert into quarantine (account_id, trace, blob_id, email_id, prefix, size, weight, recipient, sender, author,"
        " author_name, subject, message_id, reason, score, why, told_user, told_admin, at)"
        f" values ({', '.join('?' * 19)})",
        account_id, *columns, *kept[:9], int(kept.quiet), 0, tx.now,
    )  # fmt: skip


# -- what is there -----------------------------------------------------------------------------------------------------

_IN_JUNK = (
    "exists (select 1 from membership m join mailbox x on x.id = m.mailbox_id"
    " where m.email_id = q.email_id and x.special_use = '\\Junk')"
)
_THERE = f"(q.blob_id is not null or {_IN_JUNK})"  # what its user moved out of Junk is not kept any more
_ROWS = (
    "select q.id, q.account_id, a.local || '@' || d.name, q.trace, q.email_id, coalesce(e.prefix, q.prefix), q.size,"
    " q.recipient, q.sender, q.author, q.author_name, q.subject, q.message_id, q.reason, q.score, q.why, q.at,"
    " b.segment_id, b.offset, b.length from quarantine q join account a on a.id = q.account_id"
    " join domain d on d.id = a.domain_id left join email e on e.id = q.email_id"
    f" join blob b on b.id = coalesce(q.blob_id, e.blob_id) where {_THERE}"
)


def find(
    tx: Tx,
    account_id: int | None = None,
    *,
    since: int | None = None,
    sender: str | None = None,
    reason: str | None = None,
    limit: int = -1,
) -> list[Row]:
    """Those that match all that is given, newest first. `sender` is a part of envelope sender, author or his name."""
    rows = tx.all(
        f"{_ROWS} and (?1 is null or q.account_id = ?1) and (?2 is null or q.at >= ?2)"
        " and (?3 is null or instr(lower(q.sender || ' ' || q.author || ' ' || q.author_name), ?3) > 0)"
        " and (?4 is null or q.reason = ?4) order by q.id desc limit ?5",
        account_id, since, None if sender is None else sender.lower(), reason, limit,
    )  # fmt: skip
    return [_row(r) for r in rows]


def get(tx: Tx, number: int, account_id: int | None = None) -> Row:
    """One, of this user if one is named. Raises `Missing`."""
    row = tx.one(f"{_ROWS} and q.id = ?1 and (?2 is null or q.account_id = ?2)", number, account_id)
    if row is None:
        raise Missing(f"there is no message {number} in the quarantine; `mailctl quarantine list` shows what is")
    return _row(row)


def untold(tx: Tx, before: int, limit: int) -> list[int]:
    """Up to `limit` users of whose mail, kept before that time, no digest told yet."""
    found = tx.all(
        "select distinct account_id from quarantine where told_user = 0 and at < ? order by account_id limit ?",
        before,
        limit,
    )
    return [row[0] for row in found]


class News(NamedTuple):
    """What a digest is to tell: the newest, how many there are, and the last id it is about."""

    rows: list[Row]
    many: int
    last: int


def news(tx: Tx, account_id: int | None, before: int) -> News:
    """What was kept before that time of a user's mail (None: of everybody's), and was not told."""
    which, params = _untold(account_id, before)
    last = tx.value(f"select max(id) from quarantine q where {which}", *params)
    rows = tx.all(f"{_ROWS} and {which} order by q.id desc limit ?", *params, LIMITS.digest_rows)
    many = tx.value(f"select count(*) from quarantine q where {_THERE} and {which}", *params)
    return News([_row(r) for r in rows], many, last or 0)


def told(tx: Tx, account_id: int | None, before: int, last: int) -> None:
    """A digest told of what was kept before that time, up to that id."""
    which, params = _untold(account_id, before)
    column = "told_admin" if account_id is None else "told_user"
    tx.run(f"update quarantine as q set {column} = 1 where {which} and q.id <= ?", *params, last)


def _untold(account_id: int | None, before: int) -> tuple[str, tuple[int, ...]]:
    if account_id is None:
        return "q.told_admin = 0 and q.at < ?", (before,)
    return "q.told_user = 0 and q.account_id = ? and q.at < ?", (account_id, before)


def link_key(tx: Tx) -> bytes:
    """The secret that links in digests are signed with."""
    value: bytes = tx.value("select value from secret where name = 'quarantine-link'")
    return value


def _row(r: tuple[Any, ...]) -> Row:
    return Row(r[0], r[1], r[2], r[3], r[4], r[5], r[6], Kept(*r[7:16]), r[16], Place(*r[17:]))


# -- its end -----------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """What is too old, and what is too much."""

    before: int
    bounds: Bounds


def expire(tx: Tx, ending: Ending, limit: int) -> int:
    """Let up to `limit` old rows go, and as many that are too much; how many went."""
    old = [r[0] for r in tx.all("select id from quarantine where at < ? order by at limit ?", ending.before, limit)]
    gone = drop(tx, old)
    fat = tx.one(
        "select account_id from quarantine_sum where account_id <> ? and weight > ? limit 1", ALL, ending.bounds.user
    )
    if fat is not None:
        gone += _trim(tx, fat[0], ending.bounds.user, limit)
    return gone + _trim(tx, ALL, ending.bounds.total, limit)


def forget_some(tx: Tx, account_id: int, limit: int) -> int:
    """Let up to `limit` rows of a user who goes go; how many went."""
    rows = tx.all("select id from quarantine where account_id = ? limit ?", account_id, limit)
    return drop(tx, [r[0] for r in rows])


def forget_user(tx: Tx, account_id: int) -> None:
    while forget_some(tx, account_id, LIMITS.step):
        pass


def _trim(tx: Tx, owner: int, most: int, limit: int) -> int:
    """Let the oldest refused mail of a user, or of all, go until the rest weighs no more than that."""
    over = _weight(tx, owner) - most
    if over <= 0:
        return 0
    whose, params = ("", ()) if owner == ALL else (" and account_id = ?", (owner,))
    gone = []
    for number, weight in tx.each(
        f"select id, weight from quarantine where blob_id is not null{whose} order by id limit ?", *params, limit
    ):
        gone.append(number)
        over -= weight
        if over <= 0:
            break
    return drop(tx, gone)


def _weight(tx: Tx, owner: int) -> int:
    return tx.value("select weight from quarantine_sum where account_id = ?", owner) or 0


def drop(tx: Tx, numbers: list[int]) -> int:
    """The rows go, with their references and their weight; how many there were."""
    owners: set[int] = set()
    sums: dict[int, int] = {}
    freed: list[int] = []
    gone = 0
    for number in numbers:
        for account_id, blob_id, weight in tx.all(
            "delete from quarantine where id = ? returning account_id, blob_id, weight", number
        ):
            gone += 1
            owners.add(account_id)
            if blob_id is not None:
                freed.append(blob_id)
                sums[account_id] = sums.get(account_id, 0) + weight
                sums[ALL] = sums.get(ALL, 0) + weight
    blobs.release(tx, freed)
    for owner in owners:
        states.changed(tx, owner, TYPE)
    for owner, weight in sums.items():
        tx.run("delete from quarantine_sum where account_id = ? and weight = ?", owner, weight)
        tx.run("update quarantine_sum set weight = weight - ? where account_id = ?", weight, owner)
    return gone


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What does not hold: (subject, what is wrong)."""
    found = [
        (f"quarantine {number}", "is not as long as it says, weighs too little, or points to another user's message")
        for (number,) in tx.all(
            "select q.id from quarantine q left join email e on e.id = q.email_id left join blob b on b.id = q.blob_id"
            " where q.size <> coalesce(e.size, length(q.prefix) + b.length) or q.blob_id is not null"
            " and q.weight < q.size or e.account_id <> q.account_id limit ?",
            limit,
        )
    ]
    found += [
        ("the quarantine of all" if owner == ALL else f"the quarantine of account {owner}", "is not summed up rightly")
        for (owner,) in tx.all(
            "select owner from (select account_id as owner, weight from quarantine_sum"
            " union all select account_id, -weight from quarantine union all select ?, -weight from quarantine)"
            " group by owner having sum(weight) <> 0 limit ?",
            ALL, limit,
        )
    ]  # fmt: skip
    return found
