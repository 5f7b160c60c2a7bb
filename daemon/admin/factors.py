"""Two-factor: turning it on and off, codes of authenticator programs (RFC 6238), recovery codes.

First `enrol` gives a secret for the program (as text and as what a QR code holds), then `confirm` takes a code of it:
only then it counts, and two-factor is on. `check` looks at a code of who signs in; each works once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from daemon import log
from daemon.admin import keyfile, words
from daemon.admin.findings import Facts, Finding
from daemon.admin.keyfile import KeyLost
from daemon.limits import LIMITS
from daemon.store import accounts, factors, passkeys, web_sessions
from daemon.store.db import Store
from daemon.store.tx import Tx

_STEP = 30  # seconds a code is shown
_DIGITS = 6
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read wrongly
_RECOVERY = 16  # letters of a recovery code: 79 bits, so that its digest need not be slow


@dataclass(frozen=True, slots=True)
class State:
    """Of one user. `since_at`: when two-factor was turned on; None: it is off. `recovery_codes`: unused ones."""

    user: str
    since_at: int | None
    program: bool
    passkeys: int
    recovery_codes: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the authenticator program is told: the secret in base32, and the same as a link for a QR code."""

    secret: str
    uri: str


def state(store: Store, user: str) -> State:
    """Raises `Missing`."""

    def work(tx: Tx) -> State:
        account = accounts.get(tx, words.address(user))
        found = factors.find(tx, account.id)
        return State(str(account.address), found.on_at, found.secret is not None, found.passkeys, found.recovery_codes)

    return store.read_now(work)


def reset(store: Store, user: str) -> State:
    """All of it is forgotten, passkeys too, and every browser signed out: his password alone lets him in again. What
    there was. Raises `Missing`."""
    before = state(store, user)

    def work(tx: Tx) -> None:
        account_id = accounts.get(tx, words.address(user)).id
        factors.turn_off(tx, account_id)
        passkeys.remove_all(tx, account_id)
        web_sessions.end(tx, account_id)

    store.write_now(work)
    return before


def readable(facts: Facts) -> Iterable[Finding]:
    """For the doctor: whether the key that secrets are encrypted with is the one they were encrypted with."""
    found = facts.store.read_now(factors.some)
    if found is None:
        return [Finding("ok", "two-factor-none", "two-factor", "no user has an authenticator program")]
    account_id, sealed = found
    try:
        keyfile.decrypt(facts.store.data, _purpose(account_id), sealed)
    except (KeyLost, OSError) as error:
        text = f"codes of authenticator programs are all wrong: {error}"
        remedy = "restore secret.key from a backup; or users sign in with recovery codes and set their program up anew"
        return [Finding("error", "two-factor-key", str(facts.store.data.key), text, remedy)]
    return [Finding("ok", "two-factor-key", str(facts.store.data.key), "authenticator programs are of use")]


# -- an authenticator program ------------------------------------------------------------------------------------------


async def enrol(store: Store, account_id: int, user: str, issuer: str) -> Enrolment:
    """A new secret, which counts once it is confirmed. `issuer`: the name by which the program shows it. Raises
    `StoreError`, `OSError`."""
    from passlib.totp import TOTP  # type: ignore[import-untyped]

    made = TOTP.new(digits=_DIGITS, period=_STEP)
    sealed = keyfile.encrypt(store.data, _purpose(account_id), made.key)
    await store.write(factors.put_secret, account_id, sealed)
    return Enrolment(made.base32_key, made.to_uri(label=user, issuer=issuer.replace(":", " ")))


async def confirm(store: Store, account_id: int, code: str) -> list[str] | None:
    """Recovery codes, shown this once, when `code` is of the program that was enrolled last; two-factor is on then.
    None when it is not. Raises `StoreError`."""
    found = store.peek(factors.find, account_id)
    step = _step_of(store, account_id, found.next_secret, code, found.last_step)
    if step is None or found.next_secret is None:
        return None
    codes = new_recovery_codes()
    done = await store.write(_confirmed, account_id, found.next_secret, step, [digest(one) for one in codes])
    return codes if done else None


def _confirmed(tx: Tx, account_id: int, secret: bytes, step: int, digests: list[bytes]) -> bool:
    if not factors.confirm(tx, account_id, secret, step):
        return False
    factors.turn_on(tx, account_id)
    factors.set_recovery_codes(tx, account_id, digests)
    return True


async def check(store: Store, account_id: int, code: str) -> tuple[str, str]:
    """What a code of who signs in proved, totp or recovery, and why it proved nothing, or ''. Raises `StoreError`."""
    text = re.sub(r"[\s-]", "", code[: LIMITS.code])
    if not re.fullmatch(r"[0-9]{6}", text):
        right = await store.write(factors.use_recovery_code, account_id, digest(text))
        return "recovery", "" if right else "wrong-code"
    if not await store.write(factors.attempt, account_id):
        return "totp", "code-locked"
    found = store.peek(factors.find, account_id)
    step = _step_of(store, account_id, found.secret, text, found.last_step)
    if step is not None and await store.write(factors.take_step, account_id, step):
        return "totp", ""
    await store.write(factors.failed, account_id)
    return "totp", "wrong-code"


def _step_of(store: Store, account_id: int, sealed: bytes | None, code: str, last: int) -> int | None:
    """The step that it is the code of, now or one before or after, but later than `last`; None when it is of none."""
    from passlib.totp import TOTP

    if sealed is None:
        return None
    try:
        program = TOTP(keyfile.decrypt(store.data, _purpose(account_id), sealed), "raw", digits=_DIGITS)
    except (KeyLost, OSError) as error:
        log.trouble("two-factor-unreadable", account=account_id, error=error)
        return None
    now = store.clock() // 1000 // _STEP
    text = re.sub(r"[\s-]", "", code[: LIMITS.code])
    right = None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(program.generate(step * _STEP).token.encode(), text.encode()) and step > last:
            right = step
    return right


def _purpose(account_id: int) -> bytes:
    return b"two-factor %d" % account_id


# -- recovery codes ----------------------------------------------------------------------------------------------------


def new_recovery_codes() -> list[str]:
    """Each in groups of four letters."""
    codes = []
    for _ in range(LIMITS.recovery_codes):
        text = "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY))
        codes.append("-".join(text[i : i + 4] for i in range(0, _RECOVERY, 4)))
    return codes


def digest(code: str) -> bytes:
    """How one is kept, whatever it is written with."""
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode(errors="surrogatepass")).digest()
