"""Certificates that renew themselves: which ones there should be, when each is due, and getting them.

One name has one certificate (unless acme.names says otherwise), so that a name which cannot be proved keeps no other
from being renewed. A certificate is due when its authority suggests (`acme_renewal`), or at two thirds of its lifetime.
Which key it has: `tls_keys`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.admin import health, mtasts, pem, tls_keys
from daemon.admin.errors import BadSetting, Missing, NotNow, Unavailable
from daemon.config import Config, hand_over
from daemon.limits import LIMITS
from daemon.resolver import DNS, TemporaryDNSError
from daemon.store import acme, certificates, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

_HOUR, _DAY, _WEEK = 3_600_000, 86_400_000, 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """A certificate that there should be. `due_at`: when the next one should be fetched; `try_at`: when it may be,
    after tries that failed. `ask_at`: when the authority is asked whether that is still so, if it is. `problem`: what
    the last try said."""

    names: tuple[str, ...]
    certificate: certificates.Certificate | None
    due_at: int
    try_at: int
    ask_at: int | None
    problem: str

    def is_up(self, now: int) -> bool:
        """Whether there is something to do."""
        return self.try_at <= now or self.ask_at is not None and self.ask_at <= now

    @property
    def next_at(self) -> int:
        return self.try_at if self.ask_at is None else min(self.try_at, self.ask_at)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a plan: `state` is renewed, good (not due), skipped (no address in the DNS), refused (by the
    authority, whose words are `text`) or unreachable."""

    names: tuple[str, ...]
    state: str
    certificate: int | None
    until_at: int | None
    due_at: int | None
    text: str


def plans(tx: Tx) -> list[Plan]:
    """All certificates that there should be; none while the authority's terms are not agreed to."""
    config = settings.load(tx)
    return [_plan(tx, names) for names in wanted(tx, config)] if config["acme.agree"] else []


def known_plans(tx: Tx) -> list[Plan]:
    """The same for who only looks: none, too, while a setting is spoilt."""
    try:
        return plans(tx)
    except BadSetting:
        return []


def wanted(tx: Tx, config: Config) -> list[tuple[str, ...]]:
    """The names of each certificate. The host's own is not fetched where tls.certificate names a file."""
    if config["acme.names"]:
        return [config["acme.names"]]
    names = [] if config["tls.certificate"] else [config.hostname]
    for domain in domains.everyone(tx):
        if domain.enabled:
            names += [mtasts.host(domain.name), f"autoconfig.{domain.name}"]
    return [(name,) for name in dict.fromkeys(names)]


def _plan(tx: Tx, names: tuple[str, ...]) -> Plan:
    held = [c for c in certificates.everyone(tx) if c.source == "acme" and set(names) <= set(c.names)]
    due, ask_at = 0, None
    if held:
        due, ask_at = _moments(tx, held[0])
        coming = tls_keys.coming(tx, names)
        if coming is not None and held[0].created_at < coming.ready_at:  # else it was not to be had the last time
            due = min(due, coming.ready_at)
    tries = acme.orders(tx, names)
    failed = next((n for n, order in enumerate(tries) if order.state != "failed"), len(tries))
    wait = min(LIMITS.acme_pause * 1000 << failed >> 1, 24 * _HOUR) if failed else 0
    last = tries[0].ended_at or 0 if failed else 0
    return Plan(names, held[0] if held else None, due, max(due, last + wait), ask_at, tries[0].problem if tries else "")


