"""Which of the domains stands for this server."""

from __future__ import annotations

import pytest

from daemon.store import domains
from daemon.store.db import Store
from daemon.store.tx import Tx


@pytest.mark.parametrize(
    ("names", "home"),
    [
        (["mx.b.example"], "b.example"),
        (["b.example"], "b.example"),
        (["mx.sub.b.example"], "sub.b.example"),
        (["mx.provider.example", "b.example"], "b.example"),
        (["mx.c.example"], "b.example"),  # an alias of it
        (["mx.off.example", "b.example"], "b.example"),
        (["mx.ab.example"], "a.example"),
        (["[127.0.0.1]", ""], "a.example"),
        ([], "a.example"),
    ],
)
def test_a_name_has_a_home(store: Store, names: list[str], home: str) -> None:
    def work(tx: Tx) -> None:
        for name in ("off.example", "sub.b.example", "b.example", "a.example", "0.example"):
            domains.add(tx, name)
        domains.add(tx, "c.example", alias_of="b.example")
        for name in ("off.example", "0.example"):
            domains.change(tx, name, enabled=0)

    assert store.read_now(domains.home, names) is None
    store.write_now(work)
    assert store.read_now(domains.home, names) == home
