"""Proves what must always hold: counters, references, numbers that only grow, and every octet that a row points to.

Works while the daemon runs: each step is one short consistent view (an account, some blobs, a segment), and what it
proves can be seen whole in that view. Bytes never change, so they are read with no view open. Nothing is repaired.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from daemon.config import BadSetting
from daemon.limits import LIMITS
from daemon.store import (
    contacts,
    dkim_keys,
    factors,
    fulltext,
    incidents,
    metadata,
    quarantine,
    settings,
    sieve,
    spam,
    submissions,
    threads,
    web_sessions,
)
from daemon.store.db import Store
from daemon.store.keywords import DELETED, SEEN
from daemon.store.mailboxes import INBOX
from daemon.store.segments import HEAD, SegmentDamaged, number_of, path_of
from daemon.store.tx import Tx

_MANY = 100  # findings of one kind in one step; the rest would say the same
_BLOBS = 1000  # blob rows in one step

Progress = Callable[[str, int, int], None]
"""(what is looked at, how much is done, of how much): steps, then octets of messages."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is error (something is lost or will be told wrongly) or warning (nothing is lost)."""

    level: str
    reason: str
    subject: str
    text: str


def check(store: Store, progress: Progress | None = None, deep: bool = True) -> Iterator[Finding]:
    """What does not hold, as it is found. `deep` reads all bytes of all messages and all pages of the database."""
    tell = progress or (lambda what, done, total: None)
    for part in (
        _database,
        _sums,
        _accounts,
        _blobs,
        _queue,
        _acme,
        _policies,
        _lessons,
        _quarantine,
        _incidents,
        _rules,
        _metadata,
        _fulltext,
        _web,
        _web_mail,
        _segments,
        _bytes,
    ):
        try:
            yield from part(store, tell, deep)
        except sqlite3.DatabaseError as error:
            yield Finding("error", "database-damaged", str(store.data.database), f"cannot be read: {error}")


# ------------------------------------------------------------------------------------------------------ the database


