"""What waits to go out, and the administrator's hand on it. Ids are those of recipients, never used twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.flow.bounce import Told, is_due, plan
from daemon.flow.deliver import Plan, Stale, commit
from daemon.flow.outcome import ours
from daemon.limits import LIMITS
from daemon.mail.decode import header_text
from daemon.mail.header import header_end, split_fields
from daemon.mail.remedy import remedy
from daemon.store import queue as rows
from daemon.store import queue_desk, routes, settings
from daemon.store.db import Store, StoreBusy
from daemon.store.errors import Missing
from daemon.store.queue import Claimed, Standing, standing
from daemon.store.queue_desk import AGES, Row
from daemon.store.tx import Tx

__all__ = ["AGES"]
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient in the queue. `state`: due, held, or sending while a worker has it. `remedy`: what the last reply
    means, in plain words. `message` is the number all recipients of one message share, `incident` the one that
    holds it."""

    id: int
    message: int
    trace: str
    sender: str
    recipient: str
    state: str
    destination: str
    origin: str
    user: str | None
    size: int
    attempts: int
    last_host: str | None
    last_reply: str | None
    remedy: str | None
    hold_reason: str | None
    incident: int | None
    created_at: int
    due_at: int
    last_at: int | None
    expires_at: int
    type: str = "recipient"


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry with the header of its message, decoded. `tls`: what the message asks for (required, optional; RFC
    8689). `destination_tls` and what follows: what its destination spoke last, and what it was held to."""

    entry: Entry
    headers: tuple[tuple[str, str], ...]
    tls: str | None
    destination_tls: str | None
    destination_tls_verified: bool
    destination_tls_policy: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: by ids or traces, or by what all of them have. `older` is a span, `since` a span or a date.
    `folded`: none that an incident holds. `after`: those with higher ids."""

    ids: tuple[str, ...] | None = None
    sender: str | None = None
    recipient: str | None = None
    domain: str | None = None
    user: str | None = None
    older: str | None = None
    since: str | None = None
    error: str | None = None
    state: str | None = None
    limit: int | None = None
    incident: int | None = None
    folded: bool = False
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Recipients by age: `ages` count those up to each of `AGES` minutes, then all older. `last_error` is why it is
    spared until `not_before_at`."""

    destination: str
    total: int
    held: int
    ages: tuple[int, ...]
    failures: int
    last_error: str | None
    tls: str | None
    tls_verified: bool
    tls_policy: str | None
    not_before_at: int | None
    last_success_at: int | None


def entries(store: Store, wanted: Wanted) -> list[Entry]:
    """What matches, oldest first. Raises `Missing` for an id that is not there, `Invalid`, `BadData`."""
    return [_entry(row, table) for row, table in _rows(store, wanted)]


def show(store: Store, entry_id: str) -> list[Shown]:
    """One entry, or all of a trace. Raises `Missing`, `BadData`, `SegmentDamaged`."""
    found = []
    for entry in entries(store, Wanted(ids=(entry_id,))):
        claimed = store.read_now(queue_desk.envelope, entry.id)
        data = _raw(store, claimed)
        last = store.read_now(standing, claimed.destination) or Standing(claimed.destination)
        fields = split_fields(data[: header_end(data, 0, len(data))])
        headers = tuple((name.decode("ascii", "replace"), header_text(value)) for name, value in fields)
        found.append(
            Shown(
                entry, headers, claimed.message.tls or None, last.tls, last.tls_verified, last.tls_policy or None
            )
        )  # fmt: skip
    return found


def raw(store: Store, entry_id: int) -> bytes:
    """The message as it goes out. Raises `Missing`, `SegmentDamaged`."""
    return _raw(store, store.read_now(queue_desk.envelope, entry_id))


def _raw(store: Store, claimed: Claimed) -> bytes:
    message = claimed.message
    return message.prefix + store.bytes_of((message.place.segment, message.place.offset, message.place.length))


def stats(store: Store) -> list[Destination]:
    """The fullest destination first."""

    def work(tx: Tx) -> list[Destination]:
        table = routes.load(tx)
        return [_destination(count, table) for count in queue_desk.stats(tx)]

    return store.read_now(work)


def flush(store: Store, ids: Sequence[int], progress: Callable[[int], None] = lambda _: None) -> int:
    """Try them now; held ones stay held. How many are due now."""
    return _stepwise(store, ids, queue_desk.flush, progress)


def hold(store: Store, ids: Sequence[int], reason: str, progress: Callable[[int], None] = lambda _: None) -> int:
    return _stepwise(store, ids, lambda tx, some: queue_desk.hold(tx, some, reason), progress)


def release(store: Store, ids: Sequence[int], progress: Callable[[int], None] = lambda _: None) -> int:
    return _stepwise(store, ids, queue_desk.release, progress)


def retry(store: Store, ids: Sequence[int], progress: Callable[[int], None] = lambda _: None) -> int:
    """Begin again: tries and lifetime from now, held ones too."""
    lifetime = store.read_now(settings.load)["queue.lifetime"] * 1000
    return _stepwise(store, ids, lambda tx, some: queue_desk.retry(tx, some, lifetime), progress)


def drop(store: Store, ids: Sequence[int], progress: Callable[[int], None] = lambda _: None) -> int:
    """Take them out; the sender is not told."""
    return _stepwise(store, ids, queue_desk.drop, progress)


def bounce(store: Store, ids: Sequence[int], reason: str = "", progress: Callable[[int], None] = lambda _: None) -> int:
    """Give them up and tell their senders, `reason` with it; how many. What is being sent just now is left alone."""
    done = 0
    for message_ids in _by_message(store, ids):
        done += _bounce(store, message_ids, reason)
        progress(len(message_ids))
    return done


def _by_message(store: Store, ids: Sequence[int]) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for row in store.read_now(lambda tx: list(queue_desk.find(tx, queue_desk.Filter(ids=tuple(ids))))):
        found.setdefault(row.message_id, []).append(row.id)
    return list(found.values())


def _bounce(store: Store, ids: list[int], reason: str) -> int:
    """Recipients of one message, in one write with the notice about them."""
    for _ in range(_TRIES):
        config = store.read_now(settings.load)
        free = store.read_now(queue_desk.idle, ids)
        claimed = store.read_now(rows.load, free)
        if not claimed:
            return 0
        words = "delivery was ended by the administrator" + (f": {reason}" if reason else "")
        results = [ours("failed", "administrator", "5.0.0", words) for _ in claimed]
        told = [
            Told(c.address, c.orcpt, result)
            for c, result in zip(claimed, results, strict=True)
            if is_due("failure", c.message.sender, c.notify)
        ]
        message = claimed[0].message
        notice = plan(store, config, "failure", message, told, now=store.clock()) if told else None
        outcomes = [
            rows.Outcome.of(c, "failed", result.reason, result.reply)
            for c, result in zip(claimed, results, strict=True)
        ]

        def work(tx: Tx, free: list[int], outcomes: list[rows.Outcome], notice: Plan | None) -> int:
            if queue_desk.idle(tx, free) != free:
                raise Stale("a worker took one meanwhile")
            gone = rows.settle(tx, outcomes)
            if notice is not None:
                commit(tx, notice)
            return len(gone)

        try:
            bodies = notice.bodies if notice is not None else ()
            return store.write_now(work, free, outcomes, notice, bodies=bodies)
        except Stale:
            continue
    raise StoreBusy("the queue is busy with these; try again")


def reroute(
    store: Store, ids: Sequence[int], route_id: int | None, progress: Callable[[int], None] = lambda _: None
) -> int:
    """By this route from now on, or by the table again. Raises `Missing`."""
    return _stepwise(store, ids, lambda tx, some: queue_desk.reroute(tx, some, route_id), progress)


def _stepwise(
    store: Store, ids: Sequence[int], work: Callable[[Tx, Sequence[int]], int], progress: Callable[[int], None]
) -> int:
    done = 0
    for at in range(0, len(ids), LIMITS.step):
        some = ids[at : at + LIMITS.step]
        done += store.write_now(work, some)
        progress(len(some))
    return done


def _rows(store: Store, wanted: Wanted) -> list[tuple[Row, routes.Table]]:
    now = store.clock()
    numbers = None if wanted.ids is None else tuple(int(i) for i in wanted.ids if i.isascii() and i.isdigit())
    traces = () if wanted.ids is None else tuple(i for i in wanted.ids if not (i.isascii() and i.isdigit()))
    for one in traces:
        if len(one) != 16 or not one.isalnum():
            raise BadData(f"{one!r} is neither a number of the queue nor a trace; `mailctl queue list` shows them")
    rest = queue_desk.Filter(
        sender=wanted.sender,
        recipient=wanted.recipient,
        domain=None if wanted.domain is None else words.domain(wanted.domain),
        user=None if wanted.user is None else str(words.address(wanted.user)),
        older=None if wanted.older is None else words.span(wanted.older),
        since=None if wanted.since is None else words.past(wanted.since, now),
        error=wanted.error,
        state=wanted.state,
        limit=wanted.limit,
        incident=0 if wanted.folded else wanted.incident,
        after=wanted.after,
        ids=numbers if not traces else None,
    )

    def work(tx: Tx) -> list[tuple[Row, routes.Table]]:
        table = routes.load(tx)
        found = list(queue_desk.find(tx, rest))
        if traces:
            found = [row for row in found if row.trace in traces or row.id in (numbers or ())]
        _all_there(found, numbers or (), traces)
        return [(row, table) for row in found]

    return store.read_now(work)


def _all_there(found: list[Row], numbers: Sequence[int], traces: Sequence[str]) -> None:
    missing = [str(n) for n in sorted(set(numbers) - {row.id for row in found})]
    missing += [t for t in traces if t not in {row.trace for row in found}]
    if missing:
        raise Missing(f"{missing[0]} is not in the queue; `mailctl queue list` shows what is")


def _entry(row: Row, table: routes.Table) -> Entry:
    means = remedy(row.last_reply, row.last_host or "") if row.last_reply else None
    return Entry(
        id=row.id,
        message=row.message_id,
        trace=row.trace,
        sender=row.sender,
        recipient=row.recipient,
        state="sending" if row.active else row.state,
        destination=_name(row.destination, table),
        origin=row.origin,
        user=row.user,
        size=row.size,
        attempts=row.attempts,
        last_host=row.last_host,
        last_reply=row.last_reply,
        remedy=None if means is None else means.sentence,
        hold_reason=row.hold_reason,
        incident=row.incident,
        created_at=row.created_at,
        due_at=row.due_at,
        last_at=row.last_at,
        expires_at=row.expires_at,
    )


def _destination(count: queue_desk.Count, table: routes.Table) -> Destination:
    standing = count.standing
    return Destination(
        destination=_name(count.destination, table),
        total=count.total,
        held=count.held,
        ages=count.ages,
        failures=0 if standing is None else standing.failures,
        last_error=None if standing is None else standing.last_error,
        tls=None if standing is None else standing.tls,
        tls_verified=standing is not None and standing.tls_verified,
        tls_policy=(standing.tls_policy or None) if standing else None,
        not_before_at=(standing.not_before_at or None) if standing else None,
        last_success_at=None if standing is None else standing.last_success_at,
    )


def _name(destination: str, table: routes.Table) -> str:
    """A domain, or the smart host behind `route:ID`."""
    if destination.startswith("route:"):
        route = table.get(int(destination[6:]))
        return f"{route.host}:{route.port}" if route is not None else destination
    return destination
