"""`mailctl queue`: what waits to go out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, count, size, span, when

if TYPE_CHECKING:
    from daemon.admin.incidents import Incident
    from daemon.admin.queue import Entry, Shown

command = noun(
    "queue",
    "What waits to go out to other servers. Every recipient has a number of its own; what is held since a user sent"
    " more than he may (settings allowance.*) is one incident, with a number for all of it.",
    "mailctl queue list --older 2h --error 'blocked|4\\.7\\.'",
    "mailctl queue flush --domain example.com",
)
_filters = options.together(
    click.option("--from", "sender", metavar="TEXT", help="Senders with this in their address."),
    click.option("--to", "recipient", metavar="TEXT", help="Recipients with this in their address."),
    click.option("--domain", metavar="DOMAIN", help="Recipients at this domain."),
    click.option("--user", metavar="USER", shell_complete=options.complete_users, help="Handed in by this user."),
    click.option("--older", metavar="SPAN", help="Waiting for longer than a span such as 2h."),
    options.since,
    click.option("--error", metavar="REGEX", help="The last reply matches."),
)
_incident = click.option(
    "--incident", type=click.IntRange(min=1), metavar="NUMBER", help="All that this incident holds, which ends with it."
)
_ids = click.argument("entries", metavar="[ID]...", nargs=-1)


def _wanted(entries: tuple[str, ...], filters: dict[str, Any], **more: Any) -> Any:
    from daemon.admin.queue import Wanted

    return Wanted(ids=tuple(ids(entries)) if entries else None, **filters, **more)


def _chosen(
    desk: Desk, entries: tuple[str, ...], everything: bool, filters: dict[str, Any], *, frees: bool = False
) -> list[Entry]:
    """What a verb shall work on. A usage error when nothing says what. One that `frees` what is held takes out of an
    incident only what is named by its number: `--all` must not send what a thief wrote."""
    from daemon.admin import queue

    named = bool(entries) or any(v is not None for v in filters.values())
    if named == everything:
        raise click.UsageError("say which: numbers, a filter such as --domain, or --all")
    found = queue.entries(desk.store, _wanted(entries, filters))
    free = [e for e in found if e.incident is None or not frees or entries]
    if left := len(found) - len(free):
        desk.out.note(f"{count(left, 'recipient')} held by incidents stay; `mailctl queue release --incident NUMBER`")
    return free


def _of_incident(number: int | None, entries: tuple[str, ...], everything: bool, filters: dict[str, Any]) -> bool:
    """Whether a verb is about a whole incident. A usage error when it is about something else, too."""
    if number is not None and (entries or everything or any(v is not None for v in filters.values())):
        raise click.UsageError("--incident stands alone: it is all that the incident holds, or numbers and filters")
    return number is not None


@command.command(
    "list",
    examples=(
        "mailctl queue list",
        "mailctl queue list --to example.com --held --json",
        "mailctl queue list --incident 3",
    ),
)
@_filters
@click.option("--incident", type=click.IntRange(min=1), metavar="NUMBER", help="What this incident holds, one by one.")
@click.option("--held", "state", flag_value="held", default=None, help="Only held ones.")
@click.option("--due", "state", flag_value="due", help="Only those that are not held.")
@options.limit
@at_desk
def list_(desk: Desk, incident: int | None, state: str | None, limit: int | None, **filters: Any) -> None:
    """List what waits, oldest first. What an incident holds is one line, above the others, unless a filter asks for it.

    An incident is a user who sent more than he may: since then all he sends to other servers is held.
    """
    from daemon.admin import incidents, queue

    now = int(time.time() * 1000)
    only_user = all(v is None for k, v in filters.items() if k != "user")
    folded = only_user and incident is None and state != "due"
    if incident is not None:
        incidents.get(desk.store, incident)
    found = incidents.open_ones(desk.store, filters["user"]) if folded else []
    entries = queue.entries(
        desk.store, _wanted((), filters, state=state, incident=incident, folded=folded, limit=limit)
    )
    if found:
        desk.out.rows(found, _INCIDENTS)
    if found and entries and not desk.json:
        desk.out.print()
    desk.out.rows(
        entries,
        [
            Column("ID", lambda e: str(e.id), right=True),
            Column("AGE", lambda e: span(now - e.created_at), right=True),
            Column("SENDER", lambda e: e.sender or "<>", "dim"),
            Column("RECIPIENT", lambda e: e.recipient, "bold"),
            Column("NEXT TRY", lambda e: _next(e, now), _state_style),
            Column("TRIES", lambda e: str(e.attempts), right=True),
            Column("SIZE", lambda e: size(e.size), right=True),
            Column("LAST REPLY", lambda e: e.last_reply or "", "dim"),
        ],
        empty="" if found else "The queue is empty.",
    )


_INCIDENTS = [
    Column("INCIDENT", lambda i: str(i.incident), "bold", right=True),
    Column("USER", lambda i: i.user, "bold"),
    Column("SINCE", lambda i: when(i.began_at)),
    Column("MESSAGES", lambda i: f"{i.messages:,}", right=True),
    Column("RECIPIENTS", lambda i: f"{i.waiting:,}", "yellow", right=True),
    Column("HELD SINCE THERE WERE", lambda i: i.why, fold=True),
]


def _next(entry: Entry, now: int) -> str:
    if entry.incident is not None:
        return f"held (incident {entry.incident})"
    if entry.state == "held":
        return f"held ({entry.hold_reason})" if entry.hold_reason else "held"
    if entry.state == "sending":
        return "sending"
    return "now" if entry.due_at <= now else f"in {span(entry.due_at - now)}"


def _state_style(entry: Entry) -> str:
    return {"held": "yellow", "sending": "green"}.get(entry.state, "")


@command.command("show", examples=("mailctl queue show 17", "mailctl queue show 17 --raw > message.eml"))
@click.argument("entry", metavar="ID")
@click.option("--raw", is_flag=True, help="The message as it goes out.")
@at_desk
def show(desk: Desk, entry: str, raw: bool) -> None:
    """Show one that waits: envelope, tries, the peer's words, what they mean, the message's header."""
    from daemon.admin import queue

    found = queue.show(desk.store, entry)
    if raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(queue.raw(desk.store, found[0].entry.id))
        return
    for number, one in enumerate(found):
        if number and not desk.json:
            desk.out.print()
        _show(desk, one)


def _show(desk: Desk, one: Shown) -> None:
    entry = one.entry
    now = int(time.time() * 1000)
    last = f"{when(entry.last_at)}, {entry.last_host or 'nobody reached'}" if entry.last_at else ""
    desk.out.show(
        one,
        [
            ("Entry", f"{entry.id} (message {entry.message}, trace {entry.trace})"),
            ("Sender", entry.sender or "<> (a notice)"),
            ("Recipient", entry.recipient),
            ("By way of", entry.destination),
            ("Handed in", f"{when(entry.created_at)} as {entry.origin}" + (f" by {entry.user}" if entry.user else "")),
            ("Size", size(entry.size)),
            ("Next try", _next(entry, now)),
            ("Incident", _incident_words(desk, entry)),
            ("Tries", str(entry.attempts)),
            ("Last try", last),
            ("TLS there", _tls(one)),
            ("TLS asked for", {"required": "REQUIRETLS", "optional": "TLS-Required: No"}.get(one.tls or "", "")),
            ("Last reply", entry.last_reply or ""),
            ("Which means", entry.remedy or ""),
            ("Given up", when(entry.expires_at)),
            *((name, value) for name, value in one.headers if name.lower() in _SHOWN),
        ],
    )


def _incident_words(desk: Desk, entry: Entry) -> str:
    from daemon.admin import incidents

    if entry.incident is None:
        return ""
    found = incidents.get(desk.store, entry.incident)
    return f"{found.incident}: {_touched(found)}\n`mailctl queue release --incident {found.incident}` sends all of it"


def _touched(found: Incident) -> str:
    held = f"{count(found.waiting, 'recipient')} of {count(found.messages, 'message')}"
    return f"{found.user} since {when(found.began_at)}, {held}: {found.why}"


def _tls(one: Shown) -> str:
    """What the destination spoke last, in words."""
    if one.destination_tls is None:
        return ""
    words = "none" if one.destination_tls == "none" else one.destination_tls
    words += ", verified" if one.destination_tls_verified else ""
    return words + (f" ({one.destination_tls_policy})" if one.destination_tls_policy else "")


_SHOWN = ("from", "to", "cc", "date", "subject", "message-id")


@command.command(
    "flush", examples=("mailctl queue flush", "mailctl queue flush --domain example.com", "mailctl queue flush 17")
)
@_ids
@_filters
@options.everything("(the default)")
@at_desk
def flush(desk: Desk, entries: tuple[str, ...], everything: bool, **filters: Any) -> None:
    """Try now, whatever the schedule says: all, or those named. Held ones stay held."""
    from daemon.admin import queue

    found = queue.entries(desk.store, _wanted(entries, filters))
    _work(desk, found, "due now", queue.flush)


def _work(desk: Desk, found: Sequence[Entry], done: str, work: Callable[..., int], *args: Any) -> None:
    with desk.out.progress("working", len(found)) as step:
        changed = work(desk.store, [e.id for e in found], *args, step)
    said = f"{count(changed, 'recipient')} {done}"
    desk.out.done(said, {"changed": changed, "ids": [e.id for e in found]})


@command.command("hold", examples=("mailctl queue hold --to example.com --reason 'they are moving'",))
@_ids
@_filters
@options.everything("that waits")
@click.option("--reason", default="by hand", help="Why; the list shows it.")
@at_desk
def hold(desk: Desk, entries: tuple[str, ...], everything: bool, reason: str, **filters: Any) -> None:
    """Keep from being tried until released."""
    from daemon.admin import queue

    _work(desk, _chosen(desk, entries, everything, filters), "held", queue.hold, reason)


@command.command(
    "release",
    examples=("mailctl queue release 17 18", "mailctl queue release --all", "mailctl queue release --incident 3"),
)
@_ids
@_filters
@options.everything("that is held, but by incidents")
@_incident
@at_desk
def release(
    desk: Desk, entries: tuple[str, ...], everything: bool, incident: int | None, **filters: Any
) -> None:  # fmt: skip
    """Let held ones go on. With an incident its user may send his whole allowance again; the lifetime of what was held
    counts from now."""
    from daemon.admin import incidents, queue

    if _of_incident(incident, entries, everything, filters):
        _end(desk, incidents.get(desk.store, incident or 0), "released", incidents.release)
    else:
        _work(desk, _chosen(desk, entries, everything, filters, frees=True), "released", queue.release)


def _end(desk: Desk, found: Incident, done: str, work: Callable[..., int]) -> None:
    """All that an incident holds."""
    with desk.out.progress("working", found.waiting) as step:
        changed = work(desk.store, found.incident, step)
    told = {"changed": changed, "incident": found.incident, "user": found.user}
    desk.out.done(f"{count(changed, 'recipient')} {done}; incident {found.incident} of {found.user} is over", told)


@command.command("retry", examples=("mailctl queue retry 17", "mailctl queue retry --error 'timed out'"))
@_ids
@_filters
@options.everything("that waits")
@at_desk
def retry(desk: Desk, entries: tuple[str, ...], everything: bool, **filters: Any) -> None:
    """Begin again: tries and lifetime count from now. Held ones are released."""
    from daemon.admin import queue

    _work(desk, _chosen(desk, entries, everything, filters, frees=True), "begin again", queue.retry)


@command.command(
    "bounce",
    examples=("mailctl queue bounce 17 --reason 'the address is gone' --yes", "mailctl queue bounce --to typo.example"),
)
@_ids
@_filters
@options.everything("that waits")
@click.option("--reason", default="", help="The sender reads it.")
@options.careful
@at_desk
def bounce(
    desk: Desk, entries: tuple[str, ...], everything: bool, reason: str, yes: bool, dry_run: bool, **filters: Any
) -> None:
    """Give up now and tell the sender. What is being sent just now is left alone."""
    from daemon.admin import queue

    found = _chosen(desk, entries, everything, filters)
    if desk.agreed(f"bounce {count(len(found), 'recipient')}", [_line(e) for e in found], yes=yes, dry_run=dry_run):
        _work(desk, found, "bounced", queue.bounce, reason)


@command.command(
    "drop",
    examples=(
        "mailctl queue drop 17 --yes",
        "mailctl queue drop --from spammer --dry-run",
        "mailctl queue drop --incident 3",
    ),
)
@_ids
@_filters
@options.everything("that waits")
@_incident
@options.careful
@at_desk
def drop(
    desk: Desk,
    entries: tuple[str, ...],
    everything: bool,
    incident: int | None,
    yes: bool,
    dry_run: bool,
    **filters: Any,
) -> None:
    """Take out; the sender is not told (see `bounce`). With an incident, what its user sent before stays counted: a
    thief who is still in is stopped again by his next message."""
    from daemon.admin import incidents, queue

    if _of_incident(incident, entries, everything, filters):
        one = incidents.get(desk.store, incident or 0)
        if desk.agreed("drop", [_touched(one)], yes=yes, dry_run=dry_run):
            _end(desk, one, "dropped", incidents.drop)
        return
    found = _chosen(desk, entries, everything, filters)
    if desk.agreed(f"drop {count(len(found), 'recipient')}", [_line(e) for e in found], yes=yes, dry_run=dry_run):
        _work(desk, found, "dropped", queue.drop)


def _line(entry: Entry) -> str:
    return f"{entry.id}: {entry.sender or '<>'} to {entry.recipient}"


@command.command(
    "reroute", examples=("mailctl queue reroute 17 --route 2", "mailctl queue reroute --domain example.com --table")
)
@_ids
@_filters
@options.everything("that waits")
@click.option("--route", type=int, metavar="ROUTE", help="The number of a route (`mailctl route list`).")
@click.option("--table", is_flag=True, help="By the routes' own patterns again.")
@at_desk
def reroute(
    desk: Desk, entries: tuple[str, ...], everything: bool, route: int | None, table: bool, **filters: Any
) -> None:
    """Send by another smart host than the routes say."""
    from daemon.admin import queue

    if (route is None) == (not table):
        raise click.UsageError("name --route, or --table")
    _work(desk, _chosen(desk, entries, everything, filters), "rerouted", queue.reroute, route)


@command.command("stats", examples=("mailctl queue stats",))
@at_desk
def stats(desk: Desk) -> None:
    """Show how many wait, by destination and age."""
    from daemon.admin import queue

    columns = [
        Column("DESTINATION", lambda d: d.destination, "bold"),
        Column("ALL", lambda d: str(d.total), right=True),
        Column("HELD", lambda d: str(d.held or ""), "yellow", right=True),
    ]
    for place, title in enumerate((*(f"<{span(minutes * 60_000)}" for minutes in queue.AGES), "older")):
        columns.append(Column(title.upper(), lambda d, place=place: str(d.ages[place] or ""), right=True))  # type: ignore[misc]
    columns.append(Column("LAST ERROR", lambda d: d.last_error or "", "dim"))
    desk.out.rows(queue.stats(desk.store), columns, empty="The queue is empty.")
