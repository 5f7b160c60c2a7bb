"""Port 25: mail from other servers, for our own users. Nobody logs in here, and nobody relays but trusted networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.flow import receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.store.addresses import NOT_OURS, Denial
from daemon.wire.smtp import Reply, refused
from daemon.wire.smtp_parameters import Rcpt

if TYPE_CHECKING:
    from daemon.serve.smtp.content import Incoming
    from daemon.serve.smtp.session import Client, Smtp, Transaction


class Mx:
    """aiosmtpd's hooks for this door."""

    kind = "smtp"

    async def handle_RCPT(
        self, smtp: Smtp, session: Client, transaction: Transaction, recipient: Recipient, given: Rcpt
    ) -> None:
        admit(smtp, recipient, relay=smtp.trusted)

    async def handle_DATA(
        self, smtp: Smtp, session: Client, transaction: Transaction, incoming: Incoming
    ) -> Reply | list[Reply]:
        return reply_of(await accept(smtp, "relay" if smtp.trusted else self.kind, transaction, incoming))


def admit(smtp: Smtp, recipient: Recipient, *, relay: bool) -> None:
    """Ask the resolver whether this recipient is taken; raises `Refused`. Never after DATA (D20)."""
    found = smtp.post.recipients.resolve(recipient.address, smtp.envelope.size, smtp.rules.quota, relay=relay)
    denial = found.denial_for(smtp.envelope.sender)
    if denial is not None and not (relay and denial is NOT_OURS):
        reply = Reply(denial.code, denial.enhanced, denial.text[0].upper() + denial.text[1:])
        smtp.note_refusal(denial.reason, str(recipient.address), reply)
        raise refused(reply.code, reply.enhanced, reply.text)
    recipient.resolution = found


async def accept(smtp: Smtp, kind: str, transaction: Transaction, incoming: Incoming) -> receive.Receipt:
    """Hand a complete message to the one road; it is judged first, if there is anything to look at in its kind."""
    identity = smtp.session.auth_data
    origin = Origin(
        kind,
        peer=smtp.peer,
        helo=smtp.session.host_name or "",
        esmtp=smtp.session.extended_smtp,
        tls=smtp.tls_version,
        account_id=identity.account_id if identity is not None else None,
    )
    envelope = Envelope(
        transaction.sender,
        transaction.recipients,
        smtputf8=transaction.smtp_utf8,
        eightbit=incoming.content.eightbit,
        ret=transaction.ret,
        envid=transaction.envid,
        requiretls=transaction.requiretls,
    )
    post, config, body, judged = smtp.post, smtp.post.config(), incoming.body, None
    if post.judge is not None and post.judge.wanted(config, origin):
        origin = origin._replace(trace=receive.new_trace(post.store))
        judged, envelope, body = await post.judge.judge(origin, envelope, body, config)
    return await receive.accept(post.store, origin, envelope, body, config=config, judged=judged)


def reply_of(receipt: receive.Receipt) -> Reply:
    """One answer for all recipients: taken if one took it (the others were told of, or have their copy too)."""
    for outcome in receipt.outcomes:
        if outcome.denial is None:
            return Reply(250, "2.0.0", receipt.trace)
    return denied(receipt.outcomes[0].denial)


def denied(denial: Denial | None) -> Reply:
    assert denial is not None
    return Reply(denial.code, denial.enhanced, denial.text[0].upper() + denial.text[1:])
