"""Who asks: what a request proves about its sender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daemon.serve.login import Identity


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user who proved to be one. `kind`: by a session's cookie, by a password, by a token."""

    identity: Identity
    kind: Literal["session", "basic", "bearer"]
    session_id: int | None = None
    admin: bool = False

    @property
    def account_id(self) -> int:
        return self.identity.account_id
