"""What each signal weighs: points as SpamAssassin's users know them (5 is spam), with plain words. A table, and for
graded signals how their value becomes points.

Nothing that could not be asked weighs anything: a list that is silent, a proof that the DNS left open.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from daemon.trust.results import Listing, Lists, Personal, Signals, Standing, Tally


class Weight(NamedTuple):
    """`points`, of a graded signal the most it may have; `words` with a place for what it is about."""

    points: float
    words: str


WEIGHTS = {
    # what the proofs say
    "dmarc-pass": Weight(-0.5, "a proof speaks for {}"),
    "dmarc-fail": Weight(1.5, "nothing proves that {} sent it"),
    "dmarc-overruled": Weight(3.0, "nothing proves that {} sent it, and it asks to be strict"),
    "author-unclear": Weight(2.0, "it cannot be told who From names"),
    "spf-fail": Weight(1.5, "{} says that it does not send from there"),
    "spf-softfail": Weight(0.8, "{} says that it hardly sends from there"),
    "helo-fail": Weight(0.5, "the peer calls itself {} and is not"),
    "unproved": Weight(0.5, "neither SPF nor DKIM speaks for anybody"),
    "no-name": Weight(0.5, "the peer's address has no name that leads back to it"),
    # what others say
    "listed-address": Weight(3.0, "its sender's address is listed by {}"),
    "listed-domain": Weight(3.0, "a domain of its sender is listed by {}"),
    "listed-link": Weight(3.0, "a link in it is listed by {}"),
    "listed-good": Weight(-4.0, "its sender is on the welcome list {}"),
    "engine-refuse": Weight(10.0, "{} would refuse it"),
    "engine-junk": Weight(5.0, "{} takes it for spam"),
    "virus": Weight(100.0, "the virus scanner found {}"),
    # what came before
    "known-domain": Weight(3.0, "what {} sent here before was {}"),
    "known-author": Weight(3.0, "what {} wrote before was {}"),
    "known-address": Weight(2.0, "what came from this address before was {}"),
    "known-network": Weight(1.0, "what came from its network before was {}"),
    "rate": Weight(1.5, "much more than usual comes from there now"),
    "first-contact": Weight(0.3, "nobody here has heard of its author before"),
    "correspondent": Weight(-3.0, "the user has written to its author before"),
    "reply": Weight(-3.0, "it answers a message of the user"),
    # what is in it
    "content": Weight(8.0, "the words look like {}"),
    "gtube": Weight(1000.0, "it has the test string for spam filters (GTUBE)"),
    "attachment": Weight(3.0, "it has attachments that are not taken here"),
}

LOGIT_OF_JUNK = 3.0
"""The classifier's logit that alone makes 5 points. Of 2,700 ham of the public collections one comes up to it when the
prior was learnt without its collection; of the spam a seventh does, and half of it when the prior knows its kind."""
_LISTED_MORE = 1.0  # points of each further list of the same kind
_LISTED_MOST = 6.0  # points of all lists of one kind
_WELCOME = {"0": 0.1, "1": 0.3, "2": 0.7, "3": 1.0}  # by the last octet, as dnswl.org has its grades
_LEAST = 0.05  # points; less is not worth a word
_INNOCENT = -4.0  # points that wanted words have at most
_STEEP = math.atanh(5 / WEIGHTS["content"].points)  # so that the logit of junk makes 5 points
_CAUTION = 3.0  # messages a sender must have had until half of the points of his repute count


class Contribution(NamedTuple):
    """One signal's share of a score. `name` is of `WEIGHTS`, `words` say it plainly, `detail` more of it."""

    name: str
    points: float
    words: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.points:+.1f}{': ' if self.detail else ''}{self.detail})"


def contributions(signals: Signals, personal: Personal, vouched: bool = False) -> tuple[Contribution, ...]:
    """Every signal that weighs something, the heaviest first. `vouched`: its DMARC failure is excused."""
    found = [
        *_proofs(signals, vouched),
        *_lists(signals.lists),
        *_engines(signals),
        *_standing(signals.standing),
        *_content(signals, personal),
    ]
    return tuple(sorted((each for each in found if abs(each.points) >= _LEAST), key=lambda c: -abs(c.points)))


def _of(name: str, *about: str, points: float | None = None, detail: str = "") -> Contribution:
    weight = WEIGHTS[name]
    return Contribution(name, weight.points if points is None else points, weight.words.format(*about), detail)


# --------------------------------------------------------------------------------------------------------------- proofs


def proofs(signals: Signals) -> tuple[str, ...]:
    """The domains that a passing SPF or DKIM speaks for, whatever From says."""
    passed = [signals.spf.domain] if signals.spf.result == "pass" else []
    passed += [signature.domain for signature in signals.signatures if signature.result == "pass"]
    return tuple(dict.fromkeys(domain.lower() for domain in passed if domain))


def proved(signals: Signals) -> bool:
    """Whether a proof speaks for the domain in From; without a DMARC record, one for a name above or below it."""
    if signals.dmarc.result != "none":
        return signals.dmarc.result == "pass"
    author = signals.dmarc.domain
    return bool(author) and any(
        author == domain or author.endswith("." + domain) or domain.endswith("." + author)
        for domain in proofs(signals)
        if "." in domain
    )


