"""Results become rows: many at once, in few writes, and with them the notices they give rise to.

A delivered message may be sent again if the daemon dies before its result is written, so results wait for company for
a hundredth of a second at most: then they go, together with what was accepted or claimed meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon import log
from daemon.config import Config, format_span
from daemon.flow import bounce
from daemon.flow.bounce import Told
from daemon.flow.deliver import Plan, Stale, commit
from daemon.flow.outcome import Result
from daemon.limits import LIMITS
from daemon.store import events, queue, tls_memory
from daemon.store.db import Store, StoreBusy, StoreFull
from daemon.store.queue import Claimed, Message, Outcome, Standing
from daemon.store.tls_memory import Result as TlsResult
from daemon.store.tx import Tx
from daemon.trust import tls_policy

_COMPANY = 0.01  # seconds a write waits for others to share its commit with
_AGAIN = 1.0  # seconds before a write that met a busy store is tried again
_TRIES = 5  # plans for a notice, before it is put off


@dataclass(slots=True)
class Settled:
    """One result on its way into the store. `not_before` (ms): its destination is not worth a try until then."""

    claimed: Claimed
    result: Result
    not_before: int = 0
    tried: bool = True


@dataclass(slots=True)
class _Notice:
    """A notice to be written with its cause: `ids` are the recipients it speaks of."""

    plan: Plan
    ids: frozenset[int]
    message_id: int


@dataclass(slots=True)
class _Batch:
    outcomes: list[Outcome] = field(default_factory=list)
    notices: list[_Notice] = field(default_factory=list)
    unheard: list[events.New] = field(default_factory=list)  # failures that nobody can be told of


class Settler:
    """Run `run` in a task; hand results to `add`. `settled` hears which recipients left our hands."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        settled: Callable[[Iterable[int]], None],
        *,
        chance: random.Random | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._settled = settled
        self._chance = chance or random.Random()
        self._waiting: list[Settled] = []
        self._standings: dict[str, Standing] = {}
        self._sessions: Counter[TlsResult] = Counter()
        self._something = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, claimed: Claimed, result: Result, *, not_before: int = 0, tried: bool = True) -> None:
        self._waiting.append(Settled(claimed, result, not_before, tried))
        self._something.set()
        self._idle.clear()

    def note(self, standing: Standing) -> None:
        """What is to be remembered of a destination."""
        self._standings[standing.name] = standing
        self._something.set()
        self._idle.clear()

    def count(self, session: TlsResult) -> None:
        """For the reports that others ask for; written when something else is."""
        if len(self._sessions) < LIMITS.tls_results or session in self._sessions:
            self._sessions[session] += 1

    def delay(self, attempts: int, most: int = 1 << 30) -> int:
        """Milliseconds until the next try after so many, with some chance in it: peers are not visited in step."""
        steps = self._config()["queue.retry"] or (300,)
        return int(min(steps[min(attempts, len(steps) - 1)], most) * 1000 * self._chance.uniform(0.85, 1.0))

    async def drained(self) -> None:
        """Until everything that was added is written."""
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            batch, self._waiting = self._waiting, []
            standings, self._standings = list(self._standings.values()), {}
            sessions, self._sessions = dict(self._sessions), Counter()
            try:
                await self._write(batch, standings, sessions)
            except Exception as error:  # a fault of ours: their leases end, and they are tried again
                log.fault("queue-settle", error, recipients=len(batch))
            finally:
                self._settled(s.claimed.id for s in batch)
            if not self._something.is_set():
                self._idle.set()

    async def _write(
        self, batch: list[Settled], standings: Sequence[Standing], sessions: Mapping[TlsResult, int]
    ) -> None:  # fmt: skip
        """Until it is written: what was sent and is not recorded would be sent again."""
        room, changed = True, 0
        while True:
            made = self._judge(batch, self._store.clock(), room)
            bodies = [body for notice in made.notices for body in notice.plan.bodies]
            try:
                await self._store.write(
                    _settle, made, standings, sessions, bodies=bodies, into_reserve=True, patience=_COMPANY
                )  # fmt: skip
                for outcome in made.outcomes:
                    _log(outcome)
                return
            except Stale:  # a mailbox that a notice was for has changed
                changed += 1
                room = changed < _TRIES
            except StoreBusy as busy:
                log.trouble("queue-results-wait", error=str(busy), recipients=len(batch))
                await asyncio.sleep(_AGAIN)
            except StoreFull:
                room = False

    # -- what results mean ---------------------------------------------------------------------------------------------

    def _judge(self, batch: Sequence[Settled], now: int, room: bool) -> _Batch:
        """Without `room` for notices, what must be told is found out again later, and the rest settled now."""
        made = _Batch()
        told: dict[tuple[str, int], list[tuple[Claimed, Told]]] = {}
        for settled in batch:
            claimed, message = settled.claimed, settled.claimed.message
            outcome, result = self._outcome(settled, now)
            if not room:
                if outcome.kind == "failed" and bounce.is_due("failure", message.sender, claimed.notify):
                    outcome = _later(outcome, now + self.delay(claimed.attempts))
                made.outcomes.append(outcome)
                continue
            made.outcomes.append(outcome)
            kind = {"failed": "failure", "deferred": "delay", "sent": "success"}[outcome.kind]
            if kind == "delay" and (message.warn_at is None or now < message.warn_at):
                continue
            if kind == "success" and result.takes_dsn:
                continue
            if bounce.is_due(kind, message.sender, claimed.notify):
                until = message.expires_at if kind == "delay" else None
                one = Told(claimed.address, claimed.orcpt, result, until)
                told.setdefault((kind, message.id), []).append((claimed, one))
            elif kind == "failure" and not message.sender:
                made.unheard.append(_unheard(claimed, "double-bounce"))
        for (kind, _), some in told.items():
            self._notice(made, kind, some, now)
        return made

    def _outcome(self, settled: Settled, now: int) -> tuple[Outcome, Result]:
        """The row's fate: a deferral beyond the lifetime is a failure, any other gets its next time."""
        claimed, result, message = settled.claimed, settled.result, settled.claimed.message
        due_at = 0
        if result.kind in ("deferred", "again"):
            if now >= message.expires_at:
                result = _expired(result, message)
            else:
                due_at = settled.not_before
                if settled.tried:
                    due_at = max(due_at, now + self.delay(claimed.attempts))
                due_at = min(max(due_at, now + 1000), message.expires_at)
                result = result._replace(kind="deferred")
        outcome = Outcome.of(
            claimed, result.kind, result.reason, result.reply, result.peer, result.tls,
            result.verified, due_at, settled.tried, result.note,
            quiet=result.kind == "deferred" and not settled.tried and (claimed.last_reply or "\n") in result.reply,
            policy=result.policy, proof=result.proof,
        )  # fmt: skip
        return outcome, result

    def _notice(self, made: _Batch, kind: str, some: list[tuple[Claimed, Told]], now: int) -> None:
        message = some[0][0].message
        told = [one for _, one in some]
        if kind == "delay":
            told += self._also_waiting(message, {claimed.id for claimed, _ in some})
        try:
            plan = bounce.plan(self._store, self._config(), kind, message, told, now=now)
        except Exception as error:  # a notice that cannot be made must not keep the queue from its work
            log.fault("notice", error, id=message.trace)
            plan = None
        if plan is not None:
            made.notices.append(_Notice(plan, frozenset(claimed.id for claimed, _ in some), message.id))
        elif kind == "failure":
            made.unheard += [_unheard(claimed, "sender-unknown") for claimed, _ in some]

    def _also_waiting(self, message: Message, known: set[int]) -> list[Told]:
        """A delay is told once: of all recipients that are late."""
        return [
            Told(address, orcpt, Result("deferred", "later", "4.0.0", reply, "", host), message.expires_at)
            for id, address, orcpt, notify, host, reply in self._store.peek(queue.waiting, message.id)
            if id not in known and bounce.is_due("delay", message.sender, notify)
        ]


