"""`mailctl address`: the resolver, asked by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import clean

if TYPE_CHECKING:
    from daemon.admin.explain import Explanation

command = noun("address", "Where would mail for an address go, and why.", "mailctl address test info@example.org")


@command.command(
    "test",
    examples=(
        "mailctl address test info@example.org",
        "mailctl address test bob@elsewhere.example --from alice@example.org",
    ),
)
@click.argument("address", metavar="ADDRESS", shell_complete=options.complete_users)
@click.option("--from", "sender", metavar="SENDER", help="As this user would send it, logged in.")
@at_desk
def test(desk: Desk, address: str, sender: str | None) -> int:
    """Say where mail for ADDRESS would go, step by step. Exit code 1: it would be refused."""
    from daemon.admin import explain

    found = explain.test(desk.store, address, sender)
    desk.out.document(found, lambda: _tell(desk, found))
    return 0 if found.accepted else 1


def _tell(desk: Desk, found: Explanation) -> None:
    out = desk.out
    for number, step in enumerate(found.steps, 1):
        out.print(out.dim(f"{number:>2}. ") + clean(step))
    if found.refusal is not None:
        told = f"{found.refusal.code} {found.refusal.enhanced} {found.refusal.text}"
        out.print(out.styled("refused", "1;31") + f"  {told}  " + out.dim(f"({found.refusal.reason})"))
    for mailbox in found.mailboxes:
        out.print(out.styled("mailbox", "1;32") + f"  {mailbox}")
    for one in found.onward:
        by = f"smart host {one.route}" if one.route else "its MX"
        via = f"from {one.via}, " if one.via else ""
        out.print(out.styled("onward", "1;36") + f"   {one.address}  " + out.dim(f"({via}by {by})"))
