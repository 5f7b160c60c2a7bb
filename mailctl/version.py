"""`mailctl version`: which program this is."""

from __future__ import annotations

import platform

from mailctl import __version__
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb


@verb("version", "mailctl version", "mailctl version --json")
@at_desk
def command(desk: Desk) -> None:
    """Say which version this is."""
    import sqlite3

    parts = {
        "version": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    desk.out.document(
        parts,
        lambda: desk.out.print(f"mailctl {parts['version']} (Python {parts['python']}, SQLite {parts['sqlite']})"),
    )
