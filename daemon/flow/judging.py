"""Mail is judged before it is accepted: everything is asked side by side, what the recipients know of it is read, each
gets his verdict, and what others wrote in our name is taken out.

Nobody is kept waiting for long: each check has its own time, and all have `LIMITS.judge_patience` together.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.config import Config, contains
from daemon.flow import checks, dangers, engines
from daemon.flow.checks import Case, Part, policy_of
from daemon.flow.draft import Changes
from daemon.flow.engines import Asked
from daemon.flow.envelope import Envelope, Origin
from daemon.flow.judged import Group, Judged
from daemon.flow.knowledge import Known, Parties, know, parties, question
from daemon.flow.rate import Rates, network_of
from daemon.limits import LIMITS
from daemon.mail import tokens
from daemon.mail.report import is_report
from daemon.resolver import Resolver
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.standing import Source
from daemon.store.tx import Tx
from daemon.trust import authres, blocklist, iprev, rules, spam_fields, verdict
from daemon.trust.blocklist import Zones
from daemon.trust.examine import examine
from daemon.trust.results import Personal, Signals
from daemon.trust.verdict import Policy, Verdict

if TYPE_CHECKING:
    from daemon.mail.header import Data

_PIECE = 1 << 20  # octets copied at once
Greylist = Callable[[Tx, str, str, str, int], bool]
"""Network, sender, recipient, and for how many seconds a stranger is put off."""


class Taken(NamedTuple):
    """What is judged, and as what it is accepted: other filters may have changed both."""

    judged: Judged
    envelope: Envelope
    body: Body


class Judge:
    """One for all doors of a process. `offline`: nothing is asked of others. `greylist` notes a try, and tells whether
    it is one more of a sender who was told to try again; without it nobody is put off."""

    def __init__(
        self, store: Store, resolver: Resolver, *, offline: bool = False, greylist: Greylist | None = None
    ) -> None:
        self.store = store
        self.resolver = resolver
        self.offline = offline
        self.greylist = greylist
        self.rates = Rates()
        self.zones = Zones()

    @staticmethod
    def wanted(config: Config, origin: Origin) -> bool:
        """Whether there is anything to look at in this mail."""
        if origin.kind == "smtp" and (config["trust.check"] or config["spam.check"]):
            return True
        return dangers.scans(config, origin) or dangers.looks(config, origin) or engines.wanted(config, origin)

    async def judge(self, origin: Origin, envelope: Envelope, body: Body, config: Config) -> Taken:
        """The verdicts on a complete message. The body that was given is the caller's no more: it is the one that is
        taken, or closed. When this raises, it is closed too."""
        case = Case(
            origin, envelope, body.view(), config, self.store.clock(), self.resolver, self.zones, self.store.aside,
            not self.offline,
        )  # fmt: skip
        bodies = {id(body): body}
        try:
            clean = _without(body, _forged(case))
            bodies[id(clean)] = clean
            signals, words, asked = await self._find_out(case, clean)
            bodies[id(asked.body)] = asked.body
            envelope = asked.changes.of(envelope)
            judged = await self._decide(case._replace(envelope=envelope), signals, words, asked)
            kept = asked.body
            if kept is not clean and config["spam.check"]:  # there is one such field, and it is ours
                kept = _without(kept, spam_fields.forged(kept.view()))
            return Taken(judged, envelope, bodies.pop(id(kept), kept))
        finally:
            for each in bodies.values():
                each.close()

    async def _find_out(self, case: Case, clean: Body) -> tuple[Signals, tuple[bytes, ...], Asked]:
        """What can be known whoever it is for, the words of the message, and what other filters made of it."""
        config, incoming = case.config, case.incoming
        until = asyncio.get_running_loop().time() + LIMITS.judge_patience
        others = case.outside and engines.wanted(config, case.origin)
        found: dict[str, Any] = {}
        signals = Signals()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._engines(case, clean, until)) if others else None
            parts = [part for part in checks.PARTS if part.wanted(case)]
            if config["spam.check"] and incoming:
                found["rate"] = self._rate(case)
                parts.append(_WORDS)
            found |= {part.field: checks.begin(part, case, until) for part in parts}
            waiting = {field: group.create_task(each) for field, each in found.items() if iscoroutine(each)}
            if _proved(case):
                signals = await self._proofs(case)
        asked = asking.result() if asking is not None else Asked((), clean, Changes())
        found |= {field: task.result() for field, task in waiting.items()}
        words: tuple[bytes, ...] = ()
        if _WORDS in parts:
            read = found.pop("words")
            words, found["rules"] = read or ((), ())
            found["unread"] = read is None
        if "lists" in found:
            passed = [signature.domain for signature in signals.signatures if signature.result == "pass"]
            found["lists"] = blocklist.proved(found["lists"], passed)
        return signals._replace(opinions=asked.opinions, **found), words, asked

    async def _proofs(self, case: Case) -> Signals:
        origin = case.origin
        return await examine(
            self.resolver, ip=origin.peer, helo=origin.helo, sender=case.envelope.reverse_path, data=case.data,
            now=case.now // 1000, receiver=case.config["hostname"],
        )  # fmt: skip

    async def _engines(self, case: Case, clean: Body, until: float) -> Asked:
        name = await self._name_of(case.origin.peer)
        return await engines.ask(
            case.config, case.origin, case.envelope, clean, now=case.now, reverse=name, until=until
        )  # fmt: skip

    async def _name_of(self, peer: str) -> str:
        """The peer's name in the DNS, which leads back to it; '' for none, or when that takes long. The proofs ask the
        same: it is asked once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMITS.filter_name):
                return (await iprev.check(self.resolver, peer)).name
        return ""

    async def _again(self, case: Case, greylist: Greylist) -> bool:
        """Whether its sender was told to try again before, for one of its recipients."""
        network, recipients = network_of(case.origin.peer), [str(each.address) for each in case.envelope.recipients]
        return await self.store.write(
            _tried, greylist, network, case.envelope.reverse_path, recipients[: LIMITS.judge_named],
            case.config["spam.greylist_delay"],
        )  # fmt: skip

    def _rate(self, case: Case) -> float:
        if not case.origin.peer or contains(case.config["limits.exempt_networks"], case.origin.peer):
            return 0.0
        return self.rates.note(case.origin.peer, case.now / 1000, max(1, len(case.envelope.recipients)))

    async def _decide(self, case: Case, signals: Signals, words: tuple[bytes, ...], asked: Asked) -> Judged:
        config, envelope, store = case.config, case.envelope, self.store
        policy = policy_of(case, greylist=self.greylist is not None)
        reached = store.peek(parties, envelope)
        known = Known(Personal(), dict.fromkeys(reached.accounts, Personal()))
        source = Source()
        if policy.spam:
            ask = question(case.data, case.origin, envelope, signals, words)
            ask = ask._replace(beyond=not reached.accounts or any(account is None for _, account in reached.ways))
            source, many = ask.source, len(reached.accounts) > LIMITS.judge_inline
            known = await store.read(know, reached.accounts, ask) if many else store.peek(know, reached.accounts, ask)
            signals = signals._replace(standing=known.standing)
        made = _verdicts(signals, known, policy)
        wanted = {group.verdict.reason for group in _groups(reached, made, known) if group.verdict.action != "refuse"}
        if self.greylist is not None and wanted == {"greylisted"} and await self._again(case, self.greylist):
            made = _verdicts(signals, known, policy._replace(greylist=False))
        if not case.incoming:  # what we hand on has no Junk to go to
            made = {k: Verdict("accept", "clean") if v.action == "junk" else v for k, v in made.items()}
        field = b""
        if _proved(case):
            field = authres.header(
                config["hostname"], signals, mail_from=envelope.sender, helo=case.origin.helo, ip=case.origin.peer
            )
        return Judged(
            signals, verdict.authentic(signals, policy), field, made[known.anyone],
            {who: made[each] for who, each in known.personal.items()},
            groups=_groups(reached, made, known),
            report=bool(field) and is_report(case.data),
            required=policy.junk if policy.spam else 0.0,
            tag=engines.tag(signals.opinions) + dangers.tag(signals.scan, signals.attachments),
            denied={address.key: denial for address, denial in asked.changes.denied},
            discarded=asked.changes.discarded,
            source=source,
        )  # fmt: skip


