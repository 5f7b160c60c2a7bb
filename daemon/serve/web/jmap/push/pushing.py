"""Pushes to clients that are not connected: what changed is sent to the push service of each subscription (RFC 8620
§7.2, RFC 8030), encrypted for the client (RFC 8291) and with our proof (RFC 8292).

The address was written by a user: it is asked as `flow.hand_in` asks any, on the public Internet alone. Before its
client has said the code back nothing but that is sent there, seldom. What a service does not take is tried again some
times, with what changed meanwhile; a subscription that it does not know any more ends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec.json

from daemon import log
from daemon.config import Config
from daemon.flow import hand_in
from daemon.flow.hand_in import Answer
from daemon.limits import LIMITS
from daemon.resolver import Resolver
from daemon.serve.web.jmap.push.news import News
from daemon.store import push
from daemon.store.db import Store, StoreError
from daemon.store.errors import Missing
from daemon.store.push import Subscription
from daemon.store.tx import Changes
from daemon.trust import web_push

Post = Callable[[Resolver, str, bytes, Mapping[str, str], float], Awaitable[Answer]]
_GONE = (404, 410)  # RFC 8030 §7.3
_LATER = (0, 408, 425, 429)  # and all of 500


class Pushing:
    """One worker for all subscriptions. `post` is `hand_in.post`, but in tests."""

    def __init__(
        self, store: Store, config: Callable[[], Config], resolver: Resolver, post: Post = hand_in.post
    ) -> None:
        self._store = store
        self._config = config
        self._resolver = resolver
        self._post = post
        self._look = asyncio.Event()
        self._number = b""  # of our key
        self._turns = asyncio.Semaphore(LIMITS.push_at_once)
        self._tasks: dict[Subscription, asyncio.Task[None]] = {}
        self._verified: dict[int, list[float]] = {}  # when codes were sent for an account, in the loop's time

    async def run(self) -> None:
        """Until it is cancelled."""
        news = News(self._store, most=LIMITS.push_subscriptions)
        deaf = self._store.listen(self._changed)
        self._look.set()
        try:
            while True:
                await self._look.wait()
                self._look.clear()
                await self._take_up(news)
                await asyncio.sleep(LIMITS.push_pause)
        finally:
            deaf()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            news.close()

    def _changed(self, changes: Changes) -> None:
        if changes.everything or changes.accounts:
            self._look.set()

    async def _take_up(self, news: News) -> None:
        """A task for each subscription there is, as it is now."""
        try:
            there = set(await self._store.read(push.everyone))
        except StoreError as error:
            log.trouble("push-not-read", error=error)
            return
        for gone in self._tasks.keys() - there:
            self._tasks.pop(gone).cancel()
        for fresh in there - self._tasks.keys():
            self._tasks[fresh] = asyncio.create_task(self._guarded(fresh, news))

    async def _guarded(self, one: Subscription, news: News) -> None:
        try:
            await (self._tell(one, news) if one.verified else self._verify(one))
        except Exception as error:
            log.fault("push-fault", error)

    # -- one subscription ----------------------------------------------------------------------------------------------

    async def _verify(self, one: Subscription) -> None:
        """The code, to find out whether the client is really there; no more than so many an hour for a user."""
        now = asyncio.get_running_loop().time()
        sent = [at for at in self._verified.get(one.account_id, []) if at > now - 3600]
        if len(sent) >= LIMITS.push_codes:
            log.event("push-code-not-sent", reason="too-many", account=one.account_id)
            return
        self._verified[one.account_id] = [*sent, now]
        about = {"@type": "PushVerification", "pushSubscriptionId": f"s{one.id}", "verificationCode": one.code}
        await self._send(one, lambda: about)

    async def _tell(self, one: Subscription, news: News) -> None:
        ear = news.listen(one.account_id, None if one.types is None else frozenset(one.types))
        said: dict[str, str] = {}

        def changed() -> dict[str, Any]:
            said.update(ear.take())
            return {"@type": "StateChange", "changed": {f"u{one.account_id}": said}}

        try:
            while True:
                await ear.rings.wait()
                await asyncio.sleep(LIMITS.push_gather)  # what belongs together goes together: a phone wakes up for it
                ear.recheck = False  # whoever may not listen any more has no subscription
                changed()
                if said and not await self._send(one, changed):
                    return
                said.clear()
        finally:
            ear.close()

    async def _send(self, one: Subscription, message: Callable[[], dict[str, Any]]) -> bool:
        """Try some times; whether the subscription is still one. What is sent is asked for anew each time."""
        for pause in (0, *LIMITS.push_again):
            await asyncio.sleep(pause)
            try:
                if one not in await self._store.read(push.everyone, one.account_id):  # time alone ends one too
                    return False
                async with self._turns:
                    answer = await self._once(one, msgspec.json.encode(message()))
            except StoreError as error:
                answer = Answer(0, str(error))
            if 200 <= answer.status < 300:
                return True
            if answer.status in _GONE or answer.status not in _LATER and answer.status < 500:
                log.event("push-ended", account=one.account_id, status=answer.status)
                try:
                    await self._store.write(push.remove, one.account_id, one.id)
                except Missing:
                    pass
                return False
            if answer.retry_after.isascii() and answer.retry_after.isdigit():
                await asyncio.sleep(min(int(answer.retry_after[:6]), LIMITS.push_again[-1]))
        log.event("push-given-up", account=one.account_id, status=answer.status, text=answer.trouble)
        return True

    async def _once(self, one: Subscription, message: bytes) -> Answer:
        await asyncio.to_thread(__import__, "aiohttp")  # half a second, and others have the loop meanwhile
        if not self._number:
            self._number = await self._store.write(push.vapid_key, web_push.new_number())
        key = web_push.key_of(self._number)
        until = self._store.clock() // 1000 + LIMITS.push_proof
        contact = f"mailto:postmaster@{self._config().hostname}"
        fields = {
            "TTL": str(LIMITS.push_life), "Urgency": "normal",
            "Authorization": web_push.proof(one.place.url, contact, key, until),
        }  # fmt: skip
        if one.place.p256dh is None or one.place.auth is None:
            fields["Content-Type"] = "application/json"
        else:
            fresh = web_push.key_of(web_push.new_number())
            message = web_push.encrypted(message, one.place.p256dh, one.place.auth, fresh, os.urandom(16))
            fields |= {"Content-Type": "application/octet-stream", "Content-Encoding": "aes128gcm"}
        return await self._post(self._resolver, one.place.url, message, fields, LIMITS.push_patience)
