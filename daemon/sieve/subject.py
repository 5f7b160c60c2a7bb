"""What a script is asked about: one message, its envelope, and what may be known of the world around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_transfer, header_text
from daemon.mail.header import fields, header_end
from daemon.mail.mailboxes import Mailbox, mailboxes
from daemon.mail.message import Message, Part, scan
from daemon.mail.text import strip_html

if TYPE_CHECKING:
    from daemon.mail.header import Data


class Sent(NamedTuple):
    """The envelope as the script sees it: `sender` "" is the null reverse-path, `recipient` whose copy this is."""

    sender: str = ""
    recipient: str = ""
    recipient_as_sent: str = ""  # before aliases; "" when it is the same
    extra: tuple[tuple[str, str], ...] = ()  # notify, ret, and decoded orcpt and envid, as far as given (RFC 6009)


class SpamScore(NamedTuple):
    """Points of the filter, and how many make spam."""

    points: float
    required: float


def _no(*_: object) -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


class Event(NamedTuple):
    """Why a script runs when mail does not come, but something is done with what lies in a mailbox (RFC 6785).

    `cause` is APPEND, COPY or FLAG; `user` and `email` are who did it.
    """

    cause: str
    mailbox: str
    user: str = ""
    email: str = ""
    changed_flags: tuple[str, ...] = ()


@dataclass(slots=True)  # not frozen: each message has one made, and frozen takes five times as long
class Facts:
    """What a script may ask about the world. Every default is harmless, so that a test names only what it is about."""

    now: int = 0  # milliseconds since 1970
    zone: int = 0  # minutes east of UTC, of the owner
    mailbox_exists: Callable[[str], bool] = _no
    special_use: Callable[[str], str | None] = _nothing  # the mailbox that has it
    mailbox_by_id: Callable[[str], str | None] = _nothing
    duplicate: Callable[[str], bool] = _no
    metadata: Callable[[str | None, str], str | None] = _nothing  # mailbox (None: the server), name
    has_list: Callable[[str], bool] = _no
    in_list: Callable[[str, str], bool] = _no  # name of the list, value
    environment: Callable[[str], str | None] = _nothing
    addresses: tuple[str, ...] = ()  # all by which the owner is known
    spam: SpamScore | None = None
    virus: str = ""  # "", clean, infected, unsure
    event: Event | None = None  # None: the message is being delivered
    flags: tuple[str, ...] | None = None  # of a message that lies in a mailbox; None: it is being delivered


class Head:
    """The fields of one header, each read only once, when a test asks for it."""

    __slots__ = ("_fields", "_texts", "_people")

    def __init__(self, block: bytes, front: bytes = b"") -> None:
        """`front`: whole fields that stand before the block, which others may have read already."""
        found: dict[bytes, list[bytes]] = {}
        for part in (front, block):
            for each in fields(part):
                found.setdefault(each.name, []).append(part[each.value : each.end])
        self._fields = found
        self._texts: dict[str, tuple[str, ...]] = {}
        self._people: dict[bytes, tuple[Mailbox, ...]] = {}

    def has(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return _octets(name) in self._fields

    def raw(self, name: str) -> tuple[bytes, ...]:
        """The values of all fields of this name, in order, as they are written."""
        return tuple(self._fields.get(_octets(name), ()))

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of all fields of this name, in order, decoded and without space around them."""
        known = self._texts.get(name)
        if known is None:
            known = self._texts[name] = tuple([header_text(value) for value in self.raw(name)])
        return known

    def named(self, value: bytes) -> list[Mailbox]:
        """Whom a raw value of one of its fields names, by an address or by something else."""
        return [each for each in mailboxes(value) if each.host is not None]

    def people(self, value: bytes) -> tuple[Mailbox, ...]:
        """The addresses in a raw value of one of its fields."""
        known = self._people.get(value)
        if known is None:
            known = self._people[value] = tuple([each for each in mailboxes(value) if each.host])
        return known


def _octets(name: str) -> bytes:
    return name.lower().encode("utf-8", "surrogateescape")


@dataclass
class Subject:
    """The message is read when the first test asks for it."""

    data: Data
    sent: Sent = Sent()
    facts: Facts = field(default_factory=Facts)
    octets: int = field(default=0, init=False)  # of text that was decoded

    @cached_property
    def message(self) -> Message:
        """Its structure."""
        return scan(self.data)

    @cached_property
    def head(self) -> Head:
        """The header of the message; nothing else is looked at for it."""
        return Head(bytes(self.data[: header_end(self.data, 0, len(self.data))]))

    def text(self, part: Part) -> str:
        """A part as text, its encoding undone. Of all parts together `LIMITS.search_text` octets are looked at."""
        known = self._texts.get(part.header)
        if known is None:
            self.octets += (size := min(part.size, LIMITS.search_text - self.octets))
            raw = bytes(self.data[part.body : part.body + size])
            known = decode_text(decode_transfer(raw, part.encoding), part.charset or "utf-8", cut=True)
            self._texts[part.header] = known
        return known

    def readable(self, part: Part) -> str:
        """The same, without the elements of HTML."""
        if part.media != "text/html":
            return self.text(part)
        known = self._stripped.get(part.header)
        if known is None:
            known = self._stripped[part.header] = strip_html(self.text(part))
        return known

    @cached_property
    def _texts(self) -> dict[int, str]:
        return {}

    @cached_property
    def _stripped(self) -> dict[int, str]:
        return {}

    @cached_property
    def _heads(self) -> dict[int, Head]:
        return {}

    def head_of(self, part: Part) -> Head:
        """The header of a part of the message."""
        if part is self.message.root:
            return self.head
        known = self._heads.get(part.header)
        if known is None:
            known = self._heads[part.header] = Head(bytes(self.data[part.header : part.body]))
        return known
