"""`GET /metrics` on `listen.metrics`: what Prometheus asks every few seconds, in its own words.

Numbers of what there is come from the store, numbers of what happened are its events added up since they were asked for
first (anew in each process, as Prometheus expects). Labels are words from short lists, never an address.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.listen import Counts
from daemon.serve.refusals import Refusals
from daemon.serve.web.frame import guarded
from daemon.serve.web.health import HEALTH, Health, healthz
from daemon.store import meters
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.meters import Meters

_OTHER = "other"  # for labels beyond the limit
_QUEUE = ("due", "held")
_GAUGES: tuple[tuple[str, str, Callable[[Meters], int]], ...] = (
    ("domains", "Domains of this server.", lambda m: m.domains),
    ("users", "Users.", lambda m: m.users),
    ("messages", "Messages in mailboxes.", lambda m: m.messages),
    ("mail_bytes", "Octets of mail as users see them.", lambda m: m.used),
    ("segments", "Files that mail is kept in.", lambda m: m.segments),
    ("segment_bytes", "Octets of these files.", lambda m: m.segment_octets),
    ("segment_dead_bytes", "Octets in them that nothing points to: compaction takes them.", lambda m: m.dead_octets),
    ("quarantined_messages", "Messages kept though they were refused.", lambda m: m.quarantined),
    ("quarantine_bytes", "Octets of them.", lambda m: m.quarantine_octets),
    ("queue_leased_recipients", "Recipients being delivered to just now.", lambda m: m.leased),
    ("web_sessions", "Browsers that are signed in.", lambda m: m.browsers),
    ("bans", "Networks that may not talk to us.", lambda m: m.bans),
    ("incidents", "Users whose mail is held because they sent more than they may.", lambda m: m.incidents),
)


class Sources(NamedTuple):
    """Where numbers come from beside the store."""

    store: Store
    config: Callable[[], Config]
    refusals: Refusals
    counts: Counts


class Measured(Collector):
    """What is told, as of the last look."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._events: Counter[tuple[str, str]] = Counter()
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._seen = sources.store.peek(meters.newest)
        self._last: Meters | None = None
        self._disk: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    async def text(self) -> bytes:
        """All of it. Raises `StoreError`."""
        async with self._lock:
            found = await self._sources.store.read(meters.read, self._seen)
            self._seen, self._last = found.newest, found
            for one in found.happened:
                _add(self._events, (one.kind, one.reason), one.count)
                if one.action:
                    _add(self._verdicts, (one.action, one.reason), one.count)
            return await asyncio.to_thread(self._write)

    def _write(self) -> bytes:
        data = self._sources.store.data
        self._disk = {
            "database": _size(data.database),
            "wal": _size(data.database.with_name(data.database.name + "-wal")),
        }
        self._disk["free"] = self._sources.store.free()
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Any]:
        """What Prometheus' library asks for."""
        last, sources = self._last, self._sources
        if last is None:
            return
        for name, text, value in _GAUGES:
            yield GaugeMetricFamily(f"mailctl_{name}", text, value=value(last))
        waiting = {state: last.queue.get(state, 0) for state in _QUEUE} | last.queue
        yield _labelled(GaugeMetricFamily, "queue_recipients", "Recipients in the queue.", ("state",), waiting)
        age = 0 if last.oldest_at is None else max(0, sources.store.clock() - last.oldest_at) / 1000
        yield GaugeMetricFamily("mailctl_queue_oldest_seconds", "Age of the oldest message in the queue.", value=age)
        text = "Connections on which somebody is logged in."
        yield _labelled(GaugeMetricFamily, "sessions", text, ("protocol",), last.sessions)
        yield GaugeMetricFamily("mailctl_connections", "Connections open now.", value=sources.counts.total)
        yield _labelled(GaugeMetricFamily, "disk_bytes", "Octets of the database, and free.", ("part",), self._disk)
        text = "What happened to messages, as `mailctl trace` tells it."
        yield _labelled(CounterMetricFamily, "events", text, ("kind", "reason"), self._events)
        text = "What the filter did with messages, and why."
        yield _labelled(CounterMetricFamily, "verdicts", text, ("action", "reason"), self._verdicts)
        text = "Strangers that were refused."
        yield _labelled(CounterMetricFamily, "refusals", text, ("reason",), sources.refusals.totals)
        reserve = sources.config()["store.reserve"]
        yield GaugeMetricFamily("mailctl_disk_reserve_bytes", "Free octets below which mail is refused.", value=reserve)


MEASURED = web.AppKey("measured", Measured)


async def metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`."""
    try:
        text = await request.app[MEASURED].text()
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def application(sources: Sources, health: Health) -> web.Application:
    """What is found on `listen.metrics`: the numbers, and `/healthz` for who asks in the clear."""
    app = web.Application(middlewares=[guarded()], client_max_size=LIMITS.http_body)
    app[MEASURED], app[HEALTH] = Measured(sources), health
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz)])
    return app


def _add(totals: Counter[tuple[str, str]], label: tuple[str, str], count: int) -> None:
    if label not in totals and len(totals) >= LIMITS.metric_labels:
        label = (label[0], _OTHER) if len(totals) < 2 * LIMITS.metric_labels else (_OTHER, _OTHER)
    totals[label] += count


def _labelled(kind: type[Any], name: str, text: str, labels: tuple[str, ...], values: Any) -> Any:
    family = kind(f"mailctl_{name}", text, labels=labels)
    for label, value in values.items():
        family.add_metric(list(label) if isinstance(label, tuple) else [label], value)
    return family


def _size(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
