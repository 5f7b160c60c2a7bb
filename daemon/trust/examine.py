"""All checks of one message, side by side, each in its time. What takes too long is a temporary error, like a server
that does not answer; so a dead resolver costs one time-out, and no stranger's DNS holds a sender for ever.

A check whose questions were answered before, as those of most mail were, is done at once: no task, no time-out."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from daemon import log
from daemon.limits import LIMITS
from daemon.mail.decode import unfold
from daemon.mail.header import named
from daemon.resolver import Remembered, Resolver, Unknown, at_once
from daemon.trust import arc, dkim, dmarc, iprev, spf
from daemon.trust.author import authors
from daemon.trust.results import ARC, DMARC, SPF, IPRev, Signals, Signature

if TYPE_CHECKING:
    from daemon.mail.header import Data

T = TypeVar("T")
_SLOW = "the check took too long"
_D = re.compile(rb"(?:\A|;)\s*d\s*=\s*([^\s;]{1,255})")


class Checks(NamedTuple):
    """The checks as they are called; tests hand in others."""

    iprev: Callable[[Resolver, str], Coroutine[Any, Any, IPRev]]
    spf: Callable[..., Coroutine[Any, Any, SPF]]
    dkim: Callable[..., Coroutine[Any, Any, tuple[Signature, ...]]]
    arc: Callable[..., Coroutine[Any, Any, ARC]]


STANDARD = Checks(iprev.check, spf.check_host, dkim.verify, arc.verify)


async def examine(
    resolver: Resolver,
    *,
    ip: str,
    helo: str,
    sender: str,
    data: Data,
    now: int,
    receiver: str,
    checks: Checks | None = None,
) -> Signals:
    """What can be found out about a message that `ip` handed us. `sender` is the reverse-path, "" for the null one;
    `now` in seconds; `receiver` our name. Never raises for what it was given."""
    call, clock = checks or STANDARD, asyncio.get_running_loop().time
    until = clock() + LIMITS.trust_patience
    remembered = Remembered(resolver) if len(data) <= LIMITS.parse_inline else None  # hashing much goes aside

    def patience() -> asyncio.Timeout:
        return asyncio.timeout_at(min(until, clock() + LIMITS.trust_check))

    async def sound(check: Coroutine[Any, Any, T], late: Callable[[], T]) -> T:
        try:
            return await check
        except Unknown:
            raise
        except Exception as error:  # a fault of ours says nothing about the message
            log.fault("trust-fault", error, ip=ip)
            return late()

    waiting: list[Callable[[asyncio.TaskGroup], None]] = []

    def start(check: Callable[[Resolver], Coroutine[Any, Any, T]], late: Callable[[], T]) -> Callable[[], T]:
        """What gives the result when the time is over."""
        if remembered is not None:
            with contextlib.suppress(Unknown):
                result = at_once(sound(check(remembered), late))
                return lambda: result
        tasks: list[asyncio.Task[T]] = []
        waiting.append(lambda group: tasks.append(group.create_task(sound(check(resolver), late))))
        return lambda: late() if tasks[0].cancelled() else tasks[0].result()

    def spf_of(identity: str) -> Callable[[], SPF]:
        """Of the reverse-path, or of HELO where `identity` is empty (RFC 7208 §2.4)."""
        return start(
            lambda dns: call.spf(dns, ip, helo, identity, now=now, receiver=receiver),
            lambda: _late_spf(identity, helo),
        )

    who = authors(data)
    name = start(lambda dns: call.iprev(dns, ip), lambda: IPRev("temperror", reason=_SLOW))
    mail_from = spf_of(sender)
    hello = spf_of("") if sender else None  # the null sender's identity is that of HELO already
    signatures = start(lambda dns: call.dkim(dns, data, now=now), lambda: _late_signatures(data))
    chain = start(lambda dns: call.arc(dns, data, now=now), lambda: ARC("temperror", reason=_SLOW))
    policies = [
        start(partial(dmarc.find, domain=author), partial(dmarc.Found, author, failure=_SLOW)) for author in who.domains
    ]
    if waiting:
        with contextlib.suppress(TimeoutError):
            async with patience(), asyncio.TaskGroup() as group:
                for begin in waiting:
                    begin(group)

    async def aligned(policy: dmarc.Found) -> DMARC:
        late = partial(DMARC, "temperror", policy.domain, reason=_SLOW)
        if remembered is not None:
            with contextlib.suppress(Unknown):
                return at_once(sound(dmarc.check(remembered, policy, mail_from(), signatures()), late))
        with contextlib.suppress(TimeoutError):
            async with patience():
                return await sound(dmarc.check(resolver, policy, mail_from(), signatures()), late)
        return late()

    judged = [await aligned(policy()) for policy in policies]
    return Signals(
        iprev=name(),
        helo=hello() if hello else SPF("none", identity="helo"),
        spf=mail_from(),
        signatures=signatures(),
        arc=chain(),
        dmarc=dmarc.worst(judged, who),
    )


def _late_spf(identity: str, helo: str) -> SPF:
    domain = identity.rpartition("@")[2] or helo
    return SPF("temperror", domain, "mailfrom" if identity else "helo", reason=_SLOW)


def _late_signatures(data: Data) -> tuple[Signature, ...]:
    """Whose signatures they were, so that a stranger's slow one does not leave the author's DMARC open."""
    return tuple(Signature("temperror", domain, reason=_SLOW) for domain in signers(data))


def signers(data: Data) -> tuple[str, ...]:
    """The domains that the DKIM signatures of a message are said to be of, one for each, looked at no further."""
    found = named(data, b"dkim-signature")[: LIMITS.authres_results]
    domains = (_D.search(unfold(field.value)) for field in found)
    return tuple(domain[1].decode("ascii", "replace").lower() for domain in domains if domain is not None)
