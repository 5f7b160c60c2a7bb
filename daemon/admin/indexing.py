"""The full-text index: how far it is, and making it anew."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin import words
from daemon.store import accounts, fulltext
from daemon.store.db import Store
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Index:
    """Of one user, or of all. The messages that are not indexed are read when somebody searches; `size` in octets."""

    user: str | None
    messages: int
    indexed: int
    size: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    users: int


def standing(store: Store, user: str | None = None) -> Index:
    """Raises `Missing`, `BadData`."""

    def work(tx: Tx) -> fulltext.Standing:
        return fulltext.standing(tx, None if user is None else accounts.get(tx, words.address(user)).id)

    found = store.read_now(work)
    return Index(user, found.emails, found.indexed, found.size)


def anew(store: Store, user: str | None = None) -> Forgotten:
    """The server makes the index anew, of one user or of all. Raises `Missing`, `BadData`."""

    def work(tx: Tx) -> int:
        return fulltext.forget(tx, None if user is None else accounts.get(tx, words.address(user)).id)

    return Forgotten(store.write_now(work))
