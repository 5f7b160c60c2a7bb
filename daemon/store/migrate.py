"""Steps of the schema, forward only: `schema/NNNN_name.sql`, each applied in one transaction with its own record."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from daemon.store import threads
from daemon.store.tx import Tx

APPLICATION_ID = 0x6D63746C  # "mctl": tells our database from another's


# What a step needs beyond SQL, in its transaction.
WORK: dict[str, Callable[[Tx], None]] = {"jmap": threads.assign_all}


class SchemaError(Exception):
    """The database is not ours, is newer than this program, or a step that was released has changed."""


@dataclass(frozen=True, slots=True)
class Step:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def steps() -> list[Step]:
    """All steps that this program knows, in order."""
    packaged = resources.files("mailctl") / "_schema"
    source = packaged if packaged.is_dir() else Path(__file__).parents[2] / "schema"
    names = sorted(p.name for p in source.iterdir() if p.name.endswith(".sql"))
    return [Step(int(n[:4]), n[5:-4], (source / n).read_text(encoding="utf-8")) for n in names]


def statements(sql: str) -> list[str]:
    """Split a script; `executescript` would commit before it begins.

    Raises `SchemaError` when the last statement does not end: half a step must not pass for a whole one.
    """
    found, pending = [], ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in pending.splitlines()):
        raise SchemaError(f"a schema step ends in the middle of a statement: {pending.strip()[:60]!r}")
    return found


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever made in this database."""
    tables: int = connection.execute("select count(*) from sqlite_master").fetchone()[0]
    return not tables


def pending(connection: sqlite3.Connection, known: list[Step] | None = None) -> list[Step]:
    """The steps this database still needs. Raises `SchemaError` for a database that is not ours or is newer."""
    known = steps() if known is None else known
    empty = is_empty(connection)  # asked first: another process may make it ours between the two questions
    if connection.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
        if not empty:
            raise SchemaError("the database belongs to another program; name another data directory")
        return known
    if not connection.execute("select 1 from sqlite_master where name = 'migration'").fetchone():
        raise SchemaError("the database has lost its record of migrations; restore a backup")
    applied = dict(connection.execute("select number, sha256 from migration").fetchall())
    if applied and max(applied) > max(s.number for s in known):
        raise SchemaError(f"the database is at step {max(applied)}, newer than this program; install the newer version")
    for step in known:
        if step.number in applied and applied[step.number] != step.sha256:
            raise SchemaError(f"schema step {step.number:04d}_{step.name} differs from the one that made this database")
    return [s for s in known if s.number not in applied]


def apply(connection: sqlite3.Connection, known: list[Step] | None = None) -> list[Step]:
    """Bring the database up to date; the steps that were applied. Safe when several processes do it at once."""
    if not pending(connection, known):
        return []
    connection.execute("begin immediate")
    try:
        todo = pending(connection, known)
        if connection.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute(
                "create table migration (number integer primary key, name text not null, sha256 text not null,"
                " applied_at integer not null)"
            )
        for step in todo:
            for statement in statements(step.sql):
                connection.execute(statement)
            if step.name in WORK:
                WORK[step.name](Tx(connection, int(time.time() * 1000)))
            connection.execute(
                "insert into migration values (?, ?, ?, ?)",
                (step.number, step.name, step.sha256, int(time.time() * 1000)),
            )
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
    return todo