def _settle(
    tx: Tx, made: _Batch, standings: Sequence[Standing], sessions: Mapping[TlsResult, int]
) -> None:  # fmt: skip
    """One write. A notice about what was dropped meanwhile, or told already, is not sent."""
    there = queue.settle(tx, made.outcomes, standings)
    tls_memory.count_results(tx, sessions)
    for standing in standings:
        if standing.tls is not None:
            strength = tls_policy.strength(standing.tls, standing.tls_verified)
            tls_memory.spoken(tx, standing.name, strength, standing.tls_policy)
    for notice in made.notices:
        if not there & notice.ids:
            continue
        if notice.plan.about != "delay" or queue.warned(tx, notice.message_id):
            commit(tx, notice.plan)
    events.record_all(tx, made.unheard)


def _expired(result: Result, message: Message) -> Result:
    """RFC 3463 §3.5: X.4.7, delivery time expired; with the last words that were heard."""
    span = format_span((message.expires_at - message.created_at) // 1000)
    words = f"not delivered within {span}; the last try ended with: {result.reply}"
    return result._replace(kind="failed", reason="expired", status="4.4.7", reply=words)


def _later(outcome: Outcome, due_at: int) -> Outcome:
    words = f"this server's disk is too full for the notice of: {outcome.reply}"
    return outcome._replace(kind="deferred", reason="fault", reply=words, due_at=due_at)


def _unheard(claimed: Claimed, reason: str) -> events.New:
    message = claimed.message
    return events.New(message.trace, "dropped", reason, sender=message.sender, recipient=claimed.address)


def _log(outcome: Outcome) -> None:
    if not outcome.quiet:
        log.event(
            outcome.kind, reason=outcome.reason, id=outcome.trace, to=outcome.address,
            peer=outcome.host or None, tls=outcome.tls or None, policy=outcome.policy or None, reply=outcome.reply,
        )  # fmt: skip
