"""Users: who they are, how they prove it, how much room they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.limits import LIMITS
from daemon.mail.address import Address, fold_local
from daemon.store import (
    domains,
    fulltext,
    greylist,
    incidents,
    mailboxes,
    quarantine,
    spam,
    states,
    submissions,
    uploads,
    web_sessions,
)
from daemon.store.errors import Exists, Invalid, Missing, OverQuota
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    local: str
    domain: str
    display_name: str
    enabled: bool
    admin: bool
    quota: int | None
    used: int
    messages: int
    forward_keep: bool
    created_at: int
    last_login_at: int | None
    allowance: int | None

    @property
    def address(self) -> Address:
        return Address(self.local, self.domain)


@dataclass(frozen=True, slots=True)
class Key:
    """One way to prove who one is with SCRAM (RFC 5802 §3)."""

    stored_key: bytes
    server_key: bytes
    app_password_id: int | None = None
    scopes: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """All that the login door needs of a user. `epoch` is that of his sessions (`sessions`), `keys` are the password's
    and those of unexpired app passwords. `two_factor`: more than the password is asked for."""

    account_id: int
    address: Address
    enabled: bool
    version: int
    epoch: int
    password_hash: str | None
    scram_salt: bytes | None
    scram_iterations: int | None
    keys: tuple[Key, ...]
    two_factor: bool = False


@dataclass(frozen=True, slots=True)
class Password:
    """A password as it is kept: never itself."""

    hash: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class AppPassword:
    id: int
    name: str
    scopes: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    last_used_from: str | None


_COLUMNS = (
    "a.id, a.local, d.name, a.display_name, a.enabled, a.admin, a.quota, a.used, a.messages, a.forward_keep,"
    " a.created_at, a.last_login_at, a.allowance"
)
_FROM = "from account a join domain d on d.id = a.domain_id"


def find(tx: Tx, address: Address) -> Account | None:
    """The user of exactly this address."""
    key, domain = address.key
    row = tx.one(f"select {_COLUMNS} {_FROM} where d.name = ? and a.local_key = ?", domain, key)
    return None if row is None else _account(row)


def get(tx: Tx, address: Address) -> Account:
    """Raises `Missing`."""
    account = find(tx, address)
    if account is None:
        raise Missing(f"there is no user {address}; `mailctl user list` names them all")
    return account


def by_id(tx: Tx, account_id: int) -> Account | None:
    row = tx.one(f"select {_COLUMNS} {_FROM} where a.id = ?", account_id)
    return None if row is None else _account(row)


def everyone(
    tx: Tx, domain: str | None = None, find: str = "", after: Address | None = None, limit: int | None = None
) -> list[Account]:
    """By domain and name: of one domain, with a text in address or name (ASCII in any case), behind an address, so
    many."""
    where, params = ["1 = 1"], list[object]()
    for condition, values in (
        ("d.name = ?", () if domain is None else (domain,)),
        ("instr(lower(a.local || '@' || d.name || ' ' || a.display_name), lower(?)) > 0", (find,) if find else ()),
        ("(d.name, a.local_key) > (?, ?)", () if after is None else (after.domain, fold_local(after.local))),
    ):
        if values:
            where.append(condition)
            params += values
    sql = f"select {_COLUMNS} {_FROM} where {' and '.join(where)} order by d.name, a.local_key limit ?"
    return [_account(r) for r in tx.all(sql, *params, -1 if limit is None else limit)]


def add(
    tx: Tx,
    address: Address,
    password: Password | None,
    *,
    display_name: str = "",
    quota: int | None = None,
    admin: bool = False,
) -> int:
    """A new user with his mailboxes. Raises `Missing` (the domain), `Exists`, `Invalid`."""
    domain = domains.get(tx, address.domain)
    key = fold_local(address.local)
    if domain.alias_of is not None:
        raise Invalid(f"{domain.name} is an alias domain; add the user to the domain it stands for")
    if find(tx, address) is not None:
        raise Exists(f"the user {address} is there already")
    if tx.value("select 1 from alias where domain_id = ? and local_key = ?", domain.id, key):
        raise Exists(f"{address} is an alias; remove it first")
    users = tx.value("select count(*) from account where domain_id = ?", domain.id)
    if domain.max_users is not None and users >= domain.max_users:
        raise Invalid(f"{domain.name} has its {domain.max_users} users already")
    account_id = tx.insert(
        "insert into account (domain_id, local, local_key, display_name, quota, admin, created_at)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        domain.id, address.local, key, display_name, quota, int(admin), tx.now,
    )  # fmt: skip
    if password is not None:
        set_password(tx, account_id, password)
    mailboxes.create_standard(tx, account_id)
    tx.account_touched(account_id)
    return account_id


def is_open(tx: Tx, account_id: int) -> bool:
    """Whether there is such a user, and neither he nor his domain is disabled."""
    sql = "select 1 from account a join domain d on d.id = a.domain_id where a.id = ? and a.enabled and d.enabled"
    return tx.value(sql, account_id) is not None


def change(tx: Tx, account_id: int, **values: Any) -> None:
    """Set `display_name`, `enabled`, `admin`, `quota`, `allowance`, `forward_keep`."""
    for column, value in values.items():
        if column not in ("display_name", "enabled", "admin", "quota", "allowance", "forward_keep"):
            raise Invalid(f"a user has no {column}")
        tx.run(f"update account set {column} = ? where id = ?", value, account_id)
    if "enabled" in values:
        _credentials_changed(tx, account_id)
    if "forward_keep" in values:
        states.changed(tx, account_id, "Forwarding")
    tx.account_touched(account_id)


def remove(tx: Tx, account_id: int) -> None:
    """The user and what belongs to him; his mailboxes are emptied before, in steps (`messages.purge`)."""
    if tx.value("select 1 from email where account_id = ? limit 1", account_id):
        raise Invalid("the user still has mail; empty the mailboxes first")
    for table in ("mailbox", "subscription", "mailbox_tombstone", "sender_list"):
        tx.run(f"delete from {table} where account_id = ?", account_id)
    quarantine.forget_user(tx, account_id)
    uploads.forget_user(tx, account_id)
    submissions.forget_user(tx, account_id)
    incidents.forget_user(tx, account_id)
    spam.forget_user(tx, account_id)
    fulltext.forget(tx, account_id)
    if account := by_id(tx, account_id):
        greylist.remove(tx, str(account.address))
    tx.run("delete from account where id = ?", account_id)
    tx.account_touched(account_id)


# ---------------------------------------------------------------------------------------------------------- credentials


def credentials(tx: Tx, address: Address) -> Credentials | None:
    """What the login door compares with; an alias domain's address finds the user of the domain it stands for."""
    key, domain = address.key
    row = tx.one(
        "select a.id, a.local, d.name, a.enabled and d.enabled, a.credential_version, a.password_hash, a.scram_salt,"
        " a.scram_iterations, a.stored_key, a.server_key, a.session_epoch,"
        " exists (select 1 from two_factor t where t.account_id = a.id and t.on_at is not null)"
        " from domain g join domain d on d.id = coalesce(g.alias_of, g.id)"
        " join account a on a.domain_id = d.id where g.name = ? and a.local_key = ?",
        domain,
        key,
    )
    if row is None:
        return None
    keys = [Key(row[8], row[9])] if row[8] else []
    keys += [
        Key(*r)
        for r in tx.all(
            "select stored_key, server_key, id, scopes from app_password"
            " where account_id = ? and (expires_at is null or expires_at > ?)",
            row[0],
            tx.now,
        )
    ]
    return Credentials(
        row[0], Address(row[1], row[2]), bool(row[3]), row[4], row[10], row[5], row[6], row[7], tuple(keys),
        bool(row[11]),
    )  # fmt: skip


