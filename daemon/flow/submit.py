"""What a user hands in, before it is accepted: whose it says it is, and what it lacks (RFC 6409 §6, §8).

After this nobody changes a byte of it any more.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.limits import LIMITS
from daemon.mail import headers
from daemon.mail.address import Address, BadAddress, normal_domain
from daemon.mail.header import field_matcher, header_end
from daemon.mail.mailboxes import mailboxes
from daemon.store import addresses
from daemon.store.spool import Body
from daemon.store.tx import Tx

_FROM = field_matcher(frozenset((b"from",)))
_TO = field_matcher(frozenset((b"to", b"cc")))
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class NotTaken(Exception):
    """The message cannot be handed in so: SMTP code, enhanced code, reason from a short list, text."""

    code: int
    enhanced: str
    reason: str
    text: str


def completed(body: Body, *, now: float, hostname: str, author: Address | None = None) -> Body:
    """The same message with the Date and Message-ID it lacks, and `author` if it has no From; without Bcc. Its line
    ends are CRLF already.

    It is `body` itself when nothing is to be changed; otherwise `body` is closed. Raises `NotTaken`.
    """
    view = body.view()
    end = header_end(view, 0, len(view))
    head = bytes(view[:end])
    if end < len(view) and not head.endswith(b"\r\n\r\n") and head != b"\r\n":
        raise NotTaken(550, "5.6.0", headers.HEADER_TOO_LARGE.reason, headers.HEADER_TOO_LARGE.text)
    better = headers.complete(head, now=now, hostname=hostname, unique=secrets.token_hex(12), author=author)
    if isinstance(better, headers.Incomplete):
        raise NotTaken(550, "5.6.0", better.reason, better.text)
    if better == head:
        return body
    changed = body.alike()
    changed.write(better)
    for at in range(end, len(view), _PIECE):
        changed.write(view[at : at + _PIECE])
    body.close()
    return changed


def check_author(tx: Tx, account_id: int, body: Body) -> None:
    """Every address in From must be one the user may write as. Raises `NotTaken`."""
    view = body.view()
    head = bytes(view[: header_end(view, 0, min(len(view), LIMITS.header_bytes))])
    for field in _FROM.findall(head):
        authors = mailboxes(field.partition(b":")[2])
        if len(authors) >= LIMITS.addresses:
            raise NotTaken(550, "5.6.0", "too-many-authors", f"From may name {LIMITS.addresses - 1} addresses here")
        for mailbox in authors:
            if not mailbox.host:
                continue
            try:
                author = Address(mailbox.local or "", normal_domain(mailbox.host))
            except BadAddress:
                raise not_his(f"{mailbox.local}@{mailbox.host}") from None
            if not addresses.may_send_as(tx, account_id, author):
                raise not_his(str(author))


def called(body: Body, addresses: Sequence[Address]) -> tuple[tuple[Address, str], ...]:
    """These recipients with the names that To and Cc give them, '' for those without; nobody of a mailing to many."""
    if len(addresses) > LIMITS.correspondents_at_once:
        return ()
    view = body.view()
    names: dict[tuple[str, str], str] = {}
    for field in _TO.findall(bytes(view[: header_end(view, 0, min(len(view), LIMITS.header_bytes))])):
        for mailbox in mailboxes(field.partition(b":")[2]):
            if mailbox.name and mailbox.local and mailbox.host:
                with contextlib.suppress(BadAddress):
                    key = Address(mailbox.local, normal_domain(mailbox.host)).key
                    names.setdefault(key, mailbox.display)
    return tuple((address, names.get(address.key, "")) for address in addresses)


def not_his(address: str) -> NotTaken:
    return NotTaken(553, "5.7.1", "not-his-address", f"you may not write as <{address}>")
