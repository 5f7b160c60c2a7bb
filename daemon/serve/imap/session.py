"""One IMAP connection: its state, and the loop that reads a command, has it obeyed and answers."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import TYPE_CHECKING

from daemon import log
from daemon.limits import LIMITS
from daemon.serve.connection import Connection, Draining
from daemon.serve.imap import append, capability, commands, metadata_news, news
from daemon.serve.imap.answer import Answer, Goodbye, No, Torn, refusal
from daemon.serve.imap.condstore import wants_modseqs
from daemon.serve.imap.flags import RECENT
from daemon.serve.login import Identity
from daemon.serve.sessions import Live
from daemon.store.db import StoreError
from daemon.store.errors import Missing
from daemon.store.segments import SegmentDamaged
from daemon.store.snapshot import Snapshot
from daemon.store.spool import Body
from daemon.wire import imap_reply
from daemon.wire.imap import Bad, Command, read_command
from daemon.wire.imap_commands import parse
from daemon.wire.imap_set import SequenceSet, Slice
from daemon.wire.stream import EndOfStream

if TYPE_CHECKING:
    from daemon.serve.imap.service import Imap
    from daemon.serve.imap.view import Box

_NUMBERS = count(1)


class Session:
    """What is kept of a connection. Without a mailbox open, `box` is None."""

    __slots__ = (
        "conn", "service", "identity", "live", "box", "mailbox", "known", "read_only", "recent", "told_words",
        "condstore", "after_idle", "nudged", "farewell", "errors", "failed_logins", "bodies", "ending", "number",
        "unheard", "idling", "_busy", "_out",
    )  # fmt: skip

    def __init__(self, conn: Connection, service: Imap) -> None:
        self.conn = conn
        self.service = service
        self.identity: Identity | None = None
        self.live: Live | None = None
        self.box: Box | None = None
        self.mailbox = ""  # the name it was opened by
        self.known: Snapshot = news.NOTHING  # the messages as the client knows them
        self.read_only = False
        self.recent: list[tuple[int, int]] = []  # UIDs [first, end) that are \Recent to this session
        self.told_words: tuple[str, ...] = ()
        self.condstore = False  # tells mod-sequences (RFC 7162 §3.1)
        self.after_idle = False
        self.nudged = False  # there is news, or the session is to end: IDLE looks
        self.farewell = ""  # why the session is to end as soon as it can be said
        self.errors = 0
        self.failed_logins = 0
        self.bodies: list[Body] = []  # messages of an APPEND under way
        self.ending = False
        self.number = next(_NUMBERS)
        self.unheard: set[tuple[int, str]] = set()  # mailbox and entry of metadata that are not told yet
        self.idling = False
        self._busy = False  # with a command; what it sends must not be cut
        self._out: list[bytes] = []

    # -- the conversation ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the greeting to the end. Returns when the connection is to be closed; raises nothing."""
        try:
            self.say(imap_reply.tagged("*", "OK", "IMAP4rev1 ready", f"CAPABILITY {capability.text(self)}"))
            await self.flush()
            while not self.ending:
                await self._turn()
        except Goodbye as end:
            self.say(imap_reply.tagged("*", "BYE", end.text, end.code))
            self.conn.write(self._taken())
        except Draining:
            self.say(imap_reply.tagged("*", "BYE", "the server is being stopped, come again soon", "UNAVAILABLE"))
            self.conn.write(self._taken())
        except (EndOfStream, ConnectionError, TimeoutError, ssl.SSLError):
            pass
        except Torn:
            self.conn.abort()
        finally:
            self.leave()
            self.service.watchers.leave(self)
            self._forget_bodies()

    async def _turn(self) -> None:
        """One command, whatever it is."""
        try:
            command = await self._next()
            self._busy = True
            answer = await self._obeyed(command)
            tag = command.tag
            self.say(imap_reply.tagged(tag, answer.status, answer.text or f"{command.name} completed", answer.code))
            self.errors = self.errors + 1 if answer.status == "BAD" else 0
        except Bad as bad:
            self.say(bad.reply())
            self.errors += 1
            answer = Answer(ends=not bad.in_sync)
        finally:
            self._forget_bodies()
        await self.flush()
        self._busy = False
        if self.farewell:
            raise Goodbye(self.farewell)
        if answer.after is not None:
            await answer.after()
        if answer.ends:
            self.ending = True
        elif self.errors > LIMITS.imap_errors:
            raise Goodbye("too many errors in a row")

    async def _next(self) -> Command:
        """The next command."""
        known = self.identity is not None
        patience = LIMITS.imap_patience if known else LIMITS.imap_patience_before_login
        reading = read_command(
            self.conn.stream,
            LIMITS,
            authenticated=known,
            new_body=self.new_body if known else None,
            append_limit=self.service.message_size,
        )
        try:
            return await self.conn.take(reading, patience, within=None if known else patience, resting=True)
        except TimeoutError:
            raise Goodbye("nothing heard for too long") from None

    async def _obeyed(self, command: Command) -> Answer:
        """What a command came to, with the news that may be told with it."""
        row = commands.COMMANDS.get(command.name)
        if row is None:
            raise Bad("unknown command", tag=command.tag)
        if not row.states & self.state:
            raise Bad(f"{command.name} is not for now: {_WHEN[row.states]}", tag=command.tag)
        try:
            asked = parse(command, LIMITS)
            self.condstore = self.condstore or wants_modseqs(asked)
            if row.numbers and self.box is not None:
                await news.tell(self, gone=False, added=False)
            if "FETCH" not in command.name:
                self.after_idle = False
            answer = await row.obey(self, asked, command.tag)
            if self.box is not None and row.news:
                await news.tell(self, gone=row.news == commands.ALL, added=not self.after_idle)
            if self.unheard and row.news:
                metadata_news.tell(self)
            return answer
        except Bad as bad:
            bad.tag = command.tag
            raise
        except Missing as error:
            if self.box is not None and self.box.gone:
                raise Goodbye("the selected mailbox is gone; it was deleted") from None
            raise_no = refusal(error)
            assert raise_no is not None
            return Answer(raise_no.text, raise_no.code, raise_no.status)
        except (Goodbye, Draining, Torn, EndOfStream, ConnectionError, TimeoutError, ssl.SSLError):
            raise
        except Exception as error:
            return self._fault(command, error)

    def _fault(self, command: Command, error: Exception) -> Answer:
        no = refusal(error)
        if no is not None:
            if isinstance(error, (StoreError, SegmentDamaged)):
                log.trouble("imap-trouble", command=command.name, ip=self.conn.peer, user=self.user, error=error)
            return Answer(no.text, no.code, no.status)
        reference = secrets.token_hex(4)
        log.fault("imap-fault", error, ref=reference, command=command.name, ip=self.conn.peer, user=self.user)
        return Answer(f"internal error, reference {reference}", "SERVERBUG", "NO")  # RFC 5530

    # -- speaking ------------------------------------------------------------------------------------------------------

    def say(self, *lines: bytes) -> None:
        """Add to what is sent at the next `flush`."""
        self._out += lines

    async def flush(self) -> None:
        """Send what was said and wait until there is room for more. Raises `ConnectionError`, `TimeoutError`."""
        if self._out:
            self.conn.write(self._taken())
        await self.conn.drain()

    def _taken(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    async def send(self, pieces: Iterator[bytes], *, aside: bool) -> None:
        """Send a long answer piece by piece. `aside`: made in a reader thread, ahead of what is sent."""
        store = self.service.store
        if not aside:
            for count, piece in enumerate(pieces):
                if count:
                    await self.flush()
                    await asyncio.sleep(0)  # other sessions want to go on too
                self.say(piece)
            return
        await self.flush()
        making = asyncio.ensure_future(store.aside(_some, pieces))
        try:
            while made := await making:
                making = asyncio.ensure_future(store.aside(_some, pieces))
                for piece in made:
                    self.conn.write(piece)
                await self.conn.drain()
        finally:
            if not making.done():  # the client went away: the thread finishes its piece, nobody takes it
                await asyncio.wait([making])
            if not making.cancelled():
                making.exception()

    # -- what commands ask of the session ------------------------------------------------------------------------------

    @property
    def state(self) -> int:
        if self.box is not None:
            return commands.SELECTED
        return commands.GREETED if self.identity is None else commands.KNOWN

    @property
    def account_id(self) -> int:
        assert self.identity is not None
        return self.identity.account_id

    @property
    def user(self) -> str | None:
        return None if self.identity is None else str(self.identity.address)

    @property
    def selected(self) -> Box:
        """The open mailbox; commands that need one are refused without (`commands`)."""
        assert self.box is not None
        return self.box

    def slices(self, numbers: SequenceSet, uid: bool) -> list[Slice]:
        """Where the messages of a set stand. Raises `Bad` for numbers that the mailbox has not (RFC 3501 §9)."""
        if uid:
            return numbers.slices_of_uids(self.known.uids)
        if numbers.beyond(len(self.known)):
            raise Bad("there is no message of that number")
        return numbers.slices(len(self.known))

    def ranges(self, slices: Sequence[Slice]) -> list[tuple[int, int]]:
        """The UIDs at these places as closed ranges, for `store.messages`."""
        uids = self.known.uids
        return [(uids[start], uids[stop - 1]) for start, stop in slices]

    def recent_slices(self) -> list[Slice]:
        """Where the messages stand that are \\Recent to this session."""
        uids = self.known.uids
        found = [(bisect_left(uids, first), bisect_left(uids, end)) for first, end in self.recent]
        return [(start, stop) for start, stop in found if start < stop]

    def states(self, start: int, stop: int) -> Sequence[int]:
        """The states of some messages, with `RECENT` as this session sees it."""
        states = self.known.states[start:stop]
        for first, end in self.recent_slices() if self.recent else ():
            for at in range(max(first, start), min(end, stop)):
                states[at - start] |= RECENT
        return states

    def check_writable(self) -> None:
        """Raises `No` when the mailbox was opened with EXAMINE."""
        if self.read_only:
            raise No("the mailbox was opened with EXAMINE, to be read only", "NOPERM")

    def enter(self, box: Box, name: str, known: Snapshot, *, read_only: bool) -> None:
        """A mailbox is open from here on."""
        self.box, self.mailbox, self.known, self.read_only = box, name, known, read_only
        self.told_words = box.words

    def leave(self) -> None:
        """No mailbox is open any more."""
        if self.box is not None:
            self.service.views.leave(self.box)
        self.box, self.mailbox, self.known, self.read_only = None, "", news.NOTHING, False
        self.recent = []

    def nudge(self) -> None:
        """News in the open mailbox (`view.Watcher`)."""
        self.nudged = True
        self.conn.nudge()

    def end(self, text: str) -> None:
        """Say goodbye, at once or after the command under way."""
        self.farewell = text
        if self._busy:
            self.nudge()
        else:
            self.conn.write(imap_reply.tagged("*", "BYE", text))
            self.conn.close()

    def new_body(self, size: int) -> append.Incoming:
        """Where the message of an APPEND goes while it arrives. Raises `Bad` when it need not be sent."""
        incoming = append.incoming(self, size)
        self.bodies.append(incoming.body)
        return incoming

    def _forget_bodies(self) -> None:
        for body in self.bodies:
            body.close()
        self.bodies.clear()


def _some(pieces: Iterator[bytes]) -> list[bytes]:
    """Two, for what it costs to go to another thread and back."""
    return list(islice(pieces, 2))


_WHEN = {
    commands.GREETED: "only before login",
    commands.LOGGED_IN: "log in first",
    commands.SELECTED: "open a mailbox first",
}
