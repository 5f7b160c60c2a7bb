"""`mailctl domain`: what this server is responsible for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, count, when

if TYPE_CHECKING:
    from daemon.admin.domains import Domain

command = noun(
    "domain",
    "The domains this server is responsible for.",
    "mailctl domain add example.org",
    "mailctl domain set example.org --catch-all alice@example.org",
)
_one = click.argument("domain", metavar="DOMAIN", shell_complete=options.complete_domains)
_shape = options.together(
    click.option(
        "--alias-of", metavar="DOMAIN", help="Every address here is the same one there; '' to stand for itself."
    ),
    click.option("--separators", metavar="CHARS", help="Characters that begin a subaddress, such as +-. Default: +."),
    click.option("--max-users", metavar="N", type=click.IntRange(min=0), help="At most so many users; 0: no limit."),
    click.option(
        "--catch-all", metavar="ADDRESS", multiple=True, help="Who gets mail for addresses nobody has; several times."
    ),
)


@command.command("list", examples=("mailctl domain list",))
@at_desk
def list_(desk: Desk) -> None:
    """List domains."""
    from daemon.admin import domains

    desk.out.rows(
        domains.everyone(desk.store),
        [
            Column("DOMAIN", lambda d: d.display, lambda d: "bold" if d.enabled else "dim"),
            Column("USERS", lambda d: str(d.users) + (f" of {d.max_users}" if d.max_users else ""), right=True),
            Column("ALIASES", lambda d: str(d.aliases), right=True),
            Column("CATCH-ALL", lambda d: ", ".join(d.catch_all)),
            Column("STANDS FOR", lambda d: d.alias_of or ""),
            Column("STATE", lambda d: "" if d.enabled else "disabled", "yellow"),
        ],
        empty="There are no domains; `mailctl domain add DOMAIN` makes one.",
    )


@command.command("show", examples=("mailctl domain show example.org",))
@_one
@at_desk
def show(desk: Desk, domain: str) -> None:
    """Show one domain."""
    from daemon.admin import domains

    _show(desk, domains.show(desk.store, domain))


def _show(desk: Desk, domain: Domain) -> None:
    desk.out.show(
        domain,
        [
            ("Domain", domain.display),
            ("In the DNS", domain.name if domain.name != domain.display else ""),
            ("State", "enabled" if domain.enabled else "disabled"),
            ("Stands for", domain.alias_of or ""),
            ("Users", str(domain.users) + (f" of {domain.max_users}" if domain.max_users else "")),
            ("Aliases", str(domain.aliases)),
            ("Catch-all", ", ".join(domain.catch_all)),
            ("Subaddresses", f"user{domain.separators[0]}tag" if domain.separators else "none"),
            ("Separators", domain.separators),
            ("Created", when(domain.created_at)),
        ],
    )


@command.command(
    "add",
    examples=(
        "mailctl domain add example.org",
        "mailctl domain add example.net --alias-of example.org",
        "mailctl domain add bücher.example --separators +- --max-users 50",
    ),
)
@_one
@_shape
@at_desk
def add(
    desk: Desk,
    domain: str,
    alias_of: str | None,
    separators: str | None,
    max_users: int | None,
    catch_all: tuple[str, ...],
) -> None:
    """Make this server responsible for a domain."""
    from daemon.admin import domains

    made = domains.add(
        desk.store, domain, alias_of=alias_of or None, separators=separators, max_users=max_users, catch_all=catch_all
    )
    desk.out.done(f"added {made.display}; `mailctl dns records {made.name}` says what to publish", made)


@command.command(
    "set",
    examples=(
        "mailctl domain set example.org --catch-all alice@example.org",
        "mailctl domain set example.org --no-catch-all",
        "mailctl domain set example.org --separators +- --max-users 0",
    ),
)
@_one
@_shape
@click.option("--no-catch-all", is_flag=True, help="Unknown addresses are refused again.")
@at_desk
def set_(
    desk: Desk,
    domain: str,
    alias_of: str | None,
    separators: str | None,
    max_users: int | None,
    catch_all: tuple[str, ...],
    no_catch_all: bool,
) -> None:
    """Change a domain."""
    from daemon.admin import domains

    if catch_all and no_catch_all:
        raise click.UsageError("--catch-all and --no-catch-all exclude each other")
    if alias_of is None and separators is None and max_users is None and not catch_all and not no_catch_all:
        raise click.UsageError("nothing to set; name an option")
    changed = domains.change(
        desk.store,
        domain,
        alias_of=alias_of,
        separators=separators,
        max_users=max_users,
        catch_all=() if no_catch_all else catch_all or None,
    )
    desk.out.done(f"changed {changed.display}", changed)


@command.command("rm", examples=("mailctl domain rm example.net --yes",))
@click.argument("names", metavar="DOMAIN...", nargs=-1, required=True, shell_complete=options.complete_domains)
@options.careful
@at_desk
def rm(desk: Desk, names: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Remove domains that have no users and aliases any more."""
    from daemon.admin import domains

    going = [domains.show(desk.store, name) for name in ids(names)]
    touched = [f"{d.display}: {count(d.users, 'user')}, {count(d.aliases, 'alias', 'aliases')}" for d in going]
    if not desk.agreed("remove", touched, yes=yes, dry_run=dry_run):
        return
    for one in going:
        domains.remove(desk.store, one.name)
        desk.out.done(f"removed {one.display}", one)


@command.command("enable", examples=("mailctl domain enable example.org",))
@click.argument("names", metavar="DOMAIN...", nargs=-1, required=True, shell_complete=options.complete_domains)
@at_desk
def enable(desk: Desk, names: tuple[str, ...]) -> None:
    """Take mail for domains again."""
    _switch(desk, names, True)


@command.command("disable", examples=("mailctl domain disable example.org",))
@click.argument("names", metavar="DOMAIN...", nargs=-1, required=True, shell_complete=options.complete_domains)
@at_desk
def disable(desk: Desk, names: tuple[str, ...]) -> None:
    """Refuse mail and logins of domains; what is there stays."""
    _switch(desk, names, False)


def _switch(desk: Desk, names: tuple[str, ...], enabled: bool) -> None:
    from daemon.admin import domains

    for name in ids(names):
        changed = domains.change(desk.store, name, enabled=enabled)
        desk.out.done(f"{'enabled' if enabled else 'disabled'} {changed.display}", changed)