def _proved(case: Case) -> bool:
    """Whether its proofs are looked at."""
    return bool(case.incoming and case.outside and case.config["trust.check"])


def _verdicts(signals: Signals, known: Known, policy: Policy) -> dict[Personal, Verdict]:
    """One for each different knowledge: a thousand recipients who know nothing cost as much as one."""
    return {each: verdict.judge(signals, each, policy) for each in {known.anyone, *known.personal.values()}}


def _tried(tx: Tx, greylist: Greylist, network: str, sender: str, recipients: Sequence[str], delay: int) -> bool:
    return any([greylist(tx, network, sender, recipient, delay) for recipient in recipients])


def _words(case: Case) -> Any:
    """Its words, and the fixed rules that it meets."""
    return case.aside(_read, case.data) if len(case.data) > LIMITS.parse_inline else _read(case.data)


def _read(data: Data) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    return tokens.tokenize(data), rules.met(data)


_WORDS = Part("words", lambda _: True, _words, LIMITS.judge_patience, None)


def _groups(reached: Parties, made: Mapping[Personal, Verdict], known: Known) -> tuple[Group, ...]:
    """Each verdict with those who have it: a thousand recipients who know nothing are one group."""
    found: dict[Verdict, dict[str, None]] = {}
    for recipient, account in reached.ways:
        decided = made[known.anyone if account is None else known.personal.get(account, known.anyone)]
        found.setdefault(decided, {})[recipient] = None
    most = LIMITS.judge_named
    return tuple(Group(each, tuple(whom)[:most], max(0, len(whom) - most)) for each, whom in found.items())


def _forged(case: Case) -> list[tuple[int, int]]:
    """Fields that we write, or other filters for us, and that came with the message; in order."""
    if not case.incoming:
        return []
    found = authres.forged(case.data, case.config["hostname"]) if case.config["trust.check"] else []
    if case.config["spam.check"] or engines.wanted(case.config, case.origin):
        found = sorted([*found, *spam_fields.forged(case.data)])
    return found


def _without(body: Body, spans: Sequence[tuple[int, int]]) -> Body:
    """The same body, or a new one without these octets."""
    if not spans:
        return body
    data, place = body.view(), 0
    with contextlib.ExitStack() as undo:
        kept = undo.enter_context(body.alike())
        for start, end in [*spans, (len(data), len(data))]:
            for at in range(place, start, _PIECE):
                kept.write(data[at : min(at + _PIECE, start)])
            place = end
        undo.pop_all()
    return kept
