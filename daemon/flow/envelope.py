"""What a message is carried in: who hands it in, from whom, to whom. Values; nothing here decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from daemon.mail.address import Address

if TYPE_CHECKING:
    from daemon.store.addresses import Resolution


class Origin(NamedTuple):
    """Where a message comes from. `kind`: smtp, submission, relay, lmtp, sendmail, notice, report, import, append.

    `peer` and `helo` are who the client is and says it is, `tls` the protocol spoken ('' for none), `account_id` the
    user who logged in. An empty `trace` is made anew; a notice or a forward keeps the one it grew out of.
    """

    kind: str
    peer: str = ""
    helo: str = ""
    esmtp: bool = True
    tls: str = ""
    account_id: int | None = None
    trace: str = ""

    @property
    def protocol(self) -> str:
        """The word after `with` in Received (RFC 3848)."""
        if self.kind == "lmtp":
            return "LMTPS" if self.tls else "LMTP"
        if not self.peer:
            return "local"
        if not self.esmtp:
            return "SMTP"
        return "ESMTP" + ("S" if self.tls else "") + ("A" if self.account_id is not None else "")

    @property
    def may_relay(self) -> bool:
        """Whether it may send to other servers: our users, trusted networks, this machine, our own notices."""
        return self.kind in ("submission", "relay", "sendmail", "notice", "report")

    @property
    def one_answer(self) -> bool:
        """Whether the client hears one answer for all recipients: then who is refused must be told of in a notice."""
        return self.kind in ("smtp", "submission", "relay")


@dataclass(slots=True)
class Recipient:
    """One of the envelope. `orcpt` (`type;xtext`) and `notify` as RFC 3461 has them; `resolution` when it is known.
    `added`: a filter of ours added him, who may be elsewhere, whoever sent the message."""

    address: Address
    orcpt: str | None = None
    notify: str | None = None
    resolution: Resolution | None = None
    added: bool = False


@dataclass(slots=True)
class Envelope:
    """`sender` None is the null reverse-path. `ret` and `envid` (xtext) as RFC 3461 has them, `requiretls` RFC 8689."""

    sender: Address | None
    recipients: list[Recipient] = field(default_factory=list)
    smtputf8: bool = False
    eightbit: bool = False
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False

    @property
    def reverse_path(self) -> str:
        """The sender as text, empty for the null one."""
        return "" if self.sender is None else str(self.sender)
