"""Everything that serves, put together: what stands behind each door, and the workers behind the doors.

The order matters: keys and bans before the doors open, the queue after; on the way out the doors first, so that what
they still accept is committed, then the workers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

from daemon.config import Config
from daemon.flow.alarm import Alarms
from daemon.flow.digest import Digests
from daemon.flow.drill import Drills
from daemon.flow.indexing import Indexing
from daemon.flow.judging import Judge
from daemon.flow.learning import Learning
from daemon.flow.outbound import Outbound
from daemon.flow.reporting import Reporting
from daemon.flow.rotation import Rotation
from daemon.flow.scheduled import Scheduled
from daemon.limits import LIMITS
from daemon.serve import tls
from daemon.serve.connection import Connection, Owner
from daemon.serve.imap.service import Imap
from daemon.serve.listen import IMAP_WORDS, MANAGESIEVE_WORDS, POP3_WORDS, SMTP_WORDS, Bound, Doors, Service
from daemon.serve.login import Door
from daemon.serve.managesieve import ManageSieve
from daemon.serve.pop3 import Pop3
from daemon.serve.refusals import Refusals
from daemon.serve.renewal import keep_renewed
from daemon.serve.smtp import doors as smtp_doors
from daemon.serve.smtp.post import Post
from daemon.serve.smtp.session import Smtp
from daemon.serve.throttle import Bans
from daemon.serve.tls import Keyring
from daemon.serve.web import door as web
from daemon.serve.web.door import Visit, Web
from daemon.serve.web.jmap.push.pushing import Pushing
from daemon.store import greylist
from daemon.store.compact import keep_house
from daemon.store.db import Store


class House:
    """One per process. `config` gives the settings as they are now."""

    def __init__(self, store: Store, config: Callable[[], Config]) -> None:
        """Raises `BadSetting` when no certificate can be used."""
        self.store = store
        self.config = config
        self.keyring = Keyring(store, config)
        self.bans = Bans(store)
        self.refusals = Refusals(store)
        self.door = Door(store, config, self.bans, self.refusals)
        self.doors = Doors(config, self.keyring, self.bans, self.refusals)
        self.outbound = Outbound(store, config)
        self.judge = Judge(store, self.outbound.resolver, greylist=greylist.passed)
        self.imap = Imap(store, config, self.door, self._context, tls.end_point_of)
        self.web = Web(store, config, self.keyring, self.door, self.refusals, self.doors.counts, self.judge)
        self.pop3 = Pop3(store, config, self.door, self._context, tls.end_point_of)
        self.managesieve = ManageSieve(store, config, self.door, self._context, tls.end_point_of)

    def reload_certificates(self) -> None:
        self.keyring.reload()

    async def serve(self, bound: Bound, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Open the doors, work until `stop`, then drain."""
        async with asyncio.TaskGroup() as workers:
            workers.create_task(keep_house(self.store, self.config, stop))
            workers.create_task(keep_renewed(self.store, stop))
            workers.create_task(self.outbound.run())
            reporting = workers.create_task(Reporting(self.store, self.config, self.outbound.resolver).run())
            keys = workers.create_task(Rotation(self.store, self.config, self.outbound.resolver).run())
            digests = workers.create_task(Digests(self.store, self.config).run())
            learning = workers.create_task(Learning(self.store).run())
            indexing = workers.create_task(Indexing(self.store).run())
            trials = workers.create_task(Drills(self.store, self.config).run())
            pushing = workers.create_task(Pushing(self.store, self.config, self.outbound.resolver).run())
            alarms = workers.create_task(Alarms(self.store, self.config).run())
            scheduled = workers.create_task(Scheduled(self.store, self.config, self.judge).run())
            await self.door.sessions.begin()
            self.doors.open(self._services(), bound)
            ready()
            await stop.wait()
            await asyncio.gather(self.doors.drain(), self.outbound.stop(LIMITS.drain))
            reporting.cancel()
            keys.cancel()
            digests.cancel()
            learning.cancel()
            indexing.cancel()
            trials.cancel()
            alarms.cancel()
            pushing.cancel()
            scheduled.cancel()
        await self.imap.close()
        await self.web.close()
        await self.door.close()
        await self.refusals.flush()
        self.bans.close()
        self.keyring.close()

    def _context(self) -> ssl.SSLContext:
        return self.keyring.context

    def _services(self) -> Mapping[str, Service]:
        """What stands behind the door of each `listen.NAME`."""
        post = Post(
            self.store, self.config, self.door, self.refusals, self._context,
            lambda: self.keyring.port25_context, tls.end_point_of, self.judge,
        )  # fmt: skip

        def smtp(owner: Owner) -> Smtp:
            return smtp_doors.connection(owner, post)

        services = [Service(name, smtp, Smtp.serve, SMTP_WORDS, name == "submissions") for name in smtp_doors.DOORS]
        services += [
            Service(name, Connection, talk, words, implicit)
            for name, talk, words, implicit in (
                ("imap", self.imap.serve, IMAP_WORDS, False),
                ("imaps", self.imap.serve, IMAP_WORDS, True),
                ("pop3", self.pop3.serve, POP3_WORDS, False),
                ("pop3s", self.pop3.serve, POP3_WORDS, True),
                ("managesieve", self.managesieve.serve, MANAGESIEVE_WORDS, False),
            )
        ]
        services += [
            Service("http", Visit, self.web.serve, web.WORDS),
            Service("https", Visit, self.web.serve, web.WORDS, True, self.web.context),
            Service("admin", Visit, self.web.serve, web.WORDS, True, self.web.context),
            Service("metrics", Visit, self.web.serve, web.WORDS),
        ]
        return {service.name: service for service in services}
