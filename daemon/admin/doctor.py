"""Everything looked at once, side by side, each check with its own time limit: `mailctl doctor`.

A check takes `Facts` and gives findings; one that takes too long or breaks is a finding too, and hinders no other.
Nothing is repaired, and nothing leaves this machine but questions to the name servers, unless a probe is named.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable

from daemon import passwords
from daemon.admin import (
    certcheck,
    conflicts,
    dnscheck,
    dnsrecords,
    enginecheck,
    factors,
    health,
    knock,
    listcheck,
    machine,
    outbound,
    scriptcheck,
    viruscheck,
)
from daemon.admin.findings import Facts, Finding
from daemon.config import BadSetting, Config
from daemon.limits import LIMITS
from daemon.resolver import DNS
from daemon.store import check, dkim_keys, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

__all__ = ["Finding", "examine", "the_store"]

Check = Callable[[Facts], Iterable[Finding] | Awaitable[Iterable[Finding]]]

_SEVERITY = {"error": 0, "warning": 1, "info": 2, "ok": 3}
_RESERVED = ("test", "example", "invalid", "localhost", "local", "localdomain")  # RFC 6761, RFC 6762: in nobody's DNS
_FORGOTTEN = 7 * 86_400_000  # ms a new DKIM key may wait for its record
_AT_ONCE = 8  # domains asked about at a time


class _OutOfTime(Exception):
    """The store is too large to be proved in the doctor's time."""


def examine(store: Store, *, probe: str = "") -> list[Finding]:
    """All checks; the worst first, in the order of the checks otherwise."""
    found = _settings(store)
    facts = _facts(store, probe)
    found += asyncio.run(_all(facts))
    return sorted(found, key=lambda f: _SEVERITY[f.level])


def the_store(store: Store, progress: check.Progress | None = None, *, deep: bool = True) -> Iterable[Finding]:
    """What is wrong in the store, as it is found; `deep` reads every octet of every message."""
    for one in check.check(store, progress, deep):
        yield Finding(one.level, one.reason, one.subject, one.text)


def _facts(store: Store, probe: str) -> Facts:
    def work(tx: Tx) -> tuple[Config, tuple[str, ...]]:
        try:
            config = settings.load(tx)
        except BadSetting:  # said by `_settings`; the other checks look at the defaults
            config = Config()
        return config, tuple(d.name for d in domains.everyone(tx) if d.enabled)

    config, names = store.read_now(work)
    return Facts(store, config, store.clock(), health.is_running(store), names, probe)


def _settings(store: Store) -> list[Finding]:
    try:
        store.read_now(settings.load)
    except BadSetting as error:
        return [Finding("error", "setting-bad", "settings", str(error), "mend it with `mailctl config set`")]
    return []


async def _all(facts: Facts) -> list[Finding]:
    parts = await asyncio.gather(*(_bounded(name, check, facts) for name, check in CHECKS.items()))
    return [finding for part in parts for finding in part]


async def _bounded(name: str, check: Check, facts: Facts) -> list[Finding]:
    try:
        async with asyncio.timeout(LIMITS.doctor_patience):
            if inspect.iscoroutinefunction(check):
                return list(await check(facts))
            return list(await asyncio.to_thread(check, facts))  # type: ignore[arg-type]
    except TimeoutError:
        text = f"not finished within {LIMITS.doctor_patience} s"
        return [Finding("warning", "check-slow", name, text, "look again when the machine has less to do")]
    except Exception as error:
        text = f"the check itself failed: {type(error).__name__}: {error}"
        return [Finding("error", "check-failed", name, text, "please report it")]


# --------------------------------------------------------------------------------------------------- checks of its own


