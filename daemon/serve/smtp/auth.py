"""AUTH (RFC 4954): the mechanisms themselves are in `daemon.wire.sasl`, the passwords behind `daemon.serve.login`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.serve.login import LoginRefused
from daemon.wire.smtp import Reply, refused
from daemon.wire.stream import TooLong

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

DONE = Reply(235, "2.7.0", "Authentication successful")
ENOUGH = Reply(421, "4.7.0", "Too many failed logins")
_REPLIES = {
    "mechanism": (504, "5.5.4"),
    "malformed": (501, "5.5.2"),
    "cancelled": (501, "5.7.0"),
    "tls-required": (538, "5.7.11"),
    "disabled": (535, "5.7.13"),
}


async def auth(smtp: Smtp, argument: bytes) -> Reply:
    if smtp.door != "submission":
        raise refused(502, "5.5.1", "Nobody logs in at this door; users hand in mail on port 587 or 465")
    if smtp.session.authenticated:
        raise refused(503, "5.5.1", "You are logged in already")
    if smtp.envelope.open:
        raise refused(503, "5.5.1", "Not in the middle of a message")  # RFC 4954 §4
    if not smtp.may_authenticate:
        raise refused(538, "5.7.11", "Encryption comes first: STARTTLS")
    mechanism, _, initial = argument.partition(b" ")
    if not mechanism:
        raise refused(501, "5.5.4", "Syntax: AUTH mechanism")

    async def ask(challenge: bytes) -> bytes:
        smtp.say(Reply(334, "", challenge.decode("ascii")))
        return await smtp.hear(smtp.stream.line(LIMITS.smtp_auth_line), LIMITS.smtp_command_patience)

    try:
        identity = await smtp.post.door.sasl(
            "smtp", smtp.peer, smtp.tls, mechanism.decode("ascii", "replace"), initial or None, ask, smtp.end_point()
        )
    except TooLong:
        raise smtp.hangup(Reply(500, "5.5.6", "The line is too long")) from None
    except LoginRefused as no:
        return _refusal(smtp, no)
    smtp.log_in(identity)
    return DONE


def _refusal(smtp: Smtp, no: LoginRefused) -> Reply:
    if no.reason != "cancelled" and not no.temporary:
        smtp.auth_failures += 1
        if smtp.auth_failures >= LIMITS.smtp_auth_failures and not smtp.exempt:
            return ENOUGH
    code, enhanced = _REPLIES.get(no.reason, (454, "4.7.0") if no.temporary else (535, "5.7.8"))
    return Reply(code, enhanced, no.text[0].upper() + no.text[1:])