def _database(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    tell("database", 0, 2)
    pragma = "integrity_check" if deep else "quick_check"
    for (text,) in store.read_now(Tx.all, f"pragma {pragma}({_MANY})"):
        if text != "ok":
            yield Finding("error", "database-damaged", str(store.data.database), str(text))
    tell("database", 1, 2)
    for table, row, parent, *_ in store.read_now(_first, "pragma foreign_key_check") + store.read_now(_unheld):
        yield Finding("error", "reference-broken", f"{table} {row}", f"points to a row of {parent} that is not there")
    tell("database", 2, 2)


def _first(tx: Tx, sql: str) -> list[tuple[Any, ...]]:
    return [row for _, row in zip(range(_MANY), tx.each(sql), strict=False)]


def _unheld(tx: Tx) -> list[tuple[Any, ...]]:
    """As `pragma foreign_key_check` has it: memberships, which do not declare what they point to."""
    return [
        row
        for column, parent in (("mailbox_id", "mailbox"), ("email_id", "email"), ("keywords", "keyword_set"))
        for row in _first(
            tx,
            f"select 'membership', mailbox_id || '/' || uid, '{parent}' from membership"
            f" where {column} not in (select id from {parent})",
        )
    ]


def _sums(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    try:
        store.read_now(settings.load)
    except BadSetting as error:
        yield Finding("error", "setting-bad", "settings", str(error))
    for day, domain in store.read_now(
        Tx.all,
        "select day, policy_domain from (select day, policy_domain, rows from dmarc_policy union all"
        " select day, policy_domain, -count(*) from dmarc_evidence where facts <> '' group by 1, 2)"
        f" group by 1, 2 having sum(rows) <> 0 limit {_MANY}",
    ):
        yield Finding("error", "evidence-wrong", f"evidence of {domain}", f"rows of day {day} are counted wrongly")
    for (report,) in store.read_now(
        Tx.all, f"select id from report where end_at < begin_at or json_valid(policy) = 0 limit {_MANY}"
    ):
        yield Finding("error", "report-wrong", f"report {report}", "ends before it begins, or has no policy")
    for domain, day in store.read_now(
        Tx.all,
        "select domain, day from report_hand_in h where uri not like 'https:%' or not exists"
        f" (select 1 from report_sent s where s.kind = 'tls' and s.day = h.day and s.domain = h.domain) limit {_MANY}",
    ):
        text = f"of day {day} waits to be handed in, and was never made or is not for HTTPS"
        yield Finding("error", "report-wrong", f"report to {domain}", text)
    for name, counter, highest in store.read_now(
        Tx.all,
        "select m.name, c.value, m.uidvalidity from counter c join mailbox m on m.uidvalidity > c.value"
        f" where c.name = 'uidvalidity' limit {_MANY}",
    ):
        yield Finding("error", "uidvalidity-ahead", f"mailbox {name!r}", f"UIDVALIDITY {highest}, counter {counter}")
    for account, sender in store.read_now(
        Tx.all,
        "select account_id, sender from sender_list where account_id <> 0 and account_id not in"
        f" (select id from account) limit {_MANY}",
    ):
        yield Finding("error", "sender-list-orphan", f"sender {sender!r}", f"is on the list of user {account}: nobody")
    for domain, selector, why in store.read_now(dkim_keys.broken, _MANY):
        yield Finding("error", "dkim-key-wrong", f"key {selector!r} of {domain}", why)


# --------------------------------------------------------------------------------------------------------- accounts


def _accounts(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    total = store.read_now(Tx.value, "select count(*) from account")
    done = last = 0
    while True:
        last, found = store.read_now(_next_account, last)
        if not last:
            return
        yield from found
        done += 1
        tell("accounts", done, total)


def _next_account(tx: Tx, after: int) -> tuple[int, list[Finding]]:
    row = tx.one(
        "select a.id, a.local || '@' || d.name, a.used, a.messages, a.modseq from account a"
        " join domain d on d.id = a.domain_id where a.id > ? order by a.id limit 1",
        after,
    )
    if row is None:
        return 0, []
    account, name, used, messages, modseq = row
    found: list[Finding] = []

    def wrong(reason: str, text: str, subject: str = f"user {name}") -> None:
        found.append(Finding("error", reason, subject, text))

    counted = tx.one("select coalesce(sum(size), 0), count(*) from email where account_id = ?", account)
    if counted != (used, messages):
        wrong("sum-wrong", f"used and messages are {(used, messages)}, counted {counted}")
    if not tx.value("select 1 from mailbox where account_id = ? and name = ?", account, INBOX):
        wrong("inbox-missing", "has no INBOX")
    gone = tx.value("select max(modseq) from mailbox_tombstone where account_id = ?", account)
    if (gone or 0) > modseq:
        wrong("modseq-order", f"a removed mailbox has MODSEQ {gone}, the user {modseq}")
    for why in threads.broken(tx, account, modseq):
        wrong(*why)
    for email, why in _emails(tx, account):
        wrong(*why, f"message {email} of {name}")
    for box in tx.all(
        "select id, name, uidnext, modseq, created_modseq, recent_from, uidvalidity, total, unseen, deleted, size"
        " from mailbox where account_id = ?",
        account,
    ):
        for reason, text in _mailbox(tx, account, modseq, *box):
            wrong(reason, text, f"mailbox {box[1]!r} of {name}")
    return account, found


def _emails(tx: Tx, account: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """Messages of an account: in a mailbox, as long as they say, with content."""
    for email, lost, size, real, content in tx.all(
        "select * from (select e.id as email, not exists (select 1 from membership where email_id = e.id) as lost,"
        " e.size as size, length(e.prefix) + b.length as real, exists (select 1 from content where blob_id = b.id)"
        " as content from email e join blob b on b.id = e.blob_id where e.account_id = ?)"
        f" where lost or size <> real or not content limit {_MANY}",
        account,
    ):
        if lost:
            yield email, ("message-lost", "is in no mailbox")
        if size != real:
            yield email, ("size-wrong", f"says {size} octets, has {real}")
        if not content:
            yield email, ("content-missing", "has no content row: FETCH would not show it")


def _mailbox(
    tx: Tx, account: int, account_modseq: int, box: int, name: str, uidnext: int, modseq: int, created: int,
    recent: int, uidvalidity: int, *stored: int,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    *counted, last_uid, last_modseq, strangers, wordless = tx.one(
        f"select count(*), coalesce(sum(flags & {SEEN} = 0), 0), coalesce(sum(flags & {DELETED} <> 0), 0),"
        " coalesce(sum(e.size), 0), coalesce(max(uid), 0), coalesce(max(modseq), 0), coalesce(sum(e.account_id <> ?),"
        " 0), coalesce(sum(not exists (select 1 from keyword_set k where k.id = m.keywords)), 0)"
        " from membership m left join email e on e.id = m.email_id where mailbox_id = ?",
        account, box,
    ) or ()  # fmt: skip
    if counted != list(stored):
        yield "counter-wrong", f"total, unseen, deleted, size are {list(stored)}, counted {counted}"
    if strangers:
        yield "message-of-another", f"has {strangers} messages of another user"
    if wordless:
        yield "keywords-missing", f"has {wordless} messages with a keyword set that is not there"
    gone_uid, gone_modseq = tx.one(
        "select coalesce(max(uid), 0), coalesce(max(modseq), 0) from tombstone where mailbox_id = ?", box
    ) or (0, 0)
    if uidnext <= max(last_uid, gone_uid):
        yield "uidnext-behind", f"UIDNEXT is {uidnext}, UID {max(last_uid, gone_uid)} was given"
    if not max(last_modseq, gone_modseq, created) <= modseq <= account_modseq:
        yield (
            "modseq-order",
            (
                f"MODSEQ of messages {last_modseq}, expunges {gone_modseq}, creation {created}, mailbox {modseq},"
                f" user {account_modseq} do not grow in this order"
            ),
        )
    if recent > uidnext or not 0 < uidvalidity < 1 << 32:
        yield "number-wrong", f"recent from {recent}, UIDNEXT {uidnext}, UIDVALIDITY {uidvalidity}"
    twice = tx.value(
        "select min(t.uid) from tombstone t join membership m on m.mailbox_id = t.mailbox_id and m.uid = t.uid"
        " where t.mailbox_id = ?",
        box,
    ) or tx.value("select uid from tombstone where mailbox_id = ? group by uid having count(*) > 1 limit 1", box)
    if twice:
        yield "uid-twice", f"UID {twice} was given twice"


# ------------------------------------------------------------------------------------------------- blobs and the queue


def _blobs(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    last = store.read_now(Tx.value, "select max(id) from blob") or 0
    for start in range(0, last + 1, _BLOBS):
        for blob, refs, counted, freed in store.read_now(_referred, start, start + _BLOBS):
            if refs != counted:
                yield Finding("error", "references-wrong", f"blob {blob}", f"refs is {refs}, counted {counted}")
            if (refs == 0) != (freed is not None):
                how = "is not marked as free" if freed is None else "is marked as free, and is not"
                yield Finding("error", "freed-wrong", f"blob {blob}", how)
        tell("blobs", min(start + _BLOBS, last), last)


def _referred(tx: Tx, start: int, end: int) -> list[tuple[Any, ...]]:
    return tx.all(
        "select * from (select id, refs, (select count(*) from email where blob_id = b.id)"
        " + (select count(*) from queue_message where blob_id = b.id)"
        " + (select count(*) from quarantine where blob_id = b.id) + (select count(*) from upload where blob_id = b.id)"
        " + (select count(*) from submission where blob_id = b.id) as counted, freed_at from blob b"
        f" where id >= ? and id < ?) where refs <> counted or (refs = 0) <> (freed_at is not null) limit {_MANY}",
        start, end,
    )  # fmt: skip


def _queue(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for reason, text, sql in (
        ("queue-empty", "has no recipient and will never go",
         "select id from queue_message q where not exists (select 1 from queue_recipient where message_id = q.id)"),
        ("queue-orphan", "is a recipient without a message",
         "select id from queue_recipient r where not exists (select 1 from queue_message where id = r.message_id)"),
        ("size-wrong", "is not as long as it says",
         "select q.id from queue_message q join blob b on b.id = q.blob_id"
         " where q.size <> length(q.prefix) + b.length"),
    ):  # fmt: skip
        for (number,) in store.read_now(Tx.all, f"{sql} limit {_MANY}"):
            yield Finding("error", reason, f"queue {number}", text)
    tell("queue", 1, 1)


def _acme(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text, sql in (
        ("certificate", "ends before it begins, or has no name",
         "select id from certificate where not_before_at >= not_after_at or names = ''"),
        ("next key", "may be used before it was made", "select name from next_key where ready_at < created_at"),
        ("order", "ended before it began", "select id from acme_order where ended_at < began_at"),
        ("certificate", "is not from an authority, and one is asked about it",
         "select c.id from certificate c join acme_renewal r on r.certificate_id = c.id where c.source <> 'acme'"),
    ):  # fmt: skip
        for (number,) in store.read_now(Tx.all, f"{sql} limit {_MANY}"):
            yield Finding("error", "certificate-row-wrong", f"{subject} {number}", text)


def _policies(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    """What others promise of TLS holds for as long as they said, and names somebody."""
    for (domain,) in store.read_now(
        Tx.all,
        "select domain from mta_sts where expires_at <> fetched_at + max_age * 1000 or mode <> 'none' and mx = ''"
        f" limit {_MANY}",
    ):
        yield Finding("error", "policy-wrong", domain, "its MTA-STS policy names no host, or ends at another time")
    tell("policies", 1, 1)


def _lessons(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    """What the filter learnt is the sum of its lessons, and belongs to somebody."""
    owners = store.read_now(spam.owners)
    for done, owner in enumerate(owners, 1):
        for why in store.read_now(spam.wrong, owner):
            yield Finding("error", "lessons-wrong", f"lessons of account {owner}" if owner else "lessons of all", why)
        tell("lessons", done, len(owners))


def _quarantine(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(quarantine.wrong, _MANY):
        yield Finding("error", "quarantine-wrong", subject, text)


def _incidents(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(incidents.wrong, _MANY):
        yield Finding("error", "incident-wrong", subject, text)


def _rules(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(sieve.wrong, _MANY):
        yield Finding("error", "rules-wrong", subject, text)


def _metadata(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(metadata.wrong, _MANY):
        yield Finding("error", "metadata-wrong", subject, text)


def _fulltext(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(fulltext.wrong, _MANY):
        yield Finding("error", "index-wrong", subject, text)


def _web(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(web_sessions.wrong, _MANY):
        yield Finding("error", "web-session-wrong", subject, text)
    for subject, text in store.read_now(contacts.wrong, _MANY):
        yield Finding("error", "owner-state-wrong", subject, text)
    for subject, text in store.read_now(factors.wrong, _MANY):
        yield Finding("error", "two-factor-wrong", subject, text)


def _web_mail(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    for subject, text in store.read_now(submissions.wrong, _MANY):
        yield Finding("error", "web-mail-wrong", subject, text)


# ------------------------------------------------------------------------------------------------- segments and bytes


def _segments(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    names = sorted(os.listdir(store.data.segments))  # before the rows: a file without a row then has none
    rows = store.read_now(Tx.all, "select id from segment order by id")
    known = {row[0] for row in rows}
    highest = store.read_now(Tx.value, "select seq from sqlite_sequence where name = 'segment'") or 0
    for done, segment in enumerate(sorted(known), 1):
        yield from _segment(store, segment)
        tell("segments", done, len(known))
    for name in names:
        number = number_of(name)
        if number is None:
            yield Finding("warning", "file-unknown", name, f"is none of ours in {store.data.segments}")
        elif number > highest:
            yield Finding("warning", "segment-unknown", f"segment {number}", "is of a newer database than this one")
        elif number not in known and _age(store, number) > 2 * LIMITS.blob_grace:
            yield Finding("warning", "segment-orphan", f"segment {number}", "is a file to which no row points")


def _segment(store: Store, segment: int) -> Iterator[Finding]:
    row = store.read_now(_measure, segment)
    if row is None:  # dropped meanwhile
        return
    size, dead, live, end, overlap = row
    subject = f"segment {segment}"
    path = path_of(store.data.segments, segment)
    real = path.stat().st_size if path.exists() else 0
    if real < size:
        yield Finding("error", "segment-short", subject, f"has {real} octets on disk of {size}")
    if end > size:
        yield Finding("error", "segment-short", subject, f"{size} octets are known to be good, a blob ends at {end}")
    if overlap:
        yield Finding("error", "blobs-overlap", subject, f"blob {overlap} begins where another one lies")
    if live + dead > size:
        yield Finding("warning", "dead-wrong", subject, f"{live} live and {dead} dead octets are more than {size}")


def _measure(tx: Tx, segment: int) -> tuple[Any, ...] | None:
    return tx.one(
        "select s.size, s.dead, coalesce(sum(b.length + ?2), 0), coalesce(max(b.offset + b.length), 0),"
        " (select min(id) from (select id, offset, lag(offset + length, 1, 0) over (order by offset) as previous"
        " from blob where segment_id = ?1) where offset - ?2 < previous)"
        " from segment s left join blob b on b.segment_id = s.id where s.id = ?1 group by s.id",
        segment, HEAD.size,
    )  # fmt: skip


def _age(store: Store, segment: int) -> float:
    try:
        return time.time() - path_of(store.data.segments, segment).stat().st_mtime
    except FileNotFoundError:
        return 0


def _bytes(store: Store, tell: Progress, deep: bool) -> Iterator[Finding]:
    total = store.read_now(Tx.value, "select coalesce(sum(length), 0) from blob")
    done = last = 0
    while rows := store.read_now(Tx.all, f"{_PLACES} where id > ? order by id limit {_BLOBS}", last):
        for row in rows:
            done += row[4]
            error = _damage(store, row, deep)
            if error is not None:
                yield Finding("error", "bytes-damaged", f"blob {row[0]}", f"{error}; {_holders(store, row[0])}")
            tell("bytes", done, max(done, total))
        last = rows[-1][0]


_PLACES = "select id, sha256, segment_id, offset, length from blob"


def _damage(store: Store, row: tuple[Any, ...], deep: bool) -> SegmentDamaged | None:
    """What is wrong with the bytes of a blob. It may have moved, or gone, since the row was read."""
    blob, sha256, segment, offset, length = row
    while True:
        try:
            if deep:
                store.segments.verify(segment, offset, length, sha256)
            else:
                store.segments.verify_head(segment, offset, length, sha256)
                store.segments.read(segment, offset + max(length, 1) - 1, min(length, 1))
        except SegmentDamaged as error:
            now = store.read_now(Tx.one, f"{_PLACES} where id = ?", blob)
            if now is not None and now[2:4] != (segment, offset):
                segment, offset = now[2:4]
                continue
            return None if now is None else error
        return None


def _holders(store: Store, blob: int) -> str:
    """Whose messages they are, for whoever restores them."""
    rows = store.read_now(
        Tx.all,
        "select a.local || '@' || d.name, m.name, s.uid from email e join account a on a.id = e.account_id"
        " join domain d on d.id = a.domain_id join membership s on s.email_id = e.id"
        " join mailbox m on m.id = s.mailbox_id where e.blob_id = ? limit 5",
        blob,
    )
    return "no mailbox has it" if not rows else ", ".join(f"{who} {box!r} UID {uid}" for who, box, uid in rows)
