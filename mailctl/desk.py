"""The front desk: what every verb needs from its surroundings. Opened late: `--help` and `version` touch nothing.

Nothing is asked unless standard input is a terminal; secrets never come from an argument.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailctl.out import Out

if TYPE_CHECKING:
    from daemon.admin.house import Store


class Declined(Exception):
    """The administrator said no. The message says that nothing was done."""


class Desk:
    """One call of `mailctl`: its data directory, its way of telling, whom it was called by."""

    def __init__(self) -> None:
        self.data: str | None = None
        self.json = False
        self.no_color = False
        self._store: Store | None = None

    @property
    def named(self) -> Path | None:
        """The data directory that was named, by option or environment."""
        text = self.data or os.environ.get("MAILCTL_DATA")
        return Path(text).absolute() if text else None

    @property
    def directory(self) -> Path:
        from daemon.config import default_data_dir

        return self.named or default_data_dir()

    @property
    def store(self) -> Store:
        """The store of the data directory, opened at the first use."""
        if self._store is None:
            from daemon.admin import house

            self._store = house.open_store(self.directory)
        return self._store

    @cached_property
    def out(self) -> Out:
        return Out(json=self.json, color=not (self.no_color or os.environ.get("NO_COLOR")))

    @property
    def who(self) -> str:
        """Whom the history of settings names."""
        from getpass import getuser

        try:
            return os.environ.get("SUDO_USER") or getuser()
        except (KeyError, OSError):  # a container's user without a name
            return f"user {os.getuid()}"

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    # ------------------------------------------------------------------------------------------------------- asking

    @property
    def interactive(self) -> bool:
        return sys.stdin is not None and sys.stdin.isatty()  # None: it was closed

    def agreed(self, action: str, touched: Sequence[str], *, yes: bool, dry_run: bool) -> bool:
        """Show what would be touched and ask; True to go on, False after a dry run.

        Raises `Declined`, or a usage error when nobody can be asked.
        """
        if dry_run:
            self.out.lines(f"would {action}", touched)
            return False
        if yes:
            return True
        if not self.interactive:
            what = f"{touched[0]} and {len(touched) - 1} more" if len(touched) > 1 else "".join(touched) or "nothing"
            raise click.UsageError(f"nobody can be asked whether to {action} ({what}); say --yes or --dry-run")
        self.out.ask(f"This will {action}:", touched)
        if not click.confirm("Go on?", err=True):
            raise Declined("nothing was done")
        return True

    def password(self, from_stdin: bool, file: str | None, label: str = "Password", *, confirm: bool = True) -> str:
        """A secret from where the options say, or from the terminal. Raises a usage error when there is no way."""
        if from_stdin and file:
            raise click.UsageError("--password-stdin and --password-file are two sources; name one")
        if file:
            with open(file, encoding="utf-8", errors="surrogateescape") as lines:
                text = lines.readline()
        elif from_stdin:
            text = sys.stdin.readline()
        elif self.interactive:
            text = click.prompt(label, hide_input=True, confirmation_prompt=confirm, err=True)
        else:
            raise click.UsageError("no password given; use --password-stdin or --password-file FILE")
        return str(text).rstrip("\r\n")


def ids(given: Iterable[str]) -> list[str]:
    """Arguments, with `-` replaced by the words of standard input; each once, in order."""
    words: list[str] = []
    for word in given:
        words += sys.stdin.read().split() if word == "-" else [word]
    return list(dict.fromkeys(words))


def at_desk(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb its desk as the first argument."""
    return click.make_pass_decorator(Desk)(function)
