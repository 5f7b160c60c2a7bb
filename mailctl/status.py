"""`mailctl status`: how the server is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from mailctl import __version__
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import Column, clean, count, size, span, when

if TYPE_CHECKING:
    from daemon.admin.health import Status
    from daemon.admin.traffic import Traffic


@verb("status", "mailctl status", "mailctl status --json", "mailctl status --hours 24")
@click.option(
    "--hours",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Instead: mail in each of the last hours, and verdicts.",
)
@at_desk
def command(desk: Desk, hours: int | None) -> None:
    """Say whether the server runs, what it has, what waits, and what needs a look."""
    from daemon.admin import health, traffic

    if hours is not None:
        moved = traffic.traffic_of(desk.store, hours)
        desk.out.document(moved, lambda: _tell_hours(desk, moved))
        return
    found = health.status(desk.store)
    desk.out.document(found, lambda: _tell(desk, found))


def _tell(desk: Desk, s: Status) -> None:
    out = desk.out
    state = out.styled("running", "1;32") if s.running else out.styled("stopped", "1;33")
    out.print(f"{out.bold(s.hostname)}  {state}  {out.dim('mailctl ' + __version__)}")
    oldest = f", the oldest for {span(int(time.time() * 1000) - s.oldest_at)}" if s.oldest_at else ""
    held = f", {s.held} held" if s.held else ""
    out.fields(
        [
            ("Data", s.data),
            (
                "People",
                f"{count(s.domains, 'domain')}, {count(s.users, 'user')}, {count(s.aliases, 'alias', 'aliases')}",
            ),
            ("Mail", f"{count(s.messages, 'message')}, {size(s.used)} (kept in {size(s.stored)})"),
            ("Index", f"{s.indexed:,} of them" if s.messages else ""),
            ("Queue", f"{count(s.waiting, 'recipient')}{held}{oldest}"),
            ("Disk", f"{size(s.free)} free; new mail is refused below {size(s.reserve)}"),
            ("Certificate", f"until {when(s.certificate_until_at)}" if s.certificate_until_at else "none yet"),
            ("Bans", str(s.bans) if s.bans else ""),
            ("Listeners", "\n".join(f"{one.name:<12} {one.addresses}" for one in s.listeners)),
        ]
    )
    for problem in s.problems:
        out.print(out.styled("look", "1;31") + f"  {clean(problem)}")


def _tell_hours(desk: Desk, moved: Traffic) -> None:
    desk.out.rows(
        moved.hours,
        [
            Column("HOUR", lambda h: when(h.at)),
            Column("IN", lambda h: f"{h.incoming:,}", "bold", right=True),
            Column("HANDED IN", lambda h: f"{h.submitted:,}", right=True),
            Column("OUT", lambda h: f"{h.sent:,}", "bold", right=True),
            Column("PUT OFF", lambda h: f"{h.deferred:,}", right=True),
            Column("GIVEN UP", lambda h: f"{h.failed:,}", right=True),
            Column("REFUSED", lambda h: f"{h.refused:,}", right=True),
        ],
    )
    if moved.verdicts:
        desk.out.print()
        desk.out.rows(
            moved.verdicts,
            [
                Column("VERDICT", lambda v: v.action, "bold"),
                Column("MESSAGES", lambda v: f"{v.messages:,}", right=True),
                Column("WHY", lambda v: v.text),
            ],
        )