def set_password(tx: Tx, account_id: int, password: Password, keep_session: int | None = None) -> None:
    """App passwords share the salt, so it stays the one it is when there are some (`scram_salt`). Browsers that are
    signed in are no more, but the one it is changed with."""
    web_sessions.end(tx, account_id, keep_session)
    tx.run(
        "update account set password_hash = ?, scram_salt = ?, scram_iterations = ?, stored_key = ?, server_key = ?"
        " where id = ?",
        password.hash, password.salt, password.iterations, password.stored_key, password.server_key, account_id,
    )  # fmt: skip
    _credentials_changed(tx, account_id)


def upgrade(tx: Tx, account_id: int, version: int, password: Password) -> None:
    """The same password as it would be kept today; only if no credential changed meanwhile."""
    tx.run(
        "update account set password_hash = ?, scram_salt = ?, scram_iterations = ?, stored_key = ?, server_key = ?"
        " where id = ? and credential_version = ?",
        password.hash, password.salt, password.iterations, password.stored_key, password.server_key,
        account_id, version,
    )  # fmt: skip


def fake_salt_secret(tx: Tx, random: int) -> int:
    """The number that salts of users who do not exist are made from; `random` when there was none yet."""
    tx.run("insert into counter (name, value) values ('fake-salt', ?) on conflict do nothing", random)
    value: int = tx.value("select value from counter where name = 'fake-salt'")
    return value


