"""Users of a web site, and calls of JMAP's methods by one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.mail.address import parse_address
from daemon.serve.login import Identity
from daemon.serve.web.door import PEER
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts
from tests.serve.web.conftest import Site

ALICE, BOB, PASSWORD = "alice@example.org", "bob@example.org", "correct horse"


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()


@pytest.fixture
async def house(site: Site) -> AsyncIterator[Site]:
    kept = accounts.Password(*passwords.keep(PASSWORD))
    for name in (ALICE, BOB):
        site.store.write_now(accounts.add, parse_address(name), kept)
    site.store.reserve = 0
    site.open()
    yield site


def account(site: Site, name: str = ALICE) -> int:
    found = site.store.peek(accounts.find, parse_address(name))
    assert found is not None
    return found.id


class Caller:
    """A user who calls methods of a table: `await alice("Rule/get", ids=None)`."""

    def __init__(self, site: Site, methods: dict[str, Method], user: str = ALICE, **more: Any) -> None:
        self.site, self.methods = site, methods
        identity = Identity(account(site, user), parse_address(user), **more)
        self.visitor = Visitor(identity, "basic")

    async def __call__(self, name: str, **arguments: Any) -> Arguments:
        PEER.set("192.0.2.1")
        site, visitor = self.site, self.visitor
        call = Call(site.store, site.config(), site.door, visitor, visitor.account_id, frozenset())
        return await self.methods[name](call, {"accountId": f"u{visitor.account_id}", **arguments})

    async def error(self, name: str, **arguments: Any) -> str:
        """The type of the error it ends with."""
        with pytest.raises(MethodError) as caught:
            await self(name, **arguments)
        return str(caught.value.answer["type"])
