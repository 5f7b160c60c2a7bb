import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from daemon.flow.bounce import is_due
from daemon.flow.send import Session
from daemon.limits import LIMITS
from daemon.store import accounts, queue_desk
from daemon.store.errors import OverQuota
from tests.flow.house import MESSAGE, House
from tests.flow.office import Office, running
from tests.instruments.sink import ALL, Sink

ONE = {"there.example": "127.0.0.1", "far.example": "127.0.0.1"}
HOUR, DAY = 3600, 86400


def fields(notice: bytes) -> list[dict[str, str]]:
    """The groups of fields of the status part, the message's own first."""
    message = email.message_from_bytes(notice, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["Auto-Submitted"] == "auto-replied" and message.get_content_type() == "multipart/report"
    _, status, _ = message.iter_parts()
    return [dict(group.items()) for group in status.get_payload()]


async def refused(house: House, sink: Sink, *to: str, **more: Any) -> None:
    async with running(Office(house, ONE, sink.port)) as office:
        house.mail(more.pop("sender", "ann@here.example"), *to, **more)
        await office.until(lambda: not house.queued())


async def test_a_failure_is_told_with_the_peers_words_and_what_was_asked_for(house: House) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 No such user\n5.1.1 see https://there.example/help")
        await refused(house, sink, "x@there.example", envid="q+3D1", orcpt="rfc822;X+2Bt@old.example")
    (notice,) = house.inbox("ann@here.example")
    about, one = fields(notice)
    assert about["Original-Envelope-Id"] == "q=1" and about["Reporting-MTA"] == "dns; mx.here.example"
    assert one["Original-Recipient"] == "rfc822;X+t@old.example" and one["Final-Recipient"] == "rfc822; x@there.example"
    assert (one["Action"], one["Status"], one["Remote-MTA"]) == ("failed", "5.1.1", "dns; mx.there.example")
    assert one["Diagnostic-Code"].startswith("smtp; 550-5.1.1 No such user")
    assert b"check the address for a spelling mistake" in notice.replace(b"\r\n    ", b" "), "with the remedy"
    assert MESSAGE in notice and notice.startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    "notify, failure, delay, success",
    [
        (None, True, True, False),
        ("", True, True, False),
        ("NEVER", False, False, False),
        ("FAILURE", True, False, False),
        ("delay", False, True, False),
        ("SUCCESS,FAILURE", True, False, True),
        ("SUCCESS,DELAY", False, True, True),
    ],
)
def test_what_the_sender_asked_for(notify: str | None, failure: bool, delay: bool, success: bool) -> None:
    kinds = ("failure", "delay", "success")
    assert tuple(is_due(kind, "a@b.example", notify) for kind in kinds) == (failure, delay, success)
    assert not any(is_due(kind, "", notify) for kind in kinds), "the null sender is never answered"


async def test_one_notice_for_all_failed_recipients_that_want_one(house: House) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        await refused(house, sink, "x@there.example", "y@there.example")
        (notice,) = house.inbox("ann@here.example")
        assert [one["Final-Recipient"] for one in fields(notice)[1:]] == [
            "rfc822; x@there.example", "rfc822; y@there.example"
        ]  # fmt: skip
        await refused(house, sink, "z@there.example", notify="NEVER")
        assert len(house.inbox("ann@here.example")) == 1