def scram_salt(tx: Tx, account_id: int) -> tuple[bytes, int] | None:
    """Salt and iterations all credentials of this user share; None before the first."""
    row = tx.one("select scram_salt, scram_iterations from account where id = ?", account_id)
    return None if row is None or row[0] is None else (row[0], row[1])


def keep_scram_salt(tx: Tx, account_id: int, salt: bytes, iterations: int) -> None:
    tx.run(
        "update account set scram_salt = ?, scram_iterations = ? where id = ? and scram_salt is null",
        salt,
        iterations,
        account_id,
    )


def add_app_password(
    tx: Tx, account_id: int, name: str, sha256: bytes, key: Key, *, expires_at: int | None = None
) -> int:
    """Raises `Exists`. `key.scopes`: space separated services; empty for all."""
    if tx.value("select 1 from app_password where account_id = ? and name = ?", account_id, name):
        raise Exists(f"there is an app password {name!r} already")
    _credentials_changed(tx, account_id)
    states.changed(tx, account_id, "AppPassword")
    return tx.insert(
        "insert into app_password (account_id, name, sha256, stored_key, server_key, scopes, created_at, expires_at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, name, sha256, key.stored_key, key.server_key, key.scopes, tx.now, expires_at,
    )  # fmt: skip


def app_passwords(tx: Tx, account_id: int) -> list[AppPassword]:
    rows = tx.all(
        "select id, name, scopes, created_at, expires_at, last_used_at, last_used_from from app_password"
        " where account_id = ? order by name",
        account_id,
    )
    return [AppPassword(*r) for r in rows]


def app_password_by_digest(tx: Tx, account_id: int, sha256: bytes) -> AppPassword | None:
    """The unexpired app password of this user with this digest."""
    row = tx.one(
        "select id, name, scopes, created_at, expires_at, last_used_at, last_used_from from app_password"
        " where account_id = ? and sha256 = ? and (expires_at is null or expires_at > ?)",
        account_id, sha256, tx.now,
    )  # fmt: skip
    return None if row is None else AppPassword(*row)


def owner_of_app_password(tx: Tx, sha256: bytes) -> Address | None:
    """The user who has the app password of this digest, expired or not."""
    row = tx.one(
        "select a.local, d.name from app_password p join account a on a.id = p.account_id"
        " join domain d on d.id = a.domain_id where p.sha256 = ?",
        sha256,
    )
    return None if row is None else Address(*row)


def remove_app_password(tx: Tx, account_id: int, name: str) -> None:
    """Raises `Missing`."""
    if not tx.run("delete from app_password where account_id = ? and name = ?", account_id, name):
        raise Missing(f"there is no app password {name!r}")
    _credentials_changed(tx, account_id)
    states.changed(tx, account_id, "AppPassword")


def logged_in(tx: Tx, account_id: int, app_password_id: int | None, network: str) -> None:
    """Remember a success: when, from where. A network that was good is never banned for this user's failures."""
    if not tx.run("update account set last_login_at = ? where id = ?", tx.now, account_id):
        return  # removed since he was let in
    if app_password_id is not None:
        tx.run(
            "update app_password set last_used_at = ?, last_used_from = ? where id = ?",
            tx.now,
            network,
            app_password_id,
        )
    tx.run(
        "insert into good_address (account_id, network, at) values (?, ?, ?)"
        " on conflict (account_id, network) do update set at = excluded.at",
        account_id,
        network,
        tx.now,
    )


