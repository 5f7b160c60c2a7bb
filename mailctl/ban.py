"""`mailctl ban`: who may not talk to us for a while."""

from __future__ import annotations

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, when

command = noun(
    "ban",
    "Networks that may not talk to the server for a while. It bans by itself after too many failed logins.",
    "mailctl ban list",
    "mailctl ban rm 192.0.2.7 --yes",
)


@command.command("list", examples=("mailctl ban list",))
@at_desk
def list_(desk: Desk) -> None:
    """List the bans in force."""
    from daemon.admin import guard

    desk.out.rows(
        guard.everyone(desk.store),
        [
            Column("NETWORK", lambda b: b.network, "bold"),
            Column("REASON", lambda b: b.reason),
            Column("SINCE", lambda b: when(b.created_at), "dim"),
            Column("UNTIL", lambda b: when(b.until_at) or "removed"),
        ],
        empty="Nobody is banned.",
    )


@command.command(
    "add",
    examples=("mailctl ban add 192.0.2.7", "mailctl ban add 2001:db8::/48 --until 7d --reason 'scans for addresses'"),
)
@click.argument("network", metavar="NETWORK")
@click.option("--until", metavar="WHEN", help="A span such as 2h, or a date. Default: until removed.")
@click.option("--reason", default="by hand", help="Why; the history and the log say it.")
@at_desk
def add(desk: Desk, network: str, until: str | None, reason: str) -> None:
    """Ban an IPv4 address, an IPv6 /64, or a network."""
    from daemon.admin import guard

    made = guard.add(desk.store, network, reason=reason, until=until)
    desk.out.done(f"{made.network} is banned until {when(made.until_at) or 'removed'}", made)


@command.command("rm", examples=("mailctl ban rm 192.0.2.7 --yes", "mailctl ban rm --all --yes"))
@click.argument("networks", metavar="[NETWORK]...", nargs=-1)
@options.everything("bans")
@options.careful
@at_desk
def rm(desk: Desk, networks: tuple[str, ...], everything: bool, yes: bool, dry_run: bool) -> None:
    """Let networks talk to the server again. `-` reads them from standard input."""
    from daemon.admin import guard

    if bool(networks) == everything:
        raise click.UsageError("name networks, or say --all")
    wanted = [b.network for b in guard.everyone(desk.store)] if everything else ids(networks)
    if not desk.agreed("lift the ban of", wanted, yes=yes, dry_run=dry_run):
        return
    for network in guard.remove(desk.store, wanted):
        desk.out.done(f"{network} is not banned any more", {"network": network, "removed": True})
