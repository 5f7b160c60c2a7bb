"""What the SMTP doors of one process share, and the settings as they use them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic

from daemon.config import Config, Network
from daemon.flow.judging import Judge
from daemon.serve.login import Door
from daemon.serve.refusals import Refusals
from daemon.serve.smtp.recipients import Recipients
from daemon.store.db import Store


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that a session looks at, read once for all sessions."""

    hostname: str
    message_size: int
    recipients: int
    quota: int
    trusted: tuple[Network, ...]
    exempt: tuple[Network, ...]
    normalize: bool
    normalize_from: tuple[Network, ...]
    require_tls: bool


@lru_cache(maxsize=4)
def rules_of(config: Config) -> Rules:
    return Rules(
        hostname=config["hostname"],
        message_size=config["limits.message_size"],
        recipients=config["limits.recipients"],
        quota=config["limits.quota"],
        trusted=config["smtp.trusted_networks"],
        exempt=config["limits.exempt_networks"],
        normalize=config["smtp.bare_newline"] == "normalize",
        normalize_from=config["smtp.bare_newline_exempt"],
        require_tls=config["auth.require_tls"],
    )


def _none() -> None:
    return None


@dataclass(slots=True)
class Post:
    """`config` gives the settings as they are now; `context` the TLS context for STARTTLS, None without one;
    `end_point` the hash of the certificate that a TLS connection shows, for channel binding; `judge` who looks at mail
    from other servers: without one all of it is taken."""

    store: Store
    config: Callable[[], Config]
    door: Door
    refusals: Refusals
    context: Callable[[], ssl.SSLContext | None] = _none
    port25_context: Callable[[], ssl.SSLContext | None] = _none
    end_point: Callable[[ssl.SSLObject], bytes | None] = field(default=lambda _: None)
    judge: Judge | None = None
    recipients: Recipients = field(init=False)
    spool: Path = field(init=False)
    _roomy_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.recipients = Recipients(self.store)
        self.spool = self.store.data.spool

    def has_room(self, size: int, largest: int) -> bool:
        """Whether the disk takes `size` octets; asked at most once a second while it takes the `largest` message."""
        now = monotonic()
        if now < self._roomy_until and size <= largest:
            return True
        if self.store.has_room(largest):
            self._roomy_until = now + 1.0
            return True
        return self.store.has_room(size)

    def ran_full(self) -> None:
        """The store had no room: the next sender is told before he sends his message, not after."""
        self._roomy_until = 0.0
