"""`mailctl spam score`: what the filter makes of a message, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import clean

if TYPE_CHECKING:
    from daemon.admin.score import Scored

_COLORS = {"accept": "32", "junk": "33", "defer": "33", "refuse": "31"}


@verb(
    "score",
    "mailctl spam score letter.eml",
    "mailctl spam score --user alice@example.org --json junk.mbox",
    "mailctl spam score --ip 192.0.2.1 --helo mx.shop.example --from news@shop.example letter.eml",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--user", metavar="USER", shell_complete=options.complete_users, help="As it would be for this user.")
@click.option("--from", "sender", metavar="SENDER", help="The sender of the envelope.")
@click.option("--ip", default="", metavar="ADDRESS", help="The address it comes from; then the DNS is asked too.")
@click.option("--helo", default="", metavar="NAME", help="What the peer calls itself.")
@at_desk
def score(desk: Desk, files: tuple[Path, ...], user: str | None, sender: str | None, ip: str, helo: str) -> None:
    """Say what the filter makes of messages in files, and why: mbox files, Maildirs, single messages.

    Without --ip nobody else is asked: what is judged is the message itself. Results that others wrote into it are not
    believed. Nothing is changed.
    """
    from daemon.admin import score as admin

    found = admin.score(desk.store, files, user=user, came=admin.From(ip, helo, sender))
    if desk.json:
        desk.out.rows(found, [])
        return
    for one in found:
        _tell(desk, one)


def _tell(desk: Desk, one: Scored) -> None:
    out = desk.out
    verdict = out.styled(one.verdict, _COLORS.get(one.verdict, "36"))
    out.print(
        f"{out.bold(clean(one.file))}: {verdict}, {one.score:.1f} points, limit {one.required:.1f} ({one.reason})"
    )
    for reason in one.reasons:
        out.print(f"  {clean(reason)}")
