"""`mailctl alias`: addresses that stand for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, when

if TYPE_CHECKING:
    from daemon.admin.aliases import Alias

command = noun(
    "alias",
    "Addresses that stand for others, here or elsewhere. The catch-all of a domain is `*@domain`.",
    "mailctl alias add info@example.org alice@example.org bob@example.org",
    "mailctl alias list --domain example.org",
)
_one = click.argument("alias", metavar="ALIAS", shell_complete=options.complete_aliases)
_many = click.argument("names", metavar="ALIAS...", nargs=-1, required=True, shell_complete=options.complete_aliases)
_term = click.option("--expires", metavar="WHEN", help="A span such as 30d, a date, or `never`.")


@command.command("list", examples=("mailctl alias list", "mailctl alias list --to alice@example.org"))
@options.domain
@click.option("--to", "target", metavar="ADDRESS", help="Only those that lead to this address directly.")
@at_desk
def list_(desk: Desk, domain: str | None, target: str | None) -> None:
    """List aliases."""
    from daemon.admin import aliases

    desk.out.rows(
        aliases.everyone(desk.store, domain, target),
        [
            Column("ALIAS", lambda a: a.address, lambda a: "bold" if not _state(a) else "dim"),
            Column("TO", lambda a: ", ".join(a.targets), fold=True),
            Column("NOTE", lambda a: a.note, "dim"),
            Column("EXPIRES", lambda a: when(a.expires_at)),
            Column("STATE", _state, "yellow"),
        ],
        empty="There are no aliases; `mailctl alias add ALIAS TARGET` makes one.",
    )


def _state(alias: Alias) -> str:
    return "expired" if alias.expired else "" if alias.enabled else "disabled"


@command.command("show", examples=("mailctl alias show info@example.org", "mailctl alias show '*@example.org'"))
@_one
@at_desk
def show(desk: Desk, alias: str) -> None:
    """Show one alias."""
    from daemon.admin import aliases

    found = aliases.show(desk.store, alias)
    desk.out.show(
        found,
        [
            ("Alias", found.address),
            ("To", "\n".join(found.targets)),
            ("State", _state(found) or "enabled"),
            ("Note", found.note),
            ("Created", when(found.created_at)),
            ("Expires", when(found.expires_at) or "never"),
        ],
    )


@command.command(
    "add",
    examples=(
        "mailctl alias add info@example.org alice@example.org bob@example.org",
        "mailctl alias add shop-x7@example.org alice@example.org --note 'web shop' --expires 90d",
        "mailctl alias add '*@example.org' alice@example.org",
    ),
)
@_one
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--note", default="", help="What it is for.")
@_term
@at_desk
def add(desk: Desk, alias: str, targets: tuple[str, ...], note: str, expires: str | None) -> None:
    """Make an alias for one or more addresses."""
    from daemon.admin import aliases

    term = None if expires and expires.lower() == "never" else expires
    made = aliases.add(desk.store, alias, ids(targets), note=note, expires=term)
    desk.out.done(f"added {made.address} for {', '.join(made.targets)}", made)


@command.command(
    "set",
    examples=(
        "mailctl alias set info@example.org --target carol@example.org",
        "mailctl alias set info@example.org --add dave@example.net --remove bob@example.org",
        "mailctl alias set shop-x7@example.org --expires never --note 'kept'",
    ),
)
@_one
@click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="These targets and no others; repeatable.")
@click.option("--add", "more", metavar="ADDRESS", multiple=True, help="One target more; repeatable.")
@click.option("--remove", "less", metavar="ADDRESS", multiple=True, help="One target less; repeatable.")
@click.option("--note", help="What it is for.")
@_term
@at_desk
def set_(
    desk: Desk,
    alias: str,
    targets: tuple[str, ...],
    more: tuple[str, ...],
    less: tuple[str, ...],
    note: str | None,
    expires: str | None,
) -> None:
    """Change an alias."""
    from daemon.admin import aliases

    if not (targets or more or less) and note is None and expires is None:
        raise click.UsageError("nothing to set; name an option")
    changed = aliases.change(desk.store, alias, targets=targets, more=more, less=less, note=note, expires=expires)
    desk.out.done(f"changed {changed.address}: it stands for {', '.join(changed.targets)}", changed)


@command.command("rm", examples=("mailctl alias rm info@example.org --yes",))
@_many
@options.careful
@at_desk
def rm(desk: Desk, names: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Remove aliases. `-` reads them from standard input."""
    from daemon.admin import aliases

    going = [aliases.show(desk.store, name) for name in ids(names)]
    touched = [f"{a.address} for {', '.join(a.targets)}" for a in going]
    if not desk.agreed("remove", touched, yes=yes, dry_run=dry_run):
        return
    for one in going:
        aliases.remove(desk.store, one.address)
        desk.out.done(f"removed {one.address}", one)


@command.command("enable", examples=("mailctl alias enable info@example.org",))
@_many
@at_desk
def enable(desk: Desk, names: tuple[str, ...]) -> None:
    """Take mail for aliases again."""
    _switch(desk, names, True)


@command.command("disable", examples=("mailctl alias disable shop-x7@example.org",))
@_many
@at_desk
def disable(desk: Desk, names: tuple[str, ...]) -> None:
    """Refuse mail for aliases, at once."""
    _switch(desk, names, False)


def _switch(desk: Desk, names: tuple[str, ...], enabled: bool) -> None:
    from daemon.admin import aliases

    for name in ids(names):
        changed = aliases.change(desk.store, name, enabled=enabled)
        desk.out.done(f"{'enabled' if enabled else 'disabled'} {changed.address}", changed)