def is_good_address(tx: Tx, network: str, account_id: int | None = None) -> bool:
    """Whether somebody (this user) logged in from there within 90 days."""
    return bool(
        tx.value(
            "select 1 from good_address where network = ? and (? is null or account_id = ?) and at > ? limit 1",
            network,
            account_id,
            account_id,
            tx.now - LIMITS.good_address * 1000,
        )
    )


def forget_addresses(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` good addresses last seen before that time; how many went."""
    return tx.run(
        "delete from good_address where (account_id, network) in"
        " (select account_id, network from good_address where at < ? limit ?)",
        before,
        limit,
    )


def _credentials_changed(tx: Tx, account_id: int) -> None:
    tx.run("update account set credential_version = credential_version + 1 where id = ?", account_id)
    tx.account_touched(account_id)


# ----------------------------------------------------------------------------------------------------------------- room


_FITS = "coalesce(quota, ?1) = 0 or used + ?2 <= coalesce(quota, ?1)"


def check_room(tx: Tx, account_id: int, size: int, default_quota: int) -> None:
    """Raises `OverQuota` when `size` octets more do not fit (`default_quota` 0: no limit), or `Missing`."""
    fits = tx.value(f"select {_FITS} from account where id = ?3", default_quota, size, account_id)
    if fits is None:
        raise Missing("the mailbox is gone")
    if not fits:
        raise OverQuota("mailbox is full")


def take_room(tx: Tx, account_id: int, size: int, default_quota: int) -> int:
    """Count one message more of that size in; the MODSEQ allotted to it. Raises as `check_room` does."""
    modseq: int | None = tx.value(
        "update account set modseq = modseq + 1, used = used + ?2, messages = messages + 1"
        f" where id = ?3 and ({_FITS}) returning modseq",
        default_quota, size, account_id,
    )  # fmt: skip
    if modseq is None:
        check_room(tx, account_id, size, default_quota)
        raise OverQuota("mailbox is full")
    return modseq


def quota_of(tx: Tx, account_id: int, default_quota: int) -> int:
    """Octets this user may have; 0: no limit. The SMTP doors ask it once and remember who has none."""
    quota: int | None = tx.value("select quota from account where id = ?", account_id)
    return default_quota if quota is None else quota


# ------------------------------------------------------------------------------------------------------------- forwards


@dataclass(frozen=True, slots=True)
class Forward:
    id: int
    address: str
    enabled: bool
    created_at: int


def forwards(tx: Tx, account_id: int) -> list[Forward]:
    rows = tx.all("select id, address, enabled, created_at from forward where account_id = ? order by id", account_id)
    return [Forward(r[0], r[1], bool(r[2]), r[3]) for r in rows]


def set_forwards(tx: Tx, account_id: int, addresses: Sequence[Address], *, keep: bool) -> None:
    """These and no others."""
    tx.run("delete from forward where account_id = ?", account_id)
    for address in addresses:
        add_forward(tx, account_id, address)
    change(tx, account_id, forward_keep=int(keep))


def add_forward(tx: Tx, account_id: int, address: Address) -> int:
    """Raises `Exists`."""
    if tx.value("select 1 from forward where account_id = ? and address = ?", account_id, str(address)):
        raise Exists(f"mail is forwarded to {address} already")
    states.changed(tx, account_id, "Forwarding")
    tx.account_touched(account_id)
    return tx.insert(
        "insert into forward (account_id, address, created_at) values (?, ?, ?)", account_id, str(address), tx.now
    )


def remove_forward(tx: Tx, account_id: int, address: Address) -> None:
    """Raises `Missing`."""
    if not tx.run("delete from forward where account_id = ? and address = ?", account_id, str(address)):
        raise Missing(f"mail is not forwarded to {address}")
    states.changed(tx, account_id, "Forwarding")
    tx.account_touched(account_id)


def _account(r: tuple[Any, ...]) -> Account:
    return Account(r[0], r[1], r[2], r[3], bool(r[4]), bool(r[5]), r[6], r[7], r[8], bool(r[9]), *r[10:])
