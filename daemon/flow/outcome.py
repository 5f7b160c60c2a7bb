"""What one try brought: values that `send` makes, `queue` settles and `bounce` tells the sender."""

from __future__ import annotations

from typing import NamedTuple

from daemon.wire.smtp_client import Answer

_LOGIN = (530, 534, 535, 538)  # RFC 4954 §6: our own account at a smart host is wrong; no reason to bounce mail


class Result(NamedTuple):
    """For one recipient. `kind`: sent, deferred, failed, or again (nothing was decided: ask at once, elsewhere).

    `reason` is one of: accepted, refused, later, silent, lost, too-large, needs-8bit, needs-utf8, no-such-domain,
    null-mx, no-host, loop, dns, connect, session, tls, dane, mta-sts, tls-downgrade, requiretls, login, damaged,
    suspended, expired, fault, administrator.
    `status` is the enhanced code (RFC 3463), `reply` one line of words, `verbatim` the peer's reply with all its lines.
    `takes_dsn`: the peer will tell the sender itself. `note`: something for the trace (a broken STARTTLS). `early`: the
    peer gave up before the content, so another host may be asked at once without fear of a second copy. `policy` is
    what the session was held to (`trust.tls_policy.Policy.name`), `proof` the TLSA record that fitted.
    """

    kind: str
    reason: str
    status: str
    reply: str
    verbatim: str = ""
    host: str = ""
    address: str = ""
    tls: str = ""
    verified: bool = False
    takes_dsn: bool = False
    note: str = ""
    early: bool = False
    policy: str = ""
    proof: str = ""

    @property
    def peer(self) -> str:
        """Who said it, for people: `mx.example.org [192.0.2.1]`."""
        return f"{self.host} [{self.address}]" if self.address and self.address != self.host else self.host


class Seen(NamedTuple):
    """Who we talk to: what every result of one session has in common."""

    host: str = ""
    address: str = ""
    tls: str = ""
    verified: bool = False
    takes_dsn: bool = False
    note: str = ""
    policy: str = ""
    proof: str = ""


def of_answer(answer: Answer, seen: Seen) -> Result:
    """What the peer's answer means for the recipient."""
    reply = answer.reply
    early = answer.stage in ("RSET", "MAIL", "RCPT", "DATA")
    if reply is None:
        reason = "silent" if "in time" in answer.problem else "lost"
        return _result("again" if answer.again else "deferred", reason, "4.4.2", answer.problem, "", seen, early)
    status = reply.enhanced or f"{reply.code // 100}.0.0"
    if answer.again:
        kind, reason = "again", "later"
    elif reply.positive:
        kind, reason = "sent", "accepted"
    elif reply.code in _LOGIN:
        kind, reason = "deferred", "login"
    elif reply.permanent:
        kind, reason = "failed", "refused"
    else:
        kind, reason = "deferred", "later"
    return _result(kind, reason, status, str(reply), reply.verbatim, seen, early and reply.code == 421)


def ours(kind: str, reason: str, status: str, words: str, seen: Seen | None = None) -> Result:
    """What we decided ourselves; `words` begin with the code a server would have used, if any."""
    return _result(kind, reason, status, words, "", seen or Seen(), False)


def _result(kind: str, reason: str, status: str, reply: str, verbatim: str, s: Seen, early: bool) -> Result:
    return Result(
        kind, reason, status, reply, verbatim, s.host, s.address, s.tls, s.verified, s.takes_dsn, s.note, early,
        s.policy, s.proof,
    )  # fmt: skip
