"""What a method of JMAP is: a function of a call and its arguments, and how it says no (RFC 8620 §3.6.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.config import Config
from daemon.flow.judging import Judge
from daemon.serve.login import Door
from daemon.serve.web.visitors import Visitor
from daemon.store.db import Store

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One method call of a request. `account_id` is the visitor's own, as the store numbers it: another one in
    `accountId` was refused before. `created`: creation ids of this request and what they became, shared by its calls.
    `door`: whom to ask whether a password is his. `more`: answers beside the method's own, in order (RFC 8621 §7.5 has
    a method call another one). `judge`: who looks at what is sent.
    """

    store: Store
    config: Config
    door: Door
    visitor: Visitor
    account_id: int
    using: frozenset[str]
    created: dict[str, str] = field(default_factory=dict)
    more: list[tuple[str, Arguments]] = field(default_factory=list)
    judge: Judge | None = None


class MethodError(Exception):
    """The method says no: a type of RFC 8620 §3.6.2 or of the method's own, and words for who writes a client."""

    def __init__(self, type: str, description: str = "", **more: Any) -> None:
        super().__init__(type)
        self.answer: Arguments = {"type": type, **({"description": description} if description else {}), **more}


Method = Callable[[Call, Arguments], Awaitable[Arguments]]


@dataclass(frozen=True, slots=True)
class Capability:
    """What a client names in `using`, and the methods it may call then.

    `session`: its object in the session resource (RFC 8620 §2); `account`: its object in the visitor's account, None
    when it has none there.
    """

    urn: str
    methods: Mapping[str, Method]
    session: Callable[[Config], Arguments] = lambda config: {}
    account: Callable[[Config, Visitor], Arguments] | None = lambda config, visitor: {}
