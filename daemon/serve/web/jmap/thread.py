"""Thread/get and Thread/changes (RFC 8621 §3)."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.core import Fetched
from daemon.serve.web.jmap.method import Arguments, Call, Method
from daemon.store import changes, emails
from daemon.store.tx import Tx


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Thread/get."""
    return await core.get(call, arguments, ("id", "emailIds"), _fetch)


def _fetch(tx: Tx, account_id: int, ids: Sequence[str] | None) -> Fetched:
    if ids is None:
        wanted = emails.threads(tx, account_id, LIMITS.jmap_get + 1)
    else:
        wanted = core.numbers(object_ids.THREAD, ids)
    members = emails.members(tx, account_id, wanted)
    found = [
        {"id": f"t{number}", "emailIds": [f"e{each}" for each in members[number]]}
        for number in wanted
        if number in members
    ]
    return str(changes.state(tx, account_id)), found


async def get_changes(call: Call, arguments: Arguments) -> Arguments:
    """Thread/changes."""
    answer, _ = await core.changed(call, arguments, "Thread", object_ids.THREAD)
    return answer


METHODS: dict[str, Method] = {"Thread/get": get, "Thread/changes": get_changes}
