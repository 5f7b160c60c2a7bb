"""What domain code sees of the database: one transaction, and what it changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Changes:
    """What a commit touched; told to listeners after it.

    `metadata`: account, mailbox (0: the server), entry, a number of who changed it. `lessons`: some wait to be learnt
    (`spam`). `incidents`: one began. `objects`: account, and a type of JMAP whose objects are different now, beside
    those that follow from `mailboxes`. `everything`: another process committed, and may have changed anything.
    """

    mailboxes: set[int] = field(default_factory=set)
    accounts: set[int] = field(default_factory=set)
    metadata: set[tuple[int, int, str, int]] = field(default_factory=set)
    objects: set[tuple[int, str]] = field(default_factory=set)
    queue: bool = False
    settings: bool = False
    lessons: bool = False
    incidents: bool = False
    everything: bool = False

    def add(self, other: Changes) -> None:
        self.mailboxes |= other.mailboxes
        self.accounts |= other.accounts
        self.metadata |= other.metadata
        self.objects |= other.objects
        self.queue |= other.queue
        self.settings |= other.settings
        self.lessons |= other.lessons
        self.incidents |= other.incidents
        self.everything |= other.everything

    def __bool__(self) -> bool:
        some = self.mailboxes or self.accounts or self.metadata or self.objects or self.queue
        return bool(some or self.settings or self.lessons or self.incidents or self.everything)


class Tx:
    """One transaction. Rows are tuples in the order of the statement; `now` is milliseconds since 1970."""

    __slots__ = ("_connection", "now", "changes")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.now = now
        self.changes = Changes()

    def all(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, params).fetchall()

    def one(self, sql: str, *params: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, params).fetchone()
        return row

    def value(self, sql: str, *params: Any) -> Any:
        """The first column of the first row; None when there is none."""
        row = self._connection.execute(sql, params).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, *params: Any) -> int:
        """The number of rows written."""
        return self._connection.execute(sql, params).rowcount

    def insert(self, sql: str, *params: Any) -> int:
        """The id of the row written."""
        return self._connection.execute(sql, params).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return self._connection.executemany(sql, rows).rowcount

    def each(self, sql: str, *params: Any) -> sqlite3.Cursor:
        """Rows one by one, for long answers in a reader thread."""
        return self._connection.execute(sql, params)

    def touched(self, mailbox_id: int) -> None:
        """News of this mailbox is told after the commit."""
        self.changes.mailboxes.add(mailbox_id)

    def account_touched(self, account_id: int) -> None:
        """Credentials, rights or the list of mailboxes of this account changed."""
        self.changes.accounts.add(account_id)

    def metadata_touched(self, account_id: int, mailbox_id: int | None, entry: str, by: int) -> None:
        """An entry is different now; `by` is a number of who is told nothing of it."""
        self.changes.metadata.add((account_id, mailbox_id or 0, entry, by))

    def object_touched(self, account_id: int, type: str) -> None:
        """Objects of this type of JMAP are different now (`states.changed` allots the number as well)."""
        self.changes.objects.add((account_id, type))

    def queue_touched(self) -> None:
        self.changes.queue = True

    def settings_touched(self) -> None:
        self.changes.settings = True

    def lessons_touched(self) -> None:
        self.changes.lessons = True

    def incidents_touched(self) -> None:
        self.changes.incidents = True
