"""A verdict is undone, or carried out: what is kept goes to the INBOX it was meant for, or away."""

from __future__ import annotations

from typing import NamedTuple

from daemon.mail.summary import Summary
from daemon.store import blobs, events, mailboxes, messages, quarantine, sender_lists, spam
from daemon.store.quarantine import Row
from daemon.store.tx import Tx


class Release(NamedTuple):
    """What is let go: the row, only if it is this user's (None: anybody's); what the message contains, for one that was
    refused; whether its author goes on the user's list of those who are let in; who does it (administrator, link)."""

    number: int
    account_id: int | None
    summary: Summary | None
    allow: bool
    by: str
    quota: int


def release(tx: Tx, asked: Release) -> Row:
    """Into the INBOX, as it came and when it came; it is learnt as wanted. Raises `Missing`, `OverQuota`, `Invalid`."""
    row = quarantine.get(tx, asked.number, asked.account_id)
    if row.email_id is None:
        email_id = _deliver(tx, row, asked)
    else:
        email_id = row.email_id
        _move(tx, row, email_id)
    spam.teach(tx, row.account_id, email_id, "ham")
    if asked.allow and row.kept.author:
        sender_lists.put(tx, row.account_id, row.kept.author, allowed=True, note="released from the quarantine")
    events.record(
        tx, row.trace, "released", "quarantine", recipient=row.kept.recipient,
        user=row.user, by=asked.by, mailbox=mailboxes.INBOX, allowed=(asked.allow and row.kept.author) or None,
    )  # fmt: skip
    return row


def _deliver(tx: Tx, row: Row, asked: Release) -> int:
    """The bytes stay where they are: their reference goes over from the row to the message."""
    blob_id: int = tx.value("select blob_id from quarantine where id = ?", row.id)
    if asked.summary is not None:
        blobs.describe(tx, blob_id, asked.summary)
    placed = messages.put(
        tx, row.account_id, mailboxes.INBOX, blob_id, row.place.length,
        prefix=row.prefix, received_at=row.at, trace=row.trace, default_quota=asked.quota,
    )  # fmt: skip
    blobs.hold(tx, blob_id)
    quarantine.drop(tx, [row.id])
    events.record(
        tx, row.trace, "delivered", recipient=row.kept.recipient,
        user=row.user, mailbox=mailboxes.INBOX, uid=placed.uid,
    )  # fmt: skip
    return placed.email_id


def _move(tx: Tx, row: Row, email_id: int) -> None:
    target = mailboxes.get(tx, row.account_id, mailboxes.INBOX)
    places = _in_junk(tx, email_id)
    messages.move(tx, *places[0], target.id)
    for mailbox_id, uids in places[1:]:
        messages.remove(tx, mailbox_id, uids)
    quarantine.drop(tx, [row.id])


def _in_junk(tx: Tx, email_id: int) -> list[tuple[int, messages.Ranges]]:
    rows = tx.all(
        "select m.mailbox_id, m.uid from membership m join mailbox x on x.id = m.mailbox_id"
        " where m.email_id = ? and x.special_use = '\\Junk' order by 1, 2",
        email_id,
    )
    return [(mailbox_id, [(uid, uid)]) for mailbox_id, uid in rows]


def remove(tx: Tx, number: int, by: str, account_id: int | None = None) -> Row:
    """Throw it away: what is kept of it, or the copy in Junk. Raises `Missing`."""
    row = quarantine.get(tx, number, account_id)
    if row.email_id is None:
        quarantine.drop(tx, [row.id])
    else:
        for mailbox_id, uids in _in_junk(tx, row.email_id):
            messages.remove(tx, mailbox_id, uids)
        quarantine.drop(tx, [row.id])  # it may be in another mailbox too
    events.record(tx, row.trace, "dropped", "quarantine", recipient=row.kept.recipient, user=row.user, by=by)
    return row
