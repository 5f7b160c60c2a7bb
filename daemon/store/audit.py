"""What happened to a user's own security, among the events: sign-ins, and changes of how he proves who he is."""

from __future__ import annotations

import secrets
from typing import Any

from daemon.store import events
from daemon.store.tx import Tx


def note(tx: Tx, account_id: int, kind: str, reason: str, peer: str | None = None, **detail: Any) -> None:
    """A story of its own. `kind`: login or secured."""
    row = tx.one(
        "select a.local || '@' || d.name from account a join domain d on d.id = a.domain_id where a.id = ?", account_id
    )
    if row is not None:
        trace = events.new_trace(tx.now, secrets.token_bytes)
        events.record(tx, trace, kind, reason, recipient=row[0], peer=peer, **detail)
