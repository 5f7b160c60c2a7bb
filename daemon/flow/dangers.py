"""What may be dangerous in a message is looked for: attachments by the policy, viruses by the scanner.

Viruses are looked for in everything that comes in or goes out, or that a client puts into a mailbox; attachments in
what strangers send.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.mail.changes import field_of
from daemon.trust import attachments, virus
from daemon.trust.attachments import Policy
from daemon.trust.results import Attachment, Scan
from daemon.trust.turns import Turns

if TYPE_CHECKING:
    from daemon.flow.checks import Case
    from daemon.flow.envelope import Origin
    from daemon.mail.header import Data

UNREAD = (Attachment("", "unread"),)
LATE = Scan("error", reason=f"no answer within the {LIMITS.judge_patience} s of all checks")
_ACTIONS = ("attachments.action", "attachments.macros", "attachments.closed")
_turns = Turns(LIMITS.archives_at_once)


def scans(config: Config, origin: Origin) -> bool:
    """Whether the scanner is shown this mail."""
    return config["virus.scanner"] is not None and (origin.account_id is None or config["virus.outgoing"])


def looks(config: Config, origin: Origin) -> bool:
    """Whether the attachment policy is for this mail."""
    return origin.kind == "smtp" and any(config[key] != "accept" for key in _ACTIONS)


async def scan(case: Case) -> Scan:
    return await scanned(case.config, case.data)


async def scanned(config: Config, data: Data) -> Scan:
    """What the scanner says of a message: one that is judged, or one that is put into a mailbox by another road."""
    return await virus.scan(config["virus.scanner"], data, most=config["virus.size"], patience=config["virus.timeout"])


def attached(case: Case) -> tuple[Attachment, ...] | Awaitable[tuple[Attachment, ...]]:
    """On the loop while it is little work, else in a thread, not many at a time."""
    config = case.config
    programs, macros, closed = (config[key] != "accept" for key in _ACTIONS)
    policy = Policy(config["attachments.blocked"], programs, macros, closed)
    if len(case.data) <= LIMITS.parse_inline:
        looked = attachments.files(case.data)
        if looked.light:
            return attachments.judge(case.data, looked, policy)
    return _attached(case, policy)


async def _attached(case: Case, policy: Policy) -> tuple[Attachment, ...]:
    async with _turns():
        found: tuple[Attachment, ...] = await case.aside(attachments.check, case.data, policy)
        return found


def unread(attached: tuple[Attachment, ...]) -> bool:
    """Whether nobody could say what is attached."""
    return attached == UNREAD


def tag(scan: Scan, attached: tuple[Attachment, ...]) -> bytes:
    """The field of mail that is delivered though nobody looked for a virus in it; nothing when somebody did."""
    why = [f"not scanned: {scan.reason}"] if scan.result in ("error", "too-large") else []
    why += ["its attachments could not be looked at for now"] if unread(attached) else []
    return field_of(b"X-Virus-Error", b" " + "; ".join(why).encode("ascii", "replace")) if why else b""