async def _dns(facts: Facts) -> list[Finding]:
    """Everything published for every domain, blocklists too."""
    if not facts.domains:
        return [Finding("error", "no-domain", "domains", "there is no domain yet", "`mailctl domain add DOMAIN`")]
    found: list[Finding] = []
    names = list(facts.domains)
    if not facts.config["dns.servers"]:
        for name in [n for n in names if n.rpartition(".")[2] in _RESERVED]:
            names.remove(name)
            found.append(
                Finding("info", "domain-reserved", name, "a name for tests or for one network: the DNS has none such")
            )
    resolver = DNS(facts.config["dns.servers"], patience=LIMITS.doctor_patience / 3)
    door = asyncio.Semaphore(_AT_ONCE)
    asked = {asyncio.create_task(_domain(facts, resolver, name, door)): name for name in names}
    if asked:
        done, late = await asyncio.wait(asked, timeout=LIMITS.doctor_patience - 1)
        for task in late:
            task.cancel()
            text = "the name servers are too slow, or the domains too many, to finish in the doctor's time"
            remedy = f"`mailctl dns check {asked[task]}` takes the time it needs"
            found.append(Finding("warning", "dns-unfinished", asked[task], text, remedy))
        await asyncio.gather(*late, return_exceptions=True)
        found += dict.fromkeys(f for task, _ in asked.items() if task in done for f in task.result())
    return found


async def _domain(facts: Facts, resolver: DNS, name: str, door: asyncio.Semaphore) -> list[Finding]:
    async with door:
        wanted = await asyncio.to_thread(dnsrecords.wishes, facts.store, name)
        found = await dnscheck.findings(resolver, wanted)
    return [_of_dns(f) for f in found]


def _of_dns(f: dnscheck.Finding) -> Finding:
    """What it breaks belongs to the text, the record to the remedy."""
    text = f"{f.text}; {f.breaks}" if f.breaks else f.text
    return Finding(f.level, f.reason, f.subject, text, f"publish: {f.record}" if f.record else None)


def _dkim(facts: Facts) -> list[Finding]:
    """Whether every domain has keys that sign; whether their records are published, `_dns` says."""
    keys = facts.store.read_now(dkim_keys.everyone)
    found: list[Finding] = []
    for name in facts.domains:
        own = [key for key in keys if key.domain == name]
        waiting = [key for key in own if key.state == "pending" and facts.now - key.created_at > _FORGOTTEN]
        if not any(key.state == "active" for key in own):
            text = "no key signs for it: its mail goes out without a proof"
            found.append(Finding("error", "dkim-no-key", name, text, f"`mailctl dkim add {name}`, or start the server"))
        elif waiting:
            text = f"a new key waits since {(facts.now - waiting[0].created_at) // 86_400_000} days for its DNS record"
            remedy = f"publish what `mailctl dns records {name}` prints"
            found.append(Finding("warning", "dkim-waits", waiting[0].name, text, remedy))
    return found or [Finding("ok", "dkim-keys", "dkim", "every domain has keys that sign")]


def _hashes(facts: Facts) -> list[Finding]:
    """Passwords are worth nothing if the libraries that prove them say yes to anything, or no to everything."""
    try:
        passwords.self_test()
    except Exception as error:
        remedy = "install the server's libraries anew: nobody can log in safely"
        return [Finding("error", "hash-broken", "passwords", f"the self-test failed: {error}", remedy)]
    return [Finding("ok", "hash-sound", "passwords", "the self-test of password hashes passed")]


def _store(facts: Facts) -> list[Finding]:
    """The quick part of the store's proof, as far as it comes in time."""
    end = time.monotonic() + LIMITS.doctor_patience / 2
    found: list[Finding] = []

    def tell(what: str, done: int, total: int) -> None:
        if time.monotonic() > end:
            raise _OutOfTime(what)

    try:
        for finding in the_store(facts.store, tell, deep=False):
            if finding.reason != "setting-bad":
                found.append(finding)
    except _OutOfTime as error:
        text = f"only looked at in part (it ended in: {error}): it is too large for a quick look"
        found.append(Finding("info", "store-large", "store", text, "`mailctl doctor --store` proves all of it"))
    return found or [
        Finding("ok", "store-sound", "store", "counters and references hold; `--store` reads every message too")
    ]


CHECKS: dict[str, Check] = {
    "ports": knock.check,
    "certificates": certcheck.check,
    "dkim": _dkim,
    "settings": conflicts.check,
    "disk": machine.disk,
    "clock": machine.clock,
    "queue": machine.queue,
    "store": _store,
    "passwords": _hashes,
    "two-factor": factors.readable,
    "port 25 outward": outbound.check,
    "filters": enginecheck.check,
    "lists": listcheck.check,
    "viruses": viruscheck.check,
    "scripts": scriptcheck.check,
    "dns": _dns,
}
"""Names of checks, in the order of their findings."""
