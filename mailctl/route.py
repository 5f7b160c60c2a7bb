"""`mailctl route`: smart hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, when

if TYPE_CHECKING:
    from daemon.admin.routes import Route

command = noun(
    "route",
    "Smart hosts, by sender, by recipient or for everything else. The most telling match wins.",
    "mailctl route add --default smtp.provider.example:587 --tls starttls --username u --password-file secret",
    "mailctl route list",
)


@command.command("list", examples=("mailctl route list",))
@at_desk
def list_(desk: Desk) -> None:
    """List routes."""
    from daemon.admin import routes

    desk.out.rows(
        routes.everyone(desk.store),
        [
            Column("ID", lambda r: str(r.id), right=True),
            Column("MAIL", _for, "bold"),
            Column("TO", lambda r: f"{r.host}:{r.port}"),
            Column("TLS", lambda r: r.tls),
            Column("AS", lambda r: r.username or ""),
            Column("SINCE", lambda r: when(r.created_at), "dim"),
        ],
        empty="There are no routes: mail goes to the recipients' own servers, by their MX.",
    )


def _for(route: Route) -> str:
    if route.kind == "default":
        return "all other mail"
    return f"{'from' if route.kind == 'sender' else 'to'} {route.pattern}"


@command.command(
    "add",
    examples=(
        "mailctl route add --default smtp.provider.example",
        "mailctl route add --to partner.example mx.partner.example:2525 --tls starttls",
        "mailctl route add --from example.org relay.example --tls implicit --username u --password-file secret",
    ),
)
@click.option("--from", "sender", metavar="PATTERN", help="Mail from this address or domain.")
@click.option("--to", "recipient", metavar="PATTERN", help="Mail to this address, domain, or .domain and all below it.")
@click.option("--default", is_flag=True, help="All mail without another route.")
@click.argument("host", metavar="HOST[:PORT]")
@click.option(
    "--tls",
    type=click.Choice(["none", "opportunistic", "starttls", "implicit"]),
    default="opportunistic",
    help="`starttls` and `implicit` insist on TLS with a valid certificate. Default: opportunistic.",
)
@click.option("--username", help="Log in there; needs a password.")
@options.password
@at_desk
def add(
    desk: Desk,
    sender: str | None,
    recipient: str | None,
    default: bool,
    host: str,
    tls: str,
    username: str | None,
    password_stdin: bool,
    password_file: str | None,
) -> None:
    """Send some mail by another server."""
    from daemon.admin import routes

    ways = [("sender", sender), ("recipient", recipient), ("default", "*" if default else None)]
    named = [(kind, pattern) for kind, pattern in ways if pattern is not None]
    if len(named) != 1:
        raise click.UsageError("say which mail: one of --from, --to and --default")
    secret = None
    if username is not None:
        secret = desk.password(password_stdin, password_file, f"Password of {username} at {host}", confirm=False)
    kind, pattern = named[0]
    made = routes.add(desk.store, kind, pattern, host, tls=tls, username=username, password=secret)
    desk.out.done(f"route {made.id}: {_for(made)} goes to {made.host}:{made.port}", made)


@command.command("rm", examples=("mailctl route rm 2 --yes", "mailctl route rm --all --dry-run"))
@click.argument("routes", metavar="[ID]...", nargs=-1)
@options.everything("routes")
@options.careful
@at_desk
def rm(desk: Desk, routes: tuple[str, ...], everything: bool, yes: bool, dry_run: bool) -> None:
    """Remove routes; what waits for them goes its usual way."""
    from daemon.admin import routes as admin

    if bool(routes) == everything:
        raise click.UsageError("name routes by their numbers, or say --all")
    if everything:
        going = admin.everyone(desk.store)
    else:
        going = [admin.show(desk.store, admin.number(one)) for one in ids(routes)]
    touched = [f"route {r.id}: {_for(r)} to {r.host}:{r.port}" for r in going]
    if not desk.agreed("remove", touched, yes=yes, dry_run=dry_run):
        return
    for one in admin.remove(desk.store, [r.id for r in going]):
        desk.out.done(f"removed route {one.id}", one)
