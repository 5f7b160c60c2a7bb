"""The one road in: what is written, what is refused, what the sender hears."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from daemon.flow import deliver, planning, receive
from daemon.flow.deliver import Stale, commit
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, addresses, correspondents, mailboxes, messages
from daemon.store.db import StoreBroken, StoreBusy, StoreFull
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import MESSAGE, House

ANN, BOB = "ann@here.example", "bob@here.example"


def quota(house: House, user: str, octets: int | None) -> None:
    account = house.store.peek(accounts.get, parse_address(user))
    house.store.write_now(lambda tx: accounts.change(tx, account.id, quota=octets))


def envelope(sender: str, *to: str) -> Envelope:
    return Envelope(parse_address(sender) if sender else None, [Recipient(parse_address(t)) for t in to])


def blobs(house: House) -> tuple[int, int]:
    """Rows of blobs, and what points to them."""
    return house.store.read_now(lambda tx: tx.one("select count(*), coalesce(sum(refs), 0) from blob"))  # type: ignore[return-value]


async def accept(house: House, sender: str, *to: str, kind: str = "smtp", data: bytes = MESSAGE) -> receive.Receipt:
    origin = Origin(kind, peer="192.0.2.1", helo="far.example")
    return await receive.accept(house.store, origin, envelope(sender, *to), Body.of(data), config=house.config)


async def test_a_receipt_means_that_it_is_there(house: House) -> None:
    receipt = await accept(house, "carl@far.example", ANN)
    assert receipt.taken and str(receipt) == receipt.trace
    (mail,) = house.inbox(ANN)
    assert mail.endswith(MESSAGE) and mail.startswith(b"Return-Path: <carl@far.example>\r\nDelivered-To: ann@here")
    assert house.story(receipt) == ["accepted smtp", "delivered"]
    assert blobs(house) == (1, 1)


async def test_settings_are_looked_up_by_who_does_not_hand_them_in(house: House) -> None:
    receipt = await receive.accept(house.store, Origin("notice", trace="t" * 16), envelope("", ANN), Body.of(MESSAGE))
    assert receipt.trace == "t" * 16 and len(house.inbox(ANN)) == 1


async def test_two_recipients_that_end_in_one_mailbox_get_one_copy(house: House) -> None:
    house.alias("team@here.example", ANN, BOB)
    house.alias("all@here.example", "team@here.example", "x@far.example")
    receipt = await accept(
        house, "carl@far.example", "ann+tag@here.example", ANN, "all@here.example", "team@here.example"
    )
    assert [outcome.denial for outcome in receipt.outcomes] == [None] * 4
    assert len(house.inbox(ANN)) == len(house.inbox(BOB)) == 1
    assert [row.recipient for row in house.queued()] == ["x@far.example"]
    assert blobs(house) == (1, 3)


async def test_who_is_unknown_or_elsewhere_is_refused_one_by_one(house: House) -> None:
    receipt = await accept(house, "carl@far.example", "nobody@here.example", "x@far.example", ANN, kind="lmtp")
    assert [o.denial and o.denial.reason for o in receipt.outcomes] == ["unknown-user", "relay-denied", None]
    assert house.queued() == []


async def test_when_nobody_takes_it_nothing_is_written(house: House) -> None:
    receipt = await accept(house, "carl@far.example", "nobody@here.example")
    assert not receipt.taken
    assert blobs(house) == (0, 0) and house.story(receipt) == []


async def test_whom_a_user_writes_to_becomes_his_correspondent(house: House) -> None:
    ann = house.store.peek(accounts.get, parse_address(ANN)).id
    mail = b"Message-ID: <m1@here.example>\r\n" + MESSAGE
    origin = Origin("submission", peer="192.0.2.1", account_id=ann)
    to = envelope(ANN, "x@far.example", BOB, "nobody@here.example")
    await receive.accept(house.store, origin, to, Body.of(mail), config=house.config)
    await accept(house, "carl@far.example", ANN, data=mail)
    known = house.store.read_now(Tx.all, "select account_id, address from correspondent order by address")
    assert known == [(ann, BOB), (ann, "x@far.example")]
    assert house.store.peek(correspondents.answers, ann, ["m1@here.example"])


@pytest.mark.parametrize("kind", ["submission", "relay", "sendmail", "notice"])
async def test_those_who_may_relay_reach_the_world(house: House, kind: str) -> None:
    receipt = await accept(house, ANN, "x@far.example", "y@[192.0.2.9]", kind=kind)
    assert receipt.taken and [row.recipient for row in house.queued()] == ["x@far.example", "y@[192.0.2.9]"]
    assert {row.origin for row in house.queued()} == {kind}


async def test_a_full_mailbox_alone_is_refused_for_now(house: House) -> None:
    quota(house, ANN, 100)
    receipt = await accept(house, "carl@far.example", ANN)
    assert receipt.outcomes[0].denial is planning.FULL
    assert blobs(house) == (0, 0)


async def test_a_full_mailbox_among_others_is_told_to_the_sender(house: House) -> None:
    quota(house, ANN, 100)
    receipt = await accept(house, "carl@far.example", ANN, BOB)
    assert [o.denial for o in receipt.outcomes] == [planning.FULL, None]
    assert len(house.inbox(BOB)) == 1
    (row,) = house.queued()
    assert (row.sender, row.recipient, row.origin) == ("", "carl@far.example", "notice")
    assert house.story(receipt) == [
        "accepted smtp", "delivered", "failed over-quota", "notified failure", "queued notice",
    ]  # fmt: skip


async def test_lmtp_hears_of_a_full_mailbox_itself(house: House) -> None:
    quota(house, ANN, 100)
    await accept(house, "carl@far.example", ANN, BOB, kind="lmtp")
    assert house.queued() == []


async def test_a_full_mailbox_behind_an_alias_is_told_to_the_sender(house: House) -> None:
    house.alias("team@here.example", ANN, BOB)
    quota(house, ANN, 100)
    receipt = await accept(house, "carl@far.example", "team@here.example", kind="lmtp")
    assert receipt.taken and len(house.inbox(BOB)) == 1
    assert [row.recipient for row in house.queued()] == ["carl@far.example"]


@pytest.mark.parametrize("notify,told", [(None, 1), ("FAILURE,DELAY", 1), ("NEVER", 0), ("SUCCESS", 0)])
async def test_notices_of_failure_obey_notify(house: House, notify: str | None, told: int) -> None:
    quota(house, ANN, 100)
    letter = Envelope(
        parse_address("carl@far.example"), [Recipient(parse_address(ANN), notify=notify), Recipient(parse_address(BOB))]
    )
    await receive.accept(house.store, Origin("smtp"), letter, Body.of(MESSAGE), config=house.config)
    assert len(house.queued()) == told


async def test_the_null_sender_is_never_answered(house: House) -> None:
    quota(house, ANN, 100)
    await accept(house, "", ANN, BOB)
    assert house.queued() == []


async def test_a_notice_to_a_user_of_ours_goes_into_his_mailbox(house: House) -> None:
    quota(house, ANN, 100)
    receipt = await accept(house, BOB, ANN, "x@far.example", kind="submission")
    (notice,) = house.inbox(BOB)
    assert b"Return-Path: <>" in notice and b"Final-Recipient: rfc822;ann@here.example" in notice.replace(b"; ", b";")
    assert house.story(receipt)[-2:] == ["notified failure", "delivered"]


async def test_success_is_told_when_asked_for(house: House) -> None:
    house.mail("carl@far.example", ANN, kind="smtp", notify="SUCCESS", orcpt="rfc822;Ann+2BX@old.example")
    (row,) = house.queued()
    assert (row.sender, row.recipient) == ("", "carl@far.example")


async def test_a_large_original_is_returned_as_its_header_only(house: House) -> None:
    quota(house, ANN, 100)
    await accept(house, BOB, ANN, BOB, data=MESSAGE + b"x" * LIMITS.notice_original + b"\r\n")
    notice = min(house.inbox(BOB), key=len)
    assert b"Subject: hello" in notice and len(notice) < 10_000


async def test_a_message_that_was_passed_on_too_often_goes_no_further(house: House) -> None:
    hop = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    assert (await accept(house, "carl@far.example", ANN, data=hop * LIMITS.smtp_hops + MESSAGE)).taken
    receipt = await accept(house, "carl@far.example", ANN, data=hop * (LIMITS.smtp_hops + 1) + MESSAGE)
    assert receipt.outcomes[0].denial is planning.HOPS
    assert planning.HOPS.code == 554 and planning.HOPS.enhanced == "5.4.6"


@pytest.mark.parametrize(
    "field",
    [b"Delivered-To: ann@here.example", b"delivered-to:  <ANN@Here.Example> ", b"DELIVERED-TO:\r\n ann@here.example"],
)
async def test_a_message_that_was_here_before_goes_in_a_circle(house: House, field: bytes) -> None:
    receipt = await accept(house, "carl@far.example", ANN, BOB, data=field + b"\r\n" + MESSAGE, kind="lmtp")
    assert [o.denial for o in receipt.outcomes] == [planning.LOOP, None]


async def test_a_field_that_names_nobody_is_no_circle(house: House) -> None:
    assert (await accept(house, "carl@far.example", ANN, data=b"Delivered-To: nobody\r\n" + MESSAGE)).taken


async def test_an_alias_that_leads_back_here_ends(house: House) -> None:
    house.alias("out@here.example", "x@far.example")
    house.alias("both@here.example", "out@here.example")
    sent = b"Delivered-To: out@here.example\r\n" + MESSAGE
    receipt = await accept(house, "carl@far.example", "both@here.example", data=sent)
    assert receipt.outcomes[0].denial is planning.LOOP and house.queued() == []


async def test_an_address_that_stopped_leading_anywhere_is_unknown(house: House) -> None:
    nowhere = addresses.Resolution(parse_address(ANN), ours=True)
    letter = Envelope(None, [Recipient(parse_address(ANN), resolution=nowhere)])
    receipt = await receive.accept(house.store, Origin("smtp"), letter, Body.of(MESSAGE), config=house.config)
    assert receipt.outcomes[0].denial is addresses.UNKNOWN_USER


async def test_a_user_removed_since_rcpt_is_a_matter_of_trying_again(house: House) -> None:
    resolution = house.store.peek(addresses.resolve, parse_address(ANN))
    house.store.write_now(lambda tx: accounts.remove(tx, resolution.locals[0].account_id))
    letter = Envelope(None, [Recipient(parse_address(ANN), resolution=resolution)])
    receipt = await receive.accept(house.store, Origin("smtp"), letter, Body.of(MESSAGE), config=house.config)
    denial = receipt.outcomes[0].denial
    assert denial is not None and 400 <= denial.code < 500


async def test_a_plan_that_grew_old_is_made_anew_and_not_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise planning.OverQuota("no room")

    monkeypatch.setattr(messages, "put", missing)
    with pytest.raises(StoreBusy, match="keep changing"):
        await accept(house, "carl@far.example", ANN)
    with pytest.raises(StoreBusy, match="keep changing"):
        house.mail("carl@far.example", ANN, kind="smtp")
    assert blobs(house) == (0, 0)


async def test_a_mailbox_that_is_not_there_makes_the_plan_stale(house: House) -> None:
    body = Body.of(MESSAGE)
    plan, _ = house.store.peek(
        planning.prepare, Origin("smtp"), envelope("", ANN), body, receive.summarize(MESSAGE), house.config, 0
    )
    plan.copies[0] = plan.copies[0]._replace(mailbox="Nowhere")
    with pytest.raises(Stale):
        await house.store.write(commit, plan, bodies=plan.bodies)


@pytest.mark.parametrize("where", ["messages", "queue", "events"])
async def test_d9_a_step_that_fails_undoes_all_of_them(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    house.forward(ANN, "ann@far.example", keep=True)

    def fails(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("injected")

    target = {"messages": (deliver.messages, "put"), "queue": (deliver.queue, "enqueue"),
              "events": (deliver.events, "record_all")}[where]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(*target, fails)
        with pytest.raises((sqlite3.OperationalError, StoreBusy, StoreBroken)):
            await accept(house, "carl@far.example", ANN)
    assert house.inbox(ANN) == [] and house.queued() == [] and blobs(house) == (0, 0)
    assert (await accept(house, "carl@far.example", ANN)).taken
    assert len(house.inbox(ANN)) == len(house.queued()) == 1


async def test_a_full_disk_is_told_and_leaves_nothing(house: House) -> None:
    house.store.reserve = 1 << 60
    with pytest.raises(StoreFull):
        await accept(house, "carl@far.example", ANN)
    house.store.reserve = 0
    assert blobs(house) == (0, 0)


async def test_d1_many_at_once_are_each_there_once(house: House) -> None:
    async def one(number: int) -> None:
        await accept(house, "carl@far.example", ANN, BOB, data=MESSAGE + b"%d\r\n" % number)

    await asyncio.gather(*(one(number) for number in range(50)))
    for user in (ANN, BOB):
        assert sorted(mail.rsplit(b"\r\n", 2)[1] for mail in house.inbox(user)) == sorted(b"%d" % n for n in range(50))


async def test_a_message_over_the_inline_limit_is_parsed_in_a_thread(house: House) -> None:
    data = MESSAGE + b"a line of many\r\n" * 20_000
    assert len(data) > LIMITS.parse_inline
    assert (await accept(house, "carl@far.example", ANN, data=data)).taken
    assert house.inbox(ANN)[0].endswith(data)


async def test_a_caller_who_is_cancelled_leaves_the_body_to_the_writer(house: House) -> None:
    task = asyncio.create_task(accept(house, "carl@far.example", ANN))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await house.store.write(lambda tx: None)  # what was handed over before is done
    assert [mail.endswith(MESSAGE) for mail in house.inbox(ANN)] == [True]


@pytest.mark.parametrize(
    "origin,smtputf8,word",
    [
        (Origin("smtp", peer="192.0.2.1"), False, "ESMTP"),
        (Origin("smtp", peer="192.0.2.1", esmtp=False), True, "SMTP"),
        (Origin("smtp", peer="192.0.2.1", tls="TLSv1.3"), False, "ESMTPS"),
        (Origin("submission", peer="192.0.2.1", tls="TLSv1.3", account_id=1), False, "ESMTPSA"),
        (Origin("submission", peer="192.0.2.1", account_id=1), True, "UTF8SMTPA"),
        (Origin("lmtp", peer="192.0.2.1"), False, "LMTP"),
        (Origin("lmtp", peer="192.0.2.1", tls="TLSv1.3"), True, "UTF8LMTPS"),
        (Origin("sendmail"), True, "local"),
    ],
)
async def test_the_trace_field_names_the_protocol(house: House, origin: Origin, smtputf8: bool, word: str) -> None:
    letter = envelope("", ANN)
    letter.smtputf8 = smtputf8
    await receive.accept(house.store, origin, letter, Body.of(MESSAGE), config=house.config)
    assert f" with {word} id ".encode() in house.inbox(ANN)[0]


async def test_everything_standard_is_there_for_a_new_user(house: House) -> None:
    account = house.store.peek(accounts.get, parse_address(ANN))
    assert [box.name for box in house.store.peek(mailboxes.everyone, account.id)][0] == "INBOX"
