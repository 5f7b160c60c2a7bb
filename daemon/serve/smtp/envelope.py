"""From whom and to whom: MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.flow.envelope import Recipient
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_path
from daemon.wire import smtp_parameters as parameters
from daemon.wire.smtp import Reply, refused

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

SENDER_OK = Reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")


async def mail(smtp: Smtp, argument: bytes) -> Reply:
    transaction = smtp.envelope
    if transaction.open:
        raise refused(503, "5.5.1", "The sender was given already; RSET begins anew")
    smtp.next_message()
    given = parameters.mail(argument)
    sender = _path(given.path, given.smtputf8, "5.1.7")
    if given.size > smtp.rules.message_size:
        raise refused(552, "5.3.4", f"A message may have {smtp.rules.message_size} octets here")
    if given.requiretls and (not smtp.tls or smtp.door == "lmtp"):
        raise refused(530, "5.7.10", "REQUIRETLS needs a session under TLS (RFC 8689)")
    if not smtp.post.has_room(given.size, smtp.rules.message_size):
        raise refused(452, "4.3.1", "No room for new mail just now")
    transaction.sender = sender
    transaction.size = given.size
    transaction.smtp_utf8 = given.smtputf8
    transaction.ret = given.ret
    transaction.envid = given.envid
    transaction.requiretls = given.requiretls
    await smtp.hook("MAIL", sender, given)
    transaction.open = True
    transaction.mail_from = str(sender) if sender is not None else ""
    return SENDER_OK


async def rcpt(smtp: Smtp, argument: bytes) -> Reply:
    transaction = smtp.envelope
    if not transaction.open:
        raise refused(503, "5.5.1", "MAIL comes first")
    if len(transaction.recipients) >= smtp.rules.recipients:
        raise refused(452, "4.5.3", f"A message may have {smtp.rules.recipients} recipients here; send the rest apart")
    given = parameters.rcpt(argument, transaction.smtp_utf8)
    address = _path(given.path, transaction.smtp_utf8, "5.1.3", postmaster=True)
    if address is None:
        raise refused(501, "5.1.3", "The null address receives nothing")
    recipient = Recipient(address, orcpt=given.orcpt, notify=given.notify)
    await smtp.hook("RCPT", recipient, given)
    transaction.recipients.append(recipient)
    transaction.rcpt_tos.append(given.path)
    return RECIPIENT_OK


def _path(path: str, smtputf8: bool, enhanced: str, *, postmaster: bool = False) -> Address | None:
    if len(path) > LIMITS.smtp_address:
        raise refused(501, enhanced, f"An address may have {LIMITS.smtp_address} octets here")
    try:
        return parse_path(path, utf8=smtputf8, postmaster=postmaster)
    except BadAddress as error:
        raise refused(501, enhanced, f"That is not an address: {error.reason}") from None
