"""A resolver that answers from a zone in text: `NAME KIND DATA` a line. It remembers what it was asked."""

from __future__ import annotations

import asyncio

from daemon.resolver import Answer, TemporaryDNSError


class Answers:
    """`trouble` maps a name to `SERVFAIL` (a temporary error) or `hang` (no answer, ever); `*` is every name.

    Names above a record exist, as in the DNS. The data of TXT may stand in several lines of the zone: several records.
    """

    def __init__(self, zone: str = "", **trouble: str) -> None:
        self.records: dict[tuple[str, str], list[bytes | str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.trouble = {name.replace("_", "."): what for name, what in trouble.items()}
        for line in zone.strip().splitlines():
            if line.strip():
                name, kind, data = line.split(None, 2)
                self.add(name, kind, data)

    def add(self, name: str, kind: str, data: str) -> None:
        self.records.setdefault((name, kind), []).append(data.encode() if kind == "TXT" else data)

    def known(self, name: str, kind: str) -> Answer | None:
        return None

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        await asyncio.sleep(0)
        trouble = self.trouble.get(name) or self.trouble.get("*")
        if trouble == "hang":
            await asyncio.Event().wait()
        if trouble:
            raise TemporaryDNSError(name, kind, trouble)
        alias = self.records.get((name, "CNAME"))
        canonical = str(alias[0]) if alias else name
        found = tuple(self.records.get((canonical, kind), ()))
        exists = any(other == canonical or other.endswith("." + canonical) for other, _ in self.records)
        return Answer(name, kind, found, exists, canonical)
