"""Users, their passwords and app passwords, and where their mail goes on to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import (
    accounts,
    aliases,
    domains,
    events,
    incidents,
    mailboxes,
    messages,
    quarantine,
    settings,
    spam,
)
from daemon.store.accounts import Account
from daemon.store.db import Store
from daemon.store.errors import Invalid
from daemon.store.tx import Tx

SCOPES = ("imap", "jmap", "pop3", "sieve", "smtp")


@dataclass(frozen=True, slots=True)
class User:
    """`quota` is None when the setting limits.quota counts; `room` is what counts in the end, 0 for no limit.
    `allowance`: how many times the limits `allowance.*` he may send, 0: without limit."""

    address: str
    display_name: str
    enabled: bool
    admin: bool
    quota: int | None
    room: int
    used: int
    messages: int
    forwards: tuple[str, ...]
    keep: bool
    allowance: int
    app_passwords: int
    created_at: int
    last_login_at: int | None


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes with a user. `aliases` are those that name him and would lead nowhere."""

    address: str
    mailboxes: int
    messages: int
    used: int
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppPassword:
    """`password` is there only in the answer that made it. `scopes` empty: all of them."""

    user: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    last_used_from: str | None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """`health` is good, failing, or '' as long as nothing was sent there (within trace.retention): what came of the
    last mail. `failed_at` and `failure`, the peer's words, are of the last time it did not go through."""

    user: str
    address: str
    enabled: bool
    keep: bool
    created_at: int
    health: str = ""
    sent_at: int | None = None
    failed_at: int | None = None
    failure: str | None = None


# --------------------------------------------------------------------------------------------------------------- users


def everyone(
    store: Store, domain: str | None = None, *, find: str = "", after: str | None = None, limit: int | None = None
) -> list[User]:
    """All users, by domain and name; or up to `limit` that have the text `find` in their address or name, behind the
    address `after`. Raises `Missing` for a domain that is not there, `BadData`."""
    behind = None if after is None else words.address(after)

    def work(tx: Tx) -> list[User]:
        name = None if domain is None else domains.get(tx, words.domain(domain)).name
        return [_user(tx, account) for account in accounts.everyone(tx, name, find, behind, limit)]

    return store.read_now(work)


def show(store: Store, address: str) -> User:
    """Raises `Missing`."""
    return store.read_now(lambda tx: _user(tx, accounts.get(tx, words.address(address))))


def add(
    store: Store,
    address: str,
    password: str | None,
    *,
    display_name: str = "",
    quota: str | None = None,
    admin: bool = False,
) -> User:
    """A new user with his mailboxes; no password: nobody can log in yet. Raises `Missing`, `Exists`, `Invalid`."""
    who = words.address(address)
    store.read_now(lambda tx: domains.get(tx, who.domain))  # before the slow hash
    kept = None if password is None else _kept(password)
    room = _quota(quota)

    def work(tx: Tx) -> User:
        accounts.add(tx, who, kept, display_name=display_name, quota=room, admin=admin)
        return _user(tx, accounts.get(tx, who))

    return store.write_now(work)


def change(
    store: Store,
    address: str,
    *,
    display_name: str | None = None,
    quota: str | None = None,
    admin: bool | None = None,
    allowance: str | None = None,
    enabled: bool | None = None,
) -> User:
    """Set what is given; `quota` is a size, `none` for no limit, `default` for the setting; `allowance` a number of
    times, `none`, `default`. Raises `Missing`."""
    values: dict[str, object] = {}
    if display_name is not None:
        values["display_name"] = display_name
    if quota is not None:
        values["quota"] = _quota(quota)
    if admin is not None:
        values["admin"] = int(admin)
    if allowance is not None:
        values["allowance"] = _allowance(allowance)
    if enabled is not None:
        values["enabled"] = int(enabled)

    def work(tx: Tx) -> User:
        who = words.address(address)
        accounts.change(tx, accounts.get(tx, who).id, **values)
        return _user(tx, accounts.get(tx, who))

    return store.write_now(work)


def set_password(store: Store, address: str, password: str, *, keep_session: int | None = None) -> User:
    """A new password; app passwords stay, browsers are signed out but for that of `keep_session`. Raises
    `Missing`, `BadData`."""
    who = words.address(address)

    def look(tx: Tx) -> tuple[int, tuple[bytes, int] | None]:
        account = accounts.get(tx, who)
        return account.id, accounts.scram_salt(tx, account.id) if accounts.app_passwords(tx, account.id) else None

    account_id, salt = store.read_now(look)
    return store.write_now(_set_password, who, account_id, _kept(password, salt), keep_session)


def _set_password(tx: Tx, who: Address, account_id: int, kept: accounts.Password, keep: int | None) -> User:
    accounts.set_password(tx, account_id, kept, keep)
    return _user(tx, accounts.get(tx, who))


