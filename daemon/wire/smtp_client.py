"""The client's side of SMTP: greeting, EHLO, STARTTLS, transactions (RFC 5321, 2920, 3030, 3207, 3461, 8689, 9422).

A `Client` is the state of one connection and a set of readers over its stream. The driver sends what they `Send`,
feeds what arrives, and throws `PeerSilent` into them when the peer let `step`'s patience pass without one whole reply
(`heard` counts them: an octet a minute is silence). After an error of a session reader, and whenever `broken` says
why, the connection is of no more use. `transact` never raises for what a peer does: it answers per recipient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from daemon.wire.smtp_content import stuffed, whole_lines
from daemon.wire.smtp_reply import Capabilities, PeerReply, capabilities, reply
from daemon.wire.stream import EndOfStream, Reading, Send, Stream, WireError

TOGETHER = 64 * 1024  # octets of content that go out with the envelope when the peer takes BDAT and PIPELINING
_NOT_UNDERSTOOD = (500, 501, 502, 503, 504)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class PeerSilent(WireError):
    """Thrown in by the driver: no whole reply, or no room to write, for as long as the step may take."""


class SessionRefused(Exception):
    """The peer will not talk to us now: `stage` is what it answered, `reply` its words."""

    def __init__(self, stage: str, reply: PeerReply) -> None:
        super().__init__(f"{stage}: {reply}")
        self.stage = stage
        self.reply = reply


class MailFrom(NamedTuple):
    """One envelope's start. Addresses are text as RFC 5321 writes them, without brackets; '' is the null sender.

    `eightbit`, `smtputf8`: the message needs it; the caller has seen that the peer offers it, as with `size`.
    `ret` and `envid` (xtext) are passed on where the peer has DSN. `requiretls` (RFC 8689): the caller has seen to it
    that the session is fit for it.
    """

    sender: str
    size: int
    eightbit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False


class RcptTo(NamedTuple):
    """One recipient; `notify` and `orcpt` (`type;xtext`) are passed on where the peer has DSN (RFC 3461 §4)."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


class Answer(NamedTuple):
    """What became of one recipient: the reply that decided, and which command it answered.

    Without a reply, `problem` says what happened instead (connection lost, silence, nonsense). `again`: nothing was
    decided, ask at once in another transaction: the peer wants fewer recipients in one, or the content without BDAT.
    """

    stage: str
    reply: PeerReply | None
    problem: str = ""
    again: bool = False

    @property
    def positive(self) -> bool:
        return self.reply is not None and self.reply.positive

    @property
    def permanent(self) -> bool:
        return self.reply is not None and self.reply.permanent

    def __str__(self) -> str:
        """What to tell people: the peer's words, or what happened instead."""
        return str(self.reply) if self.reply is not None else self.problem


