"""A resolver out of a table, for SPF and iprev: what a name has, what takes time, and what nobody can tell.

zone = Zone({"example.org": {"TXT": ["v=spf1 mx -all"], "MX": ["10 mx.example.org"]}})
zone.trouble["broken.example"] = "SERVFAIL"     # or "hang": no answer, ever
zone.asked                                      # [("example.org", "TXT"), ...]
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from daemon.resolver import MX, Answer, TemporaryDNSError

Records = Mapping[str, Iterable[str | bytes]]


class Zone:
    def __init__(self, names: Mapping[str, Records]) -> None:
        self.names = {name.lower(): {kind: list(values) for kind, values in has.items()} for name, has in names.items()}
        self.trouble: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    async def ask(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        name = name.lower().removesuffix(".")
        for _ in range(8):
            if self.trouble.get(name) == "hang":
                await asyncio.Event().wait()
            has = self.names.get(name, {})
            if kind in has:
                return Answer(name, kind, tuple(_record(kind, value) for value in has[kind]), canonical=name)
            if name in self.trouble:
                raise TemporaryDNSError(name, kind, self.trouble[name])
            if "CNAME" not in has:
                return Answer(name, kind, exists=self._exists(name), canonical=name)
            name = str(has["CNAME"][0]).lower().removesuffix(".")
        raise TemporaryDNSError(name, kind, "CNAME loop")

    def _exists(self, name: str) -> bool:
        return any(other == name or other.endswith("." + name) for other in self.names)


def _record(kind: str, value: str | bytes) -> Any:
    if kind == "TXT":
        return value if isinstance(value, bytes) else value.encode()
    assert isinstance(value, str)
    if kind == "MX":
        preference, _, host = value.partition(" ")
        return MX(int(preference), host.lower().removesuffix("."))
    return value.lower().removesuffix(".") if kind in ("PTR", "CNAME") else value
