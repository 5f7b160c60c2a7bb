"""`mailctl session`: who is logged in, and the end of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, count, span, when

if TYPE_CHECKING:
    from daemon.admin.sessions import Ending

command = noun(
    "session",
    "Who is logged in over IMAP, POP3, ManageSieve, SMTP and in browsers, and how that is ended.",
    "mailctl session list --user alice@example.org",
    "mailctl session kill alice@example.org",
)


@command.command("list", examples=("mailctl session list", "mailctl session list --user alice@example.org --json"))
@click.option("--user", metavar="USER", shell_complete=options.complete_users, help="Only of this user.")
@at_desk
def list_(desk: Desk, user: str | None) -> None:
    """List who is logged in, as it was within the last second, and browsers that are signed in."""
    from daemon.admin import sessions

    now = int(time.time() * 1000)
    desk.out.rows(
        sessions.everyone(desk.store, user),
        [
            Column("USER", lambda s: s.user, "bold"),
            Column("PROTOCOL", lambda s: s.protocol),
            Column("PEER", lambda s: s.peer),
            Column("SINCE", lambda s: when(s.since_at)),
            Column("FOR", lambda s: span(now - s.since_at), "dim", right=True),
            Column("APP PASSWORD", lambda s: s.app_password or "", "dim"),
            Column("BROWSER", lambda s: s.agent, "dim"),
        ],
        empty="Nobody is logged in.",
    )


@command.command(
    "kill",
    examples=(
        "mailctl session kill alice@example.org",
        "mailctl session kill alice@example.org --keep-app-passwords --yes",
    ),
)
@options.users
@click.option("--keep-app-passwords", is_flag=True, help="Only end sessions; the programs may log in again.")
@options.careful
@at_desk
def kill(desk: Desk, users: tuple[str, ...], keep_app_passwords: bool, yes: bool, dry_run: bool) -> None:
    """End all sessions of users and take their app passwords away: for an account in other hands.

    A session ends within a second, in the middle of what it does. The user's own password stays, and lets a thief who
    knows it in again: `mailctl user passwd` changes it (do that first), `mailctl user disable` keeps everybody out.
    """
    from daemon.admin import sessions

    found = [sessions.ending(desk.store, user, keep_app_passwords=keep_app_passwords) for user in ids(users)]
    if not desk.agreed("end", [_what(one) for one in found], yes=yes, dry_run=dry_run):
        return
    for one in found:
        ended = sessions.end(desk.store, one.user, keep_app_passwords=keep_app_passwords)
        desk.out.done(f"ended {_what(ended)}", ended)


def _what(one: Ending) -> str:
    gone = f"; app passwords revoked: {', '.join(one.app_passwords)}" if one.app_passwords else ""
    return f"{count(one.sessions, 'session')} of {one.user}{gone}"
