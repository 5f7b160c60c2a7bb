"""`mailctl doctor`: is the house in order?"""

from __future__ import annotations

import sys

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import Column


@verb("doctor", "mailctl doctor --store", "mailctl doctor --store --quick --json")
@click.option("--store", "only_store", is_flag=True, help="Prove the store: bytes, counters, numbers, sums.")
@click.option("--quick", is_flag=True, help="Do not read every message's bytes.")
@at_desk
def command(desk: Desk, only_store: bool, quick: bool) -> None:
    """Look for trouble; exit code 1 when some is found. Works while the server runs."""
    from daemon.admin import health

    with desk.out.progress("checking the store", None) as step:
        found = list(health.store(desk.store, lambda what, done, total: step(1), deep=not quick))
    desk.out.rows(
        found,
        [
            Column("LEVEL", lambda f: f.level, "bold"),
            Column("REASON", lambda f: f.reason),
            Column("SUBJECT", lambda f: f.subject),
            Column("TEXT", lambda f: f.text),
        ],
        empty="The store is in order.",
    )
    if any(f.level == "error" for f in found):
        sys.exit(1)
