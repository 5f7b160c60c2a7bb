"""Email/get and Email/changes (RFC 8621 §4.2, §4.3), and the table of what else there is of emails for reading.

What a list shows comes out of rows and header blocks; bodies are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import msgspec.json

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.mail.message import Part, body_of, scan, unpack
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.blob import stored_blobs
from daemon.serve.web.jmap.email import email_content, email_query
from daemon.serve.web.jmap.email.email_content import Content, Wanted
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import changes, emails
from daemon.store.db import Store
from daemon.store.email_find import ORDERS
from daemon.store.emails import Email, Standing
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date

SORTS = ORDERS


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Email/get. Each email is written down as it is read: nothing is to be done for all of them on the loop."""
    found = core.read(arguments, {**core.GET, **email_content.ARGUMENTS})
    ids = core.wanted_ids(found)
    wanted = email_content.wanted(found)
    state, told = await call.store.aside(_fetch, call.store, call.account_id, ids, wanted)
    missing = [one for one in ids or () if one not in told]
    return {"accountId": found["accountId"], "state": state, "list": list(told.values()), "notFound": missing}


def _fetch(
    store: Store, account_id: int, ids: Sequence[str] | None, wanted: Wanted
) -> tuple[str, dict[str, msgspec.Raw]]:
    """The state, and by id the Email objects there are. Raises `MethodError` (requestTooLarge)."""
    state, rows, standings = store.read_now(_rows, account_id, ids)
    if len(rows) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"there are more than {LIMITS.jmap_get} of them: ask for some")
    told: dict[str, msgspec.Raw] = {}
    octets_told = 0
    for row in rows:
        written = msgspec.json.encode(show(store, row, standings.get(row.id, _NOWHERE), wanted))
        told[f"e{row.id}"] = msgspec.Raw(written)
        octets_told += len(written)
        if octets_told > LIMITS.jmap_answer:
            raise MethodError("requestTooLarge", "these emails are too long to be told at once: ask for fewer")
    return state, told


def _rows(tx: Tx, account_id: int, ids: Sequence[str] | None) -> tuple[str, list[Email], dict[int, Standing]]:
    if ids is None:
        wanted = emails.everyone(tx, account_id, LIMITS.jmap_get + 1)
    else:
        wanted = core.numbers(object_ids.EMAIL, ids)
    rows = emails.rows(tx, account_id, wanted)
    found = [rows[number] for number in wanted if number in rows]
    return str(changes.state(tx, account_id)), found, emails.standings(tx, rows)


_NOWHERE = Standing([], [])
_OF_ROWS: dict[str, Callable[[Email, Standing], Any]] = {  # the properties that do not need the bytes
    "id": lambda row, standing: f"e{row.id}",
    "blobId": lambda row, standing: stored_blobs.whole(row.id),
    "threadId": lambda row, standing: f"t{row.thread_id}",
    "mailboxIds": lambda row, standing: {f"m{each}": True for each in standing.mailboxes},
    "keywords": lambda row, standing: dict.fromkeys(standing.keywords, True),
    "size": lambda row, standing: row.size,
    "receivedAt": lambda row, standing: utc_date(row.received_at // 1000 * 1000),
    "hasAttachment": lambda row, standing: row.has_attachment,
    "preview": lambda row, standing: row.preview,
}


def show(store: Store, row: Email, standing: Standing, wanted: Wanted) -> Arguments:
    """An Email object. For a thread that may wait."""
    found = {name: _OF_ROWS[name](row, standing) for name in wanted.properties if name in _OF_ROWS}
    if len(found) < len(wanted.properties):
        data = stored_blobs.Lazy(store, row.place)
        root = partial(tree, row, data)
        body = body_of(row.parts) if row.parts else root().body
        found |= email_content.show(
            Content(row.prefix, data, body, root, partial(stored_blobs.of_part, row.id)), wanted
        )
    return found


def tree(row: Email, data: stored_blobs.Lazy) -> Part:
    """The MIME tree that was found at delivery."""
    return unpack(row.parts) if row.parts else scan(data[0 : data.length]).root


async def get_changes(call: Call, arguments: Arguments) -> Arguments:
    """Email/changes."""
    answer, _ = await core.changed(call, arguments, "Email", object_ids.EMAIL)
    return answer


METHODS: dict[str, Method] = {
    "Email/get": get,
    "Email/changes": get_changes,
    "Email/query": email_query.query,
    "Email/queryChanges": email_query.query_changes,
}
