"""Verbs about the server and its mail: how it does, what waits, what happened, what was kept, what others report."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from daemon.admin import doctor, health, incidents, quarantine, queue, reports, trace, traffic
from daemon.limits import LIMITS
from daemon.serve.web.admin.verb import Asked, Many, Nothing, Number, Numbers, Text, Verb
from daemon.store.db import Store


class Hours(Asked):
    hours: Annotated[int, Meta(ge=1, le=LIMITS.traffic_hours)] = 24


class QueueList(Asked):
    sender: Text | None = None
    recipient: Text | None = None
    domain: Text | None = None
    user: Text | None = None
    older: Text | None = None
    state: Text | None = None
    incident: Number | None = None
    after: Number | None = None
    limit: Many = 200


class Ids(Asked):
    ids: Numbers


class Reasoned(Asked):
    ids: Numbers
    reason: Text = ""


class Named(Asked):
    id: Text


class IncidentAsked(Asked):
    incident: Number


class Kept(Asked):
    id: Text
    allow: bool = False


class QuarantineList(Asked):
    user: Text | None = None
    since: Text | None = None
    sender: Text | None = None
    limit: Many = 200


class Reported(Asked):
    domain: Text | None = None
    since: Text | None = None
    limit: Many = 200


class TraceFind(Asked):
    name: Text | None = None
    sender: Text | None = None
    recipient: Text | None = None
    since: Text | None = None
    limit: Many = 50


def _listed(store: Store, a: QueueList) -> Any:
    return queue.entries(
        store,
        queue.Wanted(
            sender=a.sender, recipient=a.recipient, domain=a.domain, user=a.user, older=a.older, state=a.state,
            incident=a.incident, after=a.after, limit=a.limit, folded=a.incident is None,
        ),
    )  # fmt: skip


def _kept(store: Store, a: QuarantineList) -> Any:
    return quarantine.found(store, user=a.user, since=a.since, sender=a.sender, limit=a.limit)


def _changed(count: int) -> dict[str, int]:
    return {"changed": count}


def _found(store: Store, a: TraceFind) -> Any:
    return trace.stories(store, a.name, sender=a.sender, recipient=a.recipient, since=a.since, limit=a.limit)


def _turned(store: Store, a: TraceFind) -> Any:
    return trace.refusals(store, sender=a.sender, recipient=a.recipient, since=a.since, limit=a.limit)


TABLE: dict[str, Verb] = {
    "status": Verb(lambda store, a: health.status(store), Nothing),
    "traffic": Verb(lambda store, a: traffic.traffic_of(store, a.hours), Hours),
    "doctor": Verb(lambda store, a: doctor.examine(store), Nothing),
    "queue/list": Verb(_listed, QueueList),
    "queue/show": Verb(lambda store, a: queue.show(store, a.id), Named),
    "queue/stats": Verb(lambda store, a: queue.stats(store), Nothing),
    "queue/flush": Verb(lambda store, a: _changed(queue.flush(store, a.ids)), Ids, True),
    "queue/retry": Verb(lambda store, a: _changed(queue.retry(store, a.ids)), Ids, True),
    "queue/hold": Verb(lambda store, a: _changed(queue.hold(store, a.ids, a.reason or "by hand")), Reasoned, True),
    "queue/release": Verb(lambda store, a: _changed(queue.release(store, a.ids)), Ids, True),
    "queue/bounce": Verb(lambda store, a: _changed(queue.bounce(store, a.ids, a.reason)), Reasoned, True),
    "queue/drop": Verb(lambda store, a: _changed(queue.drop(store, a.ids)), Ids, True),
    "incident/list": Verb(lambda store, a: incidents.open_ones(store), Nothing),
    "incident/release": Verb(lambda store, a: _changed(incidents.release(store, a.incident)), IncidentAsked, True),
    "incident/drop": Verb(lambda store, a: _changed(incidents.drop(store, a.incident)), IncidentAsked, True),
    "quarantine/list": Verb(_kept, QuarantineList),
    "quarantine/show": Verb(lambda store, a: quarantine.show(store, a.id), Named),
    "quarantine/release": Verb(lambda store, a: quarantine.release(store, a.id, allow=a.allow), Kept, True),
    "quarantine/rm": Verb(lambda store, a: quarantine.remove(store, a.id), Named, True),
    "report/dmarc": Verb(
        lambda store, a: reports.dmarc(store, domain=a.domain, since=a.since, limit=a.limit), Reported
    ),
    "report/tls": Verb(lambda store, a: reports.tls(store, domain=a.domain, since=a.since, limit=a.limit), Reported),
    "trace/find": Verb(_found, TraceFind),
    "trace/refusals": Verb(_turned, TraceFind),
}
