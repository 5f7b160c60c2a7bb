"""Certificates that renew themselves: which ones there should be, when each is due, and getting them.

One name has one certificate (unless acme.names says otherwise), so that a name which cannot be proved keeps no other
from being renewed. Two thirds of its lifetime a certificate is left alone. Its key stays the same, so that a TLSA
record `3 1 1` stays right (RFC 7671 §8.1); a new key is told first, by `prepare`, and comes with the certificate after.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import health, mtasts, pem
from daemon.admin.errors import BadSetting, Missing, NotNow, Unavailable
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.resolver import DNS, TemporaryDNSError
from daemon.store import acme, certificates, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

_HOUR, _WEEK = 3_600_000, 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """A certificate that there should be. `due_at`: when the next one should be fetched; `try_at`: when it may be,
    after tries that failed. `problem`: what the last try said."""

    names: tuple[str, ...]
    certificate: certificates.Certificate | None
    due_at: int
    try_at: int
    problem: str


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
    due = 0
    if held:
        lifetime = held[0].not_after_at - held[0].not_before_at
        # later, should an authority whose clock goes wrong give one that is due at once
        due = max(held[0].not_before_at + lifetime * 2 // 3, held[0].created_at + lifetime // 3)
        coming = acme.next_key(tx, names[0])
        if coming is not None:
            due = min(due, coming.ready_at)
    tries = acme.orders(tx, names)
    failed = next((n for n, order in enumerate(tries) if order.state != "failed"), len(tries))
    wait = min(LIMITS.acme_pause * 1000 << failed >> 1, 24 * _HOUR) if failed else 0
    last = tries[0].ended_at or 0 if failed else 0
    return Plan(names, held[0] if held else None, due, max(due, last + wait), tries[0].problem if tries else "")


def renew(store: Store, named: Sequence[str] = (), *, everything: bool = False) -> list[Renewal]:
    """Fetch what is due; those with one of the names `named`, or `everything`, due or not.

    One that fails does not keep the others: it is told in its `Renewal`, see `failure`. Raises `BadSetting`, `Missing`.
    """
    config = store.read_now(settings.load)
    if not config["acme.agree"]:
        raise BadSetting(
            f"acme.agree: the terms of {config['acme.directory']} are not agreed to yet; read them, then"
            " `mailctl config set acme.agree yes`"
        )
    known = store.read_now(plans)
    for name in named:
        if not any(name in plan.names for plan in known):
            names = " ".join(n for plan in known for n in plan.names)
            raise Missing(f"no certificate for {name} is kept by ACME; there are {names}")
    return [
        _renew(store, config, plan, everything or bool(named))
        if everything or set(named) & set(plan.names) or (not named and plan.due_at <= store.clock())
        else _good(plan)
        for plan in known
    ]


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
        if not _in_the_dns(config, plan):
            text = f"{plan.names[0]} has no address in the DNS; publish an A or AAAA record, or do without it"
            store.write_now(_fail_at_once, config["acme.directory"], plan.names, text)
            return Renewal(plan.names, "skipped", None, None, None, text)
        key, order = store.write_now(_begin, config["acme.directory"], plan.names, pem.new_key())
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


def _begin(tx: Tx, directory: str, names: tuple[str, ...], new_key: str) -> tuple[str, int]:
    """The key that the certificate will have, and the number of the order."""
    return _key(tx, names[0]) or new_key, acme.begin_order(tx, directory, names)


def _fail_at_once(tx: Tx, directory: str, names: tuple[str, ...], problem: str) -> None:
    acme.fail_order(tx, acme.begin_order(tx, directory, names), problem)


def _key(tx: Tx, name: str) -> str | None:
    """The key that was told in advance, if its time has come; else the one that is shown now."""
    coming = acme.next_key(tx, name)
    if coming is not None and coming.ready_at <= tx.now:
        return coming.private_key
    held = _shown(tx, name)
    return held.private_key if held is not None and pem.is_usual(held.private_key) else None


def _shown(tx: Tx, name: str) -> certificates.Certificate | None:
    """The certificate of the store that clients see for `name` (as `serve.tls` ranks them)."""
    held = [c for c in certificates.everyone(tx) if name in c.names]
    return max(held, key=lambda c: (c.not_after_at > tx.now, c.source != "self-signed", c.id), default=None)


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


def _in_the_dns(config: Config, plan: Plan) -> bool:
    """Whether the authority could find the name at all. The host's own is left to the authority's words, and so are
    those that somebody wrote down."""
    if config["acme.names"] or plan.names[0] == config.hostname or config["acme.challenge"] == "dns-01":
        return True
    return asyncio.run(_has_address(config, plan.names[0]))


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


# -- a new key ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A key of `name`: `state` is current or next. `tlsa` is the data of its TLSA record (RFC 6698), `3 1 1 HASH`."""

    name: str
    state: str
    tlsa: str
    ready_at: int | None


def keys(store: Store) -> list[Key]:
    """The host's keys: that of the certificate other servers see, and the one that comes next, if one was prepared."""

    def work(tx: Tx) -> list[Key]:
        name = settings.load(tx).hostname
        return _keys(tx, name)

    return store.read_now(work)


def prepare(store: Store, name: str = "") -> list[Key]:
    """Make the next key of `name` (the host's), to be told in the DNS now and used once everybody knows it.

    Both keys; a next one that is there already stays. Raises `Missing`.
    """

    def work(tx: Tx) -> list[Key]:
        host = name or settings.load(tx).hostname
        if not any(plan.names[0] == host for plan in plans(tx)):
            raise Missing(f"no certificate for {host} is kept by ACME")
        acme.put_next_key(tx, host, pem.new_key(), tx.now + LIMITS.next_key * 1000)
        return _keys(tx, host)

    return store.write_now(work)


def _keys(tx: Tx, name: str) -> list[Key]:
    held = _shown(tx, name)
    found = [Key(name, "current", "3 1 1 " + pem.key_hash(held.private_key), None)] if held else []
    coming = acme.next_key(tx, name)
    if coming is not None:
        found.append(Key(name, "next", "3 1 1 " + pem.key_hash(coming.private_key), coming.ready_at))
    return found
