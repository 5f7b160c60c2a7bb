"""What is done over IMAP is told to the script of the mailbox: APPEND, COPY, MOVE, changed flags (RFC 6785).

It happens after the commit, before the command is answered, some messages at a time (`flow.lying`). The command has
succeeded whatever the script does: what goes wrong leaves the message as it is, and its owner hears of it once a day.
What scripts do themselves is told to no script, so that nothing goes in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from daemon import log
from daemon.config import Config
from daemon.flow import lying
from daemon.flow.lying import Asked, Exhausted
from daemon.serve.imap.flags import RECENT
from daemon.store import keywords, mailboxes
from daemon.store.db import StoreError
from daemon.store.snapshot import Snapshot

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session

_PORT = 4190


def capability(config: Config) -> list[str]:
    """`IMAPSIEVE=` with the URL of ManageSieve (RFC 6785 section 2.1); nothing without a place to keep scripts."""
    ports = [each.port for each in config["listen.managesieve"]]
    if not ports:
        return []
    port = "" if _PORT in ports or not ports[0] else f":{ports[0]}"
    return [f"IMAPSIEVE=sieve://{config['hostname']}{port}"]


async def happened(
    session: Session,
    cause: str,
    mailbox_id: int,
    uids: Sequence[int],
    changed: Callable[[], Mapping[int, tuple[str, ...]]] = dict,
) -> None:
    """Let the script of the mailbox see these messages, if it has one. `cause` is APPEND, COPY or FLAG, and `changed`
    finds for FLAG which flags of each UID are others now. Raises nothing."""
    service, identity = session.service, session.identity
    store = service.store
    if not uids or identity is None:
        return
    try:
        script = store.peek(lying.script_of, identity.account_id, mailbox_id)
        box = store.peek(mailboxes.by_id, mailbox_id) if script is not None else None
        if script is None or box is None:
            return
        asked = Asked(
            identity.account_id, identity.address, mailbox_id, box.name, (script,), session.conn.peer, cause, changed()
        )  # fmt: skip
        if await store.read(lying.faults, asked):
            uids = uids[:1]  # for one its owner is told; the others are left as they are
        async with aclosing(lying.look_again(store, asked, service.config(), uids)) as looking:
            async for _ in looking:
                pass
    except (Exhausted, StoreError) as error:
        log.trouble("imapsieve-left-undone", cause=cause, user=session.user, error=error)
    except Exception as error:
        log.fault("imapsieve-fault", error, cause=cause, ip=session.conn.peer, user=session.user)


async def flagged(session: Session, before: Snapshot, uids: Sequence[int]) -> None:
    """Flags of these messages in the open mailbox were changed; `before` is what the client knew until then. It knows
    of the change by now."""
    after = session.known
    await happened(session, "FLAG", session.selected.id, uids, lambda: _changes(session, before, after, uids))


def _changes(session: Session, before: Snapshot, after: Snapshot, uids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    words = session.service.views.labels.words
    known: dict[tuple[int, int], tuple[str, ...]] = {}
    found = {}
    for uid in uids:
        place, now = before.position(uid), after.position(uid)
        if place is None or now is None:
            continue
        states = before.states[place], after.states[now]
        if states not in known:
            old, new = ({*keywords.flag_names(state & 0xFF & ~RECENT), *words(state)} for state in states)
            known[states] = tuple(sorted(old ^ new))
        found[uid] = known[states]
    return found
