"""A user at the desk of JMAP, without HTTP: `ask` says calls and gives their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec.json

from daemon.config import Config
from daemon.mail.address import Address
from daemon.serve.login import Door, Identity
from daemon.serve.web.jmap.api import Api
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.serve.web.visitors import Visitor
from daemon.store import mailboxes
from daemon.store.db import Store
from daemon.wire import jmap
from tests.store.stage import add_user, box_id, deliver

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
Answer = tuple[str, dict[str, Any], str]


class Desk:
    """Of one user. `accountId` is added to the arguments of every call that says none."""

    def __init__(self, store: Store, local: str = "alice", using: Sequence[str] = USING) -> None:
        self.store = store
        self.account = store.write_now(add_user, local)
        self.visitor = Visitor(Identity(self.account, Address(local, "example.org")), "basic")
        self.settings = {"hostname": "mail.example.org"}
        self.api = Api(store, lambda: Config(self.settings.items()), cast(Door, None), CAPABILITIES)
        self.using = list(using)

    @property
    def id(self) -> str:
        return f"u{self.account}"

    async def request(self, *calls: Any, **more: Any) -> dict[str, Any]:
        """The whole Response."""
        listed = [[name, arguments, str(at)] for at, (name, arguments) in enumerate(calls)]
        asked = jmap.request_of({"using": self.using, "methodCalls": listed, **more})
        return cast(
            dict[str, Any], msgspec.json.decode(msgspec.json.encode(await self.api.answer(self.visitor, asked)))
        )

    async def ask(self, *calls: tuple[str, dict[str, Any]]) -> list[Answer]:
        """What each of these calls is answered."""
        whole = [(n, a if n == "Core/echo" or "accountId" in a else {"accountId": self.id, **a}) for n, a in calls]
        return [tuple(each) for each in (await self.request(*whole))["methodResponses"]]

    async def one(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer to one call; an error as its type alone."""
        ((said, answer, _),) = await self.ask((name, arguments))
        if said == "error":
            return {"error": answer["type"]}
        assert said == name
        return answer

    def box(self, name: str = "INBOX") -> str:
        return f"m{box_id(self.store, self.account, name)}"

    def number(self, name: str = "INBOX") -> int:
        return box_id(self.store, self.account, name)

    def make(self, name: str) -> str:
        return f"m{self.store.write_now(mailboxes.create, self.account, name).id}"

    def put(self, subject: str, *, answers: str = "", body: str = "Hello.", mailbox: str = "INBOX", **more: Any) -> str:
        """A message is delivered; its id. Its Message-ID is its subject without blanks."""
        name = subject.replace(" ", "").replace(":", "")
        refs = f"References: {answers}\r\nIn-Reply-To: {answers}\r\n" if answers else ""
        head = f"From: Ann <ann@remote.example>\r\nTo: alice@example.org\r\nSubject: {subject}\r\n"
        data = f"{head}Message-ID: <{name}@remote.example>\r\n{refs}\r\n{body}\r\n"
        return self.raw(data.encode(), mailbox=mailbox, **more)

    def raw(self, data: bytes, **more: Any) -> str:
        return f"e{deliver(self.store, self.account, data, **more).email_id}"
