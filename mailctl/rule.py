"""`mailctl rule`: what is done with a user's mail, without Sieve."""

from __future__ import annotations

from typing import Any

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, yes

command = noun(
    "rule",
    "What is done with a user's mail: rules without Sieve, kept as a marked part of his script.",
    "mailctl rule add alice@example.org --from shop.example --file Receipts",
    "mailctl rule list alice@example.org",
)
_number = click.IntRange(min=1)


@command.command("list", examples=("mailctl rule list", "mailctl rule list alice@example.org --json"))
@click.argument("user", metavar="[USER]", required=False, shell_complete=options.complete_users)
@at_desk
def list_(desk: Desk, user: str | None) -> None:
    """List rules in the order they are tried, of one user or of all. The numbers are what other verbs take."""
    from daemon.admin import rules

    columns = [
        Column("USER", lambda r: r.user),
        Column("NO", lambda r: str(r.number), "bold", right=True),
        Column("WHEN", lambda r: r.when, fold=True),
        Column("THEN", lambda r: r.then, fold=True),
        Column("ACTIVE", lambda r: yes(r.active), lambda r: "green" if r.active else "yellow"),
    ]
    found = rules.everyone(desk.store, user)
    desk.out.rows(found, columns[1 if user else 0 :], empty="There are no rules; `mailctl rule add USER` makes one.")


@command.command(
    "add",
    examples=(
        "mailctl rule add alice@example.org --from shop.example --file Receipts",
        "mailctl rule add alice@example.org --from boss@example.org --subject urgent --flag",
        "mailctl rule add alice@example.org --has-list --file Lists --read --stop",
        "mailctl rule add alice@example.org --header X-Priority:1 --larger 5M --any --forward bob@example.net",
        "mailctl rule add alice@example.org --from spammer@far.example --discard --place 1",
    ),
)
@options.user
@click.option("--from", "sender", metavar="TEXT", multiple=True, help="From has this; a whole address: is this.")
@click.option("--to", "to", metavar="TEXT", multiple=True, help="To or Cc has this; a whole address: is this.")
@click.option("--subject", metavar="TEXT", multiple=True, help="The subject has this.")
@click.option("--list", "list_", metavar="TEXT", multiple=True, help="It comes from a list whose name has this.")
@click.option("--has-list", is_flag=True, help="It comes from a list.")
@click.option("--header", metavar="NAME[:TEXT]", multiple=True, help="It has this field, and this in it.")
@click.option("--larger", metavar="SIZE", help="It is larger.")
@click.option("--smaller", metavar="SIZE", help="It is smaller.")
@click.option("--any", "any_", is_flag=True, help="One of these will do. Default: all of them.")
@options.everything("mail")
@click.option("--file", metavar="MAILBOX", help="Put it there, which is made if need be.")
@click.option("--flag", is_flag=True, help="Flag it.")
@click.option("--read", is_flag=True, help="Mark it as read.")
@click.option("--keyword", metavar="WORD", multiple=True, help="Give it this keyword.")
@click.option("--keep", is_flag=True, help="Keep a copy in INBOX, too.")
@click.option("--forward", metavar="ADDRESS", multiple=True, help="Send it on there; it stays here, but for --discard.")
@click.option("--discard", is_flag=True, help="Throw it away, and tell nobody.")
@click.option("--stop", is_flag=True, help="Try no rule behind this one.")
@click.option("--place", type=_number, metavar="N", help="As rule N. Default: the last.")
@at_desk
def add(desk: Desk, user: str, place: int | None, **asked: Any) -> None:
    """Add a rule: what mail is like, and what is done with it.

    Options of one kind given several times are alternatives; different ones must all hold, or one of them with --any.
    Every rule that fits is carried out, in order, until one says --stop. The active script of the user has the rules in
    a part of its own; who has no script gets one.
    """
    from daemon.admin import rules

    made = rules.add(desk.store, user, rules.Asked(**asked), place)
    desk.out.done(f"rule {made.number} of {made.user}: {made.when}: {made.then}", made)


@command.command(
    "rm",
    examples=("mailctl rule rm alice@example.org 2 --yes", "mailctl rule rm alice@example.org --all --yes"),
)
@options.user
@click.argument("numbers", metavar="[N]...", nargs=-1, type=_number)
@options.everything("of the user's rules")
@options.careful
@at_desk
def rm(desk: Desk, user: str, numbers: tuple[int, ...], everything: bool, yes: bool, dry_run: bool) -> None:
    """Remove rules by number. Those behind them move up."""
    from daemon.admin import rules

    if bool(numbers) == everything:
        raise click.UsageError("name rules by number, or say --all")
    going = rules.some(desk.store, user, None if everything else list(dict.fromkeys(numbers)))
    touched = [f"{one.number}: {one.when}: {one.then}" for one in going]
    if not desk.agreed(f"remove of the rules of {user}", touched, yes=yes, dry_run=dry_run):
        return
    rules.remove(desk.store, user, going)
    said = f"removed rule {', '.join(str(one.number) for one in going)} of {user}" if going else f"{user} had no rules"
    desk.out.done(said, {"user": user, "removed": going})


@command.command("move", examples=("mailctl rule move alice@example.org 3 1",))
@options.user
@click.argument("number", metavar="N", type=_number)
@click.argument("place", metavar="PLACE", type=_number)
@at_desk
def move(desk: Desk, user: str, number: int, place: int) -> None:
    """Move rule N to another place in the order."""
    from daemon.admin import rules

    moved = rules.move(desk.store, user, number, place)
    desk.out.done(f"rule {number} of {moved.user} is now rule {moved.number}: {moved.when}: {moved.then}", moved)
