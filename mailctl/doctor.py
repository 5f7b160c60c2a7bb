"""`mailctl doctor`: is everything as it must be?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import clean

if TYPE_CHECKING:
    from daemon.admin.doctor import Finding

_STYLES = {"ok": "1;32", "info": "1;36", "warning": "1;33", "error": "1;31"}


@verb(
    "doctor",
    "mailctl doctor",
    "mailctl doctor --probe example.net",
    "mailctl doctor --store",
    "mailctl doctor --store --quick --json",
)
@click.option("--store", "store", is_flag=True, help="Only the store, and all of it.")
@click.option("--quick", is_flag=True, help="Only the store, without reading the bytes of all messages.")
@click.option("--probe", metavar="DOMAIN", default="", help="Connect to this domain's mail servers, to try port 25.")
@at_desk
def command(desk: Desk, store: bool, quick: bool, probe: str) -> int:
    """Look at everything at once: DNS, ports, certificate, settings, disk, clock, queue, store, passwords, two-factor,
    port 25, filters, lists, viruses, scripts.

    With --store: prove that the store is sound, every octet of every message by its checksum. The server may run
    meanwhile. Nothing is repaired. Exit code 1: something is wrong.
    """
    from daemon.admin import doctor, words

    if store or quick:
        if probe:
            raise click.UsageError("--probe tries the way out, --store looks at the store only")
        with _progress(desk) as progress:
            found = list(doctor.the_store(desk.store, progress, deep=not quick))
    else:
        found = doctor.examine(desk.store, probe=words.domain(probe) if probe else "")
    desk.out.rows(found, []) if desk.json else _tell(desk, found, "the store is sound" if store or quick else "")
    return 1 if any(f.level == "error" for f in found) else 0


def _tell(desk: Desk, found: list[Finding], sound: str) -> None:
    out = desk.out
    for one in found:
        out.print(f"{out.styled(one.level.ljust(7), _STYLES[one.level])}  {out.bold(clean(one.subject))}  {one.reason}")
        out.print(f"         {clean(one.text)}")
        if one.remedy:
            out.print(f"         {out.styled(clean(one.remedy), '36')}")
    out.summed([f.level for f in found], sound or "nothing is wrong")


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
