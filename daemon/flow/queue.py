"""The runner of the queue: takes what is due out of the store, and brings it to the lanes.

It sleeps until the store says that something changed or the next row is due. Nothing here is the truth: the rows are,
and a runner that dies leaves leases that end. Three sentences prevent bugs:

1. Whatever goes wrong with one recipient, lane or write, the runner goes on.
2. A lane that is slow or down holds its share of our hands and no more; the scan goes on behind its rows.
3. What left our hands was settled in the store first.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping

from daemon import log
from daemon.config import Config
from daemon.flow.fit import read_ahead
from daemon.flow.lane import Lane, Parcel
from daemon.flow.outcome import Result, Seen
from daemon.flow.send import Sender
from daemon.flow.settle import Settler
from daemon.limits import LIMITS
from daemon.store import queue, queue_desk, routes, tls_memory
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.queue import Claimed, Standing, Wish
from daemon.store.routes import Route
from daemon.store.tx import Changes
from daemon.trust import tls_policy

_HELD = "external-mail-held"
_CLAIM = 500  # recipients in one claim
_DIALS = 4  # attempts to connect for each session that may be open
_GATHER = 0.01  # seconds between two looks while there is work in hand: a look costs as much as a message
_COMPANY = 0.005  # seconds a claim waits for others to share its commit with
_PAUSE = 1.0  # seconds after an error of the store
_LONGEST = 300.0  # seconds between two looks in any case
_RELAXED = " relaxed"  # behind a destination's name: the lane for mail that no TLS policy holds up


class Runner:
    """Run `run` in a task; end it with `stop`. `alone`: no other runner works on this store, so old leases are void."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        config: Callable[[], Config],
        *,
        alone: bool = True,
        chance: random.Random | None = None,
    ) -> None:
        self.sender = sender
        self.stopping = False
        self._store = store
        self._config = config
        self._alone = alone
        self._settler = Settler(store, config, self._settled, chance=chance)
        sender.count = self._settler.count
        self._lanes: dict[str, Lane] = {}
        self._hands: dict[int, str] = {}  # recipients that are ours now, and their lanes
        self.dialing = 0  # workers that have no session yet, in all lanes
        self._open = 0  # sessions, in all lanes
        self._for_place: deque[asyncio.Future[None]] = deque()
        self._leaving = 0  # workers that end so that another lane gets a turn
        self._asking: OrderedDict[Lane, None] = OrderedDict()  # lanes that wait until they may dial
        self._routes = routes.Table(())
        self._after = (0, 0)
        self._more = False
        self._flushes = -1
        self._wake = asyncio.Event()
        self._looked_last = asyncio.Event()
        self._over = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    # -- the loop ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until `stop`."""
        self._running = asyncio.current_task()
        settling = asyncio.create_task(self._settler.run())
        renewing = asyncio.create_task(self._renew())
        deaf = self._store.listen(self._news)
        looked = 0.0
        try:
            await self._begin()
            loop = asyncio.get_running_loop()
            while not self.stopping:
                if self._hands and (left := looked + _GATHER - loop.time()) > 0:
                    await asyncio.sleep(left)
                looked = loop.time()
                self._wake.clear()
                if self.stopping:  # `stop` set the event before it was cleared
                    break
                try:
                    await self._look()
                except Exception as error:  # the store is busy or full, or a bug of ours: the queue must go on
                    log.fault("queue-runner", error)
                    await asyncio.sleep(_PAUSE)
                    continue
                if not self._more:
                    await self._sleep()
            self._looked_last.set()
            await self._over.wait()  # results are written, and leases renewed, until the last worker is home
        finally:
            deaf()
            renewing.cancel()
            settling.cancel()
            await asyncio.gather(renewing, settling, return_exceptions=True)

    async def _begin(self) -> None:
        while self._alone:
            try:
                freed = await self._store.write(queue.recover)
                if freed:
                    log.event("queue-recovered", recipients=freed)
                return
            except Exception as error:
                log.fault("queue-recover", error)
                await asyncio.sleep(_PAUSE)

    async def stop(self, deadline: float = 10) -> None:
        """Finish what is being sent, at most for `deadline` seconds; give the rest back; write all results."""
        self.stopping = True
        self._wake.set()
        for lane in self._lanes.values():
            lane.give_up()
            while lane.send_home():
                pass
        workers = [worker for lane in self._lanes.values() for worker in lane.workers]
        if workers:
            _, late = await asyncio.wait(workers, timeout=deadline)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._running is not None:
            try:
                async with asyncio.timeout(deadline):
                    await self._looked_last.wait()
                    await self._settler.drained()
                    if self._hands:
                        await self._store.write(queue.give_back, list(self._hands))
            except (TimeoutError, StoreError) as error:  # their leases end by themselves
                log.trouble("queue-stop", recipients=len(self._hands), error=str(error))
            self._over.set()
            await asyncio.wait([self._running])
        self._over.set()

    async def _look(self) -> None:
        """Claim what is due, as much as we can hold, and hand it to its lanes."""
        self._notice_flushes()
        self._more = False
        if self._config()["queue.hold_external"]:
            due = self._store.peek(queue.any_due, (0, 0))
            self._more = due and await self._store.write(queue_desk.hold_due, _HELD, LIMITS.step) > 0
            return
        room = min(LIMITS.out_claimed - len(self._hands), _CLAIM)
        refill = [lane.name for lane in self._lanes.values() if self._wants_more(lane)]
        due = self._store.peek(queue.any_due, self._after)
        if room <= 0 or not (refill or due):
            return
        rooms = {
            lane.name: max(0, LIMITS.out_lane - self._in_hand(lane.name))
            for lane in self._lanes.values()
            if lane.in_hand
        }
        wish = Wish(room, LIMITS.out_lane, LIMITS.out_lease * 1000, rooms, refill, self._after)
        haul = await self._store.write(queue.claim, wish, patience=_COMPANY)
        self._after, self._more = haul.after, haul.more
        for name in refill:
            self._lanes[name].passed = False
        for name in haul.passed:
            self._lane(name).passed = True
        if haul.recipients:
            self._routes = self._store.peek(routes.load)
            messages = {claimed.message.id: claimed.message for claimed in haul.recipients}.values()
            contents = await self._store.aside(read_ahead, messages, self._store.segments)
            self._hand_out(haul.recipients, contents)
        for name in refill:
            if (lane := self._lanes.get(name)) is not None:  # its last recipient may have been settled meanwhile
                self._tidy(lane)

    def _hand_out(self, recipients: Iterable[Claimed], contents: Mapping[int, bytes]) -> None:
        """One parcel for each message and destination."""
        parcels: dict[tuple[str, int], Parcel] = {}
        for claimed in recipients:
            name = claimed.destination + (_RELAXED if claimed.message.tls == "optional" else "")
            self._hands[claimed.id] = name
            self._lane(name).in_hand += 1
            key = (name, claimed.message.id)
            if key not in parcels:
                parcels[key] = Parcel([], contents.get(claimed.message.id))
            parcels[key].recipients.append(claimed)
        for (name, _), parcel in parcels.items():
            self._lanes[name].feed(parcel)

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            plain = name.removesuffix(_RELAXED)
            if plain != name:
                lane = Lane(plain, self, None, relaxed=True)
            else:
                lane = Lane(name, self, self._store.peek(queue.standing, name))
            self._lanes[name] = lane
        return lane

    def _in_hand(self, name: str) -> int:
        """Recipients in our hands for a destination, in both of its lanes."""
        return sum(lane.in_hand for key in (name, name + _RELAXED) if (lane := self._lanes.get(key)) is not None)

    def _wants_more(self, lane: Lane) -> bool:
        return lane.passed and self._in_hand(lane.name) <= LIMITS.out_lane // 2

    async def _sleep(self) -> None:
        """Until there is news, or something is due."""
        due = self._store.peek(queue.next_due, self._after)
        seconds = _LONGEST if due is None else min(_LONGEST, (due - self.now()) / 1000 + 0.001)
        if seconds > 0 or self._full:
            try:
                async with asyncio.timeout(_LONGEST if self._full else seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass

    @property
    def _full(self) -> bool:
        return len(self._hands) >= LIMITS.out_claimed

    def _news(self, changes: Changes) -> None:
        if changes.queue or changes.everything:
            self._wake.set()

    def _notice_flushes(self) -> None:
        """Somebody made rows due that the scan has passed, or destinations worth a try: begin at the beginning."""
        flushes = self._store.peek(queue.flushes)
        if flushes == self._flushes:
            return
        self._flushes = flushes
        self._after = (0, 0)
        for lane in self._lanes.values():
            if lane.not_before:
                lane.forgive(None if lane.relaxed else self._store.peek(queue.standing, lane.name))

    async def _renew(self) -> None:
        """Keep the leases of what takes long; and begin the scan anew, for rows that others' dead workers left."""
        while True:
            await asyncio.sleep(LIMITS.out_lease / 3)
            self._after = (0, 0)
            self._wake.set()
            try:
                if self._hands:
                    await self._store.write(queue.renew, list(self._hands), LIMITS.out_lease * 1000)
            except Exception as error:
                log.fault("queue-renew", error)

    # -- what lanes ask ------------------------------------------------------------------------------------------------

    @property
    def per_destination(self) -> int:
        most: int = self._config()["queue.connections_per_destination"]
        return max(1, most)

    def asked_to_leave(self) -> bool:
        """Whether another lane waits for a place, and nobody else is leaving for its sake."""
        if self._leaving >= len(self._for_place) + len(self._asking):
            return False
        self._leaving += 1
        return True

    def now(self) -> int:
        return self._store.clock()

    def delay(self, failures: int, most: int) -> int:
        return self._settler.delay(failures, most)

    def route(self, claimed: Claimed) -> Route | None:
        name = claimed.destination
        return self._routes.get(int(name[6:])) if name.startswith("route:") else None

    def may_dial(self, lane: Lane) -> bool:
        """Many may dial at a time, for the dead take long to find out; those that were down lately half as many."""
        most = self._most
        dials = most * _DIALS
        if self._open < most and self.dialing < (dials // 2 if lane.failures else dials):
            return True
        self._asking[lane] = None
        for other in self._lanes.values():
            if other.send_home():
                break
        return False

    @property
    def _most(self) -> int:
        most: int = self._config()["queue.connections"]
        return max(1, most)

    async def take_place(self) -> None:
        """Wait until one session more may be open."""
        while self._open >= self._most:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._for_place.append(place)
            await place
        self._open += 1

    def leave_place(self) -> None:
        """A session is over: its place is for who waited longest."""
        self._open -= 1
        while self._for_place:
            place = self._for_place.popleft()
            if not place.done():
                place.set_result(None)
                return

    def ended(self, lane: Lane) -> None:
        """A worker ended: its line is free for who asked first."""
        self._leaving = max(0, self._leaving - 1)
        asking, self._asking = list(self._asking), OrderedDict()
        for other in asking:
            other.hire()
        if lane not in self._asking:
            lane.hire()
        self._tidy(lane)

    def settle(self, claimed: Claimed, result: Result, *, not_before: int = 0, tried: bool = True) -> None:
        self._settler.add(claimed, result, not_before=not_before, tried=tried)

    def note(self, standing: Standing) -> None:
        self._settler.note(standing)

    def downgrade(self, name: str, seen: Seen) -> tuple[str, bool]:
        """What to say when a destination speaks less than it did, and whether its mail shall wait for better."""
        known = self._store.peek(tls_memory.best, name)
        words = tls_policy.weaker(known.strength, tls_policy.strength(seen.tls, seen.verified))
        if not words:
            return "", False
        wait = self._config()["queue.tls_downgrade"] == "defer"
        if wait or not known.told:
            log.trouble("tls-downgrade", destination=name, host=seen.host, ip=seen.address, reason=words)
        return f"TLS downgrade: {words}", wait

    def _settled(self, ids: Iterable[int]) -> None:
        """These are in the store: our hands have room again."""
        was_full = self._full
        for row_id in ids:
            name = self._hands.pop(row_id, None)
            if name is not None and (lane := self._lanes.get(name)) is not None:
                lane.in_hand -= 1
                plain = self._lanes.get(lane.name)
                if plain is not None and self._wants_more(plain):
                    self._wake.set()
                self._tidy(lane)
        if was_full:
            self._wake.set()

    def _tidy(self, lane: Lane) -> None:
        key = lane.name + (_RELAXED if lane.relaxed else "")
        if lane.is_over and self._lanes.get(key) is lane:
            del self._lanes[key]
