"""What is needed to get certificates: accounts with authorities, challenges that wait, orders, keys to come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from daemon.store import certificates
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Account:
    """`private_key` is PEM and never shown; `url` is '' until the authority knows us."""

    directory: str
    private_key: str
    url: str


@dataclass(frozen=True, slots=True)
class Order:
    """A try to get one certificate. `state`: pending, valid, failed (then `problem` says why)."""

    id: int
    directory: str
    names: tuple[str, ...]
    state: str
    problem: str
    began_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class NextKey:
    """The key that the next certificate of `name` will have, from `ready_at` on."""

    name: str
    private_key: str
    created_at: int
    ready_at: int


# -- accounts ----------------------------------------------------------------------------------------------------------


def account(tx: Tx, directory: str) -> Account | None:
    row = tx.one("select directory, private_key, url from acme_account where directory = ?", directory)
    return None if row is None else Account(*row)


def keep_account(tx: Tx, directory: str, private_key: str, url: str) -> None:
    tx.run(
        "insert into acme_account (directory, private_key, url, created_at) values (?, ?, ?, ?)"
        " on conflict (directory) do update set private_key = excluded.private_key, url = excluded.url",
        directory, private_key, url, tx.now,
    )  # fmt: skip


# -- challenges --------------------------------------------------------------------------------------------------------


def put_challenge(tx: Tx, kind: str, name: str, token: str, answer: str, until_at: int) -> None:
    """One more that the authority may look for; those whose time is over go."""
    tx.run("delete from acme_challenge where until_at <= ?", tx.now)
    tx.run(
        "insert into acme_challenge (kind, name, token, answer, until_at) values (?, ?, ?, ?, ?)",
        kind, name, token, answer, until_at,
    )  # fmt: skip


def drop_challenge(tx: Tx, token: str) -> None:
    tx.run("delete from acme_challenge where token = ?", token)


def answer_to(tx: Tx, token: str) -> str | None:
    """What HTTP-01 asks for by this token."""
    found: str | None = tx.value(
        "select answer from acme_challenge where kind = 'http-01' and token = ? and until_at > ?", token, tx.now
    )
    return found


def validates(tx: Tx, kind: str) -> bool:
    """Whether a challenge of this kind waits."""
    return bool(tx.value("select 1 from acme_challenge where kind = ? and until_at > ? limit 1", kind, tx.now))


def answer_for(tx: Tx, kind: str, name: str) -> str | None:
    """The newest answer that waits for `name`."""
    found: str | None = tx.value(
        "select answer from acme_challenge where kind = ? and name = ? and until_at > ? order by id desc limit 1",
        kind, name, tx.now,
    )  # fmt: skip
    return found


# -- orders ------------------------------------------------------------------------------------------------------------

_ORDER = "select id, directory, names, state, problem, began_at, ended_at from acme_order"


def begin_order(tx: Tx, directory: str, names: tuple[str, ...]) -> int:
    """A try begins; those for the same names that never ended (their process was killed) have failed."""
    tx.run(
        "update acme_order set state = 'failed', problem = 'it was broken off', ended_at = ?"
        " where names = ? and state = 'pending'",
        tx.now, " ".join(names),
    )  # fmt: skip
    return tx.insert(
        "insert into acme_order (directory, names, state, problem, began_at) values (?, ?, 'pending', '', ?)",
        directory, " ".join(names), tx.now,
    )  # fmt: skip


def fail_order(tx: Tx, order: int, problem: str) -> None:
    tx.run(
        "update acme_order set state = 'failed', problem = ?, ended_at = ? where id = ?",
        problem or "no reason was given", tx.now, order,
    )  # fmt: skip


def fulfil_order(
    tx: Tx, order: int, names: tuple[str, ...], chain: str, private_key: str, not_before_at: int, not_after_at: int
) -> int:
    """The certificate came: it is kept, what it makes needless goes, and a next key that it has is its key now."""
    tx.run("update acme_order set state = 'valid', ended_at = ? where id = ?", tx.now, order)
    tx.run("delete from next_key where private_key = ?", private_key)
    for other in certificates.everyone(tx):
        if other.source == "acme" and (set(other.names) <= set(names) or other.not_after_at <= tx.now):
            certificates.remove(tx, other.id)
    return certificates.add(tx, names, chain, private_key, "acme", not_before_at, not_after_at)


def orders(tx: Tx, names: tuple[str, ...], limit: int = 20) -> list[Order]:
    """Newest first."""
    rows = tx.all(f"{_ORDER} where names = ? order by id desc limit ?", " ".join(names), limit)
    return [_order(row) for row in rows]


def forget_orders(tx: Tx, before: int, limit: int) -> int:
    """Forget old ones, but of no names the last; how many."""
    return tx.run(
        "delete from acme_order where id in (select id from acme_order o where began_at < ? and exists"
        " (select 1 from acme_order n where n.names = o.names and n.id > o.id) order by id limit ?)",
        before, limit,
    )  # fmt: skip


def _order(row: tuple[Any, ...]) -> Order:
    return Order(row[0], row[1], tuple(row[2].split()), *row[3:])


# -- when an authority would have them renewed -------------------------------------------------------------------------


def renewal(tx: Tx, certificate_id: int) -> tuple[int | None, int] | None:
    """When to renew (None: the authority says nothing of it) and when to ask again; None when it was never asked."""
    row = tx.one("select renew_at, ask_at from acme_renewal where certificate_id = ?", certificate_id)
    return None if row is None else (row[0], row[1])


def note_renewal(tx: Tx, certificate_id: int, renew_at: int | None, ask_at: int) -> None:
    """What the authority said, if the certificate is still there."""
    tx.run(
        "update acme_renewal set renew_at = ?, ask_at = ? where certificate_id = ?", renew_at, ask_at, certificate_id
    )  # fmt: skip


def put_off(tx: Tx, certificate_ids: Iterable[int], ask_at: int) -> None:
    """These are to be asked about at another time; what was said of them before stays."""
    tx.many(
        "insert into acme_renewal (certificate_id, ask_at) select id, ? from certificate where id = ?"
        " on conflict (certificate_id) do update set ask_at = excluded.ask_at",
        [(ask_at, certificate_id) for certificate_id in certificate_ids],
    )


# -- keys to come ------------------------------------------------------------------------------------------------------


def next_key(tx: Tx, name: str) -> NextKey | None:
    row = tx.one("select name, private_key, created_at, ready_at from next_key where name = ?", name)
    return None if row is None else NextKey(*row)


def put_next_key(tx: Tx, name: str, private_key: str, ready_at: int) -> NextKey:
    """The one that is there already stays: its TLSA may be in the DNS."""
    tx.run(
        "insert into next_key (name, private_key, created_at, ready_at) values (?, ?, ?, ?) on conflict do nothing",
        name, private_key, tx.now, ready_at,
    )  # fmt: skip
    tx.settings_touched()
    kept = next_key(tx, name)
    assert kept is not None
    return kept
