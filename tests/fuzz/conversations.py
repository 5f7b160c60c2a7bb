"""Targets that read a stream: what a session of each protocol reads, without the session."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_path
from daemon.mail.changes import Add, Insert, Remove, Replace, edit
from daemon.mail.header import header_end
from daemon.wire import managesieve, milter, pop3, sasl
from daemon.wire.imap import Bad, Command, read_command, read_done, read_response
from daemon.wire.imap_commands import Authenticate, Idle, Login, parse
from daemon.wire.smtp import Refused, command, hello, skip_line
from daemon.wire.smtp_client import Client, MailFrom, RcptTo, SessionRefused
from daemon.wire.smtp_data import Content, read_chunk, read_data
from daemon.wire.smtp_parameters import bdat, mail, rcpt
from daemon.wire.stream import BareNewline, EndOfStream, Reading, Stream, TooLong, WireError
from tests.fuzz.harness import KIB, Story, Target, drive

LINE, SKIPPED, CONTENT, BOUND = 300, 2000, 3000, 5000  # small ceilings, so that chance meets them
NONCE = "fuzz"


class Kept:
    """A sink that forgets what is over its room, which nobody may give it."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = bytearray()

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        self.data += data
        assert len(self.data) <= self.room, "more octets than were promised"


# -- SMTP, the server's side -------------------------------------------------------------------------------------------


def _smtp(stream: Stream, story: Story) -> Reading[None]:
    """Commands, DATA and BDAT, AUTH, for as long as the stream makes sense."""
    incoming: Content | None = None
    while True:
        try:
            line = yield from stream.line(LINE, strict=True)
            asked = command(line)
            story.add(asked.verb, asked.argument)
            match asked.verb:
                case "EHLO" | "HELO" | "LHLO":
                    story.add(hello(asked.argument))
                case "MAIL":
                    story.add(_path(mail(asked.argument)))
                case "RCPT":
                    story.add(_path(rcpt(asked.argument, smtputf8=True)))
                case "DATA":
                    content = Content(Kept(CONTENT), CONTENT, normalize=asked.argument == b"normalize")
                    yield from read_data(stream, content, BOUND)
                    _tell(story, content)
                case "BDAT":
                    chunk = bdat(asked.argument)
                    if chunk.size > BOUND:
                        return
                    incoming = incoming or Content(Kept(CONTENT), CONTENT)
                    yield from read_chunk(stream, chunk.size, None if incoming.over else incoming)
                    if chunk.last:
                        incoming.finish()
                        _tell(story, incoming)
                        incoming = None
                case "AUTH":
                    yield from _auth(stream, story, asked.argument)
                case "QUIT":
                    return
        except Refused as refusal:
            story.add("refused", bytes(refusal.reply))
            assert bytes(refusal.reply).count(b"\n") == bytes(refusal.reply).count(b"\r\n")
        except BareNewline:
            story.add("bare newline")
        except TooLong:
            try:
                yield from skip_line(stream, SKIPPED)
            except TooLong:
                story.add("far too long")
                return
            story.add("too long")
        except EndOfStream:
            story.add("end")
            return


def _path(given: object) -> str:
    try:
        return str(parse_path(given.path, postmaster=True))  # type: ignore[attr-defined]
    except BadAddress as bad:
        return bad.reason


def _tell(story: Story, content: Content) -> None:
    kept = content.sink
    assert isinstance(kept, Kept) and (content.over or content.size == len(kept.data))
    said = (content.size, content.bare_cr, content.bare_lf, content.nul, content.eightbit)
    story.add("content", *said, b"" if content.over else bytes(kept.data))
    if content.normalize or content.clean:
        data = bytes(kept.data)
        assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"), "a bare line end came through"


def _auth(stream: Stream, story: Story, argument: bytes) -> Reading[None]:
    name, _, initial = argument.partition(b" ")
    try:
        exchange = sasl.exchange(name.decode("latin-1"), sasl.decode_initial(initial), NONCE, b"end point")
        if exchange is None:
            return
        want = next(exchange)
        while True:
            if isinstance(want, sasl.WantKeys):
                want = exchange.send(sasl.made_up(b"secret", want.login, 4096))
            else:
                want = exchange.send(sasl.decode((yield from stream.line(LINE))))
    except sasl.Refused as refusal:
        story.add("not logged in", refusal.reason)
    except StopIteration as claim:
        story.add("claim", claim.value)


