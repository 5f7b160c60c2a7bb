"""Who is logged in just now, and the end of all that a user, or a thief, has open."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin import health, words
from daemon.store import accounts, sessions, web_sessions
from daemon.store.db import Store
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Session:
    """`app_password` is the name of the one he came with; None: his own password. `agent`: what a browser that is
    signed in (protocol `web`) called itself; '' for others."""

    user: str
    protocol: str
    peer: str
    app_password: str | None
    since_at: int
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends, or ended: sessions as they are known, and app passwords by name."""

    user: str
    sessions: int
    app_passwords: tuple[str, ...]


def everyone(store: Store, user: str | None = None) -> list[Session]:
    """Of all, or of one user, as the server knew it within the last second, and browsers that are signed in. Raises
    `Missing`."""

    def work(tx: Tx) -> tuple[list[Session], list[Session]]:
        whose = None if user is None else accounts.get(tx, words.address(user)).id
        names: dict[int, str] = {}
        browsers = []
        for one in web_sessions.everyone(tx, whose):
            if one.account_id not in names:
                account = accounts.by_id(tx, one.account_id)
                names[one.account_id] = str(account.address) if account else ""
            browsers.append(Session(names[one.account_id], "web", one.seen_peer, None, one.created_at, one.agent))
        return [Session(*one) for one in sessions.everyone(tx, whose)], browsers

    live, browsers = store.read_now(work)
    return (live if health.is_running(store) else []) + browsers  # what a server left that was killed


def ending(store: Store, user: str, *, keep_app_passwords: bool = False) -> Ending:
    """What `end` would end. Raises `Missing`."""

    def work(tx: Tx) -> tuple[str, tuple[str, ...]]:
        account = accounts.get(tx, words.address(user))
        names = () if keep_app_passwords else tuple(one.name for one in accounts.app_passwords(tx, account.id))
        return str(account.address), names

    name, passwords = store.read_now(work)
    return Ending(name, len(everyone(store, name)), passwords)


def end(store: Store, user: str, *, keep_app_passwords: bool = False) -> Ending:
    """End all sessions of a user, those too that begin this very moment, and revoke his app passwords. Raises
    `Missing`."""
    found = ending(store, user, keep_app_passwords=keep_app_passwords)

    def work(tx: Tx) -> None:
        account = accounts.get(tx, words.address(user))
        sessions.end(tx, account.id, keep_app_passwords=keep_app_passwords)

    store.write_now(work)
    return found
