"""The key under the host's certificate, and the one that comes next: in step with TLSA (RFC 7671 §8.1, RFC 7672).

A renewal keeps the key, so that a record `3 1 1` stays right. Another key is made by `prepare` and told beside the old
one; certificates have it from `ready_at` on, when no cache is left without it, and only if the DNS, where it names our
key at all, names the new one too.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin import pem, tlsa
from daemon.admin.errors import Missing
from daemon.limits import LIMITS
from daemon.resolver import TLSA, Resolver, TemporaryDNSError
from daemon.store import acme, certificates, settings
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Key:
    """A key of `name`: `state` is current or next. `tlsa` is the data of its record, `3 1 1 HASH`."""

    name: str
    state: str
    tlsa: str
    ready_at: int | None


def next_hash(tx: Tx, host: str) -> tuple[str, ...]:
    """Of the next key of `host`, as TLSA has it; nothing when there is none."""
    following = acme.next_key(tx, host)
    return (pem.key_hash(following.private_key),) if following is not None else ()


def coming(tx: Tx, names: tuple[str, ...]) -> acme.NextKey | None:
    """The next key, if the certificate with these names is the host's."""
    host = settings.load(tx).hostname
    return acme.next_key(tx, host) if certificates.covers(names, host) else None


def key_for(tx: Tx, names: tuple[str, ...], *, known: bool = True) -> str | None:
    """The key that the next certificate with these names has; None: a new one. `known`: a next one may be used."""
    following = coming(tx, names)
    if known and following is not None and following.ready_at <= tx.now:
        return following.private_key
    held = certificates.shown(tx, names[0])
    return held.private_key if held is not None and pem.is_usual(held.private_key) else None


def keys(tx: Tx) -> list[Key]:
    """The host's: that of the certificate which other servers see, and the next one, if there is one."""
    host = settings.load(tx).hostname
    held, following = certificates.shown(tx, host), acme.next_key(tx, host)
    found = [Key(host, "current", f"{tlsa.OWN_KEY} {tlsa.key_hash(held.chain)}", None)] if held else []
    if following is not None:
        digest = pem.key_hash(following.private_key)
        found.append(Key(host, "next", f"{tlsa.OWN_KEY} {digest}", following.ready_at))
    return found


def prepare(tx: Tx) -> list[Key]:
    """Make the host's next key; one that is there already stays, for its record may be in the DNS."""
    held = certificates.shown(tx, settings.load(tx).hostname)
    if held is None or held.source != "acme":
        raise Missing("the host's certificate is not from an authority yet; `mailctl cert renew` fetches it")
    acme.put_next_key(tx, settings.load(tx).hostname, pem.new_key(), tx.now + LIMITS.next_key * 1000)
    return keys(tx)


async def is_known(resolver: Resolver, told: list[Key]) -> bool:
    """Whether nobody who checks TLSA would refuse the next key. False, too, when nobody can tell."""
    following = [key for key in told if key.state == "next"]
    if not following:
        return True
    try:
        answer = await resolver.ask(f"_25._tcp.{following[0].name}", "TLSA")
    except TemporaryDNSError:
        return False
    records = [r for r in answer.records if isinstance(r, TLSA)]
    told_there = {f"{r.usage} {r.selector} {r.matching} {r.data.hex()}" for r in records}
    return not records or following[0].tlsa in told_there
