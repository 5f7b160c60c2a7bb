"""Messages in mailboxes: put, copy, move, change flags, remove. Set operations, each in the caller's transaction.

A `uids` argument is a list of closed ranges `(first, last)` of UIDs, sorted and apart, as made by the session from
what exists. Counters of mailbox and account are kept in the same transaction; `store.check` proves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.store import accounts, blobs, keywords, mailboxes, spam, threads
from daemon.store.errors import Missing
from daemon.store.keywords import DELETED, DRAFT, SEEN
from daemon.store.mailboxes import Mailbox
from daemon.store.tx import Tx

Ranges = Sequence[tuple[int, int]]
UNREAD_IF_NOT = SEEN | DRAFT
_RANGES_A_STATEMENT = 25
_RUNS = 50  # unbroken runs of UIDs that COPY takes one by one
ALL: Ranges = ((1, 0xFFFFFFFF),)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message went."""

    mailbox_id: int
    uidvalidity: int
    uid: int
    email_id: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What COPY and MOVE did: UIDs there, in the order of the UIDs here."""

    uidvalidity: int
    sources: list[int]
    targets: list[int]


def put(
    tx: Tx,
    account_id: int,
    mailbox: str | int,
    blob_id: int,
    blob_length: int,
    *,
    prefix: bytes = b"",
    flags: int = 0,
    keyword_names: Iterable[str] = (),
    received_at: int | None = None,
    trace: str | None = None,
    default_quota: int = 0,
) -> Placed:
    """One message into one mailbox (by name or id); it is one of the holders that `blobs.keep` was told of.

    `received_at` is INTERNALDATE in ms, now when None. Raises `Missing` and `OverQuota`.
    """
    size = len(prefix) + blob_length
    modseq = accounts.take_room(tx, account_id, size, default_quota)
    column = "id" if isinstance(mailbox, int) else "name"
    row = tx.one(
        f"select id, uidvalidity, uidnext from mailbox where account_id = ? and {column} = ?", account_id, mailbox
    )
    if row is None:
        raise Missing(f"there is no mailbox {mailbox!r}")
    mailbox_id, uidvalidity, uid = row
    thread = threads.join(tx, account_id, blob_id, modseq)
    unread = not flags & UNREAD_IF_NOT
    in_thread, in_unread = threads.added(tx, account_id, mailbox_id, thread, thread == modseq, unread)
    tx.run(
        "update mailbox set uidnext = uidnext + 1, modseq = ?, total = total + 1, unseen = unseen + ?,"
        " deleted = deleted + ?, size = size + ?, unread = unread + ?, threads = threads + ?,"
        " unread_threads = unread_threads + ? where id = ?",
        modseq, int(not flags & SEEN), int(bool(flags & DELETED)), size, int(unread), in_thread, in_unread, mailbox_id,
    )  # fmt: skip
    received_at = tx.now if received_at is None else received_at
    email_id = tx.insert(
        "insert into email (account_id, blob_id, prefix, size, received_at, trace, created_modseq, thread_id)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, blob_id, prefix, size, received_at, trace, modseq, thread,
    )  # fmt: skip
    tx.run(
        "insert into membership (mailbox_id, uid, email_id, flags, keywords, modseq, received_at, thread_id)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        mailbox_id, uid, email_id, flags, keywords.set_id(tx, keyword_names), modseq, received_at, thread,
    )  # fmt: skip
    tx.touched(mailbox_id)
    return Placed(mailbox_id, uidvalidity, uid, email_id, modseq)


def copy(tx: Tx, source: int, uids: Ranges, target: int) -> Copied:
    """Add memberships in `target` for messages of `source`; the messages stay the same ones. Raises `Missing`."""
    origin = _box(tx, source)
    box = _box(tx, target)
    if origin.account_id != box.account_id:
        raise Missing("the mailbox is another user's")  # a message is an account's
    if source == target:  # what is copied now is not copied again by a range that reaches beyond
        uids = [(first, min(last, box.uidnext - 1)) for first, last in uids if first < box.uidnext]
    modseq = mailboxes.next_modseq(tx, box.account_id)
    sources: list[int] = []
    next_uid = box.uidnext
    for where, params in _in_ranges(uids):
        rows = tx.all(f"select uid from membership where mailbox_id = ? and {where} order by uid", source, *params)
        found = [row[0] for row in rows]
        counting = threads.Counting(
            tx, box.account_id, target, f"mailbox_id = ? and {where}", (source, *params), len(found)
        )
        runs = to_ranges(found)
        if len(runs) <= _RUNS:  # UIDs without many holes: adding is quicker than numbering
            at = next_uid
            for first, last in runs:
                tx.run(
                    "insert into membership (mailbox_id, uid, email_id, flags, keywords, modseq, received_at,"
                    " thread_id) select ?, uid + ?, email_id, flags, keywords, ?, received_at, thread_id"
                    " from membership"
                    " where mailbox_id = ? and uid between ? and ? order by uid",
                    target, at - first, modseq, source, first, last,
                )  # fmt: skip
                at += last - first + 1
        else:
            tx.run(
                "insert into membership (mailbox_id, uid, email_id, flags, keywords, modseq, received_at, thread_id)"
                " select ?, ? + row_number() over (order by uid) - 1, email_id, flags, keywords, ?, received_at,"
                " thread_id from membership"
                f" where mailbox_id = ? and {where} order by uid",
                target, next_uid, modseq, source, *params,
            )  # fmt: skip
        counting.done()
        next_uid += len(found)
        sources += found
    if sources:
        _count_added(tx, target, box.uidnext, next_uid, modseq)
    return Copied(box.uidvalidity, sources, list(range(box.uidnext, next_uid)))


def move(tx: Tx, source: int, uids: Ranges, target: int) -> Copied:
    """COPY and remove here, as one (RFC 6851 §3.3). Within one mailbox the messages get new UIDs."""
    done = copy(tx, source, uids, target)
    if done.sources:
        remove(tx, source, to_ranges(done.sources))
    return done


def remove(tx: Tx, mailbox_id: int, uids: Ranges = ALL, *, only_deleted: bool = False) -> list[int]:
    """Take messages out of a mailbox (EXPUNGE with `only_deleted`); the UIDs that went, in order.

    Each leaves a tombstone; a message in no mailbox any more goes, and its bytes when it was their last holder.
    """
    box = _box(tx, mailbox_id)
    flagged = f" and flags & {DELETED} <> 0" if only_deleted else ""
    gone: list[int] = []
    modseq = 0
    for where, params in _in_ranges(uids):
        condition = f"mailbox_id = ? and {where}{flagged}"
        rows = tx.all(f"select uid from membership where {condition} order by uid", mailbox_id, *params)
        if not rows:
            continue
        if not modseq:
            modseq = mailboxes.next_modseq(tx, box.account_id)
        counted = tx.one(
            f"select count(*), coalesce(sum(flags & {SEEN} = 0), 0), coalesce(sum(flags & {DELETED} <> 0), 0),"
            f" coalesce(sum(size), 0), coalesce(sum(flags & {UNREAD_IF_NOT} = 0), 0)"
            f" from membership join email on email.id = email_id where {condition}",
            mailbox_id, *params,
        )  # fmt: skip
        counting = threads.Counting(tx, box.account_id, mailbox_id, condition, (mailbox_id, *params), len(rows))
        tx.run(
            "insert into tombstone (mailbox_id, modseq, uid, email_id)"
            f" select mailbox_id, ?, uid, email_id from membership where {condition}",
            modseq, mailbox_id, *params,
        )  # fmt: skip
        tx.run(f"delete from membership where {condition}", mailbox_id, *params)
        tx.run(
            "update mailbox set modseq = ?, total = total - ?, unseen = unseen - ?, deleted = deleted - ?,"
            " size = size - ?, unread = unread - ? where id = ?",
            modseq, *(counted or (0, 0, 0, 0, 0)), mailbox_id,
        )  # fmt: skip
        counting.done()
        gone += [r[0] for r in rows]
    if gone:
        _drop_emails(tx, box.account_id, mailbox_id, modseq)
        tx.touched(mailbox_id)
    return gone


def _drop_emails(tx: Tx, account_id: int, mailbox_id: int, modseq: int) -> None:
    """Messages of these tombstones that are in no mailbox any more."""
    dropped = tx.all(
        "delete from email where id in (select email_id from tombstone where mailbox_id = ? and modseq = ?)"
        " and not exists (select 1 from membership where email_id = email.id)"
        " returning blob_id, size, id, thread_id, created_modseq",
        mailbox_id,
        modseq,
    )
    blobs.release(tx, (row[0] for row in dropped))
    tx.many(
        "insert into email_tombstone (account_id, modseq, email_id, thread_id, created_modseq) values (?, ?, ?, ?, ?)",
        [(account_id, modseq, *row[2:]) for row in dropped],
    )
    tx.run(
        "update account set used = used - ?, messages = messages - ? where id = ?",
        sum(row[1] for row in dropped), len(dropped), account_id,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flagged:
    """What STORE did. `modseq` is that of the changed ones, 0 when none changed."""

    modseq: int
    changed: list[int]
    refused: list[int]


def set_flags(
    tx: Tx,
    mailbox_id: int,
    uids: Ranges,
    mode: str,
    flags: int,
    names: Sequence[str] = (),
    unchanged_since: int | None = None,
) -> Flagged:
    """STORE: `mode` '+' adds, '-' takes away, '=' replaces. Only rows that change get a new MODSEQ.

    `unchanged_since`: those changed after it are refused (RFC 7162 §3.1.3). Raises `Missing`, `Invalid`.
    """
    box = _box(tx, mailbox_id)
    changed: list[int] = []
    refused: list[int] = []
    modseq = 0
    for where, params in _in_ranges(uids):
        condition = f"mailbox_id = ? and {where}"
        if unchanged_since is not None:
            rows = tx.all(
                f"select uid from membership where {condition} and modseq > ? order by uid",
                mailbox_id, *params, unchanged_since,
            )  # fmt: skip
            refused += [r[0] for r in rows]
            condition += f" and modseq <= {int(unchanged_since)}"
        states = tx.all(
            f"select flags, keywords, count(*) from membership where {condition} group by flags, keywords",
            mailbox_id, *params,
        )  # fmt: skip
        becomes = [(*old, *_new_state(tx, old[0], old[1], mode, flags, names)) for old in states]
        counting, unread = _count_unread(tx, box, condition, params, becomes)
        unseen = deleted = 0
        for old_flags, old_words, count, new_flags, new_words in becomes:
            if (new_flags, new_words) == (old_flags, old_words):
                continue
            if not modseq:
                modseq = mailboxes.next_modseq(tx, box.account_id)
            unseen += count * ((not new_flags & SEEN) - (not old_flags & SEEN))
            deleted += count * (bool(new_flags & DELETED) - bool(old_flags & DELETED))
            if new_words != old_words:
                spam.relabelled(
                    tx, box.account_id, old_words, new_words,
                    f"{condition} and flags = ? and keywords = ? and modseq < ?",
                    mailbox_id, *params, old_flags, old_words, modseq,
                )  # fmt: skip
            # `modseq < ?`: rows that an earlier state of this statement was turned into are not taken twice
            tx.run(
                f"update membership set flags = ?, keywords = ?, modseq = ? where {condition}"
                " and flags = ? and keywords = ? and modseq < ?",
                new_flags, new_words, modseq, mailbox_id, *params, old_flags, old_words, modseq,
            )  # fmt: skip
        if modseq:
            tx.run(
                "update mailbox set modseq = ?, unseen = unseen + ?, deleted = deleted + ?, unread = unread + ?"
                " where id = ?",
                modseq, unseen, deleted, unread, mailbox_id,
            )  # fmt: skip
        if counting is not None:
            counting.done()
    if modseq:
        changed = [
            r[0]
            for r in tx.all(
                "select uid from membership where mailbox_id = ? and modseq = ? order by uid", mailbox_id, modseq
            )
        ]
        tx.touched(mailbox_id)
    return Flagged(modseq, changed, refused)


def _count_unread(
    tx: Tx, box: Mailbox, condition: str, params: Sequence[int], becomes: Sequence[tuple[int, int, int, int, int]]
) -> tuple[threads.Counting | None, int]:
    """What to count by when messages become read or unread (None: none does), and how many more are unread then."""
    turned = {old for old, _, _, new, _ in becomes if (not old & UNREAD_IF_NOT) != (not new & UNREAD_IF_NOT)}
    if not turned:
        return None, 0
    rows = [(new, count) for old, _, count, new, _ in becomes if old in turned]
    condition += f" and flags in ({', '.join(map(str, sorted(turned)))})"
    counting = threads.Counting(tx, box.account_id, box.id, condition, (box.id, *params), sum(c for _, c in rows))
    return counting, sum(-count if new & UNREAD_IF_NOT else count for new, count in rows)


def _new_state(tx: Tx, flags: int, words: int, mode: str, wanted: int, names: Sequence[str]) -> tuple[int, int]:
    if mode == "+":
        return flags | wanted, keywords.changed(tx, words, names, ()) if names else words
    if mode == "-":
        return flags & ~wanted, keywords.changed(tx, words, (), names) if names else words
    kept = {n.lower() for n in names}
    return wanted, keywords.changed(
        tx, words, names, [n for n in keywords.names_of(tx, words) if n.lower() not in kept]
    )


def remove_mailbox(tx: Tx, mailbox: Mailbox) -> None:
    """DELETE: the mailbox and its messages. The caller has asked whether it may go (INBOX may not).

    What it remembers of messages that are elsewhere goes with it, so they count as changed now (`changes`).
    """
    remove(tx, mailbox.id)
    survivors = tx.all(
        "select distinct m.mailbox_id, m.uid from tombstone t join membership m on m.email_id = t.email_id"
        " where t.mailbox_id = ?",
        mailbox.id,
    )
    if survivors:
        modseq = mailboxes.next_modseq(tx, mailbox.account_id)
        tx.many(
            "update membership set modseq = ? where mailbox_id = ? and uid = ?", [(modseq, *row) for row in survivors]
        )
        for box in {row[0] for row in survivors}:
            tx.run("update mailbox set modseq = ? where id = ?", modseq, box)
            tx.touched(box)
    tx.run(
        "update account set jmap_floor = max(jmap_floor, (select tombstone_floor from mailbox where id = ?))"
        " where id = ?",
        mailbox.id, mailbox.account_id,
    )  # fmt: skip
    mailboxes.remove_empty(tx, mailbox)


def remove_some(tx: Tx, mailbox_id: int, limit: int) -> int:
    """Remove up to `limit` messages of a mailbox, the oldest first; how many went."""
    rows = tx.all("select uid from membership where mailbox_id = ? order by uid limit ?", mailbox_id, limit)
    return len(remove(tx, mailbox_id, to_ranges([r[0] for r in rows]))) if rows else 0


def purge(tx: Tx, account_id: int, limit: int) -> int:
    """Remove up to `limit` messages of an account, wherever they are, in one small step; how many went."""
    rows = tx.all(
        "select mailbox_id, uid from membership"
        " where mailbox_id in (select id from mailbox where account_id = ?) limit ?",
        account_id,
        limit,
    )
    by_box: dict[int, list[int]] = {}
    for mailbox_id, uid in rows:
        by_box.setdefault(mailbox_id, []).append(uid)
    return sum(len(remove(tx, box, to_ranges(sorted(uids)))) for box, uids in by_box.items())


def old_tombstones(tx: Tx, after: int, keep: int, boxes: int) -> tuple[int, list[tuple[int, int]]]:
    """Which of the next `boxes` mailboxes beyond id `after` remember more than `keep` expunges, and up to which MODSEQ
    they may forget; with the id of the last one looked at, 0 at the end. What one command expunged stays together."""
    found: list[tuple[int, int]] = []
    ids = [r[0] for r in tx.all("select id from mailbox where id > ? order by id limit ?", after, boxes)]
    for box in ids:
        oldest_kept = tx.value(
            "select modseq from tombstone where mailbox_id = ? order by modseq desc, uid desc limit 1 offset ?",
            box, keep - 1,
        )  # fmt: skip
        if oldest_kept is not None and tx.value(
            "select 1 from tombstone where mailbox_id = ? and modseq < ? limit 1", box, oldest_kept
        ):
            found.append((box, oldest_kept - 1))
    return ids[-1] if len(ids) == boxes else 0, found


def forget_tombstones(tx: Tx, where: tuple[int, int], limit: int) -> int:
    """Drop up to `limit` tombstones of (mailbox, up to this MODSEQ), and remember the floor; how many went."""
    mailbox_id, floor = where
    tx.run("update mailbox set tombstone_floor = max(tombstone_floor, ?) where id = ?", floor, mailbox_id)
    return tx.run(
        "delete from tombstone where (mailbox_id, modseq, uid) in (select mailbox_id, modseq, uid from tombstone"
        " where mailbox_id = ? and modseq <= ? order by modseq, uid limit ?)",
        mailbox_id, floor, limit,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- reading

CONTENT = frozenset(
    ("envelope", "bodystructure", "body", "parts", "subject", "from_text", "to_text", "cc_text", "bcc_text",
     "sent_at", "sent_day", "message_id", "reference_ids", "base_subject", "preview", "has_attachment")
)  # fmt: skip
_SOURCES = {
    "uid": "m.uid",
    "flags": "m.flags",
    "keywords": "m.keywords",
    "modseq": "m.modseq",
    "email_id": "m.email_id",
    "thread_id": "m.thread_id",
    "size": "e.size",
    "received_at": "e.received_at",
    "prefix": "e.prefix",
    "blob_id": "e.blob_id",
    "trace": "e.trace",
    "segment_id": "b.segment_id",
    "offset": "b.offset",
    "length": "b.length",
    **{name: f"c.{name}" for name in CONTENT},
}


def fetch(tx: Tx, mailbox_id: int, uids: Ranges, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows of `columns` (keys of `_SOURCES`) for the messages with these UIDs, in order of UID.

    Only the tables that the columns need are joined.
    """
    needed = [_SOURCES[c] for c in columns]
    tables = {n[0] for n in needed}
    joins = ""
    if tables & {"e", "b", "c"}:
        joins += " join email e on e.id = m.email_id"
    if "b" in tables:
        joins += " join blob b on b.id = e.blob_id"
    if "c" in tables:
        joins += " join content c on c.blob_id = e.blob_id"
    rows: list[tuple[Any, ...]] = []
    for where, params in _in_ranges(uids, "m.uid"):
        rows += tx.all(
            f"select {', '.join(needed)} from membership m{joins} where m.mailbox_id = ? and {where} order by m.uid",
            mailbox_id,
            *params,
        )
    return rows


