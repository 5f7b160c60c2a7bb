"""Mail from other servers is judged before it is accepted: everything is asked side by side, what the recipients know
of it is read, each gets his verdict, and what others wrote in our name is taken out.

A check is one line of `PARTS`: the field of `Signals` it fills, who is asked, how long, and what stands when there is
no answer in time. A check that fails never says yes, and is never silent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon import log
from daemon.config import Config, contains
from daemon.flow.envelope import Envelope, Origin
from daemon.flow.judged import Group, Judged
from daemon.flow.knowledge import Known, Parties, Question, know, parties
from daemon.flow.rate import Rates
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.report import is_report
from daemon.resolver import Resolver
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.trust import authres, rules, spam_fields, verdict
from daemon.trust.examine import examine
from daemon.trust.results import Personal, Signals
from daemon.trust.verdict import Policy, Verdict

if TYPE_CHECKING:
    from daemon.mail.header import Data

_PIECE = 1 << 20  # octets copied at once


class Case(NamedTuple):
    """One message as the checks look at it; `now` in milliseconds."""

    origin: Origin
    envelope: Envelope
    data: Data
    config: Config
    now: int


class Part(NamedTuple):
    """One check. `ask` is called with the judge and the case; `late` is what stands when it takes longer than
    `patience` seconds, or fails. `outside`: it asks others."""

    field: str
    wanted: Callable[[Config], bool]
    ask: Callable[[Judge, Case], Awaitable[Any]]
    patience: float
    late: Any
    outside: bool = True


class Judge:
    """One for all doors of a process. `offline`: nothing is asked of others."""

    def __init__(self, store: Store, resolver: Resolver, *, offline: bool = False) -> None:
        self.store = store
        self.resolver = resolver
        self.offline = offline
        self.rates = Rates()

    async def judge(self, origin: Origin, envelope: Envelope, body: Body, config: Config) -> tuple[Judged, Body]:
        """The verdicts on a complete message, and the body that may be kept: the same, or one without forged fields.

        When this raises, the body is closed.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(body.close)
            case = Case(origin, envelope, body.view(), config, self.store.clock())
            signals, words = await self._find_out(case)
            judged = await self._decide(case, signals, words)
            kept = _without(body, _forged(case))
            undo.pop_all()
        if kept is not body:
            body.close()
        return judged, kept

    async def _find_out(self, case: Case) -> tuple[Signals, tuple[bytes, ...]]:
        """What can be known whoever it is for, and the words of the message."""
        config = case.config
        until = asyncio.get_running_loop().time() + LIMITS.judge_patience
        async with asyncio.TaskGroup() as group:
            proofs = group.create_task(self._proofs(case)) if config["trust.check"] else None
            asked = [
                (part.field, group.create_task(self._within(part, case, until)))
                for part in PARTS
                if part.wanted(config) and not (part.outside and self.offline)
            ]
            words: tuple[bytes, ...] = ()
            found: dict[str, Any] = {}
            if config["spam.check"]:
                found["rate"] = self._rate(case)
                if len(case.data) > LIMITS.parse_inline:
                    words, found["rules"] = await self.store.aside(_read, case.data)
                else:
                    words, found["rules"] = _read(case.data)
        signals = proofs.result() if proofs is not None else Signals()
        return signals._replace(**found, **{field: task.result() for field, task in asked}), words

    async def _within(self, part: Part, case: Case, until: float) -> Any:
        try:
            async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + part.patience)):
                return await part.ask(self, case)
        except TimeoutError:
            log.event("check-late", check=part.field, ip=case.origin.peer or None)
        except Exception as error:  # a fault of ours says nothing about the message
            log.fault("check-fault", error, check=part.field, ip=case.origin.peer or None)
        return part.late

    async def _proofs(self, case: Case) -> Signals:
        origin = case.origin
        return await examine(
            self.resolver, ip=origin.peer, helo=origin.helo, sender=case.envelope.reverse_path, data=case.data,
            now=case.now // 1000, receiver=case.config["hostname"],
        )  # fmt: skip

    def _rate(self, case: Case) -> float:
        if not case.origin.peer or contains(case.config["limits.exempt_networks"], case.origin.peer):
            return 0.0
        return self.rates.note(case.origin.peer, case.now / 1000, max(1, len(case.envelope.recipients)))

    async def _decide(self, case: Case, signals: Signals, words: tuple[bytes, ...]) -> Judged:
        config, envelope, store = case.config, case.envelope, self.store
        policy = policy_of(config)
        reached = store.peek(parties, envelope)
        known = Known(Personal(), {})
        if policy.spam and len(reached.accounts) > LIMITS.judge_inline:
            known = await store.read(know, reached.accounts, Question(words))
        elif policy.spam:
            known = store.peek(know, reached.accounts, Question(words))
        proof = verdict.authentic(signals, policy)
        field = b""
        if config["trust.check"]:
            field = authres.header(
                config["hostname"], signals, mail_from=envelope.sender, helo=case.origin.helo, ip=case.origin.peer
            )
        made = {each: verdict.judge(signals, each, policy) for each in {known.anyone, *known.personal.values()}}
        return Judged(
            signals, proof, field, made[known.anyone], {who: made[each] for who, each in known.personal.items()},
            groups=_groups(reached, made, known),
            report=is_report(case.data),
            required=policy.junk if policy.spam else 0.0,
        )  # fmt: skip


PARTS: tuple[Part, ...] = ()
"""The checks beside the proofs and the words."""


def policy_of(config: Config) -> Policy:
    """The settings as the verdict wants them."""
    return Policy(
        enforce=config["trust.dmarc"] == "enforce",
        arc_sealers=config["trust.arc_sealers"],
        spam=config["spam.check"],
        junk=config["spam.junk"],
        refuse=config["spam.refuse"],
        greylist=False,
    )


def _read(data: Data) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    return tokens.tokenize(data), rules.met(data)


def _groups(reached: Parties, made: Mapping[Personal, Verdict], known: Known) -> tuple[Group, ...]:
    found: dict[Verdict, dict[str, None]] = {}
    for recipient, account in reached.ways:
        decided = made[known.anyone if account is None else known.personal.get(account, known.anyone)]
        found.setdefault(decided, {})[recipient] = None
    most = LIMITS.judge_named
    return tuple(Group(each, tuple(whom)[:most], max(0, len(whom) - most)) for each, whom in found.items())


def _forged(case: Case) -> list[tuple[int, int]]:
    """Fields that we write, and did not; in order."""
    config = case.config
    found = authres.forged(case.data, config["hostname"]) if config["trust.check"] else []
    if config["spam.check"]:
        found = sorted([*found, *spam_fields.forged(case.data)])
    return found


def _without(body: Body, spans: Sequence[tuple[int, int]]) -> Body:
    if not spans:
        return body
    data, kept, place = body.view(), body.alike(), 0
    try:
        for start, end in [*spans, (len(data), len(data))]:
            for at in range(place, start, _PIECE):
                kept.write(data[at : min(at + _PIECE, start)])
            place = end
    except BaseException:
        kept.close()
        raise
    return kept
