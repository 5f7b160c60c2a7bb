"""What a script is asked about: one message, its envelope, and what may be known of the world around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from daemon.mail.decode import header_text
from daemon.mail.header import header_end, split_fields
from daemon.mail.mailboxes import Mailbox, mailboxes
from daemon.mail.message import Message, Part, scan

if TYPE_CHECKING:
    from daemon.mail.header import Data


class Sent(NamedTuple):
    """The envelope as the script sees it: `sender` "" is the null reverse-path, `recipient` whose copy this is."""

    sender: str = ""
    recipient: str = ""
    recipient_as_sent: str = ""  # before aliases; "" when it is the same
    extra: tuple[tuple[str, str], ...] = ()  # orcpt, notify, ret, envid, bymode, ... (RFC 6009)


class SpamScore(NamedTuple):
    """Points of the filter, and how many make spam."""

    points: float
    required: float


def _no(*_: object) -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True)
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


class Head:
    """The fields of one header, each read only once, when a test asks for it."""

    __slots__ = ("_fields", "_texts", "_people")

    def __init__(self, block: bytes) -> None:
        self._fields: dict[str, list[bytes]] = {}
        for name, value in split_fields(block):
            self._fields.setdefault(name.decode("latin-1").lower(), []).append(value)
        self._texts: dict[str, tuple[str, ...]] = {}
        self._people: dict[bytes, tuple[Mailbox, ...]] = {}

    def has(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return name.lower() in self._fields

    def raw(self, name: str) -> tuple[bytes, ...]:
        """The values of all fields of this name, in order, as they are written."""
        return tuple(self._fields.get(name.lower(), ()))

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of all fields of this name, in order, decoded and without space around them."""
        name = name.lower()
        known = self._texts.get(name)
        if known is None:
            known = self._texts[name] = tuple([header_text(value) for value in self._fields.get(name, ())])
        return known

    def people(self, value: bytes) -> tuple[Mailbox, ...]:
        """The addresses in a raw value of one of its fields."""
        known = self._people.get(value)
        if known is None:
            known = self._people[value] = tuple([each for each in mailboxes(value) if each.host])
        return known


@dataclass
class Subject:
    """The message is read when the first test asks for it."""

    data: Data
    sent: Sent = Sent()
    facts: Facts = field(default_factory=Facts)

    @cached_property
    def message(self) -> Message:
        """Its structure."""
        return scan(self.data)

    @cached_property
    def head(self) -> Head:
        """The header of the message; nothing else is looked at for it."""
        return Head(bytes(self.data[: header_end(self.data, 0, len(self.data))]))

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