class Client:
    """One connection. `name` is what we call ourselves in EHLO; the limits are those of `smtp_reply.reply`."""

    __slots__ = (
        "stream", "name", "capabilities", "step", "heard", "broken", "closing", "_line", "_lines", "_dirty",
    )  # fmt: skip

    def __init__(self, stream: Stream, name: str, *, line_limit: int, lines_limit: int) -> None:
        self.stream = stream
        self.name = name
        self.capabilities = Capabilities()
        self.step = "greeting"  # greeting, command, content, end: each has its own patience
        self.heard = 0
        self.broken = ""
        self.closing: PeerReply | None = None  # the 421 that announced the end
        self._line = line_limit
        self._lines = lines_limit
        self._dirty = False  # a transaction was begun and not ended: RSET first

    @property
    def usable(self) -> bool:
        """Whether another transaction may be tried here."""
        return not self.broken and self.closing is None and not self.stream.eof

    # -- the session ---------------------------------------------------------------------------------------------------

    def greet(self) -> Reading[None]:
        """Wait for 220, say EHLO. Raises `SessionRefused` or a `WireError`."""
        greeting = yield from self._reply("greeting")
        if greeting.code != 220:
            raise SessionRefused("greeting", greeting)
        yield from self.hello()

    def hello(self) -> Reading[None]:
        """EHLO, and HELO to a server that does not know it (RFC 5321 §3.2). Raises as `greet`."""
        yield Send(_line(f"EHLO {self.name}"))
        answer = yield from self._reply("command")
        if answer.code == 250:
            self.capabilities = capabilities(answer)
            return
        if not answer.permanent:
            raise SessionRefused("EHLO", answer)
        yield Send(_line(f"HELO {self.name}"))
        answer = yield from self._reply("command")
        if answer.code != 250:
            raise SessionRefused("HELO", answer)
        self.capabilities = Capabilities(name=answer.lines[0].split(" ", 1)[0])

    def start_tls(self) -> Reading[PeerReply]:
        """Ask for TLS. After 220 what came in the clear is forgotten, octets behind the reply too (RFC 3207 §4.2)."""
        yield Send(b"STARTTLS\r\n")
        answer = yield from self._reply("command")
        if answer.code == 220:
            self.stream.clear()
            self.capabilities = Capabilities()
        return answer

    def exchange(self, command: bytes) -> Reading[PeerReply]:
        """One command line (without its end) and its reply; for AUTH. Raises a `WireError`."""
        yield Send(command + b"\r\n")
        return (yield from self._reply("command"))

    def quit(self) -> Reading[None]:
        """Say goodbye and wait for the answer, whatever it is (RFC 5321 §4.1.1.10). Raises a `WireError`."""
        yield Send(b"QUIT\r\n")
        yield from self._reply("command")

    # -- a transaction -------------------------------------------------------------------------------------------------

    def transact(self, mail: MailFrom, recipients: Sequence[RcptTo], content: Iterable[bytes]) -> Reading[list[Answer]]:
        """Send one message to some recipients; an answer for each, in their order.

        `content` holds `mail.size` octets. Raises `ValueError` when an address has a control character.
        """
        envelope = [b"RSET\r\n"] if self._dirty else []
        envelope.append(self._mail(mail))
        envelope += [self._rcpt(recipient) for recipient in recipients]
        offered = self.capabilities
        together = offered.chunking and offered.pipelining and mail.size <= TOGETHER
        if offered.pipelining:
            # RFC 2920 §3.1: DATA may end a group, content may not be in it; RFC 3030 §4.2: with BDAT it may.
            tail = _chunk(b"".join(whole_lines(content)), last=True) if together else b""
            yield Send(b"".join(envelope) + (b"" if offered.chunking else b"DATA\r\n") + tail)
        started, answers = yield from self._envelope(envelope, len(recipients), offered.pipelining)
        accepted = [place for place, answer in enumerate(answers) if answer.positive]
        self._dirty = started and not together
        final: Answer | None
        if together or self.broken:
            final = yield from self._hear("BDAT" if together else "DATA", "end")
            self._dirty = started and not final.positive
        elif offered.chunking:
            final = (yield from self._chunks(content)) if accepted else None
        else:
            final = yield from self._data(content, bool(accepted))
        if final is not None and accepted:
            if final.reply is not None and final.stage == "BDAT" and final.reply.code in _NOT_UNDERSTOOD:
                # It promised what it cannot do, and may take the content for commands: away, and without BDAT again.
                self.broken = f"does not know BDAT: {final.reply}"
                self.capabilities = replace(offered, chunking=False)
                final = final._replace(again=True)
            for place in accepted:
                answers[place] = final
        return _fewer_at_once(answers, accepted)

    def _envelope(self, lines: list[bytes], count: int, pipelining: bool) -> Reading[tuple[bool, list[Answer]]]:
        """The replies to RSET, MAIL and each RCPT, commands sent one by one unless they are out already.

        Whether MAIL was taken, and the answers.
        """
        if self._dirty:
            if not pipelining:
                yield Send(lines[0])
            yield from self._hear("RSET", "command")
        first = len(lines) - count - 1
        if not pipelining:
            yield Send(lines[first])
        mail = yield from self._hear("MAIL", "command")
        if not mail.positive:
            if pipelining:
                for _ in range(count):  # each has its 503: they are not what decided
                    yield from self._hear("RCPT", "command")
            return False, [mail] * count
        answers = []
        for line in lines[first + 1 :]:
            if not pipelining and not self.broken:
                yield Send(line)
            answers.append((yield from self._hear("RCPT", "command")))
        return True, answers

    def _data(self, content: Iterable[bytes], wanted: bool) -> Reading[Answer | None]:
        """DATA and the content when a recipient was accepted. None when nothing was asked of the peer."""
        if self.capabilities.pipelining:
            answer = yield from self._hear("DATA", "command")
        elif wanted:
            yield Send(b"DATA\r\n")
            answer = yield from self._hear("DATA", "command")
        else:
            return None
        if answer.reply is None or answer.reply.code != 354:
            if answer.positive:  # a 2xx is no leave to send content
                self.broken = self.broken or f"answered DATA with {answer.reply}"
                return Answer("DATA", None, self.broken)
            return answer
        self._dirty = False
        if not wanted:  # RFC 2920 §3.1: all recipients were refused, and DATA taken all the same
            yield Send(b".\r\n")
            yield from self._hear("end of data", "end")
            return None
        self.step = "content"
        waiting = b""
        for piece in stuffed(whole_lines(content)):
            if self.stream.eof:
                return (yield from self._cut_off("end of data"))
            if waiting:
                yield Send(waiting)
            waiting = piece
        yield Send(waiting + b".\r\n")
        return (yield from self._hear("end of data", "end"))

    def _chunks(self, content: Iterable[bytes]) -> Reading[Answer]:
        """The content by BDAT (RFC 3030): a chunk a piece, the next one sent before the last is answered if allowed."""
        self.step = "content"
        owed = 0
        waiting = b""
        for piece in whole_lines(content):
            if waiting:
                yield Send(_chunk(waiting, last=False))
                owed += 1
                if not self.capabilities.pipelining:
                    answer = yield from self._hear("BDAT", "content")
                    if not answer.positive:
                        return answer
                    owed -= 1
                elif self.stream.eof:
                    return (yield from self._cut_off("BDAT"))
            waiting = piece
        yield Send(_chunk(waiting, last=True))
        refused = None
        for _ in range(owed):
            answer = yield from self._hear("BDAT", "end")
            if refused is None and not answer.positive:
                refused = answer
        final = yield from self._hear("BDAT", "end")
        self._dirty = refused is not None or not final.positive
        return refused or final

    def _cut_off(self, stage: str) -> Reading[Answer]:
        """The connection ended inside the content: what the peer said before it left, unless it claims success."""
        answer = yield from self._hear(stage, "end")
        self.broken = self.broken or "connection lost while sending the message"
        return Answer(stage, None, self.broken) if answer.positive else answer

    # -- replies -------------------------------------------------------------------------------------------------------

    def _reply(self, step: str) -> Reading[PeerReply]:
        self.step = step
        answer = yield from reply(self.stream, self._line, self._lines)
        self.heard += 1
        if answer.code == 421:
            self.closing = answer
        return answer

    def _hear(self, stage: str, step: str) -> Reading[Answer]:
        """The next reply as an `Answer`; once the connection is broken, why it is."""
        if not self.broken:
            try:
                return Answer(stage, (yield from self._reply(step)))
            except EndOfStream:
                self.broken = f"connection lost while waiting for the answer to {stage}"
            except PeerSilent:
                self.broken = f"no answer to {stage} in time"
            except WireError as error:
                self.broken = str(error)
        return Answer(stage, self.closing, self.broken)

    def _mail(self, mail: MailFrom) -> bytes:
        offered = self.capabilities
        line = f"MAIL FROM:<{mail.sender}>"
        if offered.size_known:
            line += f" SIZE={mail.size}"
        if mail.eightbit and offered.eightbitmime:
            line += " BODY=8BITMIME"
        if mail.smtputf8 and offered.smtputf8:
            line += " SMTPUTF8"
        if mail.requiretls and offered.requiretls:
            line += " REQUIRETLS"
        if offered.dsn:
            line += f" RET={mail.ret}" if mail.ret else ""
            line += f" ENVID={mail.envid}" if mail.envid else ""
        return _line(line)

    def _rcpt(self, recipient: RcptTo) -> bytes:
        line = f"RCPT TO:<{recipient.address}>"
        if self.capabilities.dsn:
            line += f" NOTIFY={recipient.notify}" if recipient.notify else ""
            line += f" ORCPT={recipient.orcpt}" if recipient.orcpt else ""
        return _line(line)


def _fewer_at_once(answers: list[Answer], accepted: list[int]) -> list[Answer]:
    """Mark those refused for their number only (RFC 5321 §4.5.3.1.10: 452, and 552 of old servers)."""
    if not accepted:
        return answers
    return [
        answer._replace(again=True)
        if answer.stage == "RCPT"
        and answer.reply is not None
        and answer.reply.code in (452, 552)
        and (answer.reply.enhanced.endswith(".5.3") or "too many" in str(answer.reply).lower())
        else answer
        for answer in answers
    ]


def _line(text: str) -> bytes:
    if _CONTROL.search(text):
        raise ValueError("control character in an SMTP command")
    return text.encode() + b"\r\n"


def _chunk(piece: bytes, *, last: bool) -> bytes:
    return b"BDAT %d%s\r\n%b" % (len(piece), b" LAST" if last else b"", piece)
