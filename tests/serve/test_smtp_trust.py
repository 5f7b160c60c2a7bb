"""Port 25 and the proofs of a message: what the sender hears, where the message goes, what the trace tells.

The checks themselves are set here by the sender's domain (`tests/trust` has theirs); DMARC is the real one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import trace as telling
from daemon.mail.address import parse_address
from daemon.resolver import DNS
from daemon.store import accounts, events, mailboxes, messages
from daemon.trust import examine
from daemon.trust.examine import Checks
from daemon.trust.results import ARC, SPF, IPRev, Signature
from tests.instruments.dns_server import DNSServer
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.trust.answers import Answers

ZONE = """
_dmarc.good.example TXT v=DMARC1; p=reject
_dmarc.watched.example TXT v=DMARC1; p=none
_dmarc.careful.example TXT v=DMARC1; p=quarantine
_dmarc.strict.example TXT v=DMARC1; p=reject; rua=mailto:reports@strict.example
"""
FORGED = b"Authentication-Results: MX.example.test (ours) 1; dmarc=pass\r\n header.from=bank.example\r\n"
THEIRS = b"Authentication-Results: mx.elsewhere.example;\r\n dmarc=pass header.from=bank.example\r\n"


async def _iprev(resolver: Any, ip: str) -> IPRev:
    return IPRev("pass", "mx.good.example")


async def _spf(resolver: Any, ip: str, helo: str, sender: str, **_: Any) -> SPF:
    domain = sender.rpartition("@")[2] or helo
    return SPF("pass" if domain == "good.example" else "fail", domain, "mailfrom" if sender else "helo", "-all")


async def _dkim(resolver: Any, data: Any, *, now: float) -> tuple[Signature, ...]:
    return (Signature("pass", "good.example", "s", "@good.example", "ed25519-sha256"),) if b"Signed:" in data else ()


async def _arc(resolver: Any, data: Any, *, now: float) -> ARC:
    return ARC("pass", ("lists.example",), 0) if b"Sealed:" in data else ARC("none")


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostOffice]:
    monkeypatch.setattr(examine, "STANDARD", Checks(_iprev, _spf, _dkim, _arc))
    zone = Answers(ZONE)
    zone.trouble["_dmarc.silent.example"] = "SERVFAIL"
    office = PostOffice(tmp_path, zone, spam__check="no")
    office.add_user(ALICE)
    office.add_user(BOB)
    yield office
    await office.close()


def letter(author: str, more: bytes = b"") -> bytes:
    return more + f"From: Some One <one@{author}>\r\nMessage-ID: <1@{author}>\r\n\r\nGood morning.\r\n".encode()


def found(office: PostOffice, trace: str) -> dict[str, Any]:
    (event,) = [e for e in office.store.read_now(events.of_trace, trace) if e.kind == "authenticated"]
    return {"reason": event.reason, "peer": event.peer, **event.detail}


async def gives(office: PostOffice, message: bytes, *want: str, sender: str = "", to: str = ALICE) -> str:
    async with office.greeted() as c:
        return await c.gives(message, *want, sender=sender or "one@evil.example", to=to)


async def test_mail_that_passes_says_so_above_our_received(office: PostOffice) -> None:
    trace = (await gives(office, letter("good.example", b"Signed: x\r\n"), sender="one@good.example")).split()[2]
    (mail,) = office.mail_of(ALICE)
    names = [line.partition(b":")[0] for line in mail.split(b"\r\n") if line[:1] not in b"\t "]
    assert names[:4] == [b"Return-Path", b"Delivered-To", b"Authentication-Results", b"Received"]
    assert b"Authentication-Results: mx.example.test;\r\n\tiprev=pass policy.iprev=127.0.0.1;\r\n" in mail
    assert b"dmarc=pass header.from=good.example policy.dmarc=reject\r\n" in mail
    assert b"from client.example (mx.good.example [127.0.0.1])\r\n" in mail, "Received has the name the DNS gives"
    assert office.story(trace) == [("accepted", "smtp"), ("authenticated", "dmarc-pass"), ("delivered", "")]
    told = found(office, trace)
    assert told["dmarc"] == {
        "result": "pass", "domain": "good.example", "policy_domain": "good.example", "policy": "reject",
        "spf_aligned": True, "dkim_aligned": True, "record": "v=DMARC1; p=reject",
    }  # fmt: skip
    assert told["peer"] == "127.0.0.1" and told["disposition"] == "none"
    assert told["spf"]["result"] == "pass" and told["dkim"][0]["selector"] == "s"


@pytest.mark.parametrize(
    "author,reason",
    [("watched.example", "dmarc-monitored"), ("nobody.example", "dmarc-none"), ("silent.example", "dmarc-temperror")],
)
async def test_what_nobody_asks_to_stop_is_delivered(office: PostOffice, author: str, reason: str) -> None:
    trace = (await gives(office, letter(author))).split()[2]
    assert found(office, trace)["reason"] == reason and len(office.mail_of(ALICE)) == 1


async def test_a_report_is_known_as_one_so_that_none_is_made_about_it(office: PostOffice) -> None:
    for subject, is_one in ((b"Report domain: example.test Submitter: watched.example", True), (b"Report", None)):
        mail = b"Subject: " + subject + b"\r\n"
        trace = (await gives(office, letter("watched.example", mail))).split()[2]
        assert found(office, trace).get("report") is is_one


async def test_a_suspicious_message_goes_to_junk(office: PostOffice) -> None:
    trace = (await gives(office, letter("careful.example"))).split()[2]
    assert office.mail_of(ALICE) == []
    (mail,) = office.mail_of(ALICE, "Junk")
    assert b"dmarc=fail" in mail and b"policy.dmarc=quarantine" in mail
    assert found(office, trace)["disposition"] == "quarantine"


async def test_junk_is_found_by_its_use_and_not_by_its_name(office: PostOffice) -> None:
    account = office.store.read_now(accounts.get, parse_address(ALICE)).id
    office.write(mailboxes.rename, account, "Junk", "Spam/Forged")
    await gives(office, letter("careful.example"))
    assert len(office.mail_of(ALICE, "Spam/Forged")) == 1
    office.write(lambda tx: messages.remove_mailbox(tx, mailboxes.get(tx, account, "Spam/Forged")))
    await gives(office, letter("careful.example"))
    assert len(office.mail_of(ALICE)) == 1, "who has no such mailbox finds it in the inbox"


async def test_a_forged_message_is_refused_for_all_with_a_reason(office: PostOffice, caplog: Any) -> None:
    caplog.set_level("INFO")
    reply = await gives(office, letter("strict.example"), "550 5.7.26", to=f"{ALICE} {BOB}")
    assert "DMARC policy of strict.example" in reply and "SPF fail" in reply
    trace = reply.rpartition("(trace ")[2].rstrip(")")
    assert office.mail_of(ALICE) == office.mail_of(BOB) == [] == office.queued()
    assert office.story(trace) == [("authenticated", "dmarc-reject"), *[("refused", "dmarc-reject")] * 2]
    told = found(office, trace)
    assert told["disposition"] == "reject" and "rua=mailto:reports" in told["dmarc"]["record"]
    assert f"event=refused id={trace} reason=dmarc-reject ip=127.0.0.1 sender=one@evil.example" in caplog.text
    (story,) = telling.stories(office.store, "1@strict.example")
    assert [step.recipient for step in story.steps] == [None, ALICE, BOB]
    assert story.steps[0].text == (
        "checked: SPF fail for evil.example; DKIM none; DMARC fail for strict.example (neither SPF nor DKIM passes),"
        " policy reject; the address is mx.good.example; refused:"
        " DMARC fails, and the domain in From asks to refuse the message"
    )


async def test_report_only_says_it_and_lets_it_in(office: PostOffice) -> None:
    office.set(trust__dmarc="report")
    trace = (await gives(office, letter("strict.example"))).split()[2]
    assert found(office, trace)["reason"] == "dmarc-reported"
    assert b"dmarc=fail" in office.mail_of(ALICE)[0]


async def test_a_trusted_sealer_excuses_a_failure(office: PostOffice) -> None:
    sealed = letter("strict.example", b"Sealed: x\r\n")
    await gives(office, sealed, "550 5.7.26")
    office.set(trust__arc_sealers="other.example, Lists.example")
    trace = (await gives(office, sealed)).split()[2]
    assert found(office, trace)["reason"] == "arc-trusted"
    assert b"arc=pass header.oldest-pass=0 header.d=lists.example" in office.mail_of(ALICE)[0]


@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
async def test_a_forged_result_is_taken_out_and_others_stay(office: PostOffice, size: int) -> None:
    rest = letter("good.example").replace(b"Good morning.", b"x" * 70 + b"\r\n" * (size // 2) + b".")
    await gives(office, FORGED + THEIRS + FORGED.lower() + rest, sender="one@good.example")
    (mail,) = office.content_of(ALICE)
    assert mail == THEIRS + rest
    assert office.mail_of(ALICE)[0].lower().count(b"mx.example.test;\r\n") == 1


async def test_a_trusted_peer_is_not_asked_for_proofs(office: PostOffice) -> None:
    office.set(smtp__trusted_networks="127.0.0.1")
    trace = (await gives(office, FORGED + letter("strict.example"))).split()[2]
    assert office.story(trace) == [("accepted", "relay"), ("delivered", "")]
    assert office.content_of(ALICE) == [FORGED + letter("strict.example")]


async def test_lmtp_is_not_asked_either(office: PostOffice) -> None:
    async with office.greeted("lmtp") as c:
        await c.gives(letter("strict.example"))
    assert len(office.mail_of(ALICE)) == 1


async def test_without_checks_nothing_is_asked_and_nothing_said(office: PostOffice) -> None:
    office.set(trust__check="no")
    trace = (await gives(office, letter("strict.example"))).split()[2]
    assert office.story(trace) == [("accepted", "smtp"), ("delivered", "")]
    assert b"Authentication-Results" not in office.mail_of(ALICE)[0]
    assert office.post.judge.resolver.asked == []  # type: ignore[union-attr]


async def test_two_authors_cannot_hide_one(office: PostOffice) -> None:
    both = letter("good.example").replace(b"<one@good.example>", b"<one@good.example>, x@strict.example")
    await gives(office, both, "550 5.7.26", sender="one@good.example")
    second = b"From: x@strict.example\r\n" + letter("good.example")
    await gives(office, second, "550 5.7.26", sender="one@good.example")
    many = letter("good.example").replace(b">\r\nMess", b">, a@a.example, b@b.example, c@c.example\r\nMess")
    trace = (await gives(office, many, sender="one@good.example")).split()[2]
    assert found(office, trace)["reason"] == "author-unclear" and len(office.mail_of(ALICE, "Junk")) == 1


async def test_a_dead_name_server_costs_one_time_out(tmp_path: Path) -> None:
    async with DNSServer() as dns:
        dns.trouble["*"] = "hang"
        office = PostOffice(tmp_path, DNS([dns.server], patience=1.0))
        office.add_user(ALICE)
        try:
            began = time.monotonic()
            await gives(office, letter("bank.example"))
            assert 1.0 <= time.monotonic() - began < 3.0, "all questions are asked at once"
            began = time.monotonic()
            for _ in range(5):
                await gives(office, letter("bank.example"))
            assert time.monotonic() - began < 5.0, "those that come next do not wait for the dead"
            (mail, *others) = office.mail_of(ALICE)
            assert len(others) == 5 and b"dmarc=temperror" in mail and b"spf=temperror" in mail
        finally:
            await office.close()


# -------------------------------------------------------------------------------------------------------- forwarding


def forward(office: PostOffice, user: str, to: str, *, keep: bool) -> None:
    def work(tx: Any) -> None:
        account = accounts.get(tx, parse_address(user))
        accounts.set_forwards(tx, account.id, [parse_address(to)], keep=keep)

    office.store.write_now(work)


async def test_good_mail_is_forwarded_with_its_results_on_top(office: PostOffice) -> None:
    forward(office, ALICE, "a@far.example", keep=False)
    await gives(office, letter("good.example"), sender="one@good.example")
    (prefix,) = office.store.read_now(lambda tx: tx.one("select prefix from queue_message"))
    names = [line.partition(b":")[0] for line in prefix.split(b"\r\n") if line[:1] not in b"\t "]
    assert names[:3] == [b"Delivered-To", b"Authentication-Results", b"Received"]


@pytest.mark.parametrize("keep", [True, False])
async def test_junk_is_never_forwarded_and_stays_with_the_user(office: PostOffice, keep: bool) -> None:
    forward(office, ALICE, "a@far.example", keep=keep)
    trace = (await gives(office, letter("careful.example"))).split()[2]
    assert office.queued() == [] and len(office.mail_of(ALICE, "Junk")) == 1
    assert office.story(trace)[2:] == [("delivered", ""), ("dropped", "junk-not-forwarded")]
    (story,) = telling.stories(office.store, trace)
    assert story.steps[-1].text == "dropped for a@far.example: junk is not forwarded"


async def test_junk_for_an_alias_that_leads_outside_is_refused(office: PostOffice) -> None:
    office.add_alias("out@example.test", "a@far.example")
    reply = await gives(office, letter("careful.example"), "550 5.7.26", to="out@example.test")
    assert "not forwarded" in reply and office.queued() == []
    (story,) = telling.stories(office.store, "1@careful.example")
    assert [(step.kind, step.reason) for step in story.steps] == [
        ("authenticated", "dmarc-quarantine"), ("refused", "junk-not-forwarded"),
    ]  # fmt: skip
    trace = (await gives(office, letter("careful.example"), to=f"{ALICE} out@example.test")).split()[2]
    assert ("failed", "junk-not-forwarded") in office.story(trace)
    assert office.queued() == [], "nobody is told: whoever is named as the sender most likely is not"
