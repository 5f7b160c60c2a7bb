"""One destination: what waits for it, who works on it, and whether it is worth a try.

A lane has its own workers, each with one session, and no other lane ever waits for them. The first worker of a lane
goes alone; only when a host talked to it do others follow, up to the limit. When no host talks to us the lane is down
for a while, longer each time: what is waiting, and what comes meanwhile, is put off without a try.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daemon import log
from daemon.flow.outcome import Result, ours
from daemon.flow.route import Host, Unroutable
from daemon.flow.send import Session, Unreachable
from daemon.limits import LIMITS
from daemon.resolver import TemporaryDNSError
from daemon.store.queue import Claimed, Standing

if TYPE_CHECKING:
    from daemon.flow.queue import Runner

_NOTE_EVERY = 3_600_000  # ms between two notes of a destination that goes on working
_MOST_DOWN = 3600  # seconds a lane is down at most: mail for a host that is back does not wait for hours
_AT_ONCE = 2  # times a parcel goes to another session at once, before it waits
_TRUST = 50  # messages after which one more connection is tried where the peer refused some
_TURN = 10  # messages a session carries before it makes room for another lane
_FAULT = ours("deferred", "fault", "4.3.0", "451 4.3.0 a fault of this server; its log has the details")


@dataclass(slots=True)
class Parcel:
    """One message and those of its recipients that go together. `content`: the blob's octets, when they were read
    ahead; `hosts`: the only ones still to be tried."""

    recipients: list[Claimed]
    content: bytes | None = None
    hosts: Sequence[Host] | None = None
    again: int = 0


class Lane:
    """`in_hand` counts recipients that were claimed for it and are not settled; `passed` says that the store holds
    more that is due. The runner keeps both.

    A `relaxed` lane carries what goes whatever TLS policies say (RFC 8689 §5): beside the destination's own lane, since
    its sessions are of another kind, and what it finds out is not remembered of the destination.
    """

    def __init__(self, name: str, runner: Runner, standing: Standing | None, *, relaxed: bool = False) -> None:
        self.name = name
        self.relaxed = relaxed
        self.in_hand = 0
        self.passed = False
        self.dialing = 0
        self.connected = 0
        self.failures = standing.failures if standing else 0
        self.not_before = standing.not_before_at if standing else 0
        self.workers: set[asyncio.Task[None]] = set()
        self._runner = runner
        self._error = (standing.last_error or "") if standing else ""
        self._limit = 1 << 30  # connections the peer seems to bear
        self._carried = 0
        self._noted: tuple[str, bool, str] | None = None
        self._noted_at = 0
        self._waiting: deque[Parcel] = deque()
        self._resting: deque[asyncio.Future[Parcel | None]] = deque()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def feed(self, parcel: Parcel) -> None:
        """Work for the lane; put off at once while it is down."""
        if self.not_before > self._runner.now():
            self._suspend(parcel)
            return
        while self._resting:
            resting = self._resting.popleft()
            if not resting.done():
                resting.set_result(parcel)
                return
        self._waiting.append(parcel)
        self.hire()

    def hire(self) -> None:
        """Begin further workers while there is work for them, and room."""
        while len(self._waiting) > self.dialing and not self._runner.stopping:
            if self.connected == 0 and self.workers:
                return  # the first one is still finding out whether anybody is there
            if len(self.workers) >= min(self._limit, self._runner.per_destination):
                return
            if not self._runner.may_dial(self):
                return
            self.dialing += 1
            self._runner.dialing += 1
            worker = asyncio.create_task(self._work())
            self.workers.add(worker)
            worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self.workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            log.fault("queue-worker", error, destination=self.name)
        self._runner.ended(self)

    def send_home(self) -> bool:
        """End the session that has rested longest; whether there was one."""
        while self._resting:
            resting = self._resting.popleft()
            if not resting.done():
                resting.set_result(None)
                return True
        return False

    def forgive(self, standing: Standing | None) -> None:
        """What the store says now: somebody may have made the destination worth a try again."""
        if standing is None or standing.not_before_at < self.not_before:
            self.failures = standing.failures if standing else 0
            self.not_before = standing.not_before_at if standing else 0

    def give_up(self) -> None:
        """Forget what waits; the runner gives it back."""
        self._waiting.clear()

    @property
    def is_over(self) -> bool:
        """Nothing here that the store does not know."""
        return not (self.workers or self._waiting or self.in_hand or self.passed)

    # -- a worker ------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """One session, from dialing to goodbye."""
        try:
            parcel = self._waiting.popleft() if self._waiting else None
            session = await self._open(parcel) if parcel is not None else None
            if session is None:
                return
            await self._runner.take_place()
        finally:
            self.dialing -= 1
            self._runner.dialing -= 1
        self.connected += 1
        try:
            self._up(session)
            while parcel is not None:
                if not session.usable:
                    self._waiting.appendleft(parcel)
                    break
                await self._carry(session, parcel)
                parcel = await self._next(session) if session.usable else None
        finally:
            self.connected -= 1
            self._runner.leave_place()
            await session.close()

    async def _next(self, session: Session) -> Parcel | None:
        """What to carry next; None after some seconds without anything, or when it is another lane's turn."""
        fair = session.carried >= _TURN or not self._waiting
        if self._runner.stopping or (fair and self._runner.asked_to_leave()):
            return None
        if self._waiting and self._waiting[0].hosts is not None:
            return None  # it is for another host than this one: a new session
        if self._waiting:
            return self._waiting.popleft()
        loop = asyncio.get_running_loop()
        resting: asyncio.Future[Parcel | None] = loop.create_future()
        self._resting.append(resting)
        timer = loop.call_later(LIMITS.outbound_idle, _wake, resting)
        try:
            return await resting
        finally:
            timer.cancel()

    async def _open(self, parcel: Parcel) -> Session | None:
        """A session for the parcel. Without one, everything here has its answer, and None is returned."""
        route = self._runner.route(parcel.recipients[0])
        sender = self._runner.sender
        try:
            if parcel.hosts is not None:
                return await self._compared(await sender.first_of(parcel.hosts, relaxed=self.relaxed))
            return await self._compared(await sender.open(self.name, route, relaxed=self.relaxed))
        except Unroutable as no:
            if route is None:
                self._answer_all(parcel, ours("failed", no.reason, no.enhanced, str(no)))
            else:  # the administrator's mistake: mail waits until it is mended
                self._down(parcel, ours("deferred", no.reason, "4" + no.enhanced[1:], no.text))
        except TemporaryDNSError as trouble:
            self._down(parcel, ours("deferred", "dns", "4.4.3", f"DNS: {trouble}"))
        except Unreachable as nobody:
            self._down(parcel, nobody.result)
        except Exception as fault:
            log.fault("queue-dial", fault, destination=self.name)
            self._answer(parcel, _FAULT)
        return None

    async def _compared(self, session: Session) -> Session:
        """The session, with a note when the destination spoke better TLS before. Raises `Unreachable` when the
        administrator wants such mail to wait."""
        words, wait = ("", False) if self.relaxed else self._runner.downgrade(self.name, session.seen)
        if wait:
            await session.close()
            raise Unreachable(ours("deferred", "tls-downgrade", "4.7.5", words, session.seen))
        if words:
            session.seen = session.seen._replace(note="; ".join(filter(None, (session.seen.note, words))))
        return session

    async def _carry(self, session: Session, parcel: Parcel) -> None:
        try:
            results = await session.carry(parcel.recipients, parcel.content)
        except Exception as fault:
            log.fault("queue-carry", fault, destination=self.name, id=parcel.recipients[0].message.trace)
            results = {claimed.id: _FAULT for claimed in parcel.recipients}
        again, elsewhere = [], []
        for claimed in parcel.recipients:
            result = results[claimed.id]
            if result.kind == "again" and parcel.again < _AT_ONCE:
                again.append(claimed)
            elif result.kind == "deferred" and result.early and session.rest:
                elsewhere.append(claimed)  # RFC 5321 §5.1: the next host, since this one is in trouble
            else:
                self._runner.settle(claimed, result)
        if again:
            self._waiting.appendleft(replace(parcel, recipients=again, again=parcel.again + 1))
        if elsewhere:
            self._waiting.appendleft(Parcel(elsewhere, parcel.content, session.rest))
        self._carried += 1
        if self._carried % _TRUST == 0:
            self._limit += 1

    # -- up and down ---------------------------------------------------------------------------------------------------

    def _up(self, session: Session) -> None:
        """A host talks to us."""
        seen, now = session.seen, self._runner.now()
        spoken = (seen.tls or "none", seen.verified, seen.policy)
        if self.failures or spoken != self._noted or now - self._noted_at > _NOTE_EVERY:
            self._noted, self._noted_at = spoken, now
            self._note(
                Standing(
                    self.name, 0, 0, spoken[0], seen.verified, last_success_at=now, last_error=seen.note or None,
                    tls_policy=seen.policy,
                )
            )  # fmt: skip
        self.failures, self.not_before = 0, 0
        self.hire()

    def _down(self, parcel: Parcel, result: Result) -> None:
        """Nobody talks to us."""
        if parcel.hosts is not None:  # only what was left of them: the first host did talk
            self._answer(parcel, result)
            return
        if self.connected:  # it talks to others of ours: no more of them than these
            self._limit = self.connected
            self._waiting.appendleft(parcel)
            return
        self.failures += 1
        self._error = result.reply
        self.not_before = self._runner.now() + self._runner.delay(self.failures - 1, _MOST_DOWN)
        self._note(Standing(self.name, self.failures, self.not_before, last_error=result.reply))
        log.event("destination-down", destination=self.name, failures=self.failures, error=result.reply)
        self._answer(parcel, result)
        while self._waiting:
            self._suspend(self._waiting.popleft())

    def _note(self, standing: Standing) -> None:
        if not self.relaxed:
            self._runner.note(standing)

    def _suspend(self, parcel: Parcel) -> None:
        words = f"waiting for {self.name}: {self._error}"
        result = ours("deferred", "suspended", "4.4.1", words)
        for claimed in parcel.recipients:
            self._runner.settle(claimed, result, not_before=self.not_before, tried=False)

    def _answer(self, parcel: Parcel, result: Result) -> None:
        for claimed in parcel.recipients:
            self._runner.settle(claimed, result, not_before=self.not_before)

    def _answer_all(self, parcel: Parcel, result: Result) -> None:
        self._answer(parcel, result)
        while self._waiting:
            self._answer(self._waiting.popleft(), result)


def _wake(resting: asyncio.Future[Parcel | None]) -> None:
    if not resting.done():
        resting.set_result(None)
