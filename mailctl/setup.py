"""`mailctl setup`: from a bare machine to a first message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb

if TYPE_CHECKING:
    from daemon.admin.setup import Setup


@verb(
    "setup",
    "mailctl setup",
    "mailctl setup --hostname mail.example.org --domain example.org --admin alice@example.org",
    "mailctl setup --hostname mx.example.org --domain example.org --admin a@example.org --password-file secret",
)
@click.option("--hostname", metavar="NAME", help="What the server calls itself, as the DNS knows it.")
@click.option("--domain", metavar="DOMAIN", help="The first domain it takes mail for.")
@click.option("--admin", metavar="ADDRESS", help="The administrator, a user of that domain.")
@options.password
@at_desk
def command(
    desk: Desk,
    hostname: str | None,
    domain: str | None,
    admin: str | None,
    password_stdin: bool,
    password_file: str | None,
) -> None:
    """Set the host name, a domain and an administrator, and say what to publish. Safe to run again.

    What is not named is asked for at a terminal. Without a password the administrator gets one that is shown once.
    """
    from daemon.admin import setup
    from daemon.config import machine_name

    if not desk.interactive and None in (hostname, domain, admin):
        raise click.UsageError("name --hostname, --domain and --admin: nobody can be asked")
    name = hostname or click.prompt("Host name of this server", default=machine_name(), err=True)
    zone = domain or click.prompt("Domain it takes mail for", default=name.partition(".")[2] or None, err=True)
    who = admin or click.prompt("Address of its administrator", default=f"admin@{zone}", err=True)
    secret = None
    if setup.needs_password(desk.store, who) and (password_stdin or password_file or desk.interactive):
        secret = desk.password(password_stdin, password_file, f"Password for {who}")
    done = setup.run(desk.store, name, zone, who, secret, desk.who)
    desk.out.document(done, lambda: _tell(desk, done))


def _tell(desk: Desk, done: Setup) -> None:
    out = desk.out
    for sentence in done.done or ("all of it was done before",):
        out.print(f"{out.styled('done', '1;32')}  {sentence}")
    if done.password:
        out.print(f"{out.styled('note', '1;33')}  the password of {done.admin} is {out.bold(done.password)}")
    out.print()
    out.print("Next:")
    width = len("mailctl dns records ") + len(done.domain)
    for command, what in (
        (f"mailctl dns records {done.domain}", "what to publish in the DNS"),
        ("mailctl serve", "run the server"),
        (f"mailctl dns check {done.domain}", "is it published?"),
    ):
        out.print(f"  {command:<{width}}  {out.dim(what)}")
