"""`mailctl spam allow` and `mailctl spam block`: senders that are always let in, or kept out."""

from __future__ import annotations

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import Column, when

_arguments = options.together(
    click.argument("senders", metavar="[SENDER]...", nargs=-1),
    click.option(
        "--user", metavar="USER", shell_complete=options.complete_users, help="Of this user. Default: of all."
    ),
    click.option("--note", default="", metavar="TEXT", help="Why."),
    click.option("--rm", "remove", is_flag=True, help="Take them off the list."),
)


@verb(
    "allow",
    "mailctl spam allow",
    "mailctl spam allow --user alice@example.org bob@shop.example",
    "mailctl spam allow shop.example 192.0.2.0/24",
    "mailctl spam allow --rm shop.example",
)
@_arguments
@at_desk
def allow(desk: Desk, senders: tuple[str, ...], user: str | None, note: str, remove: bool) -> None:
    """Let senders in, whatever the filter thinks; without SENDER list those that are.

    SENDER is an address, a domain with all that lies below it, or a network. An address or a domain counts only where
    SPF, DKIM or DMARC prove that the mail is theirs. Viruses and forged mail stay out.
    """
    _change(desk, senders, user, note, remove, allowed=True)


@verb(
    "block",
    "mailctl spam block",
    "mailctl spam block --user alice@example.org news.example",
    "mailctl spam block 198.51.100.0/24 --note 'nothing but noise'",
    "mailctl spam block --rm news.example",
)
@_arguments
@at_desk
def block(desk: Desk, senders: tuple[str, ...], user: str | None, note: str, remove: bool) -> None:
    """Keep senders out: what they send is refused; without SENDER list those that are.

    SENDER is an address, a domain with all that lies below it, or a network. Of several entries a user's own decides
    before everybody's, an address before a domain, a domain before a network.
    """
    _change(desk, senders, user, note, remove, allowed=False)


def _change(desk: Desk, senders: tuple[str, ...], user: str | None, note: str, remove: bool, *, allowed: bool) -> None:
    from daemon.admin import senders as admin

    whose = user or "everybody"
    if not senders:
        if remove:
            raise click.UsageError("name the senders to take off the list")
        _list(desk, user, allowed=allowed)
    elif remove:
        for name in admin.remove(desk.store, senders, allowed=allowed, user=user):
            said = f"{name} is not {'let in' if allowed else 'kept out'} for {whose} any more"
            desk.out.done(said, {"sender": name, "user": user, "removed": True})
    else:
        for made in admin.add(desk.store, senders, allowed=allowed, user=user, note=note):
            desk.out.done(f"{made.sender} is {'let in' if allowed else 'kept out'} for {whose}", made)


def _list(desk: Desk, user: str | None, *, allowed: bool) -> None:
    from daemon.admin import senders as admin

    desk.out.rows(
        admin.everyone(desk.store, allowed=allowed, user=user),
        [
            Column("SENDER", lambda s: s.sender, "bold"),
            Column("FOR", lambda s: s.user or "(everybody)"),
            Column("NOTE", lambda s: s.note),
            Column("SINCE", lambda s: when(s.created_at), "dim"),
        ],
        empty=f"Nobody is always {'let in' if allowed else 'kept out'}.",
    )
