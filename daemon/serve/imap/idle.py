"""IDLE (RFC 2177): news at once, until the client says DONE.

With or without an open mailbox (traps I9). It never fails (I18): a line every two minutes keeps the way open through
address translators, and finds out who is gone; there is no other limit of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon import log
from daemon.limits import LIMITS
from daemon.serve.imap import metadata_news, news
from daemon.serve.imap.answer import Answer, Goodbye
from daemon.store.errors import Missing
from daemon.wire import imap_commands as said
from daemon.wire.imap import read_done
from daemon.wire.stream import Reading

if TYPE_CHECKING:
    from daemon.serve.imap.session import Session


async def idle(session: Session, asked: said.Idle, tag: str) -> Answer:
    conn, box = session.conn, session.box
    session.say(b"+ idling\r\n")
    reading = read_done(conn.stream, LIMITS, tag)
    if box is not None:
        box.idlers.add(session)
    try:
        done, session.idling = False, True
        while not done:
            session.nudged = False
            await _tell(session)
            await session.flush()
            try:
                done = await conn.take(_done_or_news(session, reading), LIMITS.imap_idle_keepalive, resting=True)
            except TimeoutError:
                session.say(b"* OK Still here\r\n")
            if session.farewell:
                raise Goodbye(session.farewell)
    finally:
        session.idling = False
        if box is not None:
            box.idlers.discard(session)
    session.after_idle = True
    return Answer("IDLE terminated")


async def _tell(session: Session) -> None:
    """Say the news; what cannot be read now is said at the next chance."""
    try:
        if session.box is not None:
            await news.tell(session, gone=True, added=True)
        metadata_news.tell(session)
    except Missing:
        raise
    except Exception as error:
        log.fault("imap-news-unread", error, ip=session.conn.peer, user=session.user)


def _done_or_news(session: Session, reading: Reading[None]) -> Reading[bool]:
    """Whether DONE was read; else there is something to tell first."""
    while True:
        try:
            want = next(reading)
        except StopIteration:
            return True
        if session.nudged:
            return False
        yield want
