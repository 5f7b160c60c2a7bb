"""The table of what the administration page can ask: each name with its arguments, whether it changes something, and
the verb of `daemon.admin` that does it, which `mailctl` calls too.

Arguments are named as in `mailctl`; what is left out means what it means there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from daemon.admin import doctor, health, incidents, queue, trace, traffic
from daemon.limits import LIMITS
from daemon.store.db import Store

Text = Annotated[str, Meta(max_length=1000)]
Number = Annotated[int, Meta(ge=1, le=2**53)]
Many = Annotated[int, Meta(ge=1, le=LIMITS.admin_rows)]
Numbers = Annotated[list[Number], Meta(min_length=1, max_length=LIMITS.admin_rows)]


@dataclass(frozen=True, slots=True)
class Verb:
    """`run(store, asked)` in a thread that may wait; `asked` is of the type `asked`."""

    run: Callable[[Store, Any], Any]
    asked: type[Struct]
    changes: bool = False


class Asked(Struct, forbid_unknown_fields=True):
    """Arguments of a verb."""


class Nothing(Asked):
    """No arguments."""


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
            incident=a.incident, limit=a.limit, folded=a.incident is None,
        ),
    )  # fmt: skip


def _changed(count: int) -> dict[str, int]:
    return {"changed": count}


def _found(store: Store, a: TraceFind) -> Any:
    return trace.stories(store, a.name, sender=a.sender, recipient=a.recipient, since=a.since, limit=a.limit)


def _turned(store: Store, a: TraceFind) -> Any:
    return trace.refusals(store, sender=a.sender, recipient=a.recipient, since=a.since, limit=a.limit)


VERBS: dict[str, Verb] = {
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
    "trace/find": Verb(_found, TraceFind),
    "trace/refusals": Verb(_turned, TraceFind),
}
