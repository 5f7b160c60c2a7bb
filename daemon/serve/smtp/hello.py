"""Who are you, and shall we whisper: HELO, EHLO, LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1) and STARTTLS (RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.wire.smtp import Reply, refused
from daemon.wire.smtp import hello as name_of

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

GO_AHEAD = Reply(220, "2.0.0", "Ready to start TLS")


async def helo(smtp: Smtp, argument: bytes) -> Reply:
    _greeted(smtp, argument, extended=False)
    return Reply(250, "", smtp.rules.hostname)


async def ehlo(smtp: Smtp, argument: bytes) -> Reply:
    """Every keyword is a promise: each has its tests."""
    _greeted(smtp, argument, extended=True)
    rules = smtp.rules
    lines = [
        rules.hostname,
        "PIPELINING",
        f"SIZE {rules.message_size}",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "CHUNKING",
        f"LIMITS RCPTMAX={rules.recipients}" + ("" if smtp.exempt else f" MAILMAX={LIMITS.smtp_messages}"),
    ]
    if not smtp.tls and smtp.starttls_context() is not None:
        lines.append("STARTTLS")
    if smtp.tls and smtp.door != "lmtp":
        lines.append("REQUIRETLS")  # RFC 8689 §3: only under TLS
    if smtp.may_authenticate:
        lines.append("AUTH " + " ".join(smtp.mechanisms()))
    return Reply(250, "", "\n".join(lines))


def _greeted(smtp: Smtp, argument: bytes, *, extended: bool) -> None:
    """RFC 5321 §4.1.4: EHLO in the middle of a session has the effect of RSET."""
    name = name_of(argument)
    smtp.forget_envelope()
    smtp.look_at_settings()
    smtp.session.host_name = name
    smtp.session.extended_smtp = extended


async def starttls(smtp: Smtp, argument: bytes) -> Reply | list[Reply]:
    """Takes back all that was said before (RFC 3207 §4.2), and drops what was sent along (CVE-2011-0411)."""
    if argument:
        raise refused(501, "5.5.4", "Syntax: STARTTLS")
    if smtp.tls:
        raise refused(503, "5.5.1", "TLS is there already")
    context = smtp.starttls_context()
    if context is None:
        raise refused(454, "4.7.0", "TLS is not available just now")
    smtp.say(GO_AHEAD)
    await smtp.flush()
    await smtp.secure(context)
    return smtp.NOTHING
