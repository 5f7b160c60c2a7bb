"""Whom our users write to, and what they sent: mail from these people, and answers to these messages, is expected."""

from __future__ import annotations

import json
from collections.abc import Sequence

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store.tx import Tx

_DAY = 86_400_000  # ms


def name_of(address: Address) -> str:
    """One spelling for each address."""
    local, domain = address.key
    return f"{local}@{domain}"


def wrote(tx: Tx, account_id: int, recipients: Sequence[Address], message_id: str | None) -> None:
    """A user sent a message. A mailing to very many makes nobody a correspondent; its answers are known as such."""
    if len(recipients) <= LIMITS.correspondents_at_once:
        tx.many(
            "insert into correspondent (account_id, address, at) values (?, ?, ?)"
            " on conflict (account_id, address) do update set at = excluded.at",
            [(account_id, name_of(recipient), tx.now) for recipient in recipients],
        )
    if message_id and len(message_id) <= LIMITS.sent_message_id:
        tx.run(
            "insert into sent_message (account_id, message_id, at) values (?, ?, ?)"
            " on conflict (account_id, message_id) do update set at = excluded.at",
            account_id, message_id, tx.now,
        )  # fmt: skip


def strangers(tx: Tx, account_id: int, recipients: Sequence[Address]) -> int:
    """How many of them the user has never written to."""
    names = {name_of(recipient) for recipient in recipients}
    if not names:
        return 0
    known: int = tx.value(
        "select count(*) from correspondent where account_id = ? and address in (select value from json_each(?))",
        account_id, json.dumps(list(names)),
    )  # fmt: skip
    return len(names) - known


def knows(tx: Tx, account_id: int, author: Address) -> bool:
    """Whether the user has written to this author."""
    return bool(
        tx.value("select 1 from correspondent where account_id = ? and address = ?", account_id, name_of(author))
    )


def answers(tx: Tx, account_id: int, message_ids: Sequence[str]) -> bool:
    """Whether one of these (of In-Reply-To and References) is of a message that the user sent."""
    asked = message_ids[-LIMITS.references :]
    if not asked:
        return False
    marks = ", ".join("?" * len(asked))
    return bool(
        tx.value(
            f"select 1 from sent_message where account_id = ? and message_id in ({marks}) limit 1", account_id, *asked
        )
    )


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` of each that are too old to matter; how many went."""
    return tx.run(
        "delete from correspondent where (account_id, address) in"
        " (select account_id, address from correspondent where at < ? order by at limit ?)",
        tx.now - LIMITS.correspondent_memory * 1000, limit,
    ) + tx.run(
        "delete from sent_message where (account_id, message_id) in"
        " (select account_id, message_id from sent_message where at < ? order by at limit ?)",
        tx.now - LIMITS.sent_message_memory * 1000, limit,
    )  # fmt: skip