def fetch_some(tx: Tx, mailbox_id: int, uids: Ranges, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    """The first `limit` rows of what `fetch` gives; the first column must be `uid`."""
    wanted: list[int] = []
    for where, params in _in_ranges(uids):
        wanted += (
            r[0]
            for r in tx.all(
                f"select uid from membership where mailbox_id = ? and {where} order by uid limit ?",
                mailbox_id, *params, limit - len(wanted),
            )
        )  # fmt: skip
        if len(wanted) >= limit:
            break
    return fetch(tx, mailbox_id, to_ranges(wanted), columns) if wanted else []


def changed_since(tx: Tx, mailbox_id: int, modseq: int) -> list[tuple[int, int]]:
    """(UID, MODSEQ) of messages changed after `modseq`, in order of UID (CHANGEDSINCE, SEARCH MODSEQ)."""
    rows = tx.all(
        "select uid, modseq from membership indexed by membership_modseq"  # or `order by` makes SQLite scan the mailbox
        " where mailbox_id = ? and modseq > ? order by uid",
        mailbox_id,
        modseq,
    )
    return [(r[0], r[1]) for r in rows]


def to_ranges(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Sorted numbers as closed ranges."""
    out: list[tuple[int, int]] = []
    start = previous = 0
    for uid in uids:
        if uid == previous + 1 and start:
            previous = uid
            continue
        if start:
            out.append((start, previous))
        start = previous = uid
    if start:
        out.append((start, previous))
    return out


def _in_ranges(ranges: Ranges, column: str = "uid") -> Iterable[tuple[str, tuple[int, ...]]]:
    """Conditions of a bounded size that cover `ranges`, in order."""
    for at in range(0, len(ranges), _RANGES_A_STATEMENT):
        some = ranges[at : at + _RANGES_A_STATEMENT]
        if len(some) == 1:
            yield f"{column} between ? and ?", (some[0][0], some[0][1])
        else:
            tests = " or ".join(f"{column} between ? and ?" for _ in some)
            outer = f"{column} between {some[0][0]:d} and {some[-1][1]:d}"  # one pass over the index, not one a range
            yield f"{outer} and ({tests})", tuple(n for pair in some for n in pair)


def _count_added(tx: Tx, mailbox_id: int, first_uid: int, next_uid: int, modseq: int) -> None:
    tx.run(
        "update mailbox set uidnext = ?1, modseq = ?2, (total, unseen, deleted, size, unread) ="
        f" (select mailbox.total + count(*), mailbox.unseen + sum(flags & {SEEN} = 0),"
        f" mailbox.deleted + sum(flags & {DELETED} <> 0), mailbox.size + sum(e.size),"
        f" mailbox.unread + sum(flags & {UNREAD_IF_NOT} = 0)"
        " from membership m join email e on e.id = m.email_id where m.mailbox_id = ?3 and m.uid >= ?4) where id = ?3",
        next_uid, modseq, mailbox_id, first_uid,
    )  # fmt: skip
    tx.touched(mailbox_id)


def _box(tx: Tx, mailbox_id: int) -> Mailbox:
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None:
        raise Missing("the mailbox is gone")
    return box
