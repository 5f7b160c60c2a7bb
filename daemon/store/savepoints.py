"""Part of a transaction that is undone alone when it raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.store.tx import Tx


@contextmanager
def savepoint(tx: Tx) -> Iterator[None]:
    """What is done inside stays, or leaves nothing behind. News of it may be told all the same: who listens looks."""
    tx.run("savepoint part")
    try:
        yield
    except BaseException:
        tx.run("rollback to part")
        raise
    finally:
        tx.run("release part")
