"""Mailboxes of users: make, rename, remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.admin import words
from daemon.limits import LIMITS
from daemon.store import accounts, mailboxes, messages
from daemon.store.db import Store
from daemon.store.errors import Exists, Invalid
from daemon.store.tx import Tx

USES = {"archive": "\\Archive", "drafts": "\\Drafts", "junk": "\\Junk", "sent": "\\Sent", "trash": "\\Trash"}


@dataclass(frozen=True, slots=True)
class Mailbox:
    user: str
    name: str
    special_use: str | None
    subscribed: bool
    messages: int
    unseen: int
    size: int
    uidvalidity: int
    uidnext: int


def everyone(store: Store, user: str | None = None) -> list[Mailbox]:
    """Of one user, or of all. Raises `Missing`."""

    def work(tx: Tx) -> list[Mailbox]:
        found = accounts.everyone(tx) if user is None else [accounts.get(tx, words.address(user))]
        return [_box(str(a.address), box) for a in found for box in mailboxes.everyone(tx, a.id)]

    return store.read_now(work)


def create(store: Store, user: str, name: str, use: str | None = None) -> Mailbox:
    """`use`: a key of `USES`. Raises `Missing` (the user), `Exists`, `Invalid`."""

    def work(tx: Tx) -> Mailbox:
        account = accounts.get(tx, words.address(user))
        there = [b.name for b in mailboxes.everyone(tx, account.id) if use and b.special_use == USES[use]]
        if there:
            raise Exists(f"{there[0]} is the {use} mailbox already")
        box = mailboxes.create(tx, account.id, name, USES[use] if use else None)
        mailboxes.subscribe(tx, account.id, box.name, True)
        return _box(str(account.address), mailboxes.get(tx, account.id, box.name))

    return store.write_now(work)


def rename(store: Store, user: str, old: str, new: str) -> Mailbox:
    """With what lies below. Raises `Missing`, `Exists`, `Invalid`."""

    def work(tx: Tx) -> Mailbox:
        account = accounts.get(tx, words.address(user))
        mailboxes.rename(tx, account.id, old, new)
        return _box(str(account.address), mailboxes.get(tx, account.id, mailboxes.normal_name(new)))

    return store.write_now(work)


def removal(store: Store, user: str, name: str, *, below: bool = False) -> list[Mailbox]:
    """What `remove` would take, the deepest first. Raises `Missing`, `Invalid`."""

    def work(tx: Tx) -> list[Mailbox]:
        account = accounts.get(tx, words.address(user))
        box = mailboxes.get(tx, account.id, name)
        if box.name == mailboxes.INBOX:
            raise Invalid("INBOX stays; `mailctl mail rm` removes messages from it")
        under = mailboxes.below(tx, account.id, box.name)
        if under and not below:
            raise Invalid(f"{box.name} has mailboxes below it; say --below to remove them too")
        return [_box(str(account.address), b) for b in (*reversed(under), box)]

    return store.read_now(work)


def remove(store: Store, user: str, name: str, progress: Callable[[int], None] = lambda _: None) -> None:
    """One mailbox and its messages, in small steps. Raises `Missing`."""

    def step(tx: Tx) -> int:
        box = mailboxes.get(tx, accounts.get(tx, words.address(user)).id, name)
        gone = messages.remove_some(tx, box.id, LIMITS.step)
        if not gone:
            messages.remove_mailbox(tx, box)
        return gone

    while gone := store.write_now(step):
        progress(gone)


def _box(user: str, box: mailboxes.Mailbox) -> Mailbox:
    return Mailbox(
        user, box.name, box.special_use, box.subscribed,
        box.total, box.unseen, box.size, box.uidvalidity, box.uidnext,
    )  # fmt: skip
