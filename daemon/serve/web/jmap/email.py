"""Email/get and Email/changes (RFC 8621 §4.2, §4.3), and the table of what else there is of emails for reading.

What a list shows comes out of rows and header blocks; bodies are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec.json

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.mail.message import Part, scan, unpack
from daemon.serve.web.jmap import core, email_content, email_query, octets
from daemon.serve.web.jmap.core import Fetched
from daemon.serve.web.jmap.email_content import Content, Wanted
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import changes, emails
from daemon.store.db import Store
from daemon.store.email_find import ORDERS
from daemon.store.emails import Email, Standing
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date

SORTS = ORDERS


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Email/get."""
    found = core.read(arguments, {**core.GET, **email_content.ARGUMENTS})
    ids = core.wanted_ids(found)
    wanted = email_content.wanted(found)
    return core.got(found, ids, await call.store.aside(_fetch, call.store, call.account_id, ids, wanted))


def _fetch(store: Store, account_id: int, ids: Sequence[str] | None, wanted: Wanted) -> Fetched:
    state, rows, standings = store.read_now(_rows, account_id, ids)
    if len(rows) > LIMITS.jmap_get:
        return state, [{"id": f"e{row.id}"} for row in rows]
    told: list[Arguments] = []
    octets_told = 0
    for row in rows:
        told.append(show(store, row, standings.get(row.id, Standing([], [])), wanted))
        octets_told += len(msgspec.json.encode(told[-1]))
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


def show(store: Store, row: Email, standing: Standing, wanted: Wanted) -> Arguments:
    """An Email object. For a thread that may wait."""
    found: Arguments = {
        "id": f"e{row.id}",
        "blobId": octets.whole(row.id),
        "threadId": f"t{row.thread_id}",
        "mailboxIds": {f"m{each}": True for each in standing.mailboxes},
        "keywords": dict.fromkeys(standing.keywords, True),
        "size": row.size,
        "receivedAt": utc_date(row.received_at // 1000 * 1000),
        "hasAttachment": row.has_attachment,
        "preview": row.preview,
    }
    found = {name: value for name, value in found.items() if name in wanted.properties}
    if wanted.needs_fields or wanted.needs_parts:
        data = octets.Lazy(store, row.place)
        content = Content(row.prefix, data, tree(row, data), lambda number: octets.of_part(row.id, number))
        found |= email_content.show(content, wanted)
    return found


def tree(row: Email, data: octets.Lazy) -> Part:
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