SMTP = Target(
    "smtp",
    lambda pieces: drive(_smtp, pieces),
)


# -- IMAP --------------------------------------------------------------------------------------------------------------

CEILINGS = replace(
    LIMITS, imap_line_before_login=200, imap_line=2000, imap_literal_before_login=100, imap_literal=1000,
    imap_command=4000, imap_skip=2000, imap_arguments=300, imap_nesting=8, imap_set_ranges=50, imap_mailbox_name=200,
)  # fmt: skip


def _imap(stream: Stream, story: Story) -> Reading[None]:
    """Commands until the place in the stream is lost; LOGIN and AUTHENTICATE always succeed."""
    known = False
    while True:
        bodies: list[Kept] = []

        def body(size: int, bodies: list[Kept] = bodies) -> Kept:
            bodies.append(Kept(size))
            return bodies[-1]

        reading = read_command(
            stream, CEILINGS, authenticated=known, new_body=body, append_limit=3000, multiappend=True
        )
        try:
            asked = yield from reading
            story.add(asked.tag, asked.name, [bytes(kept.data) for kept in bodies])
            value = parse(asked, CEILINGS)
            if not bodies:
                story.add(value)
            known = (yield from _answered(stream, story, asked, value)) or known
        except Bad as bad:
            story.add("bad", bad.tag, bad.text, bad.code, bad.in_sync)
            reply = bad.reply()
            assert reply.endswith(b"\r\n") and reply.count(b"\n") == reply.count(b"\r\n") == (1 if bad.in_sync else 2)
            if not bad.in_sync:
                return
        except EndOfStream:
            story.add("end")
            return


def _answered(stream: Stream, story: Story, asked: Command, value: object) -> Reading[bool]:
    """What a command makes a session read besides; whether somebody logged in."""
    if isinstance(value, Idle):
        yield from read_done(stream, CEILINGS, asked.tag)
    if isinstance(value, Authenticate) and value.initial is None:
        story.add("response", (yield from read_response(stream, CEILINGS, asked.tag)))
    return isinstance(value, Authenticate | Login)


IMAP = Target(
    "imap",
    lambda pieces: drive(_imap, pieces),
)


# -- SMTP, the client's side -------------------------------------------------------------------------------------------


