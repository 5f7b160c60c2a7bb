"""Which command may be given when, who obeys it, and which news may go with its answer.

`news` is what may be told before the tagged line (RFC 3501 §7.4.1): nothing, all but EXPUNGE where the command speaks
in message numbers, or everything. With `numbers` the command looks at the flags of known messages, which are brought
up to date before it begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from daemon.serve.imap import (
    append,
    auth,
    capability,
    change,
    fetch,
    filtering,
    find,
    idle,
    mailboxes,
    metadata,
    select,
)
from daemon.serve.imap.answer import Answer

GREETED, KNOWN, SELECTED = 1, 2, 4  # RFC 3501 §3: not authenticated, authenticated, selected
LOGGED_IN = KNOWN | SELECTED
ANY = GREETED | LOGGED_IN
NONE, NO_EXPUNGE, ALL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Row:
    states: int
    obey: Callable[[Any, Any, str], Awaitable[Answer]]  # session, what `wire.imap_commands` made of it, tag
    news: int = ALL
    numbers: bool = False


COMMANDS = {
    "CAPABILITY": Row(ANY, capability.capability),
    "NOOP": Row(ANY, capability.noop),
    "ID": Row(ANY, capability.identify),
    "LOGOUT": Row(ANY, capability.logout, NONE),
    "STARTTLS": Row(GREETED, capability.start_tls, NONE),
    "LOGIN": Row(GREETED, auth.login, NONE),
    "AUTHENTICATE": Row(GREETED, auth.authenticate, NONE),
    "ENABLE": Row(LOGGED_IN, capability.enable),
    "NAMESPACE": Row(LOGGED_IN, capability.namespace),
    "GETJMAPACCESS": Row(LOGGED_IN, capability.jmap_access),
    "COMPRESS": Row(LOGGED_IN, capability.compress, NONE),
    "IDLE": Row(LOGGED_IN, idle.idle, NONE),
    "SELECT": Row(LOGGED_IN, select.select, NONE),
    "EXAMINE": Row(LOGGED_IN, select.select, NONE),
    "CREATE": Row(LOGGED_IN, mailboxes.create),
    "DELETE": Row(LOGGED_IN, mailboxes.delete),
    "RENAME": Row(LOGGED_IN, mailboxes.rename),
    "SUBSCRIBE": Row(LOGGED_IN, mailboxes.subscribe),
    "UNSUBSCRIBE": Row(LOGGED_IN, mailboxes.unsubscribe),
    "LIST": Row(LOGGED_IN, mailboxes.list_mailboxes),
    "LSUB": Row(LOGGED_IN, mailboxes.list_subscribed),
    "STATUS": Row(LOGGED_IN, mailboxes.status),
    "GETMETADATA": Row(LOGGED_IN, metadata.get),
    "SETMETADATA": Row(LOGGED_IN, metadata.set),
    "APPEND": Row(LOGGED_IN, append.append),
    "CHECK": Row(SELECTED, capability.check),
    "CLOSE": Row(SELECTED, select.close, NONE),
    "UNSELECT": Row(SELECTED, select.unselect, NONE),
    "EXPUNGE": Row(SELECTED, change.expunge),
    "UID EXPUNGE": Row(SELECTED, change.expunge),
    "SEARCH": Row(SELECTED, find.search, NO_EXPUNGE, numbers=True),
    "UID SEARCH": Row(SELECTED, find.search, numbers=True),
    "FETCH": Row(SELECTED, fetch.fetch, NO_EXPUNGE, numbers=True),
    "UID FETCH": Row(SELECTED, fetch.fetch, numbers=True),
    "FILTER": Row(SELECTED, filtering.filter_messages, NO_EXPUNGE, numbers=True),
    "UID FILTER": Row(SELECTED, filtering.filter_messages, numbers=True),
    "STORE": Row(SELECTED, change.store, NO_EXPUNGE, numbers=True),
    "UID STORE": Row(SELECTED, change.store, numbers=True),
    "COPY": Row(SELECTED, change.copy),
    "UID COPY": Row(SELECTED, change.copy),
    "MOVE": Row(SELECTED, change.move),
    "UID MOVE": Row(SELECTED, change.move),
}
