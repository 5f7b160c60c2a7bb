"""Commands that change nothing, or only forget: NOOP, RSET, VRFY, EXPN, HELP, QUIT (RFC 5321 §4.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.wire.smtp import Reply, refused

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

OK = Reply(250, "2.0.0", "Ok")
BYE = Reply(221, "2.0.0", "Bye")
HELP = Reply(214, "2.0.0", "RFC 5321 says it all; mail to postmaster reaches a person")
PERHAPS = Reply(252, "2.1.5", "Cannot say; send some mail and see")  # RFC 5321 §3.5.3: no list for harvesters


async def noop(smtp: Smtp, argument: bytes) -> Reply:
    return OK


async def rset(smtp: Smtp, argument: bytes) -> Reply:
    if argument:
        raise refused(501, "5.5.4", "Syntax: RSET")
    smtp.forget_envelope()
    return OK


async def vrfy(smtp: Smtp, argument: bytes) -> Reply:
    if not argument:
        raise refused(501, "5.5.4", "Syntax: VRFY address")
    return PERHAPS


async def expn(smtp: Smtp, argument: bytes) -> Reply:
    raise refused(502, "5.5.1", "EXPN is not for strangers")


async def help_(smtp: Smtp, argument: bytes) -> Reply:
    return HELP


async def quit_(smtp: Smtp, argument: bytes) -> Reply:
    if argument:
        raise refused(501, "5.5.4", "Syntax: QUIT")
    return BYE
