"""What a user proves himself with beside his password: codes of an authenticator program, recovery codes.

It is asked for while `two_factor.on_at` is set; then he has at least one way: a program that gave a right code once, or
a passkey (`passkeys`). No code is taken twice: the transaction that takes it remembers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.limits import LIMITS
from daemon.store import audit, states
from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Factors:
    """`secret` is encrypted; None: no authenticator program. `next_secret`: of one that gave no right code yet.
    `failures`: codes looked at since the last right one. `passkeys` and `recovery_codes`: how many there are, of the
    latter unused."""

    on_at: int | None
    secret: bytes | None
    next_secret: bytes | None
    last_step: int
    failures: int
    locked_until: int
    passkeys: int
    recovery_codes: int


def find(tx: Tx, account_id: int) -> Factors:
    """Of any user; without two-factor all of it is empty."""
    row = tx.one(
        "select on_at, secret, next_secret, last_step, failures, locked_until from two_factor where account_id = ?",
        account_id,
    ) or (None, None, None, 0, 0, 0)
    return Factors(
        on_at=row[0],
        secret=row[1],
        next_secret=row[2],
        last_step=row[3],
        failures=row[4],
        locked_until=row[5],
        passkeys=tx.value("select count(*) from passkey where account_id = ?", account_id),
        recovery_codes=tx.value(
            "select count(*) from recovery_code where account_id = ? and used_at is null", account_id
        ),
    )


def some(tx: Tx) -> tuple[int, bytes] | None:
    """A user's secret, of those that are asked for codes: to see whether it can be read."""
    row = tx.one("select account_id, secret from two_factor where secret is not null limit 1")
    return None if row is None else (row[0], row[1])


def put_secret(tx: Tx, account_id: int, secret: bytes) -> None:
    """An authenticator program, which has to give a code before it counts in the place of the one before."""
    tx.run(
        "insert into two_factor (account_id, next_secret, created_at) values (?, ?, ?)"
        " on conflict (account_id) do update set next_secret = excluded.next_secret",
        account_id,
        secret,
        tx.now,
    )


def confirm(tx: Tx, account_id: int, secret: bytes, step: int) -> bool:
    """The program with that secret gave the code of that step; False: it is another by now, or the code was taken."""
    return bool(
        tx.run(
            "update two_factor set secret = next_secret, next_secret = null, confirmed_at = ?, last_step = ?,"
            " failures = 0, locked_until = 0 where account_id = ? and next_secret = ? and last_step < ?",
            tx.now, step, account_id, secret, step,
        )
    )  # fmt: skip


def take_step(tx: Tx, account_id: int, step: int) -> bool:
    """A right code, of that step; False if it, or a later one, was taken before."""
    return bool(
        tx.run(
            "update two_factor set last_step = ?, failures = 0, locked_until = 0"
            " where account_id = ? and last_step < ? and secret is not null",
            step, account_id, step,
        )
    )  # fmt: skip


def attempt(tx: Tx, account_id: int) -> bool:
    """Whether a code may be looked at now. It counts as a wrong one until it is found right (`take_step`), so that of
    many at the same time no more are looked at. After too many each further one doubles the time."""
    found = find(tx, account_id)
    if found.locked_until > tx.now:
        return False
    over = found.failures + 1 - LIMITS.code_failures
    wait = min(LIMITS.code_lock << min(over, 20), LIMITS.code_lock_longest) if over >= 0 else 0
    tx.run(
        "update two_factor set failures = failures + 1, locked_until = ? where account_id = ?",
        tx.now + 1000 * wait if wait else 0, account_id,
    )  # fmt: skip
    return True


def failed(tx: Tx, account_id: int) -> None:
    """It was wrong: where none is looked at for some time now, that is told."""
    found = find(tx, account_id)
    if found.locked_until > tx.now:
        audit.note(tx, account_id, "login", "code-locked", failures=found.failures, until=found.locked_until)


def turn_on(tx: Tx, account_id: int) -> None:
    """From now on it is asked for. Raises `Missing` when he has nothing to show."""
    found = find(tx, account_id)
    if found.secret is None and not found.passkeys:
        raise Missing("there is neither an authenticator program nor a passkey yet")
    tx.run(
        "insert into two_factor (account_id, on_at, created_at) values (?1, ?2, ?2)"
        " on conflict (account_id) do update set on_at = coalesce(on_at, excluded.on_at)",
        account_id,
        tx.now,
    )
    _changed(tx, account_id)
    if found.on_at is None:
        audit.note(tx, account_id, "secured", "two-factor-on")


def turn_off(tx: Tx, account_id: int) -> None:
    """It is not asked for any more; program and recovery codes are forgotten."""
    if find(tx, account_id).on_at is not None:
        audit.note(tx, account_id, "secured", "two-factor-off")
    tx.run("delete from two_factor where account_id = ?", account_id)
    tx.run("delete from recovery_code where account_id = ?", account_id)
    _changed(tx, account_id)


def forget_program(tx: Tx, account_id: int) -> None:
    """The authenticator program counts no more. Raises `Missing` when it is all that he has to show."""
    found = find(tx, account_id)
    if found.on_at is not None and not found.passkeys:
        raise Missing("it is the only second factor; turn two-factor off instead")
    tx.run("update two_factor set secret = null, confirmed_at = null where account_id = ?", account_id)


def set_recovery_codes(tx: Tx, account_id: int, digests: Iterable[bytes]) -> None:
    """These and no others."""
    tx.run("delete from recovery_code where account_id = ?", account_id)
    tx.many("insert into recovery_code (account_id, sha256) values (?, ?)", [(account_id, one) for one in digests])
    audit.note(tx, account_id, "secured", "recovery-codes-new")
    _changed(tx, account_id)


def use_recovery_code(tx: Tx, account_id: int, sha256: bytes) -> bool:
    """Whether there is such a one that was not used; it is from now on."""
    found = tx.run(
        "update recovery_code set used_at = ? where account_id = ? and sha256 = ? and used_at is null",
        tx.now,
        account_id,
        sha256,
    )
    if found:
        _changed(tx, account_id)
    return bool(found)


def wrong(tx: Tx, limit: int) -> Sequence[tuple[Any, ...]]:
    """What cannot be: a second factor that is asked for where there is none to show."""
    return tx.all(
        "select 'account ' || account_id, 'is asked for a second factor and has none' from two_factor t"
        " where on_at is not null and secret is null"
        " and not exists (select 1 from passkey p where p.account_id = t.account_id) limit ?",
        limit,
    )


def _changed(tx: Tx, account_id: int) -> None:
    tx.account_touched(account_id)
    states.changed(tx, account_id, "TwoFactor")