def _moments(tx: Tx, held: certificates.Certificate) -> tuple[int, int | None]:
    """When a certificate is due, and when its authority is asked (again) what it thinks of that."""
    lifetime = held.not_after_at - held.not_before_at
    renew_at, ask_at = acme.renewal(tx, held.id) or (None, held.created_at + LIMITS.acme_ask * 1000)
    if renew_at is None:
        # later, should an authority whose clock goes wrong give one that is due at once
        due = max(held.not_before_at + lifetime * 2 // 3, held.created_at + lifetime // 3)
    else:  # whatever it says, once a day at most, and before it is over
        due = min(max(renew_at, held.created_at + _DAY), held.not_after_at - lifetime // 10)
    return due, ask_at if held.not_after_at > tx.now else None  # RFC 9773 §4.3: not about one that is over


def renew(store: Store, named: Sequence[str] = (), *, everything: bool = False, due: bool = False) -> list[Renewal]:
    """Fetch what is due; those with one of the names `named` due or not, unless `due`; or `everything`.

    One that fails does not keep the others: it is told in its `Renewal`, see `failure`. Raises `BadSetting`, `Missing`,
    `NotNow` (another process is at it).
    """
    config = store.read_now(settings.load)
    if not config["acme.agree"]:
        raise BadSetting(
            f"acme.agree: the terms of {config['acme.directory']} are not agreed to yet; read them, then"
            " `mailctl config set acme.agree yes`"
        )
    with _alone(store):
        return _renew_all(store, config, named, everything=everything, due=due)


def _renew_all(store: Store, config: Config, named: Sequence[str], *, everything: bool, due: bool) -> list[Renewal]:
    known = store.read_now(plans)
    for name in named:
        if not any(name in plan.names for plan in known):
            names = " ".join(n for plan in known for n in plan.names)
            raise Missing(f"no certificate for {name} is kept by ACME; there are {names}")
    forced = everything or bool(named) and not due
    if not forced and _ask(store, config, [plan for plan in known if not named or set(named) & set(plan.names)]):
        known = store.read_now(plans)
    done = []
    for plan in known:
        meant = not named or bool(set(named) & set(plan.names))
        wants = meant and (forced or plan.due_at <= store.clock())
        done.append(_renew(store, config, plan, forced) if wants else _good(plan))
    return done


def _ask(store: Store, config: Config, known: Sequence[Plan]) -> bool:
    """Ask the authority about those whose time to ask has come; whether there were any."""
    now = store.clock()
    up = [plan.certificate for plan in known if plan.certificate and plan.ask_at is not None and plan.ask_at <= now]
    if up:
        from daemon.admin import acme_renewal  # it carries much, as `acme_order` does

        acme_renewal.ask(store, config, up)
    return bool(up)


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One process at a time fetches certificates: the server's, or an administrator's. Raises `NotNow`."""
    with open(os.open(store.data.acme_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
        hand_over(store.data.acme_lock, store.data.path)
        end = time.monotonic() + LIMITS.acme_patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise NotNow("another process fetches certificates now; try again in some minutes") from None
                time.sleep(0.1)
        yield


def failure(done: Sequence[Renewal]) -> Exception | None:
    """What to raise after these: the first that failed, and by it whether the authority spoke."""
    for state, kind in (("refused", NotNow), ("unreachable", Unavailable)):
        for one in done:
            if one.state == state:
                return kind(one.text)
    return None


def _renew(store: Store, config: Config, plan: Plan, forced: bool) -> Renewal:
    """One certificate. Raises `BadSetting`; all else is told in the answer."""
    from daemon.admin import acme_order, acme_stand_in  # they carry much, and are needed once in two months

    try:
        _budget(store, plan, forced)
        known = asyncio.run(tls_keys.is_known(DNS(config["dns.servers"]), store.read_now(tls_keys.keys)))
        obstacle = _obstacle(config, plan, store.clock(), known or forced)
        if obstacle:
            store.write_now(_fail_at_once, config["acme.directory"], plan.names, obstacle)
            return Renewal(plan.names, "skipped", None, None, None, obstacle)
        key, order = store.write_now(_begin, config["acme.directory"], plan.names, known, pem.new_key())
        try:
            with contextlib.nullcontext() if health.is_running(store) else acme_stand_in.standing_in(store, config):
                chain = acme_order.fetch(store, config, plan.names, key)
            seen = pem.examine(chain, key)
        except BaseException as error:
            store.write_now(acme.fail_order, order, str(error) or type(error).__name__)
            raise
    except NotNow as error:
        return Renewal(plan.names, "refused", None, None, None, str(error))
    except (Unavailable, pem.BadCertificate) as error:
        return Renewal(plan.names, "unreachable", None, None, None, str(error))
    made = store.write_now(acme.fulfil_order, order, seen.names, chain, key, seen.not_before_at, seen.not_after_at)
    due = store.read_now(_plan, plan.names).due_at
    return Renewal(plan.names, "renewed", made, seen.not_after_at, due, "")


def _begin(tx: Tx, directory: str, names: tuple[str, ...], known: bool, new_key: str) -> tuple[str, int]:
    """The key that the certificate will have, and the number of the order."""
    return tls_keys.key_for(tx, names, known=known) or new_key, acme.begin_order(tx, directory, names)


def _fail_at_once(tx: Tx, directory: str, names: tuple[str, ...], problem: str) -> None:
    acme.fail_order(tx, acme.begin_order(tx, directory, names), problem)


def _budget(store: Store, plan: Plan, forced: bool) -> None:
    """Raises `NotNow` before the authority would (and would count it)."""
    now, orders = store.clock(), store.read_now(acme.orders, plan.names)
    name = plan.names[0]
    failed = [o.ended_at for o in orders if o.state == "failed" and o.ended_at and o.ended_at > now - _HOUR]
    if len(failed) >= LIMITS.acme_tries:
        minutes = (min(failed) + _HOUR - now) // 60_000 + 1
        raise NotNow(
            f"{name}: {len(failed)} orders failed within the hour, and authorities count them; try again in"
            f" {minutes} minutes; the last one: {orders[0].problem}"
        )
    held = plan.certificate
    given = [o for o in orders if o.state == "valid" and o.began_at > now - _WEEK]
    if forced and held and held.not_after_at - held.not_before_at > 2 * _WEEK and len(given) >= LIMITS.acme_same:
        raise NotNow(f"{name}: {len(given)} certificates came within a week, and authorities give no more than five")


def _obstacle(config: Config, plan: Plan, now: int, known: bool) -> str:
    """Why the authority need not be asked; '' if it may be. `known`: the next key may be used.

    Whether the host's own name can be found is left to the authority's words, and so it is for names that somebody
    wrote down.
    """
    held = plan.certificate
    if held is not None and not known and now < held.not_before_at + (held.not_after_at - held.not_before_at) * 2 // 3:
        return f"{plan.names[0]}: the next key has no TLSA record in the DNS yet; publish it, until then the key stays"
    given = config["acme.names"] or plan.names[0] == config.hostname or config["acme.challenge"] == "dns-01"
    if not given and not asyncio.run(_has_address(config, plan.names[0])):
        return f"{plan.names[0]} has no address in the DNS; publish an A or AAAA record, or do without it"
    return ""


async def _has_address(config: Config, name: str) -> bool:
    resolver = DNS(config["dns.servers"])
    try:
        return any([(await resolver.ask(name, kind)).records for kind in ("A", "AAAA")])
    except TemporaryDNSError:
        return True  # nobody could tell


def _good(plan: Plan) -> Renewal:
    kept = plan.certificate
    if kept is None:
        return Renewal(plan.names, "good", None, None, plan.due_at, "")
    return Renewal(plan.names, "good", kept.id, kept.not_after_at, plan.due_at, "")
