"""`mailctl quarantine`: what the filter kept from its readers, and how it is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import letter, options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, clean, count, size, when

if TYPE_CHECKING:
    from daemon.admin.quarantine import Kept, Shown

command = noun(
    "quarantine",
    "What the filter refused, or put into Junk, and how that is undone.",
    "mailctl quarantine list --user alice@example.org",
    "mailctl quarantine release 12",
)
_numbers = click.argument(
    "numbers", metavar="ID...", nargs=-1, required=True, shell_complete=options.complete_quarantine
)


@command.command(
    "list",
    examples=(
        "mailctl quarantine list",
        "mailctl quarantine list --user alice@example.org --since 2d",
        "mailctl quarantine list --from shop.example --reason spam-certain --json",
    ),
)
@click.option("--user", metavar="USER", shell_complete=options.complete_users, help="Only of this user.")
@options.since
@click.option("--from", "sender", metavar="TEXT", help="Senders with this in their address or name.")
@click.option("--reason", metavar="WORD", help="Only for this reason, such as spam-certain or virus.")
@options.limit
@at_desk
def list_(
    desk: Desk, user: str | None, since: str | None, sender: str | None, reason: str | None, limit: int | None
) -> None:
    """List what is kept, newest first. The numbers are what other verbs take."""
    from daemon.admin import quarantine as admin

    columns = [
        Column("ID", lambda k: str(k.id), "bold", right=True),
        Column("KEPT", lambda k: when(k.kept_at), "dim"),
        Column("USER", lambda k: k.user),
        Column("STATE", lambda k: k.state, lambda k: "yellow" if k.state == "junk" else "red"),
        Column("FROM", lambda k: clean(k.author or k.sender or "<>")),
        Column("SUBJECT", lambda k: clean(k.subject)),
        Column("REASON", lambda k: k.reason),
        Column("SCORE", lambda k: f"{k.score:.1f}", right=True),
    ]
    desk.out.rows(
        admin.found(desk.store, user=user, since=since, sender=sender, reason=reason, limit=limit),
        [column for column in columns if user is None or column.title != "USER"],
        empty="Nothing is kept.",
    )


@command.command("show", examples=("mailctl quarantine show 12", "mailctl quarantine show 12 --raw > message.eml"))
@click.argument("number", metavar="ID", shell_complete=options.complete_quarantine)
@click.option("--raw", is_flag=True, help="The bytes as they would be in the INBOX.")
@at_desk
def show(desk: Desk, number: str, raw: bool) -> None:
    """Show a message that is kept: why, its header, its text, what is attached."""
    from daemon.admin import quarantine as admin

    if raw:
        letter.raw(admin.raw(desk.store, number))
        return
    found = admin.show(desk.store, number)
    desk.out.document(found, lambda: _open(desk, found))


def _open(desk: Desk, found: Shown) -> None:
    kept = found.kept
    about = [
        ("Message", f"{kept.id} for {kept.user}, {size(kept.size)}, trace {kept.trace}"),
        ("State", f"{kept.state} since {when(kept.kept_at)}: {kept.reason}, {kept.score:.1f} points"),
        ("Why", clean(kept.why)),
        ("Sender", clean(kept.sender) or "<>"),
    ]
    letter.show(desk.out, about, found)


@command.command(
    "release",
    examples=(
        "mailctl quarantine release 12",
        "mailctl quarantine release 12 13 --allow",
        "mailctl quarantine list --from shop.example --json | jq .id | mailctl quarantine release -",
    ),
)
@_numbers
@click.option("--allow", is_flag=True, help="The author is let in from now on, for this user.")
@click.option("--force", is_flag=True, help="Has no effect: what has a virus is not released.")
@at_desk
def release(desk: Desk, numbers: tuple[str, ...], allow: bool, force: bool) -> None:
    """Put messages into the INBOX they were meant for, and teach the filter that they are wanted.

    They keep the time they came, and the fields that say what the filter thought. What has a virus is released to
    nobody, with --force neither: `quarantine show ID --raw` gives its bytes. Exit code 1: one of them is not kept (any
    more); 75: the user has no room, or the virus scanner cannot say; 77: a virus. Those before it are done.
    """
    from daemon.admin import quarantine as admin

    for number in ids(numbers):
        done = admin.release(desk.store, number, allow=allow)
        desk.out.done(f"released {_named(done)} to the INBOX of {done.user}", done)


@command.command("rm", examples=("mailctl quarantine rm 12 13", "mailctl quarantine rm 12 --dry-run"))
@_numbers
@options.careful
@at_desk
def rm(desk: Desk, numbers: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Throw messages away before their time; of those in Junk, the message there."""
    from daemon.admin import quarantine as admin

    there = admin.by_ids(desk.store, ids(numbers))
    what = f"throw {count(len(there), 'message')} away"
    if not desk.agreed(what, [f"{_named(kept)} for {kept.user}" for kept in there], yes=yes, dry_run=dry_run):
        return
    for kept in there:
        done = admin.remove(desk.store, str(kept.id))
        desk.out.done(f"threw away {_named(done)} for {done.user}", done)


def _named(kept: Kept) -> str:
    return f"{kept.id} “{clean(kept.subject)}” from {clean(kept.author or kept.sender) or 'nobody'}"
