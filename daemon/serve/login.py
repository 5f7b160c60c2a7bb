"""The one door: every password of every protocol is looked at here.

`plain` compares a name and a password, `sasl` drives any mechanism of `daemon/wire/sasl.py`. Both give an `Identity` or
raise `LoginRefused`, whose `reason` comes from `REASONS` and goes to the trace; a stranger learns only its text.

What a wrong password costs: a stranger's pass through a short queue to a few threads that hash (never the loop), the
same for a user who does not exist. What a right one costs: the same once, then an HMAC for some minutes, under a key
that lives as long as this process and over the account's credential version, so that a changed password is forgotten at
once. Failures are never cached.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from daemon import log, passwords
from daemon.config import Config, contains
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.serve.hashers import Busy, Hashers
from daemon.serve.refusals import Refusals
from daemon.serve.sessions import Sessions
from daemon.serve.throttle import Bans, Throttle, is_private, network_of
from daemon.store import accounts, domains
from daemon.store.accounts import Credentials
from daemon.store.db import Store, StoreError
from daemon.store.tx import Tx
from daemon.wire import sasl as mechanisms

T = TypeVar("T")

_WRONG = "authentication failed"
_LATER = "too many logins at the moment, try again later"
REASONS: dict[str, tuple[str, bool]] = {  # what the peer is told, and whether it may try again unchanged
    "tls-required": ("encryption is needed before a password", False),
    "banned": ("too many failed logins from your address, try again later", True),
    "throttled": (_LATER, True),
    "busy": (_LATER, True),
    "unavailable": ("temporary authentication failure", True),
    "wrong-password": (_WRONG, False),
    "unknown-user": (_WRONG, False),
    "authzid": (_WRONG, False),
    "disabled": ("this account is disabled", False),
    "scope": ("this app password is not for this service", False),
    "app-password": ("an app password is needed here; make one in the settings of the webmail", False),
    "wrong-code": ("this code is not right, or was used before", False),
    "wrong-passkey": ("this passkey is not right", False),
    "code-locked": ("too many wrong codes, try again later", True),
    "too-late": ("this took too long, begin again", False),
    "channel-binding": ("channel binding failed", False),
    "mechanism": ("authentication mechanism is not supported", False),
    "malformed": ("malformed authentication response", False),
    "cancelled": ("authentication cancelled", False),
}
_FAILURES = frozenset(("wrong-password", "unknown-user", "wrong-code", "wrong-passkey"))
WEB = "web"  # the sign-in page: the one service that asks for a second factor
_REMEMBER = 3600.0  # seconds between two records of the same user, password and network


class LoginRefused(Exception):
    """No. `temporary`: the same may succeed later (454, [UNAVAILABLE], [SYS/TEMP])."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.text, self.temporary = REASONS[reason]
        super().__init__(self.text)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who it is. `scopes`: the services this password is for; empty: all. `epoch`: that of his
    sessions (`store.sessions`) when he was let in."""

    account_id: int
    address: Address
    scopes: frozenset[str] = frozenset()
    app_password_id: int | None = None
    epoch: int = 0


class Owner(NamedTuple):
    """Who knows his own password; `version` is that of his credentials. `two_factor`: more is asked for."""

    identity: Identity
    version: int
    two_factor: bool


Ask = Callable[[bytes], Awaitable[bytes]]
"""Say a challenge (base64) as the protocol does; the peer's line."""


