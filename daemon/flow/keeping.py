"""What of the mail that a verdict keeps from its reader is remembered for a while, and who may have it all the same.

Refused mail is kept when the verdict on it is the filter's, not its author's (a DMARC policy) unless a setting asks for
that too; what went to Junk is noted whatever put it there. `store/quarantine` holds it, `mailctl quarantine` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.config import Config
from daemon.flow.judged import Judged, tell_refusal
from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_address
from daemon.mail.decode import header_text
from daemon.mail.header import header_end
from daemon.mail.message import scan
from daemon.mail.summary import author, message_id
from daemon.store import blobs, events, quarantine
from daemon.store.quarantine import Bounds, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.trust import spam_fields
from daemon.trust.verdict import Verdict


class Rule(NamedTuple):
    """For one reason. `told`: a digest names it. `by`: who may release it: its user by a link too, an administrator
    alone, or nobody: what has a virus reaches no mailbox."""

    told: bool = True
    by: str = "user"


RULES = {
    "spam-certain": Rule(),
    "spam": Rule(),
    "engine-refuse": Rule(),
    "engine-junk": Rule(),
    "attachment": Rule(by="administrator"),
    "virus": Rule(told=False, by="nobody"),
    "blocked": Rule(told=False),  # by the user's own word
    "dmarc-quarantine": Rule(),
    "author-unclear": Rule(),
    "dmarc-reject": Rule(told=False, by="administrator"),  # whoever is named in From says that it is forged
}
OTHER = Rule(told=False, by="administrator")
_FLAG = b"X-Spam-Flag: YES\r\n"


class Copy(NamedTuple):
    account_id: int
    user: str
    prefix: bytes
    kept: Kept


class Refused(NamedTuple):
    """A refused message that is kept, with a copy for each user it was for."""

    trace: str
    body: Body
    copies: Sequence[Copy]
    bounds: Bounds


def bounds(config: Config) -> Bounds:
    return Bounds(config["quarantine.user_limit"], config["quarantine.limit"])


def wanted(config: Config, reason: str, size: int) -> bool:
    """Whether a message that is refused for this reason is kept."""
    if not config["quarantine.keep"] or size > LIMITS.quarantine_message:
        return False
    return reason in RULES and (reason != "dmarc-reject" or bool(config["quarantine.forged"]))


class About(NamedTuple):
    """What a message says of itself. `author` is an address that can be written to, or ''."""

    author: str = ""
    author_name: str = ""
    subject: str = ""
    message_id: str | None = None


def about(body: Body) -> About:
    """From its header alone."""
    view = body.view()
    message = scan(bytes(view[: header_end(view, 0, min(len(view), LIMITS.header_bytes))]))
    name, address = author(message)
    try:
        parse_address(address)
    except BadAddress:
        name, address = name or address, ""
    subject = header_text(message.first(b"subject") or b"")
    return About(address, name, subject, message_id(message) or None)


def note(decided: Verdict, said: About, recipient: str, sender: str) -> Kept:
    """What is remembered of a message for one recipient."""
    most = LIMITS.quarantine_text
    return Kept(
        recipient, sender, said.author[:most], said.author_name[:most], said.subject[:most], said.message_id,
        decided.reason, decided.score, spam_fields.told(decided), not RULES.get(decided.reason, OTHER).told,
    )  # fmt: skip


def without_flag(prefix: bytes) -> bytes:
    """The fields for a copy that its reader wants: what explains the verdict stays, what sorts it away goes."""
    return prefix.replace(_FLAG, b"")


def tell(tx: Tx, told: list[events.New], judged: Judged, refused: Refused | None) -> None:
    """A message is refused: its story, and the message itself if it is kept."""
    tell_refusal(tx, told, judged)
    if refused is None:
        return
    blob_id = blobs.keep(tx, refused.body, None, len(refused.copies))
    for account_id, user, prefix, kept in refused.copies:
        number = quarantine.keep(
            tx, account_id, kept, refused.trace, blob_id, refused.body.size, prefix, refused.bounds
        )  # fmt: skip
        if number is not None:
            events.record(tx, refused.trace, "held", "quarantine", recipient=kept.recipient, user=user, entry=number)
