from daemon.admin import people
from daemon.mail.address import parse_address
from daemon.store import addresses
from daemon.store.addresses import DAY
from tests.flow.house import MESSAGE, Clock, House
from tests.flow.office import Office, running
from tests.instruments.sink import Sink


def test_a_forward_goes_out_under_an_address_of_ours_that_leads_back(house: House) -> None:
    house.forward("ann@here.example", "ann@elsewhere.example")
    receipt = house.mail("carl@far.example", "ann@here.example", kind="smtp")
    (row,) = house.queued()
    assert row.recipient == "ann@elsewhere.example" and row.origin == "forward" and row.user == "ann@here.example"
    assert row.sender.startswith("SRS0=") and row.sender.endswith("=far.example=carl@here.example")
    assert house.inbox("ann@here.example") == []
    assert house.story(receipt) == ["accepted smtp", "queued forward"]
    back = house.mail("", row.sender, kind="smtp")
    assert back.taken
    assert house.queued()[1].recipient == "carl@far.example" and house.queued()[1].sender == ""


def test_a_forward_with_a_kept_copy_does_both(house: House) -> None:
    house.forward("ann@here.example", "ann@elsewhere.example", keep=True)
    house.mail("carl@far.example", "ann@here.example", kind="smtp")
    assert len(house.queued()) == 1 and len(house.inbox("ann@here.example")) == 1


def test_our_own_senders_and_the_null_sender_are_not_rewritten(house: House) -> None:
    house.alias("team@here.example", "x@elsewhere.example", "y@elsewhere.example", "bob@here.example")
    house.mail("ann@here.example", "team@here.example")
    assert {row.sender for row in house.queued()} == {"ann@here.example"} and len(house.queued()) == 2
    assert {row.origin for row in house.queued()} == {"alias"} and len(house.inbox("bob@here.example")) == 1
    house.mail("", "team@here.example", kind="smtp")
    assert [row.sender for row in house.queued()[2:]] == ["", ""]


def test_the_body_that_is_forwarded_is_not_touched(house: House) -> None:
    house.forward("ann@here.example", "ann@elsewhere.example")
    house.mail("carl@far.example", "ann@here.example", kind="smtp")
    place = house.store.read_now(
        lambda tx: tx.one("select segment_id, offset, length from blob b join queue_message m on m.blob_id = b.id")
    )
    assert place is not None and house.store.segments.read(*place) == MESSAGE


def test_only_notices_go_back_and_only_to_addresses_we_made_lately(house: House, clock: Clock) -> None:
    house.forward("ann@here.example", "ann@elsewhere.example")
    house.mail("carl@far.example", "ann@here.example", kind="smtp")
    made = house.queued()[0].sender
    refused = house.mail("spammer@far.example", made, kind="smtp").outcomes[0].denial
    assert refused is addresses.BOUNCES_ONLY
    forged = house.mail("", made.replace("carl", "victim"), kind="smtp").outcomes[0].denial
    assert forged is addresses.UNKNOWN_USER
    steps = house.store.read_now(lambda tx: addresses.resolve(tx, parse_address(made)).steps)
    assert "carl@far.example, rewritten when we forwarded" in " ".join(steps)
    assert house.mail("", made.lower(), kind="smtp").taken
    clock.now += 22 * DAY
    assert house.mail("", made, kind="smtp").outcomes[0].denial is addresses.UNKNOWN_USER


def test_a_bounce_to_a_sender_of_ours_who_was_rewritten_elsewhere_comes_home(house: House) -> None:
    house.forward("ann@here.example", "x@elsewhere.example")
    house.mail("SRS0=abc=de=bob.example=bob@forwarder.example", "ann@here.example", kind="smtp")
    (row,) = house.queued()
    assert row.sender.startswith("SRS1=") and "=forwarder.example==abc=de=bob.example=bob@here.example" in row.sender
    house.mail("", row.sender, kind="smtp")
    assert house.queued()[1].recipient == "SRS0=abc=de=bob.example=bob@forwarder.example"


def test_a_catch_all_does_not_swallow_what_must_go_back(house: House) -> None:
    house.alias("*@here.example", "bob@here.example")
    house.forward("ann@here.example", "x@elsewhere.example")
    house.mail("carl@far.example", "ann@here.example", kind="smtp")
    house.mail("", house.queued()[0].sender, kind="smtp")
    assert house.queued()[1].recipient == "carl@far.example" and house.inbox("bob@here.example") == []
    house.mail("", "SRS0=xxxxxx=aa=t.example=u@here.example", kind="smtp")
    assert len(house.inbox("bob@here.example")) == 1


def test_forwards_in_a_circle_end(house: House) -> None:
    house.forward("ann@here.example", "ann@elsewhere.example", keep=True)
    house.mail("carl@far.example", "ann@here.example", kind="smtp")
    (row,) = house.queued()
    prefix = house.store.read_now(lambda tx: tx.value("select prefix from queue_message"))
    came_back = house.mail(row.sender, "ann@here.example", data=prefix + MESSAGE, kind="smtp")
    assert not came_back.taken and came_back.outcomes[0].denial is not None
    assert came_back.outcomes[0].denial.enhanced == "5.4.6"
    assert len(house.queued()) == 1 and len(house.inbox("ann@here.example")) == 1


async def test_the_health_of_each_target_is_known(house: House) -> None:
    house.forward("ann@here.example", "ann@good.example", "ann@bad.example", "ann@full.example")
    house.forward("bob@here.example", "bob@new.example")
    async with Sink() as sink:
        everywhere = dict.fromkeys(("good.example", "bad.example", "full.example"), "127.0.0.1")
        async with running(Office(house, everywhere, sink.port)) as office:
            sink.on("RCPT", "550 5.1.1 nobody here", match="bad.example")
            sink.on("RCPT", "452 4.2.2 no room", match="full.example")
            house.mail("carl@far.example", "ann@here.example", kind="smtp")
            await office.until(lambda: [row.attempts for row in house.queued(recipient="ann@full.example")] == [1])
            await office.until(lambda: not house.queued(recipient="ann@good.example"))
            await office.until(lambda: not house.queued(recipient="ann@bad.example"))
            first = house.clock.now
            office.tick(1)
            sink.behave()
            sink.on("RCPT", "452 4.2.2 no room", match="full.example")
            house.mail("carl@far.example", "ann@here.example", kind="smtp")
            await office.until(lambda: not house.queued(recipient="ann@bad.example"))
            await office.until(lambda: not house.queued(recipient="ann@good.example"))
    good, bad, full = people.forwards(house.store, "ann@here.example")
    assert (good.health, good.sent_at, good.failed_at) == ("good", first + 1000, None)
    assert (bad.health, bad.sent_at, bad.failed_at) == ("good", first + 1000, first), "it works again"
    assert bad.failure is not None and "nobody here" in bad.failure
    assert (full.health, full.sent_at) == ("failing", None)
    assert full.failure is not None and full.failure.startswith("452 4.2.2 no room")
    (new,) = people.forwards(house.store, "bob@here.example")
    assert (new.health, new.sent_at, new.failed_at, new.failure) == ("", None, None, None)
    assert people.forwards(house.store) == [good, bad, full, new]
