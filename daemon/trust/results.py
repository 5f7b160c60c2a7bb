"""What the checks say: one value for each. The proofs have the words of RFC 8601 section 2.7; what else is found out
about a message, and what one of its recipients knows of it, stands below them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Word = Literal["none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"]


class IPRev(NamedTuple):
    """RFC 8601 §3: the address has a name that leads back to it. `name` is that name, '' unless `pass`."""

    result: Word
    name: str = ""
    reason: str = ""


class SPF(NamedTuple):
    """RFC 7208: `domain` is the one that was asked (of MAIL FROM, or of HELO where `identity` is helo).

    `mechanism` is the term that decided (`ip4:192.0.2.0/24`, `-all`), `explanation` the domain's own words for a fail,
    `reason` ours for an error.
    """

    result: Word
    domain: str = ""
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    mechanism: str = ""
    explanation: str = ""
    reason: str = ""


class Signature(NamedTuple):
    """RFC 6376: one DKIM-Signature field. `domain` (d=), `selector` (s=), `identity` (i=), `algorithm` (a=, as
    `rsa-sha256`), `bits` of an RSA key, `start` the first characters of b= (RFC 6008), `testing` for t=y in the key."""

    result: Word
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    bits: int = 0
    start: str = ""
    testing: bool = False
    reason: str = ""


class ARC(NamedTuple):
    """RFC 8617: the whole chain. `sealers` are the d= of the seals, oldest first; `oldest_pass` as §5.2 defines."""

    result: Word
    sealers: tuple[str, ...] = ()
    oldest_pass: int = 0
    reason: str = ""


class DMARC(NamedTuple):
    """RFC 9989. `domain` is that of From, `policy_domain` where the record was found, `policy` what it asks for this
    message (none, quarantine, reject) after `np`, `sp` and `t`. `record` is as published.

    `spf_aligned` and `dkim_aligned`: which proofs were for the author's domain.
    """

    result: Word
    domain: str = ""
    policy_domain: str = ""
    policy: Literal["", "none", "quarantine", "reject"] = ""
    spf_aligned: bool = False
    dkim_aligned: bool = False
    record: str = ""
    reason: str = ""


class Content(NamedTuple):
    """What the classifier makes of the words: `logit` is the natural logarithm of the odds that it is spam (0: no
    idea), `known` how many of its tokens the model has met, `top` those that weigh most, as a reader can read them,
    each with its share of the logit."""

    logit: float = 0.0
    known: int = 0
    top: tuple[tuple[str, float], ...] = ()


Kind = Literal["address", "domain", "link"]


class Listing(NamedTuple):
    """One answer of a DNS list. `what` was looked up: the peer's address, a domain of the envelope or of From, or the
    host of a link; `code` the address that was answered (127.0.0.2). `good` for a list of the welcome (DNSWL). `part`
    is the part of the list that names it (XBL), where there are several."""

    zone: str
    what: str
    kind: Kind
    code: str = ""
    good: bool = False
    part: str = ""


class Lists(NamedTuple):
    """All of them, and the zones that gave no usable answer (an error, 127.255.255.x, too slow): those say nothing."""

    found: tuple[Listing, ...] = ()
    silent: tuple[str, ...] = ()


class Attachment(NamedTuple):
    """One part that the attachment policy objects to: its name as it really is, and why (a word of
    `attachments.REASONS`)."""

    name: str
    reason: str


class Scan(NamedTuple):
    """What the virus scanner said: `name` of what it found, `reason` for an error. `off`: there is no scanner."""

    result: Literal["off", "clean", "infected", "error", "too-large"] = "off"
    name: str = ""
    reason: str = ""


class Opinion(NamedTuple):
    """What another filter (a milter, rspamd) wants done. `score` and `required` where it gives them, `symbols` what it
    goes by, `text` its own words for a refusal, with `code` and `enhanced` where it names them; `error` when it could
    not be asked, and `text` says why. `virus`: it says that it found one, and which."""

    engine: str
    action: Literal["accept", "junk", "refuse", "defer", "error"]
    score: float | None = None
    required: float | None = None
    symbols: tuple[str, ...] = ()
    text: str = ""
    code: int = 0
    enhanced: str = ""
    virus: str = ""


class Tally(NamedTuple):
    """What came from somebody before, newer mail counting more: kept as good, and as bad."""

    good: float = 0.0
    bad: float = 0.0


class Standing(NamedTuple):
    """Reputation here: of the domain that a proof speaks for (`domain`, '' without one) and of the author at it, of the
    peer's address, and of its network (/24, /64)."""

    domain: str = ""
    of_domain: Tally = Tally()
    of_author: Tally = Tally()
    of_address: Tally = Tally()
    of_network: Tally = Tally()


class Personal(NamedTuple):
    """What one recipient knows of a message. `allowed` and `blocked`: the entry of a local list that names its sender
    (his own list, or everybody's), '' without one. `correspondent`: he has written to the author before. `reply`: it
    answers a message he sent. `first`: nobody here has heard of the author before."""

    content: Content = Content()
    allowed: str = ""
    blocked: str = ""
    correspondent: bool = False
    reply: bool = False
    first: bool = False


class Signals(NamedTuple):
    """Everything that was found out about one message, whoever it is for. `rules` are the fixed rules of the content
    that it meets (words of `weights.WEIGHTS`). `unread`: its words could not be read for now. `rate`: from 0 (as usual)
    to 1, how much more than usual comes from its network just now."""

    iprev: IPRev = IPRev("none")
    helo: SPF = SPF("none", identity="helo")
    spf: SPF = SPF("none")
    signatures: tuple[Signature, ...] = ()
    arc: ARC = ARC("none")
    dmarc: DMARC = DMARC("none")
    lists: Lists = Lists()
    standing: Standing = Standing()
    attachments: tuple[Attachment, ...] = ()
    scan: Scan = Scan()
    opinions: tuple[Opinion, ...] = ()
    rules: tuple[str, ...] = ()
    unread: bool = False
    rate: float = 0.0
