"""Conversations: which thread a message belongs to (RFC 8621 §3), and how many of them a mailbox has.

Messages are of one thread when they share a message id (of Message-ID, In-Reply-To or References) and the base subject.
So each (id, base subject) is a key that points to a thread; a message joins the thread of the first of its keys that is
known, and makes the others known. It stays where it was put: threads that are found to be one later are not joined
(a thread id never changes, RFC 8621 §4.1.1).

A thread is numbered with the MODSEQ of its first message, so that none has to be made. What a mailbox counts is kept
right by those who write few rows (`Counting`); whoever writes many says that it is to be counted again (`LIMITS.step`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from daemon.limits import LIMITS
from daemon.store.tx import Tx

UNREAD = "flags & 17 = 0"  # not seen, and no draft (RFC 8621 §2)


def keys_of(account_id: int, message_id: str | None, reference_ids: str, base_subject: str) -> list[int]:
    """The keys of a message: its own first, then those of what it answers, the nearest first."""
    ids = [message_id] if message_id else []
    if reference_ids:
        ids += reference_ids.split()[: -LIMITS.thread_keys - 1 : -1]
    rest = f"\0{account_id}\0{base_subject}"
    return [
        int.from_bytes(blake2b((one + rest).encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)
        for one in dict.fromkeys(ids)
    ]


def join(tx: Tx, account_id: int, blob_id: int, modseq: int) -> int:
    """The thread of a message that is put with this MODSEQ; its keys are known from now on."""
    row = tx.one("select message_id, reference_ids, base_subject from content where blob_id = ?", blob_id)
    keys = [] if row is None else keys_of(account_id, *row)
    if len(keys) == 1:  # nearly all mail: one statement, for every delivery waits for this
        thread_id: int = tx.value(
            "insert into thread_key (key, account_id, thread_id) values (?, ?, ?)"
            " on conflict (key) do update set key = key returning thread_id",
            keys[0], account_id, modseq,
        )  # fmt: skip
        return thread_id if thread_id == modseq else _joined(tx, account_id, keys, modseq)
    return _joined(tx, account_id, keys, modseq) if keys else modseq


def _joined(tx: Tx, account_id: int, keys: Sequence[int], modseq: int) -> int:
    known = dict(
        tx.all(
            f"select key, thread_id from thread_key where key in ({_marks(keys)}) and account_id = ?",
            *keys, account_id,
        )
    )  # fmt: skip
    thread_id = next((known[key] for key in keys if key in known), modseq)
    if thread_id != modseq and _is_full(tx, account_id, thread_id):
        thread_id = modseq
        tx.run(f"delete from thread_key where key in ({_marks(keys)})", *keys)  # what comes next follows the new one
        known = {}
    tx.many(
        "insert into thread_key (key, account_id, thread_id) values (?, ?, ?) on conflict do nothing",
        [(key, account_id, thread_id) for key in keys if key not in known],
    )
    return thread_id


def _marks(values: Sequence[int]) -> str:
    return ", ".join("?" * len(values))


def _is_full(tx: Tx, account_id: int, thread_id: int) -> bool:
    """Whether it has as many messages as a thread may have: what looks at a whole thread stays quick."""
    count: int = tx.value(
        "select count(*) from (select 1 from email where account_id = ? and thread_id = ? limit ?)",
        account_id, thread_id, LIMITS.thread_emails,
    )  # fmt: skip
    return count >= LIMITS.thread_emails


def assign_all(tx: Tx) -> None:
    """Give every message of a database that had no threads its own, the oldest first (schema step `jmap`)."""
    rows = tx.each(
        "select e.id, e.account_id, e.created_modseq, c.message_id, c.reference_ids, c.base_subject"
        " from email e left join content c on c.blob_id = e.blob_id order by e.id"
    )
    threads: dict[int, tuple[int, int]] = {}
    sizes: dict[tuple[int, int], int] = {}
    found: list[tuple[int, int]] = []
    for email_id, account_id, modseq, message_id, reference_ids, base_subject in rows:
        keys = keys_of(account_id, message_id, reference_ids or "", base_subject or "")
        thread = next((threads[key] for key in keys if key in threads), (account_id, modseq))
        full = sizes.get(thread, 0) >= LIMITS.thread_emails
        if full:
            thread = account_id, modseq
        for key in keys:
            if full or key not in threads:
                threads[key] = thread
        sizes[thread] = sizes.get(thread, 0) + 1
        found.append((thread[1], email_id))
    tx.many("update email set thread_id = ? where id = ?", found)
    tx.many(
        "insert into thread_key (key, account_id, thread_id) values (?, ?, ?)",
        [(key, *threads[key]) for key in sorted(threads)],
    )
    tx.run(
        "update membership set (received_at, thread_id) ="
        " (select received_at, thread_id from email where id = membership.email_id)"
    )


def sweep(tx: Tx, after: int, limit: int) -> int | None:
    """Drop those of the next `limit` keys beyond `after` whose thread has no message any more; the last one looked
    at, None at the end."""
    rows = tx.all(
        "select key, exists (select 1 from email e where e.account_id = k.account_id and e.thread_id = k.thread_id)"
        " from thread_key k where key > ? order by key limit ?",
        after, limit,
    )  # fmt: skip
    tx.many("delete from thread_key where key = ?", [(key,) for key, lives in rows if not lives])
    return rows[-1][0] if len(rows) == limit else None


# ------------------------------------------------------------------------------------------------------------ counting


def counts(tx: Tx, account_id: int, mailbox_id: int, threads: Iterable[int]) -> tuple[int, int]:
    """How many of these threads a mailbox has, and in how many of them there is something unread."""
    row = tx.one(
        "select count(*), coalesce(sum(u), 0) from (select max(m.flags & 17 = 0) as u from json_each(?) j"
        " cross join email e indexed by email_thread on e.account_id = ? and e.thread_id = j.value"
        " cross join membership m indexed by membership_email on m.email_id = e.id and m.mailbox_id = ?"
        " group by j.value)",
        json.dumps(list(threads)), account_id, mailbox_id,
    )  # fmt: skip
    return row or (0, 0)


def added(tx: Tx, account_id: int, mailbox_id: int, thread_id: int, is_new: bool, unread: bool) -> tuple[int, int]:
    """What a message more of this thread adds to the counts of a mailbox, before it is there."""
    if is_new:
        return 1, int(unread)
    row = tx.one(
        "select count(*), coalesce(max(m.flags & 17 = 0), 0) from email e indexed by email_thread"
        " cross join membership m indexed by membership_email on m.email_id = e.id and m.mailbox_id = ?"
        " where e.account_id = ? and e.thread_id = ?",
        mailbox_id, account_id, thread_id,
    )  # fmt: skip
    had, had_unread = row or (0, 0)
    return int(not had), int(unread and not had_unread)


class Counting:
    """What a mailbox counts, around a change that touches the threads of some memberships:

        counting = Counting(tx, account_id, mailbox_id, condition, params, rows)
        ...the change...
        counting.done()

    `condition` selects these memberships, before the change. Of more than `LIMITS.step` rows the mailbox is to be
    counted again by who asks (`count_all`).
    """

    __slots__ = ("tx", "account_id", "mailbox_id", "threads", "before")

    def __init__(
        self, tx: Tx, account_id: int, mailbox_id: int, condition: str, params: Sequence[Any], rows: int
    ) -> None:
        self.tx = tx
        self.account_id = account_id
        self.mailbox_id = mailbox_id
        self.threads: list[int] | None = None
        if rows <= LIMITS.step:
            found = tx.all(f"select distinct thread_id from membership where {condition}", *params)
            self.threads = [row[0] for row in found]
            self.before = counts(tx, account_id, mailbox_id, self.threads)

    def done(self) -> None:
        if self.threads is None:
            self.tx.run("update mailbox set threads = null, unread_threads = null where id = ?", self.mailbox_id)
            return
        after = counts(self.tx, self.account_id, self.mailbox_id, self.threads)
        if after != self.before:
            self.tx.run(
                "update mailbox set threads = threads + ?, unread_threads = unread_threads + ? where id = ?",
                after[0] - self.before[0], after[1] - self.before[1], self.mailbox_id,
            )  # fmt: skip


def count_all(tx: Tx, mailbox_id: int) -> tuple[int, int, int]:
    """Threads of a mailbox, and those with something unread in it, at this MODSEQ of it (told first): a look at every
    row."""
    modseq = tx.value("select modseq from mailbox where id = ?", mailbox_id) or 0
    row = tx.one(
        f"select count(*), coalesce(sum(u), 0) from (select max({UNREAD}) as u from membership where mailbox_id = ?"
        " group by thread_id)",
        mailbox_id,
    )
    return modseq, *(row or (0, 0))


def remember(tx: Tx, mailbox_id: int, modseq: int, threads: int, unread_threads: int) -> None:
    """What a reader counted, unless the mailbox has changed since."""
    tx.run(
        "update mailbox set threads = ?, unread_threads = ? where id = ? and modseq = ? and threads is null",
        threads, unread_threads, mailbox_id, modseq,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ checking


def broken(tx: Tx, account_id: int, modseq: int) -> Iterator[tuple[str, str]]:
    """What does not hold of an account's conversations: a reason and words."""
    for box, name, *stored in tx.all(
        "select id, name, unread, threads, unread_threads from mailbox where account_id = ?", account_id
    ):
        unread = tx.value(f"select count(*) from membership where mailbox_id = ? and {UNREAD}", box)
        counted = [unread, None, None] if stored[1] is None else [unread, *count_all(tx, box)[1:]]
        if stored != counted:
            yield "counter-wrong", f"unread, threads, unread threads of {name!r} are {stored}, counted {counted}"
    copies = tx.value(
        "select count(*) from membership m join email e on e.id = m.email_id where e.account_id = ?"
        " and (m.thread_id, m.received_at) <> (e.thread_id, e.received_at)",
        account_id,
    )
    if copies:
        yield "thread-wrong", f"{copies} memberships say another thread or date than their messages"
    beyond = tx.value(
        "select count(*) from email where account_id = ? and not thread_id between 1 and created_modseq", account_id
    )
    if beyond:
        yield "thread-wrong", f"{beyond} messages are of a thread that begins after them"
    ghosts = tx.value(
        "select count(*) from email_tombstone t where account_id = ? and (modseq > ? or created_modseq > modseq"
        " or exists (select 1 from email e where e.id = t.email_id))",
        account_id, modseq,
    )  # fmt: skip
    if ghosts:
        yield "tombstone-wrong", f"{ghosts} messages are told as gone that are there, or went in the future"
