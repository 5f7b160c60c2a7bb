"""A user's client of JMAP without HTTP: it says calls, and reads what is answered. For tests of methods."""

from __future__ import annotations

from typing import Any

import msgspec.json

from daemon.config import Config
from daemon.flow.judging import Judge
from daemon.mail.address import parse_address
from daemon.serve.login import Door, Identity
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans
from daemon.serve.web.jmap.api import Api
from daemon.serve.web.jmap.blob import find_blob
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts
from daemon.store.db import Store
from daemon.wire import jmap

USING = [each.urn for each in CAPABILITIES]


class Client:
    """One user of a store. `config` may be set anew at any time."""

    def __init__(self, store: Store, config: Config, user: str, judge: Judge | None = None) -> None:
        self.store, self.config = store, config
        account = store.peek(accounts.get, parse_address(user))
        self.account_id = account.id
        self.account = f"u{account.id}"
        self.visitor = Visitor(Identity(account.id, account.address), "basic")
        self.bans, self.refusals = Bans(store), Refusals(store)
        self.door = Door(store, lambda: self.config, self.bans, self.refusals)
        self.api = Api(store, lambda: self.config, self.door, CAPABILITIES, judge)

    async def request(self, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        """Method calls in one request, each with this account; names and arguments of all answers."""
        asked = {
            "using": USING,
            "methodCalls": [
                [name, {"accountId": self.account, **arguments}, str(at)] for at, (name, arguments) in enumerate(calls)
            ],
        }
        told = msgspec.json.encode(await self.api.answer(self.visitor, jmap.request_of(asked)))
        answer = msgspec.json.decode(told)
        return [(name, arguments) for name, arguments, _ in answer["methodResponses"]]

    async def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """One method call, which is answered with its own name."""
        (said, answer), *_ = await self.request((name, arguments))
        assert said == name, answer
        return answer

    async def no(self, name: str, **arguments: Any) -> str:
        """One method call that is answered with an error; its type."""
        (said, answer), *_ = await self.request((name, arguments))
        assert said == "error", answer
        return str(answer["type"])

    def set(self, key: str, value: str) -> None:
        """Another setting."""
        self.config = Config([*self.config.rows.items(), (key, value)])

    def octets(self, blob: str) -> bytes:
        found = find_blob.blob(self.store, self.account_id, blob)
        assert found is not None
        return found.read(0, found.size)

    async def boxes(self) -> dict[str, str]:
        """Ids of mailboxes by role, or by name without one."""
        found = await self.ask("Mailbox/get")
        return {box["role"] or box["name"]: box["id"] for box in found["list"]}

    async def close(self) -> None:
        await self.door.close()
        await self.refusals.flush()
        self.bans.close()
