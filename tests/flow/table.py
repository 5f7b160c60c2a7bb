"""A resolver out of a table, for tests that need no server."""

from __future__ import annotations

from typing import Any

from daemon.resolver import Answer, TemporaryDNSError


class Table:
    """`records` maps (name, kind) to a list of records, or to text: the trouble that the question meets. `secure`: all
    answers are validated."""

    def __init__(self, records: dict[tuple[str, str], list[Any] | str], *, secure: bool = False) -> None:
        self.records = records
        self.secure = secure
        self.asked: list[tuple[str, str]] = []

    def known(self, name: str, kind: str) -> Answer | None:
        return None

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        found = self.records.get((name, kind), [])
        if isinstance(found, str):
            raise TemporaryDNSError(name, kind, found)
        exists = any(known == name or known.endswith(f".{name}") for known, _ in self.records)
        return Answer(name, kind, tuple(found), exists, name, self.secure)
