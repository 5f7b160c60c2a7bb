"""What is done with a message: the whole table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from daemon.trust import verdict
from daemon.trust.results import ARC, DMARC, SPF, Signals, Signature, Word
from daemon.trust.verdict import Policy, Verdict, judge

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
    verdict = judge(found, policy)
    assert verdict == want
    assert verdict.disposition == {"accept": "none", "junk": "quarantine", "refuse": "reject"}[want[0]]


@pytest.mark.parametrize("policy", ["", "none", "quarantine", "reject"])
@pytest.mark.parametrize("enforce", [True, False])
def test_only_a_failure_is_refused_and_every_reason_is_in_the_list(policy: str, enforce: bool) -> None:
    for word in get_args(Word):
        if word in ("softfail", "neutral", "policy"):
            continue  # no results of DMARC
        for arc in get_args(Word):
            found = signals(word, policy, arc=SEALED._replace(result=arc))
            verdict = judge(found, Policy(enforce, ("list.example",)))
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
    assert Verdict("junk", "dmarc-quarantine") == ("junk", "dmarc-quarantine")
