"""What is done with a message: the whole table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from daemon.trust import verdict
from daemon.trust.results import (
    ARC,
    DMARC,
    SPF,
    Attachment,
    Content,
    IPRev,
    Listing,
    Lists,
    Opinion,
    Personal,
    Scan,
    Signals,
    Signature,
    Standing,
    Tally,
    Word,
)
from daemon.trust.verdict import Policy, Verdict, authentic, judge
from daemon.trust.weights import LOGIT_OF_JUNK, WEIGHTS

SEALED = ARC("pass", ("first.example", "list.example"), 1)
BROKEN = SEALED._replace(result="fail")
REASONS = verdict.REASONS


def signals(result: Word, policy: str = "", domain: str = "bank.example", **more: object) -> Signals:
    return Signals(dmarc=DMARC(result, domain, policy=policy), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "found,policy,want",
    [
        (signals("pass", "reject"), Policy(), ("accept", "dmarc-pass")),
        (signals("none"), Policy(), ("accept", "dmarc-none")),
        (signals("temperror", "reject"), Policy(), ("accept", "dmarc-temperror")),
        (signals("permerror"), Policy(), ("accept", "dmarc-permerror")),
        (signals("fail", "none"), Policy(), ("accept", "dmarc-monitored")),
        (signals("fail", "quarantine"), Policy(), ("junk", "dmarc-quarantine")),
        (signals("fail", "reject"), Policy(), ("refuse", "dmarc-reject")),
        (signals("fail", "quarantine"), Policy(enforce=False), ("accept", "dmarc-reported")),
        (signals("fail", "reject"), Policy(enforce=False), ("accept", "dmarc-reported")),
        (signals("permerror", domain=""), Policy(), ("junk", "author-unclear")),
        (signals("permerror", domain=""), Policy(enforce=False), ("accept", "dmarc-reported")),
        (signals("none", domain=""), Policy(), ("accept", "dmarc-none")),
        (signals("none", spf=SPF("fail"), signatures=(Signature("fail"),)), Policy(), ("accept", "dmarc-none")),
        (signals("fail", "reject", arc=SEALED), Policy(), ("refuse", "dmarc-reject")),
        (signals("fail", "reject", arc=SEALED), Policy(True, ("list.example",)), ("accept", "arc-trusted")),
        (signals("fail", "quarantine", arc=SEALED), Policy(True, ("list.example",)), ("accept", "arc-trusted")),
        (signals("fail", "reject", arc=SEALED), Policy(True, ("first.example",)), ("refuse", "dmarc-reject")),
        (signals("fail", "reject", arc=BROKEN), Policy(True, ("list.example",)), ("refuse", "dmarc-reject")),
        (signals("fail", "reject", arc=ARC("pass")), Policy(True, ("",)), ("refuse", "dmarc-reject")),
    ],
)  # fmt: skip
def test_the_table(found: Signals, policy: Policy, want: tuple[str, str]) -> None:
    verdict = authentic(found, policy)
    assert (verdict.action, verdict.reason) == want
    assert verdict.disposition == {"accept": "none", "junk": "quarantine", "refuse": "reject"}[want[0]]


@pytest.mark.parametrize("policy", ["", "none", "quarantine", "reject"])
@pytest.mark.parametrize("enforce", [True, False])
def test_only_a_failure_is_refused_and_every_reason_is_in_the_list(policy: str, enforce: bool) -> None:
    for word in get_args(Word):
        if word in ("softfail", "neutral", "policy"):
            continue  # no results of DMARC
        for arc in get_args(Word):
            found = signals(word, policy, arc=SEALED._replace(result=arc))
            verdict = authentic(found, Policy(enforce, ("list.example",)))
            assert verdict.reason in REASONS
            assert verdict.action == "accept" or (word == "fail" and enforce and policy in ("quarantine", "reject"))
            if word == "temperror":
                assert verdict.action == "accept"


def test_the_reply_says_who_asked_for_it_and_what_failed() -> None:
    found = signals("fail", "reject", "xn--bcher-kva.example", spf=SPF("softfail", "x.example"))
    text = verdict.sentence(found)
    assert "DMARC policy of xn--bcher-kva.example" in text and "SPF softfail, DKIM none" in text


def test_the_manual_names_every_reason() -> None:
    page = (Path(__file__).parents[2] / "man/man1/mailctl-trace.1").read_text()
    assert [reason for reason in REASONS if reason not in page] == []


def test_a_verdict_is_a_plain_value() -> None:
    assert Verdict("junk", "dmarc-quarantine") == ("junk", "dmarc-quarantine", 0.0, ())


# ---------------------------------------------------------------------------------------------------- all that is known


def words(sixths: float) -> Content:
    """What so many sixths of the logit of junk say."""
    return Content(sixths * LOGIT_OF_JUNK / 6)


PROVED = signals("pass", "reject", "friend.example", spf=SPF("pass", "friend.example"))
STRANGER = Signals(iprev=IPRev("permerror"), dmarc=DMARC("none", "new.example"))
FORGED = signals("fail", "none", "friend.example", spf=SPF("fail", "friend.example"))
EXE, EICAR = (Attachment("x.exe", "executable"),), Scan("infected", "Eicar-Test")
SPAMMY, DOUBTFUL, VILE = (Personal(words(logit)) for logit in (12.0, 3.0, 60.0))
LISTED = Lists(tuple(Listing(f"zen{n}.example", "192.0.2.1", "address") for n in range(9)))
FRIEND = SPAMMY._replace(correspondent=True)
JUNKS, REFUSES, WAITS = (Opinion("rspamd", word) for word in ("junk", "refuse", "defer"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "found,knows,policy,want",
    [
        # nothing known, and what DMARC asks for
        (Signals(), Personal(), Policy(), ("accept", "clean")),
        (PROVED, Personal(), Policy(), ("accept", "clean")),
        (STRANGER, Personal(), Policy(), ("accept", "clean")),
        (signals("fail", "reject"), Personal(allowed="bank.example"), Policy(), ("refuse", "dmarc-reject")),
        (signals("fail", "quarantine"), Personal(correspondent=True), Policy(), ("junk", "dmarc-quarantine")),
        (signals("fail", "quarantine", scan=EICAR), Personal(), Policy(), ("refuse", "virus")),
        # viruses and attachments
        (PROVED._replace(scan=EICAR), Personal(allowed="friend.example"), Policy(), ("refuse", "virus")),
        (signals("fail", "reject", scan=EICAR), Personal(), Policy(), ("refuse", "virus")),
        (PROVED._replace(opinions=(Opinion("clam", "junk", virus="x"),)), Personal(allowed="192.0.2.0/24"), Policy(),
         ("refuse", "virus")),
        (Signals(scan=Scan("error", reason="gone")), Personal(), Policy(), ("defer", "unscanned")),
        (Signals(scan=Scan("error")), Personal(), Policy(unscanned="deliver"), ("accept", "clean")),
        (Signals(scan=Scan("too-large")), Personal(), Policy(), ("accept", "clean")),
        (PROVED._replace(attachments=EXE), Personal(allowed="friend.example"), Policy(), ("refuse", "attachment")),
        (Signals(attachments=EXE), Personal(), Policy(attachments="junk"), ("junk", "attachment")),
        (PROVED._replace(attachments=EXE), Personal(allowed="friend.example"), Policy(attachments="junk"),
         ("accept", "allowed")),
        # local lists: an allowed name counts when it is proved, an address always
        (PROVED, SPAMMY._replace(allowed="@friend.example"), Policy(), ("accept", "allowed")),
        (FORGED, SPAMMY._replace(allowed="@friend.example"), Policy(), ("junk", "spam")),
        (FORGED._replace(spf=SPF("pass", "mail.list.example")), SPAMMY._replace(allowed="a@list.example"), Policy(),
         ("accept", "allowed")),
        (PROVED, SPAMMY._replace(allowed="riend.example"), Policy(), ("junk", "spam")),
        (FORGED, SPAMMY._replace(allowed="192.0.2.0/24"), Policy(), ("accept", "allowed")),
        (FORGED, SPAMMY._replace(allowed="2001:db8::1"), Policy(), ("accept", "allowed")),
        (PROVED, Personal(blocked="@friend.example"), Policy(), ("refuse", "blocked")),
        (PROVED, Personal(allowed="ann@friend.example", blocked="friend.example"), Policy(), ("accept", "allowed")),
        # other filters
        (PROVED._replace(opinions=(JUNKS, REFUSES)), Personal(), Policy(), ("refuse", "engine-refuse")),
        (PROVED._replace(opinions=(JUNKS, WAITS)), Personal(), Policy(), ("defer", "engine-defer")),
        (PROVED._replace(opinions=(JUNKS,)), Personal(), Policy(), ("junk", "engine-junk")),
        (PROVED._replace(opinions=(JUNKS,)), Personal(correspondent=True), Policy(), ("accept", "clean")),
        (PROVED._replace(opinions=(Opinion("rspamd", "error"),)), Personal(), Policy(), ("accept", "clean")),
        (PROVED._replace(opinions=(Opinion("rspamd", "error"),)), Personal(), Policy(unasked="defer"),
         ("defer", "engine-silent")),
        (PROVED._replace(opinions=(Opinion("rspamd", "error"), REFUSES)), Personal(), Policy(unasked="defer"),
         ("refuse", "engine-refuse")),
        # the score
        (STRANGER, SPAMMY, Policy(), ("junk", "spam")),
        (STRANGER, SPAMMY, Policy(junk=9.0, greylist=False), ("accept", "clean")),
        (STRANGER._replace(lists=LISTED), SPAMMY, Policy(), ("junk", "spam")),
        (STRANGER._replace(lists=LISTED, spf=SPF("fail", "x")), VILE, Policy(), ("refuse", "spam-certain")),
        (STRANGER._replace(lists=LISTED, spf=SPF("fail", "x")), VILE, Policy(refuse=0.0), ("junk", "spam")),
        (Signals(rules=("gtube",)), FRIEND, Policy(), ("refuse", "spam-certain")),
        (Signals(rules=("gtube",)), Personal(), Policy(refuse=0.0), ("junk", "spam")),
        # people he has written to are never junked by content alone; their name does not help a forger
        (PROVED, FRIEND, Policy(), ("accept", "correspondent")),
        (STRANGER, FRIEND, Policy(), ("accept", "correspondent")),
        (PROVED, VILE._replace(correspondent=True), Policy(), ("accept", "correspondent")),
        (FORGED, FRIEND, Policy(), ("junk", "spam")),
        (FORGED, SPAMMY._replace(reply=True), Policy(), ("junk", "spam")),
        (STRANGER, SPAMMY._replace(reply=True), Policy(), ("accept", "correspondent")),
        (PROVED._replace(lists=LISTED, rate=1.0), FRIEND, Policy(junk=3.5), ("junk", "spam")),
        # a delay only when in doubt, and never for those of whom it would find out nothing
        (STRANGER, DOUBTFUL._replace(first=True), Policy(), ("defer", "greylisted")),
        (STRANGER, DOUBTFUL._replace(first=True), Policy(greylist=False), ("accept", "clean")),
        (STRANGER, Personal(first=True), Policy(), ("accept", "clean")),
        (STRANGER, SPAMMY._replace(first=True), Policy(), ("junk", "spam")),
        (STRANGER, DOUBTFUL._replace(correspondent=True), Policy(), ("accept", "clean")),
        (PROVED, Personal(words(5.5)), Policy(), ("accept", "clean")),
        (PROVED, Personal(words(5.5), first=True), Policy(), ("defer", "greylisted")),
        (PROVED._replace(standing=Standing("friend.example", Tally(0.5), Tally())), Personal(words(4.2), first=True),
         Policy(doubt=2.0), ("accept", "clean")),
        (STRANGER._replace(spf=SPF("pass", "mail.outlook.com")), Personal(words(4.0), first=True), Policy(doubt=2.0),
         ("accept", "clean")),
        (STRANGER._replace(lists=Lists((Listing("dnswl.example", "192.0.2.1", "address", "127.0.5.0", True),))),
         Personal(words(4.0), first=True), Policy(doubt=2.0), ("accept", "clean")),
        # the filter is off: the proofs alone decide, and what no user may get
        (FORGED, SPAMMY, Policy(spam=False), ("accept", "dmarc-monitored")),
        (Signals(scan=EICAR), Personal(), Policy(spam=False), ("refuse", "virus")),
    ],
)  # fmt: skip
def test_the_whole_table(found: Signals, knows: Personal, policy: Policy, want: tuple[str, str]) -> None:
    made = judge(found, knows, policy)
    assert (made.action, made.reason) == want, made
    assert made.reason in REASONS
    assert made.score == round(sum(each.points for each in made.contributions), 1)
    assert all(each.name in WEIGHTS and each.words for each in made.contributions)
    weights = [abs(each.points) for each in made.contributions]
    assert weights == sorted(weights, reverse=True)
