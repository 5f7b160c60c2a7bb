"""What we do with a message, from what was found out about it: a value with a reason from a short list.

No user may get a virus, whatever else is said. What a domain asks for by DMARC comes next, then forbidden attachments,
then local lists, then other filters, and last the score: points of `weights` against the settings `spam.junk` and
`spam.refuse`. Only a DMARC failure whose domain asks for it is refused, and never for a question that the DNS left
open. Without a DMARC record a failing SPF or DKIM decides nothing alone: forwarded mail fails honestly (RFC 7208 §8.4,
RFC 6376 §6.1).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from daemon.trust import providers, weights
from daemon.trust.results import Attachment, Personal, Signals
from daemon.trust.weights import Contribution

Action = Literal["accept", "junk", "refuse", "defer"]

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
    "virus": "the virus scanner found something in it",
    "unscanned": "it could not be looked into for viruses for now",
    "attachment": "it has an attachment that is not taken here",
    "allowed": "a local list allows its sender",
    "blocked": "a local list blocks its sender",
    "engine-refuse": "another filter refuses it",
    "engine-defer": "another filter wants it later",
    "engine-silent": "another filter could not be asked for now",
    "engine-junk": "another filter takes it for spam",
    "spam-certain": "its score is that of spam beyond doubt",
    "spam": "its score is that of spam",
    "correspondent": "only its words speak against it, and the user has written to its author",
    "greylisted": "its score is in doubt and its sender unknown: who tries again in some minutes is let in",
    "clean": "its score is below that of spam",
}
_ADDRESS = re.compile(r"[0-9.]+(?:/\d+)?|[0-9a-f]*:[0-9a-f:.]*(?:/\d+)?", re.IGNORECASE)


class Policy(NamedTuple):
    """The settings: `trust.dmarc` (whether policies are obeyed), `trust.arc_sealers`, `spam.check` (`spam`),
    `spam.junk`, `spam.refuse` (0: nothing is refused by its score), `spam.doubt`, `spam.greylist`; what is done with
    forbidden attachments, with macros and closed archives among them, with what the scanner could not look at, and
    what another filter could not be asked about."""

    enforce: bool = True
    arc_sealers: tuple[str, ...] = ()
    spam: bool = True
    junk: float = 5.0
    refuse: float = 15.0
    doubt: float = 3.0
    greylist: bool = True
    attachments: Literal["refuse", "junk", "accept"] = "refuse"
    macros: Literal["refuse", "junk", "accept"] = "junk"
    closed: Literal["refuse", "junk", "accept"] = "accept"
    unscanned: Literal["defer", "deliver"] = "defer"
    unasked: Literal["defer", "accept"] = "accept"


class Verdict(NamedTuple):
    """`refuse` is an answer of 550 to the sender, `defer` one of 451, `junk` the mailbox for it. `reason` is of
    `REASONS`. `score` is the sum of the points in `contributions`, those that weigh most first."""

    action: Action
    reason: str
    score: float = 0.0
    contributions: tuple[Contribution, ...] = ()

    @property
    def disposition(self) -> Literal["none", "quarantine", "reject"]:
        """The word of DMARC reports (RFC 9990)."""
        return "reject" if self.action == "refuse" else "quarantine" if self.action == "junk" else "none"


def judge(signals: Signals, personal: Personal, policy: Policy) -> Verdict:
    """What is done with the copy of one recipient, and why."""
    asked = authentic(signals, policy)
    found = weights.contributions(signals, personal, asked.reason == "arc-trusted") if policy.spam else ()
    score = round(sum(each.points for each in found), 1)
    decided = _decide(signals, personal, policy, asked, score, found)
    return decided._replace(score=score, contributions=found)


def authentic(signals: Signals, policy: Policy) -> Verdict:
    """What DMARC alone has us do."""
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


def infection(signals: Signals) -> str:
    """The virus that the scanner, or another filter, says it found; '' for none."""
    if signals.scan.result == "infected":
        return signals.scan.name or "a virus"
    return next((opinion.virus for opinion in signals.opinions if opinion.virus), "")


def _vouched_for(signals: Signals, policy: Policy) -> bool:
    """Whether the server that sealed last, and so handed it on, is one we trust (RFC 8617 §7.2.1)."""
    arc = signals.arc
    return arc.result == "pass" and bool(arc.sealers) and arc.sealers[-1].lower() in policy.arc_sealers


def _decide(
    signals: Signals,
    personal: Personal,
    policy: Policy,
    asked: Verdict,
    score: float,
    found: tuple[Contribution, ...],
) -> Verdict:
    if infection(signals):
        return Verdict("refuse", "virus")
    if asked.action == "refuse":
        return asked
    unread = signals.scan.result == "error" or any(each.reason == "unread" for each in signals.attachments)
    if unread and policy.unscanned == "defer":
        return Verdict("defer", "unscanned")
    forbidden = {_of_attachment(each, policy) for each in signals.attachments}
    if "refuse" in forbidden:
        return Verdict("refuse", "attachment")
    if asked.action == "junk":
        return asked
    if personal.allowed and _counts(personal.allowed, signals):
        return Verdict("accept", "allowed")
    if personal.blocked:
        return Verdict("refuse", "blocked")
    wanted = {opinion.action for opinion in signals.opinions}
    if "refuse" in wanted:
        return Verdict("refuse", "engine-refuse")
    if "defer" in wanted:
        return Verdict("defer", "engine-defer")
    if "error" in wanted and policy.unasked == "defer":
        return Verdict("defer", "engine-silent")
    if "junk" in forbidden:
        return Verdict("junk", "attachment")
    if "junk" in wanted and not weights.familiar(signals, personal):
        return Verdict("junk", "engine-junk")
    return _by_score(signals, personal, policy, score, found) if policy.spam else asked


def _of_attachment(found: Attachment, policy: Policy) -> Action:
    if found.reason in ("macro", "smuggling"):
        return policy.macros
    if found.reason in ("archive-encrypted", "archive-closed"):
        return policy.closed
    return "accept" if found.reason == "unread" else policy.attachments


def _counts(entry: str, signals: Signals) -> bool:
    """Whether an entry that lets somebody in may be believed: networks always, names when a proof speaks for them."""
    if _ADDRESS.fullmatch(entry):
        return True
    name = entry.rpartition("@")[2].lower()
    proved = [*weights.proofs(signals), *([signals.dmarc.domain] if weights.proved(signals) else [])]
    return any(domain == name or domain.endswith("." + name) for domain in proved)


def _by_score(
    signals: Signals, personal: Personal, policy: Policy, score: float, found: tuple[Contribution, ...]
) -> Verdict:
    if policy.refuse and score >= policy.refuse:
        return Verdict("refuse", "spam-certain")
    if score >= policy.junk:
        return Verdict("junk", "spam")
    if weights.familiar(signals, personal):
        without = sum(each.points for each in found if each.name not in ("correspondent", "reply"))
        return Verdict("accept", "correspondent" if without >= policy.junk else "clean")
    if policy.greylist and score >= policy.doubt and not _known(signals, personal):
        return Verdict("defer", "greylisted")
    return Verdict("accept", "clean")


def _known(signals: Signals, personal: Personal) -> bool:
    """Whether a delay would find out nothing: a proved sender we have heard of, one of a welcome list, or the servers
    of a large provider, which try again in any case, each time from another address."""
    tally = signals.standing.of_domain
    if weights.proved(signals) and (not personal.first or tally.good > 2 * tally.bad):
        return True
    if any(listing.good for listing in signals.lists.found):
        return True
    return any(providers.has(domain) for domain in weights.proofs(signals))


def sentence(signals: Signals) -> str:
    """Why DMARC refuses a message, for whoever reads the notice about it; in ASCII, as a reply is."""
    dkim = next((s.result for s in signals.signatures), "none")
    return (
        f"the DMARC policy of {signals.dmarc.domain} asks to refuse mail in its name that neither SPF"
        f" nor DKIM proves to be its own (SPF {signals.spf.result}, DKIM {dkim}, not aligned)"
    )
