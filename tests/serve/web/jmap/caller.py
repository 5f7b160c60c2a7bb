"""Calls of JMAP's methods by a user of a web site."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.mail.address import parse_address
from daemon.serve.login import Identity
from daemon.serve.web.door import PEER
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts
from tests.serve.web.conftest import Site

ALICE, BOB, PASSWORD = "alice@example.org", "bob@example.org", "correct horse"


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
