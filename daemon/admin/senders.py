"""Senders that are always let in or kept out: lists of a user, and one for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.store import accounts, sender_lists
from daemon.store.db import Store
from daemon.store.sender_lists import EVERYBODY
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Sender:
    """`user` None: on everybody's list."""

    sender: str
    kind: str
    user: str | None
    note: str
    created_at: int


def everyone(store: Store, *, allowed: bool, user: str | None = None) -> list[Sender]:
    """The entries of one kind: of a user, or of all lists. Raises `Missing`."""

    def work(tx: Tx) -> list[Sender]:
        account = None if user is None else _account(tx, user)
        names: dict[int, str | None] = {EVERYBODY: None}
        found = []
        for entry in sender_lists.everyone(tx, account, allowed=allowed):
            if entry.account_id not in names:
                owner = accounts.by_id(tx, entry.account_id)
                names[entry.account_id] = None if owner is None else str(owner.address)
            found.append(Sender(entry.sender, entry.kind, names[entry.account_id], entry.note, entry.created_at))
        return found

    return store.read_now(work)


def add(
    store: Store, senders: Sequence[str], *, allowed: bool, user: str | None = None, note: str = ""
) -> list[Sender]:
    """All of them, or none. Raises `Missing`, `Invalid`."""
    return store.write_now(_add, senders, allowed, user, note)


def _add(tx: Tx, senders: Sequence[str], allowed: bool, user: str | None, note: str) -> list[Sender]:
    account = EVERYBODY if user is None else _account(tx, user)
    made = [sender_lists.put(tx, account, sender, allowed=allowed, note=note) for sender in senders]
    return [Sender(entry.sender, entry.kind, user, entry.note, entry.created_at) for entry in made]


def remove(store: Store, senders: Sequence[str], *, allowed: bool, user: str | None = None) -> list[str]:
    """Their spellings on the list; all of them, or none. Raises `Missing`, `Invalid`."""
    return store.write_now(_remove, senders, allowed, user)


def _remove(tx: Tx, senders: Sequence[str], allowed: bool, user: str | None) -> list[str]:
    account = EVERYBODY if user is None else _account(tx, user)
    return [sender_lists.remove(tx, account, sender, allowed=allowed) for sender in senders]


def _account(tx: Tx, user: str) -> int:
    return accounts.get(tx, words.address(user)).id