def familiar(signals: Signals, personal: Personal) -> bool:
    """Whether a correspondent wrote it: then words alone do not make it junk. Neither his name
    nor the Message-ID of an answer helps who is refuted: both are known to others."""
    refuted = signals.dmarc.result == "fail" or signals.spf.result in ("fail", "softfail")
    return (personal.correspondent or personal.reply) and (proved(signals) or not refuted)


def _proofs(signals: Signals, vouched: bool) -> Iterator[Contribution]:
    dmarc, spf = signals.dmarc, signals.spf
    if proved(signals):
        yield _of("dmarc-pass", dmarc.domain)
    if dmarc.result == "fail" and not vouched:
        yield _of("dmarc-overruled" if dmarc.policy in ("quarantine", "reject") else "dmarc-fail", dmarc.domain)
    if dmarc.result == "permerror" and not dmarc.domain:
        yield _of("author-unclear")
    if spf.result in ("fail", "softfail") and not proved(signals):
        yield _of(f"spf-{spf.result}", spf.domain)
    if signals.helo.result == "fail":
        yield _of("helo-fail", signals.helo.domain)
    checked = spf.result in ("none", "neutral") and signals.iprev.result != "none"
    if checked and all(s.result in ("fail", "permerror", "policy") for s in signals.signatures):
        yield _of("unproved")
    if signals.iprev.result in ("fail", "permerror"):
        yield _of("no-name")


# --------------------------------------------------------------------------------------------------------------- others


def _lists(lists: Lists) -> Iterator[Contribution]:
    """One contribution for each zone and kind; the first of a kind weighs most."""
    seen = Counter[str]()
    for (zone, kind), each in {(each.zone, each.kind): each for each in lists.found if not each.good}.items():
        name = f"listed-{kind}"
        whole = WEIGHTS[name].points
        points = whole if not seen[kind] else min(_LISTED_MORE, _LISTED_MOST - whole - _LISTED_MORE * (seen[kind] - 1))
        seen[kind] += 1
        if points > 0:
            yield _of(name, zone, points=points, detail=_what(each))
    good = [listing for listing in lists.found if listing.good]
    if good:
        best = max(good, key=lambda listing: _WELCOME.get(listing.code.rpartition(".")[2], 0.3))
        grade = _WELCOME.get(best.code.rpartition(".")[2], 0.3)
        yield _of("listed-good", best.zone, points=grade * WEIGHTS["listed-good"].points, detail=_what(best))


def _what(listing: Listing) -> str:
    return f"{listing.what}, {listing.part}" if listing.part else listing.what


def _engines(signals: Signals) -> Iterator[Contribution]:
    for opinion in signals.opinions:
        if opinion.action in ("junk", "refuse"):
            score = "" if opinion.score is None else f"its score is {opinion.score:.1f}"
            yield _of(f"engine-{opinion.action}", opinion.engine, detail=score or ", ".join(opinion.symbols[:5]))
    if signals.scan.result == "infected":
        yield _of("virus", signals.scan.name)
    if forbidden := [f"{a.name} ({a.reason})" for a in signals.attachments if a.reason != "unread"]:
        yield _of("attachment", detail=", ".join(forbidden[:5]))


def _standing(standing: Standing) -> Iterator[Contribution]:
    for name, tally, about in (
        ("known-domain", standing.of_domain, (standing.domain,)),
        ("known-author", standing.of_author, ("its author",)),
        ("known-address", standing.of_address, ()),
        ("known-network", standing.of_network, ()),
    ):
        points = _repute(tally) * WEIGHTS[name].points
        yield _of(name, *about, "spam" if points > 0 else "wanted", points=points)


def _repute(tally: Tally) -> float:
    """From -1 (all that came was wanted) to 1 (all of it was spam); near 0 while little is known."""
    return (tally.bad - tally.good) / (tally.bad + tally.good + _CAUTION)


# -------------------------------------------------------------------------------------------------------------- content


def _content(signals: Signals, personal: Personal) -> Iterator[Contribution]:
    for rule in signals.rules:
        yield _of(rule)
    logit = personal.content.logit
    points = of_logit(logit)
    side = [(token, share) for token, share in personal.content.top if (share > 0) == (logit > 0)]
    yield _of(
        "content", "spam" if logit > 0 else "wanted mail", points=points,
        detail=", ".join(token for token, _ in side[:5]),
    )  # fmt: skip
    if signals.rate > 0:
        yield _of("rate", points=min(1.0, signals.rate) * WEIGHTS["rate"].points)
    if personal.first:
        yield _of("first-contact")
    if familiar(signals, personal):
        name = "reply" if personal.reply else "correspondent"
        yield _of(name, points=WEIGHTS[name].points - max(0.0, points))


def of_logit(logit: float) -> float:
    """Points for the classifier's logit: in proportion at first, then less and less up to the most there is."""
    if not math.isfinite(logit):
        return 0.0
    if logit > 0:
        return WEIGHTS["content"].points * math.tanh(logit / LOGIT_OF_JUNK * _STEEP)
    return _INNOCENT * math.tanh(-logit / LOGIT_OF_JUNK)
