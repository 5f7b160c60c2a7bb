"""FILTER and UID FILTER: scripts look at messages of the open mailbox again (draft-bosch-imap-filter-sieve-00).

Whatever may take long is done a little at a time, in a reader thread and in transactions of some messages, and told as
it is done: other sessions and deliveries go on meanwhile.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from daemon.flow import lying
from daemon.flow.lying import Asked, Exhausted
from daemon.serve.imap import find
from daemon.serve.imap.answer import DONE, Answer, No
from daemon.store import mailboxes, sieve
from daemon.store.errors import Missing
from daemon.store.sieve import Script
from daemon.store.tx import Tx
from daemon.wire.imap_filter import Filter, filter_line, filtered_line

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session


async def filter_messages(session: Session, asked: Filter, tag: str) -> Answer:
    session.check_writable()
    assert session.identity is not None
    service, box, known = session.service, session.selected, session.known
    store = service.store
    scripts = store.peek(_scripts, session.account_id, asked)
    name = store.peek(mailboxes.by_id, box.id)
    if name is None:
        raise Missing("the mailbox is gone")
    them = Asked(session.account_id, session.identity.address, box.id, name.name, scripts, session.conn.peer)
    wrong = await store.read(lying.faults, them)
    if wrong:
        session.say(filter_line(tag, "ERRORS", wrong))
        raise No("the script cannot run")
    uids = [known.uids[place] for place in await find.matching_places(session, asked.key)]
    try:
        async with aclosing(lying.look_again(store, them, service.config(), uids)) as looking:
            async for some in looking:
                for one in some:
                    place = known.position(one.uid)
                    if place is not None:
                        session.say(filtered_line(place + 1, tag, one.uid, one.status, one.text))
                await session.flush()  # raises when the client is gone: what is not done yet stays undone
    except Exhausted as error:
        raise No(str(error), "LIMIT") from None
    return DONE


def _scripts(tx: Tx, account_id: int, asked: Filter) -> tuple[Script, ...]:
    """Raises `Missing`, `Invalid`."""
    if asked.source == "DELIVERY":
        found = tuple(sieve.scripts(tx, account_id))
        if not found:
            raise Missing("there are no scripts for mail that comes")
        return found
    if asked.source == "SCRIPT":
        return (Script("own", "the script", asked.script),)
    sieve.check_name(asked.script)
    text = sieve.included(tx, account_id, asked.script, asked.source == "GLOBAL")
    if text is None:
        raise Missing(f"there is no script {asked.script!r}")
    return (Script("own", asked.script, text),)
