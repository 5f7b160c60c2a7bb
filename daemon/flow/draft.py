"""A message while other filters are asked about it: its header, its body and its envelope as the last of them left it.

Nothing is copied until all have spoken. Then a body is written that is accepted in place of the one that came; what was
accepted is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from daemon.flow.envelope import Envelope, Recipient
from daemon.mail.address import Address
from daemon.mail.changes import Edit, edit
from daemon.mail.header import header_end
from daemon.mail.headers import crlf
from daemon.store.addresses import Denial
from daemon.store.spool import Body

if TYPE_CHECKING:
    from daemon.mail.header import Data

_PIECE = 1 << 20  # octets copied at once


class Changes(NamedTuple):
    """What became of the envelope. `sender` counts when `sender_changed`; None is the null one. `denied`: recipients
    that a filter refused, with its words; `discarded` names the filter that wants the message taken and dropped."""

    sender_changed: bool = False
    sender: Address | None = None
    added: tuple[Address, ...] = ()
    removed: tuple[Address, ...] = ()
    denied: tuple[tuple[Address, Denial], ...] = ()
    discarded: str = ""

    def of(self, envelope: Envelope) -> Envelope:
        """The envelope with the changes; those denied are still in it. The one that was given if nothing changed."""
        if not (self.sender_changed or self.added or self.removed):
            return envelope
        gone = {address.key for address in self.removed}
        kept = [recipient for recipient in envelope.recipients if recipient.address.key not in gone]
        sender = self.sender if self.sender_changed else envelope.sender
        return replace(
            envelope,
            sender=sender,
            recipients=kept
            + [
                Recipient(address, notify="NEVER", added=True)
                for address in self.added  # its sender knows nothing of them
            ],
        )


class Draft:
    """`body` stays the caller's; `close` frees what was made in between. `recipients` are those that no filter took
    out or refused, `discarded` the filter that wants it dropped."""

    def __init__(self, body: Body, envelope: Envelope) -> None:
        data = body.view()
        end = header_end(data, 0, len(data))
        self.head = bytes(data[:end])
        self.sender = envelope.sender
        self.recipients = {recipient.address.key: recipient.address for recipient in envelope.recipients}
        self.discarded = ""
        self._envelope = envelope
        self._denied: dict[tuple[str, str], tuple[Address, Denial]] = {}
        self._original = body
        self._rest: tuple[Body, int] = (body, end)  # where the body of the message is, and from which octet
        self._made: list[Body] = []
        self._changed = False

    @property
    def size(self) -> int:
        body, start = self._rest
        return len(self.head) + body.size - start

    def pieces(self, size: int) -> Iterator[bytes]:
        """The body of the message, `size` octets at a time."""
        body, start = self._rest
        data: Data = body.view()
        for at in range(start, len(data), size):
            yield bytes(data[at : at + size])

    def edit(self, edits: Iterable[Edit]) -> None:
        """Raises `TooMuch`."""
        head = edit(self.head, edits)
        self._changed |= head != self.head
        self.head = head

    def new_body(self) -> NewBody:
        """Another body of the message to write, which counts when it is given to `replace`."""
        made = self._original.alike()
        self._made.append(made)
        return NewBody(made)

    def replace(self, body: NewBody) -> None:
        self._rest, self._changed = (body.finish(), 0), True
        if self.head != b"\r\n" and not self.head.endswith(b"\n\r\n"):  # there was no body, and nothing before one
            self.head += b"\r\n"

    def add(self, address: Address) -> None:
        if address.key not in self._denied:
            self.recipients.setdefault(address.key, address)

    def remove(self, address: Address) -> None:
        self.recipients.pop(address.key, None)

    def deny(self, address: Address, denial: Denial) -> None:
        self._denied[address.key] = (self.recipients.pop(address.key), denial)

    @property
    def changes(self) -> Changes:
        came = {recipient.address.key: recipient.address for recipient in self._envelope.recipients}
        return Changes(
            self.sender != self._envelope.sender,
            self.sender,
            tuple(address for key, address in self.recipients.items() if key not in came),
            tuple(a for key, a in came.items() if key not in self.recipients and key not in self._denied),
            tuple(denied for key, denied in self._denied.items() if key in came),
            self.discarded,
        )

    def finish(self) -> Body:
        """The message as it is now: the body it was made from if that is still it, else a new one. Raises `OSError`."""
        if not self._changed:
            return self._original
        made = self._original.alike()
        try:
            made.write(self.head)
            for piece in self.pieces(_PIECE):
                made.write(piece)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        for body in self._made:
            body.close()


class NewBody:
    """A body that a filter tells in pieces. Its line ends become CRLF: a bare one would be another message's end to
    somebody (SMTP smuggling)."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._held = b""  # a CR whose LF may be in the next piece

    @property
    def size(self) -> int:
        return self._body.size

    def write(self, data: bytes) -> None:
        """Raises `OSError`."""
        data = self._held + data
        self._held = data[-1:] if data.endswith(b"\r") else b""
        self._body.write(crlf(data[: len(data) - len(self._held)]))

    def finish(self) -> Body:
        """All of it, ended by a line end. Raises `OSError`."""
        if self._held:
            self._body.write(b"\r\n")
            self._held = b""
        elif self._body.size and self._body.view()[-1:] != b"\n":
            self._body.write(b"\r\n")
        return self._body
