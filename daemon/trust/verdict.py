"""What we do with a message, from what its proofs say: a value with a reason from a short list.

Only a DMARC failure whose domain asks for it is refused, and never for a question that the DNS left open. Without a
DMARC record a failing SPF or DKIM decides nothing: forwarded mail fails honestly (RFC 7208 §8.4, RFC 6376 §6.1).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from daemon.trust.results import Signals

Action = Literal["accept", "junk", "refuse"]

REASONS = {
    "dmarc-pass": "a proof speaks for the domain in From",
    "dmarc-none": "the domain in From has no DMARC policy",
    "dmarc-monitored": "DMARC fails, and the domain in From asks for nothing but reports",
    "dmarc-reported": "DMARC fails, and the setting trust.dmarc has it only told",
    "dmarc-temperror": "the DNS did not answer for now",
    "dmarc-permerror": "the DMARC record cannot be used",
    "dmarc-quarantine": "DMARC fails, and the domain in From asks to be suspicious",
    "dmarc-reject": "DMARC fails, and the domain in From asks to refuse the message",
    "author-unclear": "it cannot be told which domains From shows",
    "arc-trusted": "DMARC fails, but a forwarder we trust vouches for the message",
}


class Policy(NamedTuple):
    """The settings `trust.dmarc` (whether policies are obeyed) and `trust.arc_sealers`."""

    enforce: bool = True
    arc_sealers: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """`refuse` is an answer of 550 to the sender, `junk` the mailbox for it. `reason` is of `REASONS`."""

    action: Action
    reason: str

    @property
    def disposition(self) -> Literal["none", "quarantine", "reject"]:
        """The word of DMARC reports (RFC 9990)."""
        return "reject" if self.action == "refuse" else "quarantine" if self.action == "junk" else "none"


def judge(signals: Signals, policy: Policy) -> Verdict:
    """What is done, and why."""
    dmarc = signals.dmarc
    if dmarc.result == "permerror" and not dmarc.domain:
        return Verdict("junk", "author-unclear") if policy.enforce else Verdict("accept", "dmarc-reported")
    if dmarc.result != "fail":
        return Verdict("accept", f"dmarc-{dmarc.result}")
    if dmarc.policy not in ("quarantine", "reject"):
        return Verdict("accept", "dmarc-monitored")
    if not policy.enforce:
        return Verdict("accept", "dmarc-reported")
    if _vouched_for(signals, policy):
        return Verdict("accept", "arc-trusted")
    return Verdict("junk", "dmarc-quarantine") if dmarc.policy == "quarantine" else Verdict("refuse", "dmarc-reject")


def _vouched_for(signals: Signals, policy: Policy) -> bool:
    """Whether the server that sealed last, and so handed it on, is one we trust (RFC 8617 §7.2.1)."""
    arc = signals.arc
    return arc.result == "pass" and bool(arc.sealers) and arc.sealers[-1].lower() in policy.arc_sealers


def sentence(signals: Signals) -> str:
    """Why a message is refused, for whoever reads the notice about it; in ASCII, as a reply is."""
    dkim = next((s.result for s in signals.signatures), "none")
    return (
        f"the DMARC policy of {signals.dmarc.domain} asks to refuse mail in its name that neither SPF"
        f" nor DKIM proves to be its own (SPF {signals.spf.result}, DKIM {dkim}, not aligned)"
    )
