"""Whether a message can go through a certain peer, and in which form: SIZE, 8BITMIME, SMTPUTF8.

Decided before a word of the message is sent (RFC 1870 §6, RFC 6152 §3, RFC 6531 §3.1), so that a peer that could not
take it costs nobody a transfer, and the sender gets our plain words instead of a riddle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from daemon.flow import signing
from daemon.flow.outcome import Result, Seen, ours
from daemon.limits import LIMITS
from daemon.mail.downgrade import to_7bit
from daemon.mail.header import header_end
from daemon.store.queue import Claimed, Message
from daemon.store.segments import Reader, SegmentDamaged
from daemon.wire.smtp_client import MailFrom
from daemon.wire.smtp_reply import Capabilities


@dataclass(frozen=True, slots=True)
class Content:
    """The octets of a queued message: prefix and blob. Small ones are read at once, large ones piece by piece.

    Iterating may raise `SegmentDamaged`, as `whole` may.
    """

    message: Message
    segments: Reader
    ahead: bytes | None = None  # the blob's, when they were read ahead

    @property
    def size(self) -> int:
        return len(self.message.prefix) + self.message.place.length

    @property
    def is_small(self) -> bool:
        return self.size <= LIMITS.spool_memory

    def whole(self) -> bytes:
        if self.ahead is not None:
            return self.message.prefix + self.ahead
        place = self.message.place
        return self.message.prefix + self.segments.read(place.segment, place.offset, place.length)

    def __iter__(self) -> Iterator[bytes]:
        if self.message.prefix:
            yield self.message.prefix
        place = self.message.place
        end = place.offset + place.length
        for at in range(place.offset, end, LIMITS.out_piece):
            yield self.segments.read(place.segment, at, min(LIMITS.out_piece, end - at))


_AHEAD = 16 * 1024  # octets of a message that is read ahead
_GAP = 4 * 1024  # octets between two messages that are read along with them


def read_ahead(messages: Iterable[Message], segments: Reader) -> dict[int, bytes]:
    """The blobs of the small ones by message id, those that lie together read in one go. What cannot be read is left
    for later to find out."""
    found: dict[int, bytes] = {}
    waiting = sorted((m for m in messages if m.place.length <= _AHEAD), key=lambda m: (m.place.segment, m.place.offset))
    while waiting:
        start = waiting[0].place
        end, count = start.offset, 0
        for message in waiting:
            place = message.place
            if place.segment != start.segment or place.offset > end + _GAP:
                break
            if place.offset + place.length - start.offset > LIMITS.out_piece:
                break
            end, count = max(end, place.offset + place.length), count + 1
        try:
            data = segments.read(start.segment, start.offset, end - start.offset)
        except (SegmentDamaged, OSError):
            data = b""
        for message in waiting[:count] if data else ():
            at = message.place.offset - start.offset
            found[message.id] = data[at : at + message.place.length]
        del waiting[:count]
    return found


@dataclass(slots=True)
class Fit:
    """How it goes out: the envelope's start, the content, and results for recipients that cannot be asked."""

    mail: MailFrom
    content: Iterable[bytes]
    unfit: dict[int, Result] = field(default_factory=dict)


Sign = Callable[[bytes], bytes]
"""The DKIM-Signature fields for a message as it is sent; nothing for one that is not ours."""


def fit(
    content: Content, recipients: Sequence[Claimed], offered: Capabilities, seen: Seen, sign: Sign = lambda _: b""
) -> Fit:
    """A matter of microseconds for a small message, of a thread for others. Raises `SegmentDamaged`."""
    message = content.message
    data = content.whole() if content.is_small else None
    size = content.size
    unfit: dict[int, Result] = {}
    # What was declared may be wrong in either direction: look, unless it is long and the peer takes anything.
    long_and_free = data is None and offered.eightbitmime
    eightbit = long_and_free or not all(piece.isascii() for piece in (content if data is None else (data,)))
    utf8 = message.smtputf8 and _needs_utf8(content, data, recipients)
    if offered.size and size > offered.size:
        words = f"552 5.3.4 the message has {size} octets, {seen.host} takes {offered.size}"
        unfit = _all(recipients, ours("failed", "too-large", "5.3.4", words, seen))
    elif utf8 and not offered.smtputf8:
        unfit = _without_utf8(message, recipients, content, data, seen)
        utf8 = False
    if eightbit and not offered.eightbitmime and len(unfit) < len(recipients):
        changed = _in_7bit(content, data if data is not None else content.whole(), sign)
        if changed is None:
            words = f"554 5.6.3 the message holds 8-bit text, which {seen.host} does not take, and cannot be converted"
            unfit = {**_all(recipients, ours("failed", "needs-8bit", "5.6.3", words, seen)), **unfit}
        else:
            data, size, eightbit = changed, len(changed), False
    mail = MailFrom(
        message.sender, size, eightbit, utf8, message.ret, message.envid, requiretls=message.tls == "required"
    )  # fmt: skip
    return Fit(mail, content if data is None else (data,), unfit)


def _in_7bit(content: Content, data: bytes, sign: Sign) -> bytes | None:
    """`data` without octets over 127; None where that cannot be. What we have signed ourselves we sign again."""
    prefix = content.message.prefix
    bare = signing.without(prefix)
    changed = to_7bit(bare + data[len(prefix) :])
    if changed is None or bare == prefix:
        return changed
    return bare + sign(changed[len(bare) :]) + changed[len(bare) :]


def _all(recipients: Sequence[Claimed], result: Result) -> dict[int, Result]:
    return {recipient.id: result for recipient in recipients}


def _needs_utf8(content: Content, data: bytes | None, recipients: Sequence[Claimed]) -> bool:
    addresses = (content.message.sender, *(recipient.address for recipient in recipients))
    return not all(address.isascii() for address in addresses) or not _ascii_header(content, data)


def _ascii_header(content: Content, data: bytes | None) -> bool:
    head = data if data is not None else b"".join((content.message.prefix, _first_piece(content)))
    return head[: header_end(head, 0, len(head))].isascii()


def _first_piece(content: Content) -> bytes:
    place = content.message.place
    return content.segments.read(place.segment, place.offset, min(LIMITS.header_bytes, place.length))


def _without_utf8(
    message: Message, recipients: Sequence[Claimed], content: Content, data: bytes | None, seen: Seen
) -> dict[int, Result]:
    """RFC 6531 §3.1.6: without the extension on the way, whoever needs it gets no copy."""
    if not _ascii_header(content, data):
        words = f"553 5.6.9 the message's header is in UTF-8, which {seen.host} does not take (no SMTPUTF8)"
        return _all(recipients, ours("failed", "needs-utf8", "5.6.9", words, seen))
    words = f"553 5.6.7 {seen.host} does not take addresses beyond US-ASCII (no SMTPUTF8)"
    result = ours("failed", "needs-utf8", "5.6.7", words, seen)
    if not message.sender.isascii():
        return _all(recipients, result)
    return _all([recipient for recipient in recipients if not recipient.address.isascii()], result)
