"""Signing keys are made, seen in the DNS, and changed: what `mailctl dkim rotate` and the server's worker both do.

A new key waits (`pending`) until a name server shows its record with the very same key in it; only then it signs, for
receivers could not verify it before. The one before it is retired, and stays published for mail on its way. Nobody has
to come back for that: the worker looks every minute.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon import log
from daemon.config import Config
from daemon.flow import signing
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.store import dkim_keys
from daemon.store.db import Store
from daemon.store.dkim_keys import ALGORITHMS, Key

_AT_ONCE = 20  # questions
_REST = 1.0  # seconds between two rounds at least, however much is changed meanwhile
_BLANK = re.compile(rb"[ \t\r\n]+")


def is_published(records: tuple[bytes, ...], key: Key) -> bool:
    """Whether these TXT records are what the key needs: one, and with this key in it (RFC 6376 §3.6.1, §3.6.2.2)."""
    if len(records) != 1:
        return False
    tags = dict(part.partition(b"=")[::2] for part in _BLANK.sub(b"", records[0]).split(b";"))
    kind = tags.get(b"k", b"rsa").decode("ascii", "replace")
    right = tags.get(b"v", b"DKIM1") == b"DKIM1" and kind == ALGORITHMS[key.algorithm]
    return right and tags.get(b"p") == key.public_key.encode()


@dataclass(slots=True)
class News:
    """What a look has found: keys whose state changed, keys of which nobody could tell, and why."""

    changed: list[Key] = field(default_factory=list)
    unknown: list[tuple[Key, str]] = field(default_factory=list)


async def look(store: Store, resolver: Resolver, config: Config, domain: str | None = None) -> News:
    """Do what is due: ask the DNS for keys that wait for it, switch those that are seen, let go those whose time is
    over; of one domain or of all. Raises `StoreError`."""
    news = News()
    wanted = await store.read(dkim_keys.wanted, domain)
    for at in range(0, len(wanted), _AT_ONCE):
        some = wanted[at : at + _AT_ONCE]
        for key, there in zip(some, await asyncio.gather(*(_ask(resolver, key) for key in some)), strict=True):
            if isinstance(there, str):
                news.unknown.append((key, there))
            elif there != (key.seen_at is not None):
                news.changed += await store.write(dkim_keys.note, key.id, there)
    before = store.clock() - config["dkim.retire_after"] * 1000
    if await store.read(dkim_keys.overdue, before, domain):
        news.changed += await store.write(dkim_keys.let_go, before, domain)
    return news


async def _ask(resolver: Resolver, key: Key) -> bool | str:
    """Whether its record is there; why nobody can tell. A key that is gone may have any record: it is to be removed."""
    try:
        answer = await resolver.ask(key.name, "TXT")
    except TemporaryDNSError as error:
        return error.reason
    return bool(answer.records) if key.state == "gone" else is_published(answer.records, key)


class Rotation:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(
        self, store: Store, config: Callable[[], Config], resolver: Resolver, *, every: float = LIMITS.signing_round
    ) -> None:
        self._store = store
        self._config = config
        self._resolver = resolver
        self._every = every

    async def run(self) -> None:
        """Rounds, now and then and whenever a key or a setting was changed."""
        rest = min(_REST, self._every)
        await rounds(self._store, "dkim-keys", self._round, lambda: self._every, rest=rest)

    async def _round(self) -> None:
        """Keys for domains that have none, which an older version or a test made; then a look."""
        for domain in await self._store.read(dkim_keys.without):
            made = await asyncio.to_thread(signing.make)
            for key in await self._store.write(dkim_keys.add_first, domain, made):
                tell(key)
        for key in (await look(self._store, self._resolver, self._config())).changed:
            tell(key)


def tell(key: Key) -> None:
    """To the log."""
    record = None if key.state == "retired" else key.name
    log.event("dkim-key", state=key.state, domain=key.domain, selector=key.selector, record=record)
