"""Ports 587 and 465: our users hand in mail for the world (RFC 6409). They log in, and write as themselves."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from daemon.flow import submit
from daemon.flow.envelope import Recipient
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.serve.smtp.mx import accept, admit, reply_of
from daemon.store import addresses
from daemon.wire.smtp import Refused, Reply
from daemon.wire.smtp_parameters import Mail, Rcpt

if TYPE_CHECKING:
    from daemon.serve.smtp.content import Incoming
    from daemon.serve.smtp.session import Client, Smtp, Transaction


class Submission:
    """aiosmtpd's hooks for this door. The command table has seen to it that the user is logged in."""

    async def handle_MAIL(
        self, smtp: Smtp, session: Client, transaction: Transaction, sender: Address | None, given: Mail
    ) -> None:
        """The envelope's sender must be his; the null one is anybody's (a receipt that his program sends) who may
        still write as himself: he may have been disabled since he logged in."""
        assert session.auth_data is not None
        account_id, writer = session.auth_data.account_id, sender or session.auth_data.address
        if not smtp.post.store.peek(addresses.may_send_as, account_id, writer):
            raise _refused(smtp, submit.not_his(str(writer)))

    async def handle_RCPT(
        self, smtp: Smtp, session: Client, transaction: Transaction, recipient: Recipient, given: Rcpt
    ) -> None:
        admit(smtp, recipient, relay=True)

    async def handle_DATA(
        self, smtp: Smtp, session: Client, transaction: Transaction, incoming: Incoming
    ) -> Reply | list[Reply]:
        """The authors in the header must be his too; what the message lacks is added before it is accepted."""
        assert session.auth_data is not None
        store, body = smtp.post.store, incoming.body
        try:
            store.peek(submit.check_author, session.auth_data.account_id, body)
            complete = partial(
                submit.completed, body, now=store.clock() / 1000, hostname=smtp.rules.hostname,
                author=transaction.sender or session.auth_data.address,
            )  # fmt: skip
            incoming.body = await asyncio.to_thread(complete) if body.size > LIMITS.spool_memory else complete()
        except submit.NotTaken as no:
            body.close()
            raise _refused(smtp, no) from None
        return reply_of(await accept(smtp, "submission", transaction, incoming))


def _refused(smtp: Smtp, no: submit.NotTaken) -> Refused:
    reply = Reply(no.code, no.enhanced, no.text[0].upper() + no.text[1:])
    smtp.note_refusal(no.reason, "", reply)
    return Refused(reply)
