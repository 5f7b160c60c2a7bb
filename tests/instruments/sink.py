"""An SMTP server that takes everything, keeps every copy with its dialogue, and misbehaves where a test says so.

    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody here", match="carol")
        ...
        sink.copies[0].recipients, sink.copies[0].data, sink.sessions[0].dialogue

What `on` is given instead of the usual answer: reply text (lines divided by `\\n`), or one of
`drop` (close), `stall` (say nothing, read nothing), `drip` (an answer that never gets whole: an octet now and then),
`endless` (a line without end), `endless-lines` (a reply without end), `ignore` (no answer, but go on), and for content
`keep-drop` (it counts as taken, and the connection ends before anybody hears of it).
Stages: connect EHLO HELO STARTTLS AUTH MAIL RCPT DATA content (the final dot) BDAT RSET NOOP QUIT.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from types import TracebackType

from daemon.wire import sasl

ALL = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES")
_PATH = re.compile(r"(?:FROM|TO):<(.*)>(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)


@dataclass
class Copy:
    """One message that was answered with 250."""

    sender: str
    recipients: list[str]
    data: bytes
    parameters: str  # of MAIL
    recipient_parameters: list[str]
    session: Session


@dataclass
class Session:
    """One connection. `dialogue` holds `C: ...` and `S: ...` lines, content left out."""

    number: int
    peer: str = ""  # its address
    tls: str = ""
    login: str = ""
    hello: str = ""
    dialogue: list[str] = field(default_factory=list)
    writes: int = 0  # pieces in which the client's octets came, roughly
    ended: bool = False

    def commands(self) -> list[str]:
        return [line[3:] for line in self.dialogue if line.startswith("C: ")]


@dataclass
class _Rule:
    stage: str
    answer: str
    match: str
    times: int


class _Over(Exception):
    """The session ends here."""


class Sink:
    """`offers` are the EHLO lines; with `tls` STARTTLS is offered, or spoken from the start with `implicit`."""

    def __init__(
        self,
        offers: tuple[str, ...] = ALL,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        users: dict[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.offers = offers
        self.tls = tls
        self.implicit = implicit
        self.users = users or {}
        self.copies: list[Copy] = []
        self.sessions: list[Session] = []
        self.arrived = asyncio.Event()
        self.handshake_garbage = False  # 220 to STARTTLS, then octets that are no TLS
        self._rules: list[_Rule] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, stage: str, answer: str, *, match: str = "", times: int = -1) -> None:
        """Answer `stage` so when its line has `match` in it; `times` often, -1 for ever. Later rules win."""
        self._rules.insert(0, _Rule(stage, answer, match, times))

    def behave(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    async def wait(self, copies: int, patience: float = 10) -> list[Copy]:
        """Until that many copies are here."""
        async with asyncio.timeout(patience):
            while len(self.copies) < copies:
                self.arrived.clear()
                await self.arrived.wait()
        return self.copies

    @property
    def open(self) -> int:
        return sum(not session.ended for session in self.sessions)

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, limit=1 << 26, ssl=self.tls if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Sink:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- one session ---------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        session = Session(len(self.sessions), writer.get_extra_info("peername")[0])
        self.sessions.append(session)
        try:
            await _Talk(self, session, reader, writer).run()
        except (_Over, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            session.ended = True
            self._tasks.discard(task)
            writer.close()

    def rule(self, stage: str, line: str) -> str:
        for rule in self._rules:
            if rule.stage == stage and rule.times != 0 and rule.match.lower() in line.lower():
                rule.times -= 1
                return rule.answer
        return ""


class _Talk:
    def __init__(
        self, sink: Sink, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.sink = sink
        self.session = session
        self.reader = reader
        self.writer = writer
        self._forget()

    def _forget(self) -> None:
        self.sender: str | None = None
        self.parameters = ""
        self.recipients: list[str] = []
        self.recipient_parameters: list[str] = []
        self.chunks = b""

    async def run(self) -> None:
        self._note_tls()
        await self.answer("connect", "", "220 sink.test ESMTP")
        while line := await self.reader.readuntil(b"\r\n"):
            text = line[:-2].decode("utf-8", "surrogateescape")
            self.session.dialogue.append(f"C: {text}")
            verb, _, argument = text.partition(" ")
            await getattr(self, f"do_{verb.upper()}", self.unknown)(argument)

    async def answer(self, stage: str, line: str, usual: str) -> bool:
        """Say `usual`, or what the rules want; whether it was a positive answer."""
        said = self.sink.rule(stage, line) or usual
        match said:
            case "drop" | "keep-drop":
                self.writer.transport.abort()
                raise _Over
            case "stall":
                await asyncio.Event().wait()
            case "ignore":
                return False
            case "drip":
                for octet in b"250-" + b"x" * 1000:
                    self.writer.write(bytes([octet]))
                    await asyncio.sleep(0.05)
                raise _Over
            case "endless":
                while True:
                    self.writer.write(b"2" * 65536)
                    await self.writer.drain()
            case "endless-lines":
                while True:
                    self.writer.write(b"250-and another thing\r\n" * 1000)
                    await self.writer.drain()
        code, _, rest = said.partition(" ")
        lines = rest.split("\n")
        for number, text in enumerate(lines):
            mark = " " if number == len(lines) - 1 else "-"
            self.session.dialogue.append(f"S: {code}{mark}{text}")
            self.writer.write(f"{code}{mark}{text}\r\n".encode())
        await self.writer.drain()
        if code == "421":
            raise _Over
        return code[0] in "23"

    def _note_tls(self) -> None:
        found = self.writer.get_extra_info("ssl_object")
        self.session.tls = found.version() if found else ""

    # -- commands ------------------------------------------------------------------------------------------------------

    async def unknown(self, argument: str) -> None:
        await self.answer("unknown", argument, "500 5.5.2 what?")

    async def do_EHLO(self, argument: str) -> None:
        self.session.hello = argument
        lines = ["sink.test", *self.sink.offers]
        if self.sink.tls is not None and not self.session.tls:
            lines.append("STARTTLS")
        if self.sink.users:
            lines.append("AUTH PLAIN LOGIN SCRAM-SHA-256")
        await self.answer("EHLO", argument, "250 " + "\n".join(lines))

    async def do_HELO(self, argument: str) -> None:
        self.session.hello = argument
        await self.answer("HELO", argument, "250 sink.test")

    async def do_STARTTLS(self, argument: str) -> None:
        if not await self.answer("STARTTLS", argument, "220 go ahead"):
            return
        if self.sink.handshake_garbage or self.sink.tls is None:
            self.writer.write(b"250 this is no handshake\r\n")
            raise _Over
        await self.writer.start_tls(self.sink.tls)
        self._note_tls()

    async def do_AUTH(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        name = ""
        try:
            talk = sasl.exchange(mechanism, sasl.decode_initial(initial.encode()), "sinknonce12345", None)
            assert talk is not None, f"{mechanism} was not offered"
            want = next(talk)
            while True:
                if isinstance(want, sasl.WantKeys):
                    password = self.sink.users.get(want.login, "nobody's")
                    user = sasl.ScramUser(b"salt" * 4, 4096, (sasl.scram_keys(password, b"salt" * 4, 4096),))
                    want = talk.send(user)
                    continue
                self.writer.write(b"334 " + sasl.encode(want.data) + b"\r\n")
                want = talk.send(sasl.decode(await self.reader.readuntil(b"\r\n")))
        except StopIteration as end:
            known = isinstance(end.value, sasl.Proof) or self.sink.users.get(end.value.login) == end.value.password
            name = end.value.login if known else ""
        except sasl.Refused:
            pass
        if await self.answer("AUTH", argument, "235 2.7.0 in" if name else "535 5.7.8 no"):
            self.session.login = name

    async def do_MAIL(self, argument: str) -> None:
        found = _PATH.match(argument)
        usual = "250 2.1.0 ok" if found and self.sender is None else "503 5.5.1 bad"
        if await self.answer("MAIL", argument, usual) and found:
            self._forget()
            self.sender, self.parameters = found[1], found[2] or ""

    async def do_RCPT(self, argument: str) -> None:
        found = _PATH.match(argument)
        usual = "250 2.1.5 ok" if found and self.sender is not None else "503 5.5.1 bad"
        if await self.answer("RCPT", argument, usual) and found:
            self.recipients.append(found[1])
            self.recipient_parameters.append(found[2] or "")

    async def do_DATA(self, argument: str) -> None:
        if not await self.answer("DATA", argument, "354 go" if self.recipients else "554 5.5.1 no recipients"):
            return
        lines = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        await self._take(b"".join(lines))

    async def do_BDAT(self, argument: str) -> None:
        size, _, last = argument.partition(" ")
        self.chunks += await self.reader.readexactly(int(size))
        if not self.recipients:
            await self.answer("BDAT", argument, "503 5.5.1 no recipients")
        elif last:
            await self._take(self.chunks, "BDAT")
        else:
            await self.answer("BDAT", argument, "250 2.0.0 part")

    async def _take(self, data: bytes, stage: str = "content") -> None:
        assert self.sender is not None
        copy = Copy(
            self.sender, self.recipients, data, self.parameters, self.recipient_parameters, self.session
        )  # fmt: skip
        said = self.sink.rule(stage, "") or "250 2.0.0 taken"
        self._forget()
        if said[0] == "2" or said == "keep-drop":  # on the record before the answer is out
            self.sink.copies.append(copy)
            self.sink.arrived.set()
        await self.answer("", "", said)

    async def do_RSET(self, argument: str) -> None:
        if await self.answer("RSET", argument, "250 2.0.0 ok"):
            self._forget()

    async def do_NOOP(self, argument: str) -> None:
        await self.answer("NOOP", argument, "250 2.0.0 ok")

    async def do_QUIT(self, argument: str) -> None:
        await self.answer("QUIT", argument, "221 2.0.0 bye")
        raise _Over
