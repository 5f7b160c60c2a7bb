"""LMTP (RFC 2033): a filter or another server in front hands over what it has accepted already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.serve.smtp.mx import Mx, accept, denied
from daemon.wire.smtp import Reply

if TYPE_CHECKING:
    from daemon.serve.smtp.content import Incoming
    from daemon.serve.smtp.session import Client, Smtp, Transaction


class Lmtp(Mx):
    """Like port 25, but with an answer for each recipient, in the order of RCPT (RFC 2033 §4.2)."""

    kind = "lmtp"

    async def handle_DATA(
        self, smtp: Smtp, session: Client, transaction: Transaction, incoming: Incoming
    ) -> Reply | list[Reply]:
        receipt = await accept(smtp, self.kind, transaction, incoming)
        return [
            Reply(250, "2.0.0", receipt.trace) if outcome.denial is None else denied(outcome.denial)
            for outcome in receipt.outcomes
        ]
