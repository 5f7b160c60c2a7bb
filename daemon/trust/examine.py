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
    call, begun = checks or STANDARD, _Begun(resolver, ip, data)

    def spf_of(identity: str) -> Callable[[], SPF]:
        """Of the reverse-path, or of HELO where `identity` is empty (RFC 7208 §2.4)."""
        return begun.start(
            lambda dns: call.spf(dns, ip, helo, identity, now=now, receiver=receiver),
            lambda: _late_spf(identity, helo),
        )

    who = authors(data)
    name = begun.start(lambda dns: call.iprev(dns, ip), lambda: IPRev("temperror", reason=_SLOW))
    mail_from = spf_of(sender)
    hello = spf_of("") if sender else None  # the null sender's identity is that of HELO already
    signatures = begun.start(lambda dns: call.dkim(dns, data, now=now), lambda: _late_signatures(data))
    chain = begun.start(lambda dns: call.arc(dns, data, now=now), lambda: ARC("temperror", reason=_SLOW))
    policies = [
        begun.start(partial(dmarc.find, domain=author), partial(dmarc.Found, author, failure=_SLOW))
        for author in who.domains
    ]
    await begun.finish()
    judged = []
    for policy in policies:
        about = partial(dmarc.check, found=policy(), spf=mail_from(), signatures=signatures())
        aligned = begun.start(about, partial(DMARC, "temperror", policy().domain, reason=_SLOW))
        await begun.finish()
        judged.append(aligned())
    return Signals(
        iprev=name(),
        helo=hello() if hello else SPF("none", identity="helo"),
        spf=mail_from(),
        signatures=signatures(),
        arc=chain(),
        dmarc=dmarc.worst(judged, who),
    )


class _Begun:
    """Checks of one message: each is done at once where nobody has to be asked, else side by side with others."""

    def __init__(self, resolver: Resolver, ip: str, data: Data) -> None:
        self._resolver = resolver
        self._remembered = Remembered(resolver) if len(data) <= LIMITS.parse_inline else None  # hashing much goes aside
        self._ip = ip
        self._waiting: list[Callable[[asyncio.TaskGroup], None]] = []
        self._until = asyncio.get_running_loop().time() + LIMITS.trust_patience

    def start(self, check: Callable[[Resolver], Coroutine[Any, Any, T]], late: Callable[[], T]) -> Callable[[], T]:
        """What gives the result after `finish`."""
        if self._remembered is not None:
            with contextlib.suppress(Unknown):
                result = at_once(self._sound(check(self._remembered), late))
                return lambda: result
        tasks: list[asyncio.Task[T]] = []
        self._waiting.append(lambda group: tasks.append(group.create_task(self._sound(check(self._resolver), late))))
        return lambda: late() if tasks[0].cancelled() else tasks[0].result()

    async def finish(self) -> None:
        """Wait for those who wait, until their time is over."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            now = asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._until, now + LIMITS.trust_check)), asyncio.TaskGroup() as group:
                    for begin in waiting:
                        begin(group)

    async def _sound(self, check: Coroutine[Any, Any, T], late: Callable[[], T]) -> T:
        try:
            return await check
        except Unknown:
            raise
        except Exception as error:  # a fault of ours says nothing about the message
            log.fault("trust-fault", error, ip=self._ip)
            return late()


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
