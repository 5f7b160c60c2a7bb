"""What is asked about every message from outside, beside its proofs and its words: one line of `PARTS` each.

A check that takes too long or fails is in the log, and `late` stands for its answer: that never says yes, and tells
the verdict and the trace that nobody could say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon import log
from daemon.config import Config
from daemon.flow import dangers
from daemon.flow.envelope import Envelope, Origin
from daemon.limits import LIMITS
from daemon.resolver import Resolver
from daemon.trust.verdict import Policy

if TYPE_CHECKING:
    from daemon.mail.header import Data


class Case(NamedTuple):
    """One message as the checks look at it; `now` in milliseconds. `outside`: others may be asked about it."""

    origin: Origin
    envelope: Envelope
    data: Data
    config: Config
    now: int
    resolver: Resolver
    outside: bool = True

    @property
    def incoming(self) -> bool:
        """It is a stranger's, not one that a user or a server we trust hands in."""
        return self.origin.kind == "smtp"


class Part(NamedTuple):
    """One check: the field of `Signals` it fills, whether it is wanted, who is asked, for how many seconds, and what
    stands when there is no answer."""

    field: str
    wanted: Callable[[Case], bool]
    ask: Callable[[Case], Awaitable[Any]]
    patience: float
    late: Any


PARTS: tuple[Part, ...] = (
    Part(
        "attachments", lambda case: dangers.looks(case.config, case.origin), dangers.attached, LIMITS.judge_patience,
        dangers.UNREAD,
    ),
    Part(
        "scan", lambda case: case.outside and dangers.scans(case.config, case.origin), dangers.scan,
        LIMITS.judge_patience, dangers.LATE,
    ),
)  # fmt: skip


async def answer(part: Part, case: Case, until: float) -> Any:
    """What it says; never raises. `until`: the loop's time at which all checks end."""
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + part.patience)):
            return await part.ask(case)
    except TimeoutError:
        log.event("check-late", id=case.origin.trace or None, check=part.field)
    except Exception as error:  # a fault of ours says nothing about the message
        log.fault("check-fault", error, id=case.origin.trace or None, check=part.field)
    return part.late


def policy_of(case: Case, *, greylist: bool = False) -> Policy:
    """The settings as the verdict wants them. What a user hands in has no score, and its proofs are made later.
    `greylist`: somebody can say who has tried before."""
    config = case.config
    return Policy(
        enforce=config["trust.dmarc"] == "enforce",
        arc_sealers=config["trust.arc_sealers"],
        spam=config["spam.check"] and case.incoming,
        junk=config["spam.junk"],
        refuse=config["spam.refuse"],
        doubt=config["spam.doubt"],
        greylist=greylist and config["spam.greylist"],
        attachments=config["attachments.action"],
        macros=config["attachments.macros"],
        closed=config["attachments.closed"],
        unscanned=config["virus.on_error"],
        unasked="defer" if config["filter.on_error"] == "defer" else "accept",
    )
