"""`mailctl selftest`: a real message on the whole road."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import clean

if TYPE_CHECKING:
    from daemon.admin.selftest import Step

_STYLES = {"ok": "1;32", "failed": "1;31", "skipped": "1;33"}


@verb("selftest", "mailctl selftest", "mailctl selftest --user alice@example.org --json")
@click.option(
    "--user", metavar="USER", shell_complete=options.complete_users, help="This user's mailbox, not a temporary one's."
)
@at_desk
def command(desk: Desk, user: str | None) -> int:
    """Send a message through submission, queue, port 25 and filters, and read it back over IMAP and POP3.

    Everything made for it is taken away again; nothing leaves the machine. Exit code 1: a step failed, which is named
    with what was said; 69: the server does not run.
    """
    from daemon.admin import selftest

    steps = selftest.run(desk.store, user=user, tell=lambda step: _tell(desk, step))
    failed = [step for step in steps if step.result == "failed"]
    if not desk.json:
        verdict = f"{failed[0].name} failed" if failed else "mail goes out, comes in and can be read"
        desk.out.print(desk.out.styled(verdict, "1;31" if failed else "1;32"))
    return 1 if failed else 0


def _tell(desk: Desk, step: Step) -> None:
    if desk.json:
        desk.out.rows([step], [])
    else:
        result = desk.out.styled(step.result.ljust(7), _STYLES[step.result])
        desk.out.print(f"{result}  {step.name.ljust(11)}  {clean(step.text)}  {desk.out.dim(f'{step.ms} ms')}")
