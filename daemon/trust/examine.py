"""All checks of one message, side by side, each in its time. What takes too long is a temporary error, like a server
that does not answer; so a dead resolver costs one time-out, and no stranger's DNS holds a sender for ever."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from daemon import log
from daemon.limits import LIMITS
from daemon.mail.decode import unfold
from daemon.mail.header import field_matcher, header_end
from daemon.resolver import Resolver
from daemon.trust import arc, dkim, dmarc, iprev, spf
from daemon.trust.author import authors
from daemon.trust.results import ARC, DMARC, SPF, IPRev, Signals, Signature

if TYPE_CHECKING:
    from daemon.mail.header import Data

T = TypeVar("T")
_SLOW = "the check took too long"
_SIGNATURE = field_matcher(frozenset((b"dkim-signature",)))
_D = re.compile(rb"(?:\A|;)\s*d\s*=\s*([^\s;]{1,255})")


class Checks(NamedTuple):
    """The checks as they are called; tests hand in others."""

    iprev: Callable[[Resolver, str], Awaitable[IPRev]]
    spf: Callable[..., Awaitable[SPF]]
    dkim: Callable[..., Awaitable[tuple[Signature, ...]]]
    arc: Callable[..., Awaitable[ARC]]


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
    loop, call = asyncio.get_running_loop(), checks or STANDARD
    until = loop.time() + LIMITS.trust_patience

    async def within(check: Awaitable[T], late: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout_at(min(until, loop.time() + LIMITS.trust_check)):
                return await check
        except TimeoutError:
            return late()
        except Exception as error:  # a fault of ours says nothing about the message
            log.fault("trust-fault", error, ip=ip)
            return late()

    def spf_of(identity: str) -> Coroutine[None, None, SPF]:
        """Of the reverse-path, or of HELO where `identity` is empty (RFC 7208 §2.4)."""
        asked = call.spf(resolver, ip, helo, identity, now=now, receiver=receiver)
        return within(asked, lambda: _late_spf(identity, helo))

    who = authors(data)
    async with asyncio.TaskGroup() as group:
        start = group.create_task
        name = start(within(call.iprev(resolver, ip), lambda: IPRev("temperror", reason=_SLOW)))
        mail_from = start(spf_of(sender))
        hello = start(spf_of("")) if sender else None  # the null sender's identity is that of HELO already
        signatures = start(within(call.dkim(resolver, data, now=now), lambda: _late_signatures(data)))
        chain = start(within(call.arc(resolver, data, now=now), lambda: ARC("temperror", reason=_SLOW)))
        policies = [
            start(within(dmarc.find(resolver, author), partial(dmarc.Found, author, failure=_SLOW)))
            for author in who.domains
        ]
    judged = [
        await within(
            dmarc.check(resolver, policy.result(), mail_from.result(), signatures.result()),
            partial(DMARC, "temperror", policy.result().domain, reason=_SLOW),
        )
        for policy in policies
    ]
    return Signals(
        iprev=name.result(),
        helo=hello.result() if hello else SPF("none", identity="helo"),
        spf=mail_from.result(),
        signatures=signatures.result(),
        arc=chain.result(),
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
    found = islice(_SIGNATURE.finditer(data, 0, header_end(data, 0, len(data))), LIMITS.authres_results)
    domains = (_D.search(unfold(field[0].partition(b":")[2])) for field in found)
    return tuple(domain[1].decode("ascii", "replace").lower() for domain in domains if domain is not None)
