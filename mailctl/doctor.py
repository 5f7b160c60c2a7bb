"""`mailctl doctor`: is everything as it must be?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import Column, count

if TYPE_CHECKING:
    from daemon.admin.health import Finding


@verb("doctor", "mailctl doctor --store", "mailctl doctor --store --quick --json")
@click.option("--store", "store", is_flag=True, help="The store; so far there is nothing else, and it is the default.")
@click.option("--quick", is_flag=True, help="Do not read the bytes of all messages.")
@at_desk
def command(desk: Desk, store: bool, quick: bool) -> int:
    """Prove what must hold in the store: counters, references, and every octet of every message by its checksum.

    The server may run meanwhile. Nothing is repaired. Exit code 1: something is wrong.
    """
    from daemon.admin import health

    with _progress(desk) as progress:
        found = list(health.doctor(desk.store, progress, deep=not quick))
    errors = [f for f in found if f.level == "error"]
    desk.out.rows(
        found,
        [
            Column("LEVEL", lambda f: f.level, lambda f: "red" if f.level == "error" else "yellow"),
            Column("SUBJECT", lambda f: f.subject, "bold", fold=True),
            Column("REASON", lambda f: f.reason),
            Column("WHAT", lambda f: f.text, fold=True),
        ],
    )
    if not desk.json:
        _verdict(desk, found, errors)
    return 1 if errors else 0


def _verdict(desk: Desk, found: list[Finding], errors: list[Finding]) -> None:
    if errors:
        desk.out.print(desk.out.styled(f"{count(len(errors), 'error')} in the store", "1;31"))
    else:
        warnings = f" ({count(len(found), 'warning')})" if found else ""
        desk.out.print(desk.out.styled("the store is sound", "1;32") + warnings)


@contextlib.contextmanager
def _progress(desk: Desk) -> Iterator[Callable[[str, int, int], None]]:
    """One bar for each thing that is looked at, the last one shown."""
    with contextlib.ExitStack() as stack:
        current: list[tuple[str, Callable[[int], None], int]] = []

        def tell(what: str, done: int, total: int) -> None:
            if not current or current[0][0] != what:
                stack.close()
                step = stack.enter_context(desk.out.progress(what, total, "octets"))
                current[:] = [(what, step, 0)]
            _, step, before = current[0]
            step(done - before)
            current[0] = (what, step, done)

        yield tell
