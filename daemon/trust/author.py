"""Who a message says it is from: the domains in From, as DMARC wants to know them (RFC 9989 §5.3.1).

Exactly one domain is what the RFC judges. A message that shows several can be made so that a reader sees one that was
never checked (§11.5), so all are told here, of every From field there is.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, normal_domain
from daemon.mail.header import header_end, named
from daemon.mail.mailboxes import mailboxes

if TYPE_CHECKING:
    from daemon.mail.header import Data


class Authors(NamedTuple):
    """`domains` in A-labels, each once, in order. `problem` is why they may not be all that a reader sees."""

    domains: tuple[str, ...] = ()
    problem: str = ""


def authors(data: Data) -> Authors:
    """The domains in From. Nobody's fault is an empty From, or one without a domain: it shows nothing to believe."""
    found: dict[str, None] = {}
    end = header_end(data, 0, len(data))
    problem = "" if end < LIMITS.header_bytes else "the header is too large to find every From in it"
    for field in named(data, b"from"):
        listed = mailboxes(field.value)
        if len(listed) >= LIMITS.addresses:
            problem = "From has too many addresses"
        for mailbox in listed:
            if not mailbox.host:
                continue
            try:
                found[normal_domain(mailbox.host)] = None
            except BadAddress:
                problem = "From has a malformed domain"
    if len(found) > LIMITS.dmarc_authors:
        problem = "From has addresses of too many domains"
    return Authors(tuple(found)[: LIMITS.dmarc_authors], problem)


def addresses(data: Data) -> tuple[Address, ...]:
    """The addresses in From that can be written to, at most `LIMITS.dmarc_authors`."""
    found: dict[Address, None] = {}
    for field in named(data, b"from"):
        for mailbox in mailboxes(field.value):
            with contextlib.suppress(BadAddress):
                if mailbox.host and mailbox.local:
                    found[Address(mailbox.local, normal_domain(mailbox.host))] = None
            if len(found) == LIMITS.dmarc_authors:
                return tuple(found)
    return tuple(found)