def removal(store: Store, address: str) -> Removal:
    """What `remove` would take away. Raises `Missing`."""

    def work(tx: Tx) -> Removal:
        account = accounts.get(tx, words.address(address))
        pointing = tuple(
            str(alias.address)
            for alias in aliases.everyone(tx)
            if any(words.address(t).key == account.address.key for t in alias.targets)
        )
        boxes = mailboxes.everyone(tx, account.id)
        return Removal(str(account.address), len(boxes), account.messages, account.used, pointing)

    return store.read_now(work)


def remove(store: Store, address: str, progress: Callable[[int], None] = lambda _: None) -> Removal:
    """Take the user away with all his mail, in small steps; `progress` is told how many messages each took.

    He is disabled first, so that nothing new comes in between; run again, it goes on where it was cut off.
    """
    gone = removal(store, address)
    who = words.address(address)

    def disable(tx: Tx) -> int:
        account = accounts.get(tx, who)
        if account.enabled:
            accounts.change(tx, account.id, enabled=0)
        return account.id

    account_id = store.write_now(disable)
    while taken := store.write_now(messages.purge, account_id, LIMITS.step):
        progress(taken)
    while store.write_now(quarantine.forget_some, account_id, LIMITS.step):
        pass
    for incident in store.read_now(incidents.open_ones, account_id):
        while store.write_now(incidents.drop_some, incident.id, LIMITS.step) == LIMITS.step:
            pass
    while store.write_now(spam.forget_some, account_id, LIMITS.spam_step):
        pass
    store.write_now(accounts.remove, account_id)
    return gone


def _user(tx: Tx, account: Account) -> User:
    return User(
        address=str(account.address),
        display_name=account.display_name,
        enabled=account.enabled,
        admin=account.admin,
        quota=account.quota,
        room=settings.load(tx)["limits.quota"] if account.quota is None else account.quota,
        used=account.used,
        messages=account.messages,
        forwards=tuple(f.address for f in accounts.forwards(tx, account.id) if f.enabled),
        keep=account.forward_keep,
        allowance=1 if account.allowance is None else account.allowance,
        app_passwords=len(accounts.app_passwords(tx, account.id)),
        created_at=account.created_at,
        last_login_at=account.last_login_at,
    )


def _quota(text: str | None) -> int | None:
    if text is None or text.lower() == "default":
        return None
    return 0 if text.lower() in ("none", "unlimited") else words.octets(text)


def _allowance(text: str) -> int | None:
    if text.lower() in ("default", "none", "unlimited"):
        return None if text.lower() == "default" else 0
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) and len(text) < 6):
        raise BadData(f"{text!r} is not how many times as much as others: a number such as 10, `none` or `default`")
    return int(text)


def _kept(password: str, salt: tuple[bytes, int] | None = None) -> accounts.Password:
    from daemon import passwords

    if not password:
        raise BadData("the password is empty")
    if passwords.too_long(password):
        raise BadData(f"a password has at most {LIMITS.password} octets")
    return accounts.Password(*passwords.keep(password, *(salt or ())))


# ------------------------------------------------------------------------------------------------------- app passwords


def app_passwords(store: Store, address: str) -> list[AppPassword]:
    """Raises `Missing`."""

    def work(tx: Tx) -> list[AppPassword]:
        account = accounts.get(tx, words.address(address))
        return [_app_password(account, one) for one in accounts.app_passwords(tx, account.id)]

    return store.read_now(work)


def add_app_password(
    store: Store, address: str, name: str, *, scopes: Sequence[str] = (), expires: str | None = None
) -> AppPassword:
    """Make one; its answer is the only place that ever shows it. Raises `Missing`, `Exists`, `Invalid`, `BadData`."""
    import os

    from daemon import passwords
    from daemon.wire import sasl

    for scope in scopes:
        if scope not in SCOPES:
            raise Invalid(f"{scope!r} is not a scope; they are {', '.join(SCOPES)}")
    if not name.strip() or not name.isprintable():
        raise BadData("an app password needs a name of one line")
    until = None if expires is None else words.ahead(expires, store.clock())
    if until is not None and until <= store.clock():
        raise BadData(f"{expires!r} is in the past")
    made = passwords.new_app_password()
    who = words.address(address)
    salt, iterations = store.write_now(_salted, who, os.urandom(16))
    keys = sasl.scram_keys(made, salt, iterations)
    key = accounts.Key(keys.stored, keys.server, scopes=" ".join(dict.fromkeys(scopes)))
    account, one = store.write_now(_keep_app_password, who, name, passwords.digest(made), key, until)
    return _app_password(account, one, made)


