"""The mailboxes that sessions look at, each once for all of them.

A `Box` holds the latest generation of one mailbox. A commit only marks it as stale; it is read again when somebody
wants it, once for all, on the loop when it is small and in a reader thread when it is not. Sessions in IDLE are
nudged and then want it. Generations that a session has not told its client yet live as long as that session holds
them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Protocol

from daemon import log
from daemon.limits import LIMITS
from daemon.serve.imap.flags import Labels
from daemon.store import mailboxes, snapshot
from daemon.store.db import Store, StoreError
from daemon.store.errors import Missing
from daemon.store.mailboxes import Mailbox
from daemon.store.snapshot import News, Snapshot
from daemon.store.tx import Changes, Tx

_LARGE = 5000  # messages; a bigger mailbox is read in a thread
_SPARE = 1000  # mailboxes kept that nobody has open


class Watcher(Protocol):
    """Who has a mailbox open and waits for news of it."""

    def nudge(self) -> None: ...


class Box:
    """One mailbox. `version` counts the commits that touched it, `read_version` is how many of them `latest` has."""

    __slots__ = (
        "id", "views", "version", "read_version", "reading", "gone", "sessions", "idlers", "words", "recent_from",
        "_kept_recent", "_latest", "_compared", "_hint",
    )  # fmt: skip

    def __init__(self, views: Views, mailbox: Mailbox) -> None:
        self.id = mailbox.id
        self.views = views
        self.version = 1
        self.read_version = 0
        self.reading: asyncio.Task[None] | None = None
        self.gone = False
        self.sessions = 0
        self.idlers: set[Watcher] = set()
        self.words: tuple[str, ...] = ()  # keywords seen in here since it was opened; a new tuple when there are more
        self.recent_from = self._kept_recent = mailbox.recent_from
        self._latest: Snapshot | None = None
        self._compared: tuple[Snapshot, Snapshot, News] | None = None
        self._hint = mailbox.total

    async def current(self) -> Snapshot:
        """The mailbox with everything that was committed before this call. Raises `Missing` when it is gone."""
        wanted = self.version
        while self.read_version < wanted and not self.gone:
            if self.reading is None:
                if self._hint <= _LARGE:
                    self._read_now()
                    continue
                self.reading = asyncio.get_running_loop().create_task(self._read())
                self.reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(self.reading)
        if self.gone or self._latest is None:
            raise Missing("the mailbox is gone")
        return self._latest

    def is_current(self, known: Snapshot) -> bool:
        """Whether `known` is all there is to know, without looking."""
        return known is self._latest and self.read_version == self.version and not self.gone

    def news(self, known: Snapshot, latest: Snapshot) -> News:
        """What `latest` has that `known` has not; worked out once for all who ask the same. Raises `Missing`."""
        if self._compared is None or self._compared[0] is not known or self._compared[1] is not latest:
            self._compared = (known, latest, snapshot.compare(known, latest))
        return self._compared[2]

    def claim_recent(self, known: Snapshot) -> tuple[int, int]:
        """The UIDs `(first, end)` of messages nobody was told of yet: \\Recent to who asks, and to no other."""
        first = self.recent_from
        self.recent_from = max(first, known.uidnext)
        return first, self.recent_from

    def take_claims(self) -> int | None:
        """Up to which UID messages are no longer recent, if that is not in the store yet."""
        if self.recent_from == self._kept_recent or self.gone:
            return None
        self._kept_recent = self.recent_from
        return self.recent_from

    async def _read(self) -> None:
        version = self.version
        try:
            self._take(await self.views.store.read(_step, self.id, self._latest), version)
        finally:
            self.reading = None

    def _read_now(self) -> None:
        version = self.version
        self._take(self.views.store.read_now(_step, self.id, self._latest), version)

    def _take(self, latest: Snapshot | None, version: int) -> None:
        before, self._latest, self.read_version = self._latest, latest, version
        if latest is None:
            self.gone = True
            return
        self._hint = len(latest)
        if before is None:
            states = set(latest.states)
        elif before is latest:
            return
        else:
            try:
                news = self.news(before, latest)
            except Missing:
                self.gone = True
                return
            states = set(latest.states[-news.added :]) if news.added else set()
            states.update(latest.states[at] for at in snapshot.after(news.changed, news.gone))
        known = {word.lower() for word in self.words}
        more = {
            word.lower(): word
            for number in {state >> 8 for state in states}
            for word in self.views.labels.words(number << 8)
        }
        if more.keys() - known:
            self.words = tuple(sorted([*self.words, *(more[key] for key in more.keys() - known)], key=str.lower))


def _step(tx: Tx, mailbox_id: int, before: Snapshot | None) -> Snapshot | None:
    try:
        return snapshot.load(tx, mailbox_id) if before is None else snapshot.advance(tx, before)
    except Missing:
        return None


class Views:
    """All boxes of this process. Close it after the last session, before the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.labels = Labels(store)
        self._boxes: dict[int, Box] = {}
        self._spare: OrderedDict[int, int] = OrderedDict()  # open to nobody, with their messages: the oldest go first
        self._spare_messages = 0
        self._checking = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf = store.listen(self._changed)

    async def open(self, mailbox: Mailbox) -> tuple[Box, Snapshot]:
        """The box of this mailbox for one more session, and what is in it. Raises `Missing`."""
        box = self._boxes.get(mailbox.id)
        if box is None:
            box = self._boxes[mailbox.id] = Box(self, mailbox)
        elif box.sessions == 0:
            self._spare_messages -= self._spare.pop(mailbox.id, 0)
        box.sessions += 1
        try:
            return box, await box.current()
        except BaseException:
            self.leave(box)
            raise

    def leave(self, box: Box) -> None:
        """A session no longer looks at it."""
        box.sessions -= 1
        if box.sessions:
            return
        claimed = box.take_claims()
        if claimed is not None:
            self.run(self._keep_recent(box.id, claimed))
        if box.gone or box._latest is None:
            del self._boxes[box.id]
            return
        self._spare[box.id] = box._hint
        self._spare_messages += box._hint
        while self._spare_messages > LIMITS.imap_kept_messages or len(self._spare) > _SPARE:
            oldest, count = self._spare.popitem(last=False)
            self._spare_messages -= count
            del self._boxes[oldest]

    def recent_from(self, mailbox: Mailbox) -> int:
        """The first UID that is \\Recent to nobody yet."""
        box = self._boxes.get(mailbox.id)
        return mailbox.recent_from if box is None else max(box.recent_from, mailbox.recent_from)

    def run(self, work: Awaitable[None]) -> None:
        """Do something that nobody waits for."""

        async def quietly() -> None:
            try:
                await work
            except (StoreError, RuntimeError) as error:
                log.trouble("imap-left-undone", error=error)

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        self._deaf()
        while tasks := tuple(self._tasks):
            await asyncio.gather(*tasks)
            # Not left to their callbacks: since Python 3.12 a gather of ended tasks does not let the loop turn.
            self._tasks.difference_update(tasks)

    def _changed(self, changes: Changes) -> None:
        for mailbox_id in changes.mailboxes & self._boxes.keys():
            self._stale(self._boxes[mailbox_id])
        if changes.everything and self._boxes and not self._checking:
            self._checking = True
            self.run(self._check())

    def _stale(self, box: Box) -> None:
        box.version += 1
        for idler in tuple(box.idlers):
            idler.nudge()

    async def _check(self) -> None:
        """Another process may have changed anything: compare all at once."""
        try:
            now = await self.store.read(mailboxes.modseqs, list(self._boxes))
        finally:
            self._checking = False
        for box in tuple(self._boxes.values()):
            if box._latest is not None and now.get(box.id) != box._latest.modseq:
                self._stale(box)

    async def _keep_recent(self, mailbox_id: int, uid: int) -> None:
        await self.store.write(mailboxes.keep_recent, mailbox_id, uid)
