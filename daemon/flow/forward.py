"""Mail that a user or an alias sends on to another server: under which sender, so that SPF survives and bounces return.

The body is never touched, so the author's DKIM signature holds. Circles end at the `Delivered-To` that each forward
puts on top (`receive` looks for it) and at the count of hops.
"""

from __future__ import annotations

from daemon.mail import srs
from daemon.mail.address import Address, parse_address
from daemon.store import domains
from daemon.store.addresses import DAY, srs_key
from daemon.store.tx import Tx


def reverse_path(tx: Tx, sender: Address | None, via: str) -> str:
    """The envelope sender of what `via`, an address of ours, sends on; '' for the null sender, who stays it.

    A sender of our own domains stays too: their SPF names this server. Any other becomes an address of `via`'s domain
    that leads back to him (SRS).
    """
    if sender is None:
        return ""
    if not sender.domain or domains.find(tx, sender.domain) is not None:
        return str(sender)
    return str(srs.rewrite(sender, parse_address(via).domain, srs_key(tx), tx.now // DAY))
