"""What the doctor says: one value for every check, the same on the screen, in JSON and in a metric."""

from __future__ import annotations

import os
from dataclasses import dataclass

from daemon.config import Config
from daemon.store.db import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, info, warning or error; `reason` from a short list; `subject` what it is about; `text` what it
    means, and `remedy` what to do about it, in plain words."""

    level: str
    reason: str
    subject: str
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What every check starts from, read once. `probe`: a domain whose servers may be connected to, '' for none."""

    store: Store
    config: Config
    now: int
    running: bool
    domains: tuple[str, ...]
    probe: str = ""


def in_words(error: Exception) -> str:
    """The system's own words: asyncio puts the address where they stood."""
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) and number > 0 else str(error)
