"""Connections and TLS are tested on both event loops, the rest on asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

BOTH = {"test_connection.py", "test_listen.py", "test_smtp_peers.py", "test_smtp_traps.py", "test_tls.py"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Any] = {"asyncio": asyncio.SelectorEventLoop}
    if item.path.name in BOTH:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
