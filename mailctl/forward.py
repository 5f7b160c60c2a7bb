"""`mailctl forward`: where a user's mail goes on to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, when, yes

if TYPE_CHECKING:
    from daemon.admin.people import Forward

command = noun(
    "forward",
    "Where users' mail goes on to, with or without a copy that stays.",
    "mailctl forward add alice@example.org alice@home.example --keep",
    "mailctl forward list",
)
_keep = click.option("--keep/--no-keep", default=None, help="Whether a copy stays in the mailbox. Default: it stays.")


@command.command("list", examples=("mailctl forward list", "mailctl forward list alice@example.org"))
@click.argument("user", metavar="[USER]", required=False, shell_complete=options.complete_users)
@click.option("--user", "named", metavar="USER", help="The same.")
@at_desk
def list_(desk: Desk, user: str | None, named: str | None) -> None:
    """List forwards, of one user or of all, and whether mail there gets through."""
    from daemon.admin import people

    desk.out.rows(
        people.forwards(desk.store, user or named),
        [
            Column("USER", lambda f: f.user, "bold"),
            Column("TO", lambda f: f.address),
            Column("COPY STAYS", lambda f: yes(f.keep)),
            Column("HEALTH", lambda f: f.health, lambda f: "red" if f.health == "failing" else "green"),
            Column("LAST SENT", lambda f: when(f.sent_at)),
            Column("LAST FAILURE", _failure, fold=True),
            Column("CREATED", lambda f: when(f.created_at), "dim"),
        ],
        empty="No mail is forwarded; `mailctl forward add USER ADDRESS` begins it.",
    )


def _failure(forward: Forward) -> str:
    return f"{when(forward.failed_at)}: {forward.failure}" if forward.failed_at else ""


@command.command(
    "add",
    examples=(
        "mailctl forward add alice@example.org alice@home.example",
        "mailctl forward add alice@example.org alice@home.example --no-keep",
    ),
)
@options.user
@click.argument("targets", metavar="ADDRESS...", nargs=-1, required=True)
@_keep
@at_desk
def add(desk: Desk, user: str, targets: tuple[str, ...], keep: bool | None) -> None:
    """Send a user's mail on to one more address."""
    from daemon.admin import people

    _told(desk, user, people.add_forwards(desk.store, user, ids(targets), keep=keep))


@command.command(
    "set",
    examples=(
        "mailctl forward set alice@example.org alice@new.example",
        "mailctl forward set alice@example.org --no-keep",
    ),
)
@options.user
@click.argument("targets", metavar="[ADDRESS]...", nargs=-1)
@_keep
@at_desk
def set_(desk: Desk, user: str, targets: tuple[str, ...], keep: bool | None) -> None:
    """Send a user's mail on to these addresses and no others."""
    from daemon.admin import people

    if not targets and keep is None:
        raise click.UsageError("nothing to set; name addresses, --keep or --no-keep")
    _told(desk, user, people.set_forwards(desk.store, user, ids(targets) or None, keep=keep))


def _told(desk: Desk, user: str, forwards: list[Forward]) -> None:
    where = ", ".join(f.address for f in forwards)
    stays = "a copy stays" if all(f.keep for f in forwards) else "no copy stays"
    said = f"mail for {user} goes on to {where}; {stays}" if forwards else f"mail for {user} stays here"
    desk.out.done(said, {"user": user, "forwards": forwards})


@command.command(
    "rm",
    examples=(
        "mailctl forward rm alice@example.org alice@home.example --yes",
        "mailctl forward rm alice@example.org --all --yes",
    ),
)
@options.user
@click.argument("targets", metavar="[ADDRESS]...", nargs=-1)
@options.everything("of the user's forwards")
@options.careful
@at_desk
def rm(desk: Desk, user: str, targets: tuple[str, ...], everything: bool, yes: bool, dry_run: bool) -> None:
    """Send a user's mail on no more."""
    from daemon.admin import people

    if bool(targets) == everything:
        raise click.UsageError("name addresses, or say --all")
    wanted = ids(targets) if targets else [f.address for f in people.forwards(desk.store, user)]
    if not desk.agreed(f"stop forwarding mail of {user} to", wanted, yes=yes, dry_run=dry_run):
        return
    gone = people.remove_forwards(desk.store, user, None if everything else wanted)
    said = f"mail for {user} goes on no more to {', '.join(gone)}" if gone else f"mail for {user} was not forwarded"
    desk.out.done(said, {"user": user, "removed": gone})
