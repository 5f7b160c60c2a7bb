"""What is asked about every message from outside, beside its proofs and its words: one line of `PARTS` each.

A check that takes too long or fails is in the log, and `late` stands for its answer: that never says yes, and tells
the verdict and the trace that nobody could say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon import log
from daemon.config import Config, contains
from daemon.flow import dangers
from daemon.flow.envelope import Envelope, Origin
from daemon.limits import LIMITS
from daemon.mail import links
from daemon.resolver import Resolver
from daemon.trust import blocklist
from daemon.trust.author import authors
from daemon.trust.blocklist import Wanted, Zones
from daemon.trust.examine import signers
from daemon.trust.results import Lists
from daemon.trust.verdict import Policy

if TYPE_CHECKING:
    from daemon.mail.header import Data


class Case(NamedTuple):
    """One message as the checks look at it; `now` in milliseconds. `outside`: others may be asked about it.
    `zones`: what is known of the lists in the DNS; `aside` runs long work in a thread."""

    origin: Origin
    envelope: Envelope
    data: Data
    config: Config
    now: int
    resolver: Resolver
    zones: Zones
    aside: Callable[..., Awaitable[Any]]
    outside: bool = True

    @property
    def incoming(self) -> bool:
        """It is a stranger's, not one that a user or a server we trust hands in."""
        return self.origin.kind == "smtp"


class Part(NamedTuple):
    """One check: the field of `Signals` it fills, whether it is wanted, who is asked, for how many seconds, and what
    stands when there is no answer. Who knows at once answers at once, else with what is to be awaited."""

    field: str
    wanted: Callable[[Case], bool]
    ask: Callable[[Case], Any]
    patience: float
    late: Any


def _lists_wanted(case: Case) -> bool:
    config = case.config
    return case.incoming and case.outside and config["trust.check"] and config["spam.check"]


def _lists(case: Case) -> Lists | Awaitable[Lists]:
    """What lists in the DNS say of the peer, of the domains that sent it, and of where its links lead."""
    return _lists_of_long(case) if len(case.data) > LIMITS.parse_inline else _lists_of(case, links.hosts(case.data))


async def _lists_of_long(case: Case) -> Lists:
    found = _lists_of(case, await case.aside(links.hosts, case.data))
    return found if isinstance(found, Lists) else await found


def _lists_of(case: Case, hosts: Iterable[str]) -> Lists | Awaitable[Lists]:
    config, origin, sender = case.config, case.origin, case.envelope.sender
    signed = signers(case.data)
    domains = [*authors(case.data).domains, *signed, origin.helo.lower()]
    if sender is not None:
        domains.insert(0, sender.domain)
    ours = contains(config["limits.exempt_networks"], origin.peer)
    wanted = Wanted(
        config["spam.blocklists"], config["spam.welcome_lists"], config["spam.domain_lists"], config["spam.link_lists"],
        config["spam.welcome_domains"],
    )  # fmt: skip
    peer = "" if ours else origin.peer
    return blocklist.check(case.resolver, peer, domains, hosts, wanted, case.zones, signed)


PARTS: tuple[Part, ...] = (
    Part("lists", _lists_wanted, _lists, 2 * LIMITS.list_patience, Lists(silent=("lists in the DNS",))),
    Part(
        "attachments", lambda case: dangers.looks(case.config, case.origin), dangers.attached, LIMITS.judge_patience,
        dangers.UNREAD,
    ),
    Part(
        "scan", lambda case: case.outside and dangers.scans(case.config, case.origin), dangers.scan,
        LIMITS.judge_patience, dangers.LATE,
    ),
)  # fmt: skip


def begin(part: Part, case: Case, until: float) -> Any:
    """What it says, or a coroutine for that; none raises. `until`: the loop's time at which all checks end."""
    try:
        said = part.ask(case)
    except Exception as error:
        return _fault(part, case, error)
    return _answer(part, case, said, until) if isawaitable(said) else said


async def _answer(part: Part, case: Case, said: Awaitable[Any], until: float) -> Any:
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + part.patience)):
            return await said
    except TimeoutError:
        log.event("check-late", id=case.origin.trace or None, check=part.field)
    except Exception as error:
        return _fault(part, case, error)
    return part.late


def _fault(part: Part, case: Case, error: Exception) -> Any:
    """A fault of ours says nothing about the message."""
    log.fault("check-fault", error, id=case.origin.trace or None, check=part.field)
    return part.late


def policy_of(case: Case, *, greylist: bool = False) -> Policy:
    """The settings as the verdict wants them. What a user hands in has no score, and its proofs are made later.
    `greylist`: somebody can say who has tried before; nobody of `limits.exempt_networks` is put off."""
    config = case.config
    exempt = contains(config["limits.exempt_networks"], case.origin.peer)
    return Policy(
        enforce=config["trust.dmarc"] == "enforce",
        arc_sealers=config["trust.arc_sealers"],
        spam=config["spam.check"] and case.incoming,
        junk=config["spam.junk"],
        refuse=config["spam.refuse"],
        doubt=config["spam.doubt"],
        greylist=greylist and config["spam.greylist"] and not exempt,
        attachments=config["attachments.action"],
        macros=config["attachments.macros"],
        closed=config["attachments.closed"],
        unscanned=config["virus.on_error"],
        unasked="defer" if config["filter.on_error"] == "defer" else "accept",
    )