class Door:
    """One per process. Close it before the store. `sessions` knows who is in."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        bans: Bans,
        refusals: Refusals,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`config` gives the settings as they are now."""
        self._store = store
        self._config = config
        self._bans = bans
        self._refusals = refusals
        self._clock = clock
        self._sleep = sleep
        self.sessions = Sessions(store)
        self._throttle = Throttle(clock)
        self._key = secrets.token_bytes(32)
        self._fake_salt: bytes | None = None
        self._hashers = Hashers()
        self._delayed = 0
        self._successes: OrderedDict[bytes, float] = OrderedDict()
        self._comparing: dict[bytes, asyncio.Task[bool]] = {}
        self._recorded: OrderedDict[tuple[int, int | None, str], float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what sessions ask ---------------------------------------------------------------------------------------------

    def offered(self, tls: bool, end_point: bytes | None = None) -> tuple[str, ...]:
        """The SASL mechanisms to announce now; none where a password may not travel."""
        if not tls and self._config()["auth.require_tls"]:
            return ()
        return mechanisms.offered(self._bound_to(tls, end_point))

    def _bound_to(self, tls: bool, end_point: bytes | None) -> bytes | None:
        """What a SCRAM exchange can be bound to. Python knows no tls-exporter (RFC 9266), only tls-server-end-point;
        GNU SASL asks for the former whenever PLUS is announced, and then gives up: so PLUS is for who sets it.
        """
        return end_point if tls and self._config()["auth.scram_plus"] else None

    async def plain(self, service: str, peer: str, login: str, password: str, tls: bool) -> Identity:
        """A name and a password. `service`: imap, pop3, smtp... as in an app password's scopes."""
        attempt = self._begin(peer, login, tls)
        known = await self._known(attempt)
        reason, identity = await self._compare(attempt, known, service, password)
        if identity is None:
            raise await self._failed(attempt, reason, self._digest(b"tried", login, password))
        self._succeeded(attempt, identity)
        return identity

    async def bearer(self, service: str, peer: str, token: str, tls: bool) -> Identity:
        """An app password alone (RFC 6750)."""
        owner: Address | None = None
        if not passwords.too_long(token):
            owner = self._store.peek(accounts.owner_of_app_password, passwords.digest(token))
        return await self.plain(service, peer, str(owner or ""), token, tls)

    async def own(self, peer: str, login: str, password: str, tls: bool) -> Owner:
        """His own password, as the sign-in page asks for it. Where that is not enough nothing is counted as a success
        before `prove`."""
        attempt = self._begin(peer, login, tls)
        known = await self._known(attempt)
        reason, identity = await self._compare(attempt, known, WEB, password)
        if identity is None or known is None:
            raise await self._failed(attempt, reason, self._digest(b"tried", login, password))
        if not known.two_factor:
            self._succeeded(attempt, identity)
        return Owner(identity, known.version, known.two_factor)

    async def prove(
        self, peer: str, login: str, before: Owner | None, check: Callable[[], Awaitable[str]], tried: str
    ) -> Identity:
        """What he has beside his password: `check` gives the reason why it proves nothing, or ''. `before`: what he
        proved by his password; None where none was asked for. A usual address is no excuse for wrong ones."""
        attempt = self._begin(peer, login, True)
        known = await self._known(attempt)
        if known is None or not known.enabled:
            raise self._refuse(attempt, "disabled")
        if before is not None and (before.version, before.identity.epoch) != (known.version, known.epoch):
            raise self._refuse(attempt, "too-late")
        if reason := await check():
            attempt.good = False
            raise await self._failed(attempt, reason, self._digest(b"proved", login, tried))
        identity = Identity(known.account_id, known.address, epoch=known.epoch)
        self._succeeded(attempt, identity)
        return identity

    async def sasl(
        self,
        service: str,
        peer: str,
        tls: bool,
        mechanism: str,
        initial: bytes | None,
        ask: Ask,
        end_point: bytes | None = None,
        last: Callable[[bytes], None] | None = None,
    ) -> Identity:
        """A SASL exchange. `initial` is the rest of the command line (base64, `=` or None), `end_point` the hash of
        our certificate (`tls.end_point_of`). `last` takes the mechanism's last word (base64) where the protocol says
        it with its OK. What `ask` raises passes through.
        """
        attempt = self._begin(peer, "", tls)
        try:
            steps = mechanisms.exchange(
                mechanism, mechanisms.decode_initial(initial), secrets.token_urlsafe(24), self._bound_to(tls, end_point)
            )
            if steps is None:
                raise self._refuse(attempt, "mechanism")
            result, known = await self._converse(attempt, steps, ask, last)
        except mechanisms.Refused as refused:
            if refused.reason == "wrong-password":
                reason = refused.reason if attempt.known else "unknown-user"
                raise await self._failed(attempt, reason, secrets.token_bytes(16)) from None
            raise self._refuse(attempt, refused.reason) from None
        if isinstance(result, mechanisms.Claim):
            return await self.plain(service, peer, result.login, result.password, tls)
        assert known is not None
        key = known.keys[result.index]
        scopes = frozenset(key.scopes.split())
        identity = Identity(known.account_id, known.address, scopes, key.app_password_id, known.epoch)
        reason = self._may(known, identity, service)
        if reason:
            raise self._refuse(attempt, reason)
        self._succeeded(attempt, identity)
        return identity

    async def close(self) -> None:
        """Wait for what is being written, and for the threads."""
        await self.sessions.close()
        while tasks := tuple(self._tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
            # Not left to their callbacks: since Python 3.12 a gather of ended tasks does not let the loop turn.
            self._tasks.difference_update(tasks)
        self._hashers.close()

    # -- before the password -------------------------------------------------------------------------------------------

    def _begin(self, peer: str, login: str, tls: bool) -> _Attempt:
        config = self._config()
        attempt = _Attempt(peer, network_of(peer), login, contains(config["limits.exempt_networks"], peer))
        if not tls and config["auth.require_tls"]:
            raise self._refuse(attempt, "tls-required")
        if not attempt.exempt and self._bans.reason(peer):
            raise self._refuse(attempt, "banned")
        return attempt

    async def _known(self, attempt: _Attempt) -> Credentials | None:
        """The credentials of that name, after the delay that earlier failures have earned."""
        try:
            known = self._look_up(attempt)
            delay = 0.0 if attempt.exempt or attempt.good else self._throttle.delay(attempt.network, attempt.account)
            if delay:
                if self._delayed >= LIMITS.login_delayed:
                    raise self._refuse(attempt, "throttled")
                self._delayed += 1
                try:
                    await self._sleep(delay)
                finally:
                    self._delayed -= 1
                known = self._look_up(attempt)
        except StoreError:
            raise self._refuse(attempt, "unavailable") from None
        return known

    def _look_up(self, attempt: _Attempt) -> Credentials | None:
        known = self._store.peek(_credentials, attempt.login[: LIMITS.user_name])
        attempt.known = known is not None
        attempt.account = attempt.login[: LIMITS.user_name].lower() if known is None else str(known.account_id)
        attempt.good = known is not None and self._store.peek(
            accounts.is_good_address, attempt.network, known.account_id
        )
        return known

    # -- the password --------------------------------------------------------------------------------------------------

    async def _compare(
        self, attempt: _Attempt, known: Credentials | None, service: str, password: str
    ) -> tuple[str, Identity | None]:
        """The identity, or the reason why there is none."""
        if known is None or known.password_hash is None and not known.keys:
            await self._hash(attempt, passwords.burn, password[: LIMITS.password])
            return "unknown-user" if known is None else "wrong-password", None
        identity: Identity | None = None
        if any(key.app_password_id for key in known.keys) and not passwords.too_long(password):
            app = self._store.peek(accounts.app_password_by_digest, known.account_id, passwords.digest(password))
            if app is not None:
                scopes = frozenset(app.scopes.split())
                identity = Identity(known.account_id, known.address, scopes, app.id, known.epoch)
        if identity is None and await self._right(attempt, known, password):
            identity = Identity(known.account_id, known.address, epoch=known.epoch)
        if identity is None:
            return "wrong-password", None
        reason = self._may(known, identity, service)
        return reason, None if reason else identity

    async def _right(self, attempt: _Attempt, known: Credentials, password: str) -> bool:
        """Whether it is the account's own password: out of the cache, or hashed once for all who ask the same."""
        if known.password_hash is None:
            await self._hash(attempt, passwords.burn, password[: LIMITS.password])
            return False
        name = self._digest(b"right", f"{known.account_id}:{known.version}", password)
        until = self._successes.get(name)
        if until is not None and until > self._clock():
            return True
        task = self._comparing.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._hashed(attempt, known, password, name))
            self._comparing[name] = task
            task.add_done_callback(lambda done: (self._comparing.pop(name, None), done.cancelled() or done.exception()))
        return await asyncio.shield(task)

    async def _hashed(self, attempt: _Attempt, known: Credentials, password: str, name: bytes) -> bool:
        kept = known.password_hash
        assert kept is not None
        try:
            right = await self._hash(attempt, passwords.verify, password, kept)
        except passwords.BadHash as error:
            log.trouble("bad-hash", account=known.address, error=error)
            await self._hash(attempt, passwords.burn, password[: LIMITS.password])
            return False
        if right:
            self._successes[name] = self._clock() + LIMITS.login_cache
            if len(self._successes) > LIMITS.login_cached:
                self._successes.popitem(last=False)
            if passwords.needs_rehash(kept):
                self.in_background(self._rehash(known, password))
        return right

    async def _hash(self, attempt: _Attempt, work: Callable[..., T], *args: str) -> T:
        try:
            return await self._hashers.run(work, *args, stranger=not attempt.good and not attempt.exempt)
        except Busy:
            raise self._refuse(attempt, "busy") from None

    async def _converse(
        self,
        attempt: _Attempt,
        exchange: mechanisms.Exchange[mechanisms.Claim | mechanisms.Proof],
        ask: Ask,
        last: Callable[[bytes], None] | None,
    ) -> tuple[mechanisms.Claim | mechanisms.Proof, Credentials | None]:
        known: Credentials | None = None
        try:
            want = next(exchange)
            while True:
                if isinstance(want, mechanisms.WantKeys):
                    attempt.login = want.login
                    known = await self._known(attempt)
                    want = exchange.send(await self._scram_user(known, want.login))
                elif want.last and last is not None:
                    last(mechanisms.encode(want.data))
                    want = exchange.send(b"")
                else:
                    want = exchange.send(mechanisms.decode(await ask(mechanisms.encode(want.data))))
        except StopIteration as end:
            return end.value, known
        finally:
            exchange.close()

    async def _scram_user(self, known: Credentials | None, login: str) -> mechanisms.ScramUser:
        if known is not None and known.scram_salt is not None:
            keys = tuple(mechanisms.Keys(key.stored_key, key.server_key) for key in known.keys)
            return mechanisms.ScramUser(known.scram_salt, known.scram_iterations or LIMITS.scram_iterations, keys)
        if self._fake_salt is None:
            try:
                secret = await self._store.write(accounts.fake_salt_secret, secrets.randbits(62))
                self._fake_salt = secret.to_bytes(8, "big")
            except StoreError:
                return mechanisms.made_up(self._key, login.lower(), LIMITS.scram_iterations)
        return mechanisms.made_up(self._fake_salt, login.lower(), LIMITS.scram_iterations)

    def _may(self, known: Credentials, identity: Identity, service: str) -> str:
        """Why the right password does not open this door; empty if it does."""
        if not known.enabled:
            return "disabled"
        if identity.app_password_id is not None:
            outside = service == WEB or identity.scopes and service not in identity.scopes
            return "scope" if outside else ""
        wanted = self._config()["auth.app_passwords_only"]
        if service != WEB and (wanted == "always" or wanted == "two-factor" and known.two_factor):
            return "app-password"
        return ""

    def _digest(self, purpose: bytes, who: str, password: str) -> bytes:
        text = who.encode(errors="surrogatepass") + b"\0" + password.encode(errors="surrogatepass")
        return hmac.digest(self._key, purpose + b"\0" + text, "sha256")

    # -- after the password --------------------------------------------------------------------------------------------

    def _refuse(self, attempt: _Attempt, reason: str) -> LoginRefused:
        refused = LoginRefused(reason)
        self._refusals.add(attempt.peer, f"login-{reason}", sender=attempt.login, reply=refused.text)
        return refused

    async def _failed(self, attempt: _Attempt, reason: str, fingerprint: bytes) -> LoginRefused:
        """Count it, ban whoever guesses, and say no."""
        refused = self._refuse(attempt, reason)
        if reason not in _FAILURES or attempt.exempt or attempt.good:
            return refused
        failures = self._throttle.failed(attempt.network, attempt.account, fingerprint)
        if failures >= LIMITS.login_failures and not is_private(attempt.network):
            log.trouble("banned", network=attempt.network, reason="login-failures", seconds=LIMITS.ban)
            await self._bans.ban(attempt.network, "login-failures")
        return refused

    def _succeeded(self, attempt: _Attempt, identity: Identity) -> None:
        self._throttle.forgive(attempt.network, str(identity.account_id))
        place = (identity.account_id, identity.app_password_id, attempt.network)
        now = self._clock()
        if self._recorded.get(place, 0.0) > now:
            return
        self._recorded[place] = now + _REMEMBER
        if len(self._recorded) > LIMITS.login_cached:
            self._recorded.popitem(last=False)
        self.in_background(self._record(place))

    async def _record(self, place: tuple[int, int | None, str]) -> None:
        await self._store.write(accounts.logged_in, *place)

    async def _rehash(self, known: Credentials, password: str) -> None:
        """The same password as we would keep it today."""
        kept = await self._hashers.run(
            passwords.keep, password, known.scram_salt, known.scram_iterations, stranger=False
        )
        await self._store.write(accounts.upgrade, known.account_id, known.version, accounts.Password(*kept))

    def in_background(self, work: Awaitable[None]) -> None:
        """For what nobody waits for; a store that cannot take it is no reason to refuse a login."""

        async def quietly() -> None:
            try:
                await work
            except (StoreError, Busy) as error:
                log.trouble("login-not-recorded", error=error)

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(slots=True)
class _Attempt:
    peer: str
    network: str
    login: str
    exempt: bool
    account: str = ""  # what failures are counted under
    known: bool = False
    good: bool = False  # this account logged in from there before


def _credentials(tx: Tx, login: str) -> Credentials | None:
    """By the whole address, or by the local part alone where there is only one domain."""
    login = login.strip()
    if "@" not in login:
        only = [d.name for d in domains.everyone(tx) if d.alias_of is None]
        if len(only) != 1:
            return None
        login = f"{login}@{only[0]}"
    try:
        return accounts.credentials(tx, parse_address(login))
    except BadAddress:
        return None
