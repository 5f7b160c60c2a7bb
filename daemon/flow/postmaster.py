"""Whom the mail is from that this server writes itself: notices, and reports unless a setting says otherwise.

RFC 3464 §2 asks for a person who is responsible, and `postmaster` reaches one at each domain of ours. At the host's own
name, which need not be a domain here, an answer would reach nobody, and no key of ours could sign it.
"""

from __future__ import annotations

from daemon.mail.address import Address
from daemon.store import domains
from daemon.store.tx import Tx


def postmaster(tx: Tx, hostname: str, told: Address | None = None) -> Address:
    """At the domain that the host's name lies under; else that of who is told, if it is ours; else the first there is.
    A server without domains has its name alone."""
    home = domains.home(tx, [hostname] if told is None else [hostname, told.domain])
    return Address("postmaster", home or hostname)
