"""Whom the mail is from that this server writes itself: notices, and reports unless a setting says otherwise; and who
administers, to be told of what needs a hand.

RFC 3464 §2 asks for a person who is responsible, and `postmaster` reaches one at each domain of ours. At the host's own
name, which need not be a domain here, an answer would reach nobody, and no key of ours could sign it.
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.mail.address import Address
from daemon.mail.headers import format_date
from daemon.store import accounts, domains
from daemon.store.tx import Tx


def postmaster(tx: Tx, hostname: str, told: Address | None = None) -> Address:
    """At the domain that the host's name lies under; else that of who is told, if it is ours; else the first there is.
    A server without domains has its name alone."""
    home = domains.home(tx, [hostname] if told is None else [hostname, told.domain])
    return Address("postmaster", home or hostname)


def administrators(tx: Tx, hostname: str) -> list[Address]:
    """Each administrator; without one the postmaster; nobody where there is no domain."""
    found = [account.address for account in accounts.everyone(tx) if account.admin and account.enabled]
    return found or ([postmaster(tx, hostname)] if domains.home(tx, []) else [])


def plain_letter(
    ours: Address, to: str, subject: str, lines: Sequence[str], *, unique: str, hostname: str, now: float
) -> bytes:
    """What the server tells somebody, in plain text; `to` as the field shows it."""
    head = [
        f"From: Mail server <{ours}>",
        f"To: {to}",
        f"Subject: {subject}",
        f"Date: {format_date(now)}",
        f"Message-ID: <{unique}@{hostname}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
    ]
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()