async def test_headers_only_when_asked_or_when_the_mail_is_long(house: House) -> None:
    long = MESSAGE + b"a line of text\r\n" * (LIMITS.notice_original // 10)
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        await refused(house, sink, "x@there.example", ret="HDRS")
        await refused(house, sink, "x@there.example", data=long)
    for notice in house.inbox("ann@here.example"):
        assert b"Subject: hello" in notice and b"Hello." not in notice and len(notice) < 10_000


async def test_a_notice_for_a_sender_elsewhere_goes_out_under_the_null_sender(house: House) -> None:
    house.alias("team@here.example", "x@there.example")
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody", match="x@there")
        await refused(house, sink, "team@here.example", sender="carl@far.example", kind="smtp")
        await sink.wait(1)
    (copy,) = sink.copies
    assert (copy.sender, copy.recipients) == ("", ["carl@far.example"]), "the rewritten sender leads back to him"
    assert fields(copy.data)[1]["Final-Recipient"] == "rfc822; x@there.example"


async def test_a_notice_that_fails_is_dropped_with_an_event(house: House) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        receipt = None
        async with running(Office(house, ONE, sink.port)) as office:
            receipt = house.mail("carl@far.example", "x@there.example", kind="relay")
            await office.until(lambda: not house.queued() and len(sink.sessions) >= 2)
            await office.until(lambda: not house.queued())
    assert house.story(receipt)[2:] == [
        "failed refused", "notified failure", "queued notice", "failed refused", "dropped double-bounce"
    ]  # fmt: skip


async def test_a_sender_of_ours_who_does_not_exist_is_told_nothing(house: House) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        receipt = house.mail("ghost@here.example", "x@there.example", kind="relay")
        async with running(Office(house, ONE, sink.port)) as office:
            await office.until(lambda: not house.queued())
    assert house.story(receipt)[-2:] == ["failed refused", "dropped sender-unknown"]


async def test_a_full_mailbox_does_not_stop_the_queue(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        receipt = house.mail("ann@here.example", "x@there.example")

        def full(*_: Any) -> None:
            raise OverQuota("full")

        monkeypatch.setattr(accounts, "check_room", full)
        async with running(Office(house, ONE, sink.port)) as office:
            await office.until(lambda: not house.queued())
    assert house.story(receipt)[-2:] == ["failed refused", "dropped sender-unknown"]


async def test_success_is_told_by_the_peer_or_by_us_never_by_both(house: House) -> None:
    async with Sink() as sink:
        await refused(house, sink, "x@there.example", notify="SUCCESS,FAILURE", orcpt="rfc822;x@there.example")
        assert sink.copies[0].recipient_parameters == ["NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@there.example"]
        assert house.inbox("ann@here.example") == []
    async with Sink(tuple(offer for offer in ALL if offer != "DSN")) as sink:
        await refused(house, sink, "x@there.example", notify="SUCCESS", orcpt="rfc822;x@there.example")
        assert sink.copies[0].recipient_parameters == [""]
    (notice,) = house.inbox("ann@here.example")
    assert (fields(notice)[1]["Action"], fields(notice)[1]["Status"]) == ("relayed", "2.0.0")


async def test_a_delay_is_told_once_for_all_that_wait(house: House) -> None:
    async with Sink() as sink, running(Office(house, ONE, sink.port)) as office:
        sink.on("RCPT", "451 4.3.0 not now")
        house.mail("ann@here.example", "x@there.example", "y@far.example")
        house.mail("ann@here.example", "never@there.example", notify="FAILURE")
        await office.until(lambda: all(row.attempts for row in house.queued()))
        assert house.inbox("ann@here.example") == []
        office.tick(5 * HOUR)
        await office.until(lambda: all(row.attempts == 2 for row in house.queued()))
        office.tick(5 * HOUR)
        await office.until(lambda: all(row.attempts == 3 for row in house.queued()))
    (notice,) = house.inbox("ann@here.example")
    about = fields(notice)[1:]
    assert {one["Final-Recipient"] for one in about} == {"rfc822; x@there.example", "rfc822; y@far.example"}
    assert {one["Action"] for one in about} == {"delayed"} and "Will-Retry-Until" in about[0]
    assert all(one["Status"].startswith("4.") for one in about) and b"451 4.3.0 not now" in notice


async def test_what_was_dropped_meanwhile_is_not_bounced(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    carry = Session.carry

    async def meanwhile(self: Session, recipients: Any, ahead: Any) -> Any:
        results = await carry(self, recipients, ahead)
        house.store.write_now(queue_desk.drop, [recipient.id for recipient in recipients])
        return results

    monkeypatch.setattr(Session, "carry", meanwhile)
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody")
        await refused(house, sink, "x@there.example")
    assert house.inbox("ann@here.example") == []


async def test_content_that_cannot_be_read_is_no_reason_to_be_silent(house: House) -> None:
    async with Sink() as sink:
        sink.on("MAIL", "550 5.7.1 no")
        house.mail("ann@here.example", "x@there.example")
        house.store.write_now(lambda tx: tx.run("update blob set segment_id = segment_id, offset = 1000000"))
        async with running(Office(house, ONE, sink.port)) as office:
            await office.until(lambda: all(row.attempts for row in house.queued()))
            office.tick(6 * DAY)
            await office.until(lambda: not house.queued())
    assert b"cannot be read from this server's disk" in house.inbox("ann@here.example")[0].replace(b"\r\n    ", b" ")


async def test_an_address_spoilt_by_hand_is_told_as_it_is(house: House) -> None:
    house.mail("ann@here.example", "x@there.example", "y@there.example")
    house.store.write_now(
        lambda tx: tx.run(
            "update queue_recipient set address = iif(address like 'x%', 'no domain', 'a b@there.example')"
        )
    )
    house.store.write_now(lambda tx: tx.run("update queue_recipient set destination = 'nowhere.example'"))
    async with running(Office(house, {})) as office:
        await office.until(lambda: not house.queued())
    notices = b"".join(house.inbox("ann@here.example"))
    assert b"no domain" in notices and b"a b" in notices


async def test_a_sender_spoilt_by_hand_is_nobody(house: House) -> None:
    receipt = house.mail("ann@here.example", "x@nowhere.example")
    house.store.write_now(lambda tx: tx.run("update queue_message set sender = 'not an address'"))
    async with running(Office(house, {})) as office:
        await office.until(lambda: not house.queued())
    assert house.story(receipt)[-1] == "dropped sender-unknown"
