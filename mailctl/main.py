"""`mailctl`: the nouns, and the way in."""

from __future__ import annotations

import contextlib
import io
import sys

import click

from mailctl import __version__
from mailctl.grammar import Root

NOUNS = {
    "People and addresses": {
        "user": "Users: who may log in, and where their mail is kept.",
        "domain": "The domains this server is responsible for.",
        "alias": "Addresses that stand for others, catch-alls too.",
        "forward": "Where users' mail goes on to.",
        "address": "Where would mail for an address go, and why.",
    },
    "Mail": {
        "mail": "Messages over all mailboxes, found by one search language.",
        "mailbox": "The mailboxes of a user.",
        "trace": "What happened to a message, in order, and why.",
        "spam": "What the filter makes of messages, what it learns, and how good it is.",
        "quarantine": "What the filter refused, or put into Junk, and how that is undone.",
    },
    "The way out": {
        "queue": "What waits to go out to other servers.",
        "route": "Smart hosts, by sender, by recipient or for all mail.",
        "report": "What others tell of mail in our name, and of TLS towards us.",
        "dns": "What the world must know of a domain, and whether it does.",
        "dkim": "The keys that sign what goes out.",
    },
    "The server": {
        "setup": "From a bare machine to a first message.",
        "serve": "Run the server, or its trial on this machine only.",
        "status": "Whether the server runs, what it has, what needs a look.",
        "doctor": "Look at everything at once, and say what is wrong and what to do.",
        "selftest": "Send a message through the whole server, and read it back.",
        "config": "The settings: what they are, what they do, who changed them.",
        "cert": "The certificates TLS shows.",
        "session": "Who is logged in over IMAP, POP3 and SMTP, and how that is ended.",
        "ban": "Networks that may not talk to the server for a while.",
        "version": "Say which version this is.",
        "completion": "What a shell needs to complete nouns, verbs and names.",
    },
}


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"mailctl {__version__}")
        ctx.exit()


cli = Root(
    "mailctl",
    nouns=NOUNS,
    help="Run and look after a mail server. Every verb works while the server runs and while it does not.",
    params=[
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version."
        )
    ],
    examples=(
        "mailctl serve --local",
        "mailctl domain add example.org",
        "mailctl user add alice@example.org",
        "mailctl trace --to alice@example.org --since 2d",
    ),
)


def main() -> None:
    """The installed command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="replace")  # a subject in a terminal that has no letters for it
    cli.main()


if __name__ == "__main__":
    main()