def _client(stream: Stream, story: Story) -> Reading[None]:
    """A session that sends three messages to a peer that says anything."""
    client = Client(stream, "us.example", line_limit=LINE, lines_limit=20)
    try:
        yield from client.greet()
        story.add(client.capabilities)
    except (SessionRefused, WireError) as error:
        story.add("no session", type(error).__name__, str(error))
        return
    recipients = [RcptTo("a@example.org"), RcptTo("b@example.org", notify="NEVER"), RcptTo("ü@example.org")]
    for size in (100, 100_000, 10):
        if not client.usable:
            break
        content = (b"line of text\r\n" * 50 for _ in range(max(1, size // 700)))
        answers = yield from client.transact(MailFrom("s@example.org", size, ret="HDRS"), recipients, content)
        assert len(answers) == len(recipients)
        for answer in answers:
            assert answer.reply is not None or answer.problem, "an answer that says nothing"
            assert not answer.positive or answer.stage in ("end of data", "BDAT"), "taken before it was sent"
            story.add(answer.stage, str(answer), answer.again)
    if client.usable:
        try:
            yield from client.quit()
        except WireError as error:
            story.add(type(error).__name__)


SMTP_CLIENT = Target(
    "smtp_client",
    lambda pieces: drive(_client, pieces),
    memory=1024 * KIB,
)  # fmt: skip


# -- POP3 --------------------------------------------------------------------------------------------------------------


def _pop3(stream: Stream, story: Story) -> Reading[None]:
    """Commands and AUTH; and a message of the last arguments, as RETR and TOP tell it."""
    mail: deque[bytes] = deque(maxlen=20)
    while True:
        try:
            verb, argument = yield from pop3.read_command(stream, LINE)
        except TooLong:
            story.add("too long")
            return
        except EndOfStream:
            break
        story.add(verb, argument)
        mail.append(argument + b"\r\n")
        try:
            match verb:
                case b"TOP":
                    story.add(pop3.number_and_lines(argument, 50))
                case b"AUTH":
                    yield from _auth(stream, story, argument)
                case b"USER" | b"PASS":
                    story.add(pop3.text(argument))
                case _:
                    number = pop3.message_number(argument, 50)
                    assert 1 <= number <= 50
                    story.add(number)
        except pop3.BadArgument as bad:
            story.add("bad", str(bad))
        except EndOfStream:
            break
        except TooLong:
            return
    _told(b"".join(mail), list(mail), story)


def _told(data: bytes, pieces: list[bytes], story: Story) -> None:
    """A message is told the same whole and in pieces, and its reader finds the end where it is."""
    told = pop3.message(b"", data)
    stuffer = pop3.Stuffer()
    assert b"".join(map(stuffer.piece, pieces)) + stuffer.end() == told
    lines = told.split(b"\n")
    assert lines[-2:] == [b".\r", b""] and b".\r" not in lines[:-2] and b"." not in lines[:-2]
    top, in_pieces = pop3.Beginning(3), pop3.Beginning(3)
    beginning = top.piece(data)
    assert beginning == b"".join(map(in_pieces.piece, pieces)) and data.startswith(beginning)
    story.add(told, beginning)


POP3 = Target("pop3", lambda pieces: drive(_pop3, pieces))


# -- ManageSieve -------------------------------------------------------------------------------------------------------


def _managesieve(stream: Stream, story: Story) -> Reading[None]:
    """Commands, and answers to AUTHENTICATE; every string can be told back."""
    bounds = managesieve.Bounds(LINE, SKIPPED, CONTENT)
    while True:
        try:
            asked = yield from managesieve.read_command(stream, bounds)
            story.add(asked.verb, *asked.values)
            strings = [value for value in asked.values if isinstance(value, bytes)]
            assert sum(map(len, strings)) <= LINE + 3 * SKIPPED, "more octets than were promised"
            managesieve.check_arguments(asked, "ss", 1)
            names = [managesieve.script_name(value) for value in strings]
            story.add(managesieve.listing((name, True) for name in names), managesieve.no(names[0], "TAG"))
            if asked.verb == "AUTHENTICATE":
                story.add((yield from managesieve.read_response(stream, bounds)))
        except managesieve.BadCommand as bad:
            story.add("bad", str(bad), bad.code or "")
        except (TooLong, EndOfStream) as end:
            story.add(type(end).__name__)
            return


MANAGESIEVE = Target("managesieve", lambda pieces: drive(_managesieve, pieces))


# -- milter, the server's side -----------------------------------------------------------------------------------------

_HEAD = b"A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\n\r\n"


def _milter(stream: Stream, story: Story) -> Reading[None]:
    """Whatever a filter says; what it wants changed leaves a header that is one."""
    head = _HEAD
    while True:
        try:
            said = yield from milter.reply(stream, 200)
        except EndOfStream:
            return story.add("end")
        except WireError as error:
            return story.add(type(error).__name__)
        story.add(said)
        match said:
            case milter.AddHeader(name, value):
                head = edit(head, [Add(name, value)])
            case milter.InsertHeader(place, name, value):
                head = edit(head, [Insert(place, name, value)])
            case milter.ChangeHeader(number, name, value):
                head = edit(head, [Replace(number, name, value), Remove(number, name)])
        if len(head) > LINE:
            head = _HEAD
        assert head.endswith(b"\r\n") and header_end(head, 0, len(head)) == len(head)
        assert head.count(b"\n") == head.count(b"\r\n") == head.count(b"\r")


MILTER = Target("milter", lambda pieces: drive(_milter, pieces))
