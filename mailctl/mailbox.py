"""`mailctl mailbox`: the mailboxes of a user."""

from __future__ import annotations

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, count, size

command = noun(
    "mailbox",
    "The mailboxes of a user. Levels of a name are divided by `/`.",
    "mailctl mailbox list alice@example.org",
    "mailctl mailbox create alice@example.org Projects/2026",
)
_user = click.option(
    "--user", metavar="USER", shell_complete=options.complete_users, help="The user, if not named first."
)


def named(user: str | None, words: tuple[str, ...], *wanted: str) -> tuple[str, ...]:
    """User and further words, the user given as an option or as the first word."""
    all_words = words if user is None else (user, *words)
    if len(all_words) != len(wanted) + 1:
        raise click.UsageError(f"name USER {' '.join(wanted)}")
    return all_words


@command.command("list", examples=("mailctl mailbox list", "mailctl mailbox list alice@example.org --json"))
@click.argument("name", metavar="[USER]", required=False, shell_complete=options.complete_users)
@_user
@at_desk
def list_(desk: Desk, name: str | None, user: str | None) -> None:
    """List mailboxes, of one user or of all."""
    from daemon.admin import boxes

    who = name or user
    columns = [
        Column("MAILBOX", lambda b: b.name, "bold"),
        Column("MESSAGES", lambda b: f"{b.messages:,}", right=True),
        Column("UNSEEN", lambda b: f"{b.unseen:,}" if b.unseen else "", "cyan", right=True),
        Column("SIZE", lambda b: size(b.size), right=True),
        Column("USE", lambda b: b.special_use or "", "dim"),
    ]
    if who is None:
        columns.insert(0, Column("USER", lambda b: b.user))
    desk.out.rows(boxes.everyone(desk.store, who), columns, empty="There are no users, and so no mailboxes.")


@command.command(
    "create",
    examples=(
        "mailctl mailbox create alice@example.org Projects/2026",
        "mailctl mailbox create --user alice@example.org Old --use archive",
    ),
)
@click.argument("words", metavar="USER NAME", nargs=-1, required=True, shell_complete=options.complete_users)
@_user
@click.option(
    "--use",
    type=click.Choice(["archive", "drafts", "junk", "sent", "trash"]),
    help="What mail programs use it for (RFC 6154).",
)
@at_desk
def create(desk: Desk, words: tuple[str, ...], user: str | None, use: str | None) -> None:
    """Make a mailbox, and the levels above it."""
    from daemon.admin import boxes

    who, name = named(user, words, "NAME")
    made = boxes.create(desk.store, who, name, use)
    desk.out.done(f"{made.user} has a mailbox {made.name}", made)


@command.command("rm", examples=("mailctl mailbox rm alice@example.org Projects --below --yes",))
@click.argument("words", metavar="USER NAME", nargs=-1, required=True, shell_complete=options.complete_users)
@_user
@click.option("--below", is_flag=True, help="With the mailboxes below it.")
@options.careful
@at_desk
def rm(desk: Desk, words: tuple[str, ...], user: str | None, below: bool, yes: bool, dry_run: bool) -> None:
    """Remove a mailbox and the messages in it."""
    from daemon.admin import boxes

    who, name = named(user, words, "NAME")
    going = boxes.removal(desk.store, who, name, below=below)
    touched = [f"{b.name}: {count(b.messages, 'message')}, {size(b.size)}" for b in going]
    if not desk.agreed(f"remove of {who}", touched, yes=yes, dry_run=dry_run):
        return
    for box in going:
        with desk.out.progress(f"removing {box.name}", box.messages) as step:
            boxes.remove(desk.store, who, box.name, step)
        desk.out.done(f"removed {box.name} of {box.user}", box)


@command.command("rename", examples=("mailctl mailbox rename alice@example.org Projects Archive/Projects",))
@click.argument("words", metavar="USER OLD NEW", nargs=-1, required=True, shell_complete=options.complete_users)
@_user
@at_desk
def rename(desk: Desk, words: tuple[str, ...], user: str | None) -> None:
    """Rename a mailbox, with what lies below it."""
    from daemon.admin import boxes

    who, old, new = named(user, words, "OLD", "NEW")
    renamed = boxes.rename(desk.store, who, old, new)
    desk.out.done(f"{old} of {renamed.user} is now {renamed.name}", renamed)
