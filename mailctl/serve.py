"""`mailctl serve`: the server itself, or its trial on this machine only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb

if TYPE_CHECKING:
    from daemon.admin.trial import Trial


@verb("serve", "mailctl serve --local", "mailctl serve", "mailctl --data /srv/mail serve")
@click.option("--local", is_flag=True, help="The trial: loopback only, high ports, two users with shown passwords.")
@at_desk
def command(desk: Desk, local: bool) -> int:
    """Run the server until it is told to stop (SIGTERM lets transactions finish, SIGHUP reloads certificates).

    It prints one line, `ready`, when every listener accepts.
    """
    from daemon.admin import house, trial
    from daemon.config import DataDir, default_data_dir
    from daemon.main import run

    path = desk.named or default_data_dir(local=local)
    store = house.open_store(path)
    try:
        if local:
            _show(desk, trial.prepare(store), str(path))
        else:
            for sentence in trial.first_start(store):
                desk.out.note(sentence)
    finally:
        store.close()
    return run(DataDir(path), say=_say, step_down=not local)


def _say(text: str) -> None:
    print(text, flush=True)


def _show(desk: Desk, shown: Trial, path: str) -> None:
    """What somebody needs to try the server, at every start."""
    out = desk.out
    out.print(out.bold("A mail server to try, on this machine only. Nothing leaves it: mail for others waits, held."))
    out.print()
    for address, password in shown.users:
        out.print(f"  {address:<22} password  {out.bold(password)}")
    out.print()
    for name, where in shown.pages:
        out.print(f"  {name:<22} {out.bold(where)}")
    if shown.pages:
        out.print(out.dim("  The certificate signs itself: the browser warns once."))
        out.print()
    for name, where in shown.listeners:
        out.print(f"  {name:<22} {where}")
    out.print()
    out.print(out.dim(f"  data in {path}"))
    out.print(out.dim(f"  look around with  mailctl --data {path} status"))
    out.print()
    sys.stdout.flush()
