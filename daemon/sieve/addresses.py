"""Addresses that scripts name, to write to or from (RFC 5228 section 2.4.2.3)."""

from __future__ import annotations

from daemon.mail.address import BadAddress, parse_address, quote_local
from daemon.mail.mailboxes import mailboxes


def one_address(text: str) -> str | None:
    """The address in it, which may stand behind a name; None: there is none, or several."""
    found = mailboxes(text.encode("utf-8", "replace"))
    if len(found) != 1 or not found[0].host:
        return None
    try:
        return str(parse_address(f"{quote_local(found[0].local or '')}@{found[0].host}"))
    except BadAddress:
        return None


def are_addresses(text: str) -> bool:
    """Whether it could stand in From: one address or more, and nothing else."""
    found = [each for each in mailboxes(text.encode("utf-8", "replace")) if each.host is not None]
    return bool(found) and all(each.host for each in found)
