"""What the SMTP doors of one process share, and the settings as they use them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from daemon.config import Config, Network
from daemon.serve.login import Door
from daemon.serve.refusals import Refusals
from daemon.store.db import Store


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that a session looks at, read once for all sessions."""

    hostname: str
    message_size: int
    recipients: int
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
    `end_point` the hash of the certificate that a TLS connection shows, for channel binding."""

    store: Store
    config: Callable[[], Config]
    door: Door
    refusals: Refusals
    context: Callable[[], ssl.SSLContext | None] = _none
    port25_context: Callable[[], ssl.SSLContext | None] = _none
    end_point: Callable[[ssl.SSLObject], bytes | None] = field(default=lambda _: None)
