"""Messages that users send over the web: those that wait for their time, those that went, those called back.

    pending --its time comes, it is taken--> final
       |------its time comes, it cannot go-> final, with a refusal
       |------its user undoes it-----------> canceled

A pending one holds the bytes of its message, whatever becomes of the draft. That it went is settled in the transaction
that takes the message (`flow/deliver`): of two who send it one finds it settled, and nothing of his is done. So a
crash, at whatever moment, sends it once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store import blobs, states, web_changes
from daemon.store.blobs import Place
from daemon.store.errors import Invalid, Missing, Refusal
from daemon.store.tx import Tx

TYPE = "EmailSubmission"  # as JMAP calls it


class Settled(Refusal):
    """It went already, or was called back: nothing was done."""


class New(NamedTuple):
    """One to be made. `envelope` as RFC 8621 §7 has it; `send_at` in ms."""

    account_id: int
    identity_id: int
    email_id: int
    thread_id: int
    blob_id: int
    envelope: dict[str, Any]
    send_at: int


class Submission(NamedTuple):
    id: int
    account_id: int
    identity_id: int
    email_id: int
    thread_id: int
    envelope: dict[str, Any]
    state: str
    send_at: int
    trace: str | None
    refusal: str | None


class Due(NamedTuple):
    """One whose time has come, with where its message lies."""

    submission: Submission
    place: Place


class Settlement(NamedTuple):
    """What the transaction that takes a message says of its submission: `id` of one that waited, or a `new` one.
    `refusal`: what is taken is the letter to its owner that it could not go."""

    id: int | None = None
    new: New | None = None
    refusal: str | None = None

    def settle(self, tx: Tx, trace: str) -> None:
        """Raises `Settled`."""
        if self.new is not None:
            _insert(tx, self.new, "final", trace)
        elif self.id is not None:
            _end(tx, self.id, "final", trace=None if self.refusal else trace, refusal=self.refusal)


_COLUMNS = (
    "s.id, s.account_id, s.identity_id, s.email_id, s.thread_id, s.envelope, s.state, s.send_at, s.trace, s.refusal"
)


def settle(tx: Tx, settlement: Settlement, trace: str) -> None:
    """Of a message that was taken and thrown away. Raises `Settled`."""
    settlement.settle(tx, trace)


def put(tx: Tx, new: New) -> int:
    """One that waits for its time; its id. Raises `Invalid` for one too many."""
    waiting = tx.value("select count(*) from submission where account_id = ? and state = 'pending'", new.account_id)
    if waiting >= LIMITS.submissions:
        raise Invalid(f"at most {LIMITS.submissions} messages of a user wait for their time")
    blobs.hold(tx, new.blob_id)
    return _insert(tx, new, "pending", None)


def cancel(tx: Tx, account_id: int, submission_id: int) -> None:
    """Call it back. Raises `Missing`, `Settled` when it is too late."""
    found = find(tx, account_id, submission_id)
    if found is None:
        raise Missing("there is no such submission")
    _end(tx, submission_id, "canceled")


def refuse(tx: Tx, submission_id: int, why: str) -> None:
    """Its time came, and it cannot go. Raises `Settled`."""
    _end(tx, submission_id, "final", refusal=why)


def put_off(tx: Tx, submission_id: int, until: int) -> None:
    """It could not go for now."""
    tx.run("update submission set due_at = ? where id = ? and state = 'pending'", until, submission_id)


def remove(tx: Tx, account_id: int, submission_id: int) -> None:
    """Of a pending one only the record goes: it is sent all the same (RFC 8621 §7.5), so it may not go yet.

    Raises `Missing`, `Invalid`.
    """
    row = tx.one(
        "select state, created_modseq from submission where account_id = ? and id = ?", account_id, submission_id
    )
    if row is None:
        raise Missing("there is no such submission")
    if row[0] == "pending":
        raise Invalid("the message waits for its time; undo it first")
    _bury(tx, account_id, submission_id, row[1])


def find(tx: Tx, account_id: int, submission_id: int) -> Submission | None:
    row = tx.one(f"select {_COLUMNS} from submission s where account_id = ? and id = ?", account_id, submission_id)
    return None if row is None else _submission(row)


def of_trace(tx: Tx, trace: str) -> Submission | None:
    row = tx.one(f"select {_COLUMNS} from submission s where trace = ?", trace)
    return None if row is None else _submission(row)


def everyone(tx: Tx, account_id: int) -> list[Submission]:
    """All of a user's, the oldest first."""
    rows = tx.all(f"select {_COLUMNS} from submission s where account_id = ? order by id", account_id)
    return [_submission(row) for row in rows]


