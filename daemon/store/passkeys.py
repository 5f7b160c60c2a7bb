"""Passkeys: public keys of authenticators, with which a user signs in, alone or beside his password."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import audit, factors, states
from daemon.store.errors import Exists, InUse, Invalid, Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Passkey:
    id: int
    account_id: int
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool
    name: str
    created_at: int
    last_used_at: int | None


_COLUMNS = (
    "id, account_id, credential_id, public_key, sign_count, transports, backed_up, name, created_at, last_used_at"
)


def everyone(tx: Tx, account_id: int) -> list[Passkey]:
    rows = tx.all(f"select {_COLUMNS} from passkey where account_id = ? order by id", account_id)
    return [Passkey(r[0], r[1], r[2], r[3], r[4], tuple(r[5].split()), bool(r[6]), r[7], r[8], r[9]) for r in rows]


def find(tx: Tx, credential_id: bytes) -> tuple[Passkey, Address] | None:
    """The passkey with that id, and whose it is."""
    row = tx.one(
        "select p.account_id, a.local, d.name from passkey p join account a on a.id = p.account_id"
        " join domain d on d.id = a.domain_id where p.credential_id = ?",
        credential_id,
    )
    if row is None:
        return None
    return next(one for one in everyone(tx, row[0]) if one.credential_id == credential_id), Address(row[1], row[2])


def add(
    tx: Tx,
    account_id: int,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    transports: str,
    backed_up: bool,
    name: str,
) -> int:
    """Its id. Raises `Exists`, `Invalid`."""
    if tx.value("select 1 from passkey where credential_id = ?", credential_id):
        raise Exists("this passkey is registered already")
    _free(tx, account_id, name)
    if tx.value("select count(*) from passkey where account_id = ?", account_id) >= LIMITS.passkeys:
        raise Invalid(f"a user has at most {LIMITS.passkeys} passkeys")
    _changed(tx, account_id)
    audit.note(tx, account_id, "secured", "passkey-added", name=name)
    return tx.insert(
        "insert into passkey (account_id, credential_id, public_key, sign_count, transports, backed_up, name,"
        " created_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, credential_id, public_key, sign_count, transports, int(backed_up), name, tx.now,
    )  # fmt: skip


def rename(tx: Tx, account_id: int, number: int, name: str) -> None:
    """Raises `Missing`, `Exists`."""
    _free(tx, account_id, name, number)
    if not tx.run("update passkey set name = ? where id = ? and account_id = ?", name, number, account_id):
        raise Missing("there is no such passkey")
    _changed(tx, account_id)


def used(tx: Tx, number: int, before: int, sign_count: int, backed_up: bool) -> bool:
    """It signed; False when it did so somewhere else meanwhile, whose count we would not know."""
    return bool(
        tx.run(
            "update passkey set sign_count = ?, backed_up = ?, last_used_at = ? where id = ? and sign_count = ?",
            sign_count, int(backed_up), tx.now, number, before,
        )
    )  # fmt: skip


def remove(tx: Tx, account_id: int, number: int) -> None:
    """Raises `Missing`; `InUse`: it is the only second factor of who is asked for one."""
    if not tx.run("delete from passkey where id = ? and account_id = ?", number, account_id):
        raise Missing("there is no such passkey")
    found = factors.find(tx, account_id)
    if found.on_at is not None and found.secret is None and not found.passkeys:
        raise InUse("it is the only second factor: turn two-factor off first")
    audit.note(tx, account_id, "secured", "passkey-removed")
    _changed(tx, account_id)


def remove_all(tx: Tx, account_id: int) -> int:
    gone = tx.run("delete from passkey where account_id = ?", account_id)
    if gone:
        _changed(tx, account_id)
        audit.note(tx, account_id, "secured", "passkey-removed", count=gone)
    return gone


def _free(tx: Tx, account_id: int, name: str, number: int = 0) -> None:
    if tx.value("select 1 from passkey where account_id = ? and name = ? and id <> ?", account_id, name, number):
        raise Exists(f"there is a passkey {name!r} already")


def _changed(tx: Tx, account_id: int) -> None:
    tx.account_touched(account_id)
    states.changed(tx, account_id, "Passkey", "TwoFactor")