def _salted(tx: Tx, who: Address, fresh: bytes) -> tuple[bytes, int]:
    """The salt all credentials of this user share, made when this is the first."""
    account = accounts.get(tx, who)
    accounts.keep_scram_salt(tx, account.id, fresh, LIMITS.scram_iterations)
    return accounts.scram_salt(tx, account.id) or (fresh, LIMITS.scram_iterations)


def _keep_app_password(
    tx: Tx, who: Address, name: str, digest: bytes, key: accounts.Key, until: int | None
) -> tuple[Account, accounts.AppPassword]:
    account = accounts.get(tx, who)
    accounts.add_app_password(tx, account.id, name, digest, key, expires_at=until)
    return account, next(p for p in accounts.app_passwords(tx, account.id) if p.name == name)


def remove_app_password(store: Store, address: str, name: str) -> None:
    """Raises `Missing`."""
    store.write_now(_remove_app_password, words.address(address), name)


def _remove_app_password(tx: Tx, who: Address, name: str) -> None:
    accounts.remove_app_password(tx, accounts.get(tx, who).id, name)


def _app_password(account: Account, one: accounts.AppPassword, password: str | None = None) -> AppPassword:
    return AppPassword(
        str(account.address), one.name, tuple(one.scopes.split()),
        one.created_at, one.expires_at, one.last_used_at, one.last_used_from, password,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ forwards


def forwards(store: Store, address: str | None = None) -> list[Forward]:
    """Of one user, or of all. Raises `Missing`."""

    def work(tx: Tx) -> list[Forward]:
        found = accounts.everyone(tx) if address is None else [accounts.get(tx, words.address(address))]
        return forwards_of(tx, found)

    return store.read_now(work)


def forwards_of(tx: Tx, found: Sequence[Account]) -> list[Forward]:
    """Those of these users, with what became of the mail that went on."""
    told: dict[str, list[events.Event]] = {}
    for event in events.of_forwards(tx):
        told.setdefault(event.recipient or "", []).append(event)
    return [
        _forward(account, f, told.get(f.address, [])) for account in found for f in accounts.forwards(tx, account.id)
    ]


def add_forwards(store: Store, address: str, targets: Sequence[str], *, keep: bool | None = None) -> list[Forward]:
    """More addresses his mail goes on to; `keep` says whether a copy stays here. Raises `Missing`, `Exists`."""
    wanted = [words.address(t) for t in targets]

    def work(tx: Tx) -> None:
        account = accounts.get(tx, words.address(address))
        for target in wanted:
            _no_circle(account, target)
            accounts.add_forward(tx, account.id, target)
        _keep(tx, account, keep)

    store.write_now(work)
    return forwards(store, address)


def set_forwards(
    store: Store, address: str, targets: Sequence[str] | None, *, keep: bool | None = None
) -> list[Forward]:
    """These addresses and no others; None leaves them as they are. Raises `Missing`."""
    wanted = None if targets is None else list({a.key: a for a in map(words.address, targets)}.values())
    store.write_now(_set_forwards, words.address(address), wanted, keep)
    return forwards(store, address)


def _set_forwards(tx: Tx, who: Address, wanted: Sequence[Address] | None, keep: bool | None) -> None:
    account = accounts.get(tx, who)
    if wanted is not None:
        for target in wanted:
            _no_circle(account, target)
        accounts.set_forwards(tx, account.id, wanted, keep=account.forward_keep)
    _keep(tx, account, keep)


def remove_forwards(store: Store, address: str, targets: Sequence[str] | None) -> list[str]:
    """These, or all of them with None; the addresses that went. Raises `Missing`."""

    def work(tx: Tx) -> list[str]:
        account = accounts.get(tx, words.address(address))
        there = [f.address for f in accounts.forwards(tx, account.id)]
        gone = there if targets is None else [str(words.address(t)) for t in targets]
        for target in gone:
            accounts.remove_forward(tx, account.id, words.address(target))
        return gone

    return store.write_now(work)


def _keep(tx: Tx, account: Account, keep: bool | None) -> None:
    if keep is not None:
        accounts.change(tx, account.id, forward_keep=int(keep))


def _forward(account: Account, forward: accounts.Forward, told: Sequence[events.Event]) -> Forward:
    """`told` is what became of mail there, oldest first."""
    sent = next((e for e in reversed(told) if e.kind == "sent"), None)
    failed = next((e for e in reversed(told) if e.kind != "sent"), None)
    return Forward(
        str(account.address), forward.address, forward.enabled, account.forward_keep, forward.created_at,
        health="" if not told else "good" if told[-1] is sent else "failing",
        sent_at=sent.at if sent else None,
        failed_at=failed.at if failed else None,
        failure=str(failed.detail.get("reply") or failed.reason) if failed else None,
    )  # fmt: skip


def _no_circle(account: Account, target: Address) -> None:
    if target.key == account.address.key:
        raise Invalid(f"{target} is the user himself; with --keep a copy stays in his mailbox")
