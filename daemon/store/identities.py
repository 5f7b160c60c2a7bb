"""Who a user writes as: names, addresses and signatures (RFC 8621 §6).

Each user has one that stays, with his own address; whether he may write as another is asked when it is made, and again
whenever something is sent (`addresses.may_send_as`).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store import accounts, states, web_changes
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx

Addresses = list[dict[str, Any]]


class Identity(NamedTuple):
    """`reply_to` and `bcc` are lists of EmailAddress, or None."""

    id: int
    email: str
    name: str = ""
    reply_to: Addresses | None = None
    bcc: Addresses | None = None
    text_signature: str = ""
    html_signature: str = ""
    may_delete: bool = True


_COLUMNS = "id, email, name, reply_to, bcc, text_signature, html_signature, may_delete"
_CHANGEABLE = ("name", "reply_to", "bcc", "text_signature", "html_signature")


def everyone(tx: Tx, account_id: int) -> list[Identity]:
    """All of a user's, the one that stays first."""
    rows = tx.all(f"select {_COLUMNS} from identity where account_id = ? order by may_delete, id", account_id)
    return [_identity(row) for row in rows]


def find(tx: Tx, account_id: int, identity_id: int) -> Identity | None:
    row = tx.one(f"select {_COLUMNS} from identity where account_id = ? and id = ?", account_id, identity_id)
    return None if row is None else _identity(row)


def begin(tx: Tx, account_id: int) -> list[Identity]:
    """Make the one that stays, if there is none yet; all there are. Raises `Missing`."""
    if not tx.value("select 1 from identity where account_id = ? and not may_delete", account_id):
        account = accounts.by_id(tx, account_id)
        if account is None:
            raise Missing("the user is gone")
        _insert(tx, account_id, Identity(0, str(account.address), account.display_name, may_delete=False))
    return everyone(tx, account_id)


def create(tx: Tx, account_id: int, new: Identity) -> int:
    """The id it gets. Raises `Invalid` for one too many."""
    if tx.value("select count(*) from identity where account_id = ?", account_id) >= LIMITS.identities:
        raise Invalid(f"a user has at most {LIMITS.identities} identities")
    return _insert(tx, account_id, new)


def change(tx: Tx, account_id: int, identity_id: int, values: dict[str, Any]) -> None:
    """Set some of name, reply_to, bcc, text_signature, html_signature. Raises `Missing`."""
    row = tx.one("select 1 from identity where account_id = ? and id = ?", account_id, identity_id)
    if row is None:
        raise Missing("there is no such identity")
    for column, value in values.items():
        assert column in _CHANGEABLE
        kept = json.dumps(value) if isinstance(value, list) else value
        tx.run(f"update identity set {column} = ? where id = ?", kept, identity_id)
    tx.run("update identity set modseq = ? where id = ?", states.changed(tx, account_id, "Identity"), identity_id)


def remove(tx: Tx, account_id: int, identity_id: int) -> None:
    """Raises `Missing`, and `Invalid` for the one that stays."""
    row = tx.one(
        "select may_delete, created_modseq from identity where account_id = ? and id = ?", account_id, identity_id
    )
    if row is None:
        raise Missing("there is no such identity")
    if not row[0]:
        raise Invalid("the identity of the user's own address stays")
    tx.run("delete from identity where id = ?", identity_id)
    web_changes.bury(tx, account_id, "identity", identity_id, row[1], states.changed(tx, account_id, "Identity"))


def _insert(tx: Tx, account_id: int, new: Identity) -> int:
    modseq = states.changed(tx, account_id, "Identity")
    return tx.insert(
        "insert into identity (account_id, email, name, reply_to, bcc, text_signature, html_signature, may_delete,"
        " modseq, created_modseq) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, new.email, new.name, None if new.reply_to is None else json.dumps(new.reply_to),
        None if new.bcc is None else json.dumps(new.bcc), new.text_signature, new.html_signature,
        int(new.may_delete), modseq, modseq,
    )  # fmt: skip


def _identity(row: tuple[Any, ...]) -> Identity:
    number, email, name, reply_to, bcc, text, html, may_delete = row
    read = [None if value is None else json.loads(value) for value in (reply_to, bcc)]
    return Identity(number, email, name, read[0], read[1], text, html, bool(may_delete))
