"""The message itself: DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030).

Read in large pieces into a spool body. The answer is given when the message is committed; on LMTP there is one for
each recipient (RFC 2033 §4.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from daemon.limits import LIMITS
from daemon.store.spool import Body
from daemon.wire import smtp_parameters as parameters
from daemon.wire.smtp import Refused, Reply, refused
from daemon.wire.smtp_data import Content, discarded, read_chunk, read_data
from daemon.wire.stream import Reading, TooLong

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

T = TypeVar("T")

GO_AHEAD = Reply(354, "", "Go ahead, end with a dot on a line of its own")
TOO_BIG = Reply(552, "5.3.4", "The message is larger than is taken here")
BARE = Reply(
    550, "5.6.11", "The message has a bare CR or LF; lines must end with CRLF (RFC 5321 section 2.3.8, SMTP smuggling)"
)
NUL = Reply(550, "5.6.0", "The message has NUL octets, which no mail may have (RFC 5322 section 2.2)")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
TOO_SLOW = Reply(421, "4.4.2", "The message comes too slowly")
_REASONS = {TOO_BIG.enhanced: "too-large", BARE.enhanced: "bare-newline", NUL.enhanced: "nul"}
PACE = 60.0  # seconds over which the rate of a body is looked at


class Incoming:
    """One message on its way in: its body, what is known of its octets, and whether the spool still takes them."""

    __slots__ = ("body", "content", "error")

    def __init__(self, smtp: Smtp) -> None:
        self.body = Body(smtp.post.spool)
        self.content = Content(self, smtp.rules.message_size, normalize=smtp.normalizes)
        self.error: Exception | None = None

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """A disk that fails in the middle must not lose the place in the dialogue: what follows is read and dropped."""
        if self.error is None:
            try:
                self.body.write(data)
            except (OSError, MemoryError) as error:
                self.error = error


async def data(smtp: Smtp, argument: bytes) -> Reply | list[Reply]:
    if argument:
        raise refused(501, "5.5.4", "Syntax: DATA")
    if not smtp.envelope.recipients:
        smtp.forget_envelope()
        raise Refused(NO_RECIPIENTS)
    incoming = smtp.envelope.incoming = Incoming(smtp)
    smtp.say(GO_AHEAD)
    await smtp.flush()
    reading = read_data(smtp.stream, incoming.content, smtp.rules.message_size + LIMITS.smtp_drain)
    try:
        await smtp.hear(paced(smtp, incoming.content, reading), LIMITS.smtp_data_patience)
    except TooLong:
        raise smtp.hangup(TOO_BIG) from None
    return await finish(smtp, incoming)


async def bdat(smtp: Smtp, argument: bytes) -> Reply | list[Reply]:
    """A chunk that is refused is read all the same, or its octets would be taken for commands."""
    try:
        chunk = parameters.bdat(argument)
    except Refused as bad:
        raise smtp.hangup(bad.reply) from None  # nobody knows where the next command begins
    transaction = smtp.envelope
    incoming = transaction.incoming
    known = incoming.content.size if incoming is not None else 0
    if known + chunk.size > smtp.rules.message_size + LIMITS.smtp_drain:
        raise smtp.hangup(TOO_BIG)
    refusal = _why_not(smtp)
    if refusal is None and incoming is None:
        incoming = transaction.incoming = Incoming(smtp)
    content = discarded() if refusal is not None or incoming is None else incoming.content
    reading = read_chunk(smtp.stream, chunk.size, content)
    await smtp.hear(paced(smtp, content, reading), LIMITS.smtp_data_patience)
    if refusal is None and incoming is not None:
        if incoming.content.over or incoming.error is not None:
            refusal = _judged(smtp, incoming)
            transaction.fail()
        elif chunk.last:
            incoming.content.finish()
            return await finish(smtp, incoming)
        else:
            return Reply(250, "2.0.0", f"{chunk.size} octets")
    reply = refusal or NO_RECIPIENTS
    if not chunk.last:
        raise Refused(reply)
    smtp.forget_envelope()
    return smtp.for_each(transaction, reply)


def _why_not(smtp: Smtp) -> Reply | None:
    """Why a chunk is not wanted; asked before it is read."""
    if smtp.envelope.failed:
        return Reply(503, "5.5.1", "An earlier chunk was refused; RSET begins anew")
    if not smtp.envelope.recipients:
        return NO_RECIPIENTS
    return None


async def finish(smtp: Smtp, incoming: Incoming) -> Reply | list[Reply]:
    """The content is complete: judge its framing, hand it over, answer. The envelope is forgotten in any case."""
    transaction = smtp.envelope
    answer: Reply | list[Reply]
    verdict = _judged(smtp, incoming)
    if verdict is not None:
        answer = verdict
    else:
        transaction.incoming = None  # from here on its body is the road's
        try:
            async with asyncio.timeout(LIMITS.smtp_accept_patience):
                answer = await smtp.hook("DATA", incoming)
        except Refused as refusal:
            answer = refusal.reply
        except Exception as error:
            answer = smtp.fault(error)
    smtp.forget_envelope()
    return smtp.for_each(transaction, answer)


def _judged(smtp: Smtp, incoming: Incoming) -> Reply | None:
    """Why the content is not taken, told to the trace; None when its framing is in order."""
    verdict = _verdict(smtp, incoming)
    if verdict is not None:
        smtp.note_refusal(_REASONS.get(verdict.enhanced, "temporary"), "", verdict)
    return verdict


def _verdict(smtp: Smtp, incoming: Incoming) -> Reply | None:
    content = incoming.content
    if content.over:
        return TOO_BIG
    if incoming.error is not None:
        return smtp.fault(incoming.error)
    if not content.clean and not content.normalize:
        return BARE if content.bare_cr or content.bare_lf else NUL
    return None


def paced(smtp: Smtp, content: Content, reading: Reading[T]) -> Reading[T]:
    """`reading`, given up when a minute brings less than `LIMITS.smtp_data_rate` octets a second."""
    clock: Callable[[], float] = smtp.loop.time
    began, came = 0.0, 0
    while True:
        try:
            want = next(reading)
        except StopIteration as answer:
            return answer.value  # type: ignore[no-any-return]
        yield want
        now = clock()
        octets = len(smtp.stream) + content.size
        if began == 0.0:
            began, came = now, octets
        elif now - began >= PACE:
            if octets - came < LIMITS.smtp_data_rate * PACE:
                raise smtp.hangup(TOO_SLOW)
            began, came = now, octets