def due(tx: Tx, limit: int) -> list[Due]:
    """Those whose time has come, the longest waiting first."""
    rows = tx.all(
        f"select {_COLUMNS}, b.segment_id, b.offset, b.length from submission s join blob b on b.id = s.blob_id"
        " where s.state = 'pending' and s.due_at <= ? order by s.due_at limit ?",
        tx.now, limit,
    )  # fmt: skip
    return [Due(_submission(row[:10]), Place(*row[10:])) for row in rows]


def next_due(tx: Tx) -> int | None:
    """When the next one's time comes."""
    at: int | None = tx.value("select min(due_at) from submission where state = 'pending'")
    return at


def fates(tx: Tx, traces: list[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """What became of messages: (trace, recipient) to (`queued`, `delivered` or `failed`, the words of who took it)."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    asked = json.dumps(traces)
    for trace, kind, recipient, detail in tx.all(
        "select trace, kind, recipient, detail from event where trace in (select value from json_each(?))"
        " and kind in ('delivered', 'sent', 'failed', 'expired', 'queued', 'held', 'deferred')"
        " and recipient is not null order by id",
        asked,
    ):
        words = json.loads(detail) if detail else {}
        found[trace, recipient] = (kind, str(words.get("reply") or words.get("text") or ""))
    return found


def heard(tx: Tx, traces: Iterable[str]) -> None:
    """Something became of recipients of these messages: who listens to their submissions hears of it."""
    for trace in traces:
        row = tx.one("select id, account_id from submission where trace = ?", trace)
        if row is not None:
            tx.run("update submission set modseq = ? where id = ?", states.changed(tx, row[1], TYPE), row[0])


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` that were over long ago; how many went."""
    rows = tx.all(
        "select account_id, id, created_modseq from submission where state <> 'pending' and send_at < ? limit ?",
        tx.now - LIMITS.submission_memory * 1000, limit,
    )  # fmt: skip
    for row in rows:
        _bury(tx, *row)
    return len(rows)


def forget_user(tx: Tx, account_id: int) -> None:
    gone = tx.all("delete from submission where account_id = ? returning blob_id", account_id)
    blobs.release(tx, (row[0] for row in gone if row[0] is not None))


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What does not hold, for `check`: of whom, and what."""
    found = [
        (f"submission {number}", "is of nobody, or of a MODSEQ that is to come")
        for (number,) in tx.all(
            "select s.id from submission s left join account a on a.id = s.account_id where a.id is null"
            " or s.modseq > a.modseq or s.created_modseq > s.modseq limit ?",
            limit,
        )
    ]
    found += [
        (f"upload {name}", "is of nobody, or not as long as it says")
        for (name,) in tx.all(
            "select u.id from upload u join blob b on b.id = u.blob_id where u.size <> b.length"
            " or u.account_id not in (select id from account) limit ?",
            limit,
        )
    ]
    found += [
        (f"{kind} {number}", "is listed as gone, and is there")
        for kind, number in tx.all(
            "select kind, object_id from web_tombstone where kind = 'submission' and object_id in (select id from"
            " submission) or kind = 'identity' and object_id in (select id from identity) limit ?",
            limit,
        )
    ]
    return found


def _insert(tx: Tx, new: New, state: str, trace: str | None) -> int:
    modseq = states.changed(tx, new.account_id, TYPE)
    return tx.insert(
        "insert into submission (account_id, identity_id, email_id, thread_id, blob_id, envelope, state, send_at,"
        " due_at, trace, modseq, created_modseq) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        new.account_id, new.identity_id, new.email_id, new.thread_id, new.blob_id if state == "pending" else None,
        json.dumps(new.envelope), state, new.send_at, new.send_at, trace, modseq, modseq,
    )  # fmt: skip


def _end(tx: Tx, submission_id: int, state: str, *, trace: str | None = None, refusal: str | None = None) -> None:
    row = tx.one("select account_id, blob_id from submission where id = ? and state = 'pending'", submission_id)
    if row is None:
        raise Settled("it went already, or was called back")
    tx.run(
        "update submission set state = ?, trace = ?, refusal = ?, blob_id = null, modseq = ? where id = ?",
        state, trace, refusal, states.changed(tx, row[0], TYPE), submission_id,
    )  # fmt: skip
    blobs.release(tx, [row[1]])


def _bury(tx: Tx, account_id: int, submission_id: int, created_modseq: int) -> None:
    tx.run("delete from submission where id = ?", submission_id)
    web_changes.bury(tx, account_id, "submission", submission_id, created_modseq, states.changed(tx, account_id, TYPE))


def _submission(row: tuple[Any, ...]) -> Submission:
    number, account, identity, email, thread, envelope, state, send_at, trace, refusal = row
    envelope = json.loads(envelope)
    return Submission(number, account, identity, email, thread, envelope, state, send_at, trace, refusal)
