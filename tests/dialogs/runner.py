r"""Conversations as text, held with any server.

    # a comment; empty lines mean nothing
    S: 220 mail.example …                 one line from the server; … is anything, also nothing
    C: MAIL FROM:<{{from}}>               a line to the server; {{name}} is a variable of the caller
    C: RCPT TO:<b@example.org>            lines in a row leave in one packet, when it is the server's turn
    S: 250 2.1.0 …
    S: 250 2.1.5 …
    C: a1 APPEND INBOX {5}
    S: + …
    C> he                                 without a line end, and it leaves at once
    C: llo
    S* a1 OK [APPENDUID {{v}} {{uid:[0-9]+}}] …     lines are passed over until this one; {{uid}} is kept from here on
    C: a2 UID FETCH {{uid}} (FLAGS)
    S: {{line:\* [0-9]+ FETCH \(.*\)}}    an expression says what may stand there
    S! * … EXPUNGE                        none of the lines that the next S* passes over may be like this
    S* a2 OK …
    T:                                    TLS from here on (after STARTTLS was answered)
    C2: a1 NOOP                           a second connection, opened where it is first named; S2: T2: go with it
    C.                                    we will say no more (over TLS: we close)
    S2.                                   the server has closed

In an S line `{{name}}` keeps what stands there (no spaces) the first time and must be the same afterwards.

    await run(text, "127.0.0.1", 1143, variables={"from": "a@example.org"})     raises DialogueFailed, which tells all
    python -m tests.dialogs.runner 127.0.0.1:1143 FILE [name=value ...]
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

LINE = re.compile(r"(C(?=\d*[:>.])|S(?=\d*[:*!.])|T(?=\d*:))(\d*)(.)(?: (.*))?")
VARIABLE = re.compile(r"\{\{(\w+)(?::(.*?))?\}\}(?!\})")
TRUSTING = ssl.create_default_context()  # every certificate: a server under test makes its own
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


class DialogueFailed(AssertionError):
    """What was said so far, and where it went another way."""


class Session:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.unsent = reader, writer, b""
        self.forbidden: list[re.Pattern[str]] = []


class Dialogue:
    def __init__(self, host: str, port: int, variables: Mapping[str, str], tls: bool) -> None:
        self.host, self.port, self.variables = host, port, dict(variables)
        self.tls = TRUSTING if tls else None
        self.sessions: dict[str, Session] = {}
        self.said: list[str] = []

    async def run(self, text: str, patience: float) -> None:
        try:
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip() and not line.startswith("#"):
                    try:
                        async with asyncio.timeout(patience):
                            await self.step(line)
                    except (DialogueFailed, OSError, ValueError, KeyError) as error:
                        why = repr(error) if str(error) else "nothing came"
                        told = "\n".join([*self.said, f"line {number}: {line}", why])
                        raise DialogueFailed(told.encode(errors="backslashreplace").decode()) from None
        finally:
            for session in self.sessions.values():
                session.writer.transport.abort()

    async def step(self, line: str) -> None:
        if (found := LINE.fullmatch(line)) is None:
            raise DialogueFailed("no line of a dialogue")
        who, name, how, text = found.groups("")
        if name not in self.sessions:
            opened = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=1 << 24)
            self.sessions[name] = Session(*opened)
        session = self.sessions[name]
        if who == "C":
            text = VARIABLE.sub(lambda variable: self.variables[variable[1]], text)
            self.said.append(f"C{name}{how} {text}")
            session.unsent += text.encode("utf-8", "surrogateescape") + (b"\r\n" if how == ":" else b"")
            if how == ":":
                return
        if session.unsent:
            session.writer.write(session.unsent)
            session.unsent = b""
            await session.writer.drain()
        if who == "T":
            await session.writer.start_tls(TRUSTING)
        elif who == "C" and how == ".":
            session.writer.write_eof() if session.writer.can_write_eof() else session.writer.close()
        elif who == "S" and how == "!":
            session.forbidden.append(self.pattern(text))
        elif who == "S":
            await self.expect(session, name, how, text)

    async def expect(self, session: Session, name: str, how: str, text: str) -> None:
        pattern = self.pattern(text)
        while True:
            octets = await session.reader.readline()
            line = octets.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
            self.said.append(f"S{name}: {line}" if octets else f"S{name}. closed")
            if how == "." and not octets:
                return
            if how == "." or not octets:
                raise DialogueFailed("not closed" if octets else "closed")
            if found := pattern.fullmatch(line):
                self.variables |= found.groupdict()
                session.forbidden.clear()
                return
            if any(forbidden.fullmatch(line) for forbidden in session.forbidden):
                raise DialogueFailed("this must not be said here")
            if how == ":":
                raise DialogueFailed("something else was said")

    def pattern(self, text: str) -> re.Pattern[str]:
        expression = name = ""
        for at, part in enumerate(VARIABLE.split(text)):  # text, name, like, text, name, like, text
            match at % 3:
                case 0:
                    expression += re.escape(part).replace("…", ".*")
                case 1:
                    name = part
                case 2 if name in self.variables:
                    expression += re.escape(self.variables[name])
                case 2:
                    expression += f"(?P<{name}>{part or '[^ ]+?'})"
        return re.compile(expression)


async def run(
    text: str, host: str, port: int, variables: Mapping[str, str] | None = None, *, tls: bool = False, patience: int = 5
) -> dict[str, str]:
    """The variables at the end. `tls` is TLS from the start; a line may take `patience` seconds."""
    dialogue = Dialogue(host, port, variables or {}, tls)
    await dialogue.run(text, patience)
    return dialogue.variables


if __name__ == "__main__":
    address, _, door = sys.argv[1].rpartition(":")
    told = dict(pair.split("=", 1) for pair in sys.argv[3:])
    asyncio.run(run(Path(sys.argv[2]).read_text(), address, int(door), told))
