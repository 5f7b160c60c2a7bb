"""Mail for others: which host gets it, over which road, in which form, and what happens when that host will not.

Names and hosts are a story's own: a name server on loopback knows them, sinks take what comes and write it down.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from email import message_from_bytes, policy

import pytest
import trustme

from daemon.flow.route import is_ours
from tests.instruments.sink import ALL, Sink
from tests.stories.abroad import ALICE, BOB, HOST, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def kinds(story: list[dict[str, object]]) -> list[str]:
    return [f"{step['kind']} {step['reason']}".strip() for step in story]


def asked(sink: Sink) -> list[str]:
    """All commands of all sessions."""
    return [command for session in sink.sessions for command in session.commands()]


# -- which host --------------------------------------------------------------------------------------------------------


async def test_hosts_are_tried_in_the_order_of_their_preference(world: World) -> None:
    places = (("b", 20), ("c", 30), ("a", 10))
    world.dns.add("\n".join(f"order.example. MX {place} {name}.order.example." for name, place in places))
    first, second, third = [await world.host(f"{name}.order.example") for name in "abc"]
    first.on("connect", "554 5.3.2 not today")
    second.on("connect", "drop")
    await world.submit(ALICE, "x@order.example")
    await third.wait(1)
    assert first.sessions and second.sessions and not first.copies and not second.copies


async def test_the_host_with_the_best_preference_gets_it(world: World) -> None:
    world.dns.add("best.example. MX 20 a.best.example.\nbest.example. MX 10 b.best.example.")
    other, best = await world.host("a.best.example"), await world.host("b.best.example")
    await world.submit(ALICE, "x@best.example")
    await best.wait(1)
    assert not other.sessions


async def test_a_host_that_is_down_costs_nothing_but_the_next_is_asked(world: World) -> None:
    world.dns.add("half.example. MX 10 down.half.example.\nhalf.example. MX 20 up.half.example.")
    world.dns.add(f"down.half.example. A {world.address()}")
    up = await world.host("up.half.example")
    trace = await world.submit(ALICE, "x@half.example")
    await up.wait(1)
    await world.gone("x@half.example")
    assert kinds(await world.story(trace)) == ["accepted submission", "queued submission", "sent accepted"]


async def test_a_host_that_breaks_off_before_the_content_is_followed_by_the_next(world: World) -> None:
    world.dns.add("busy.example. MX 10 a.busy.example.\nbusy.example. MX 20 b.busy.example.")
    first, second = await world.host("a.busy.example"), await world.host("b.busy.example")
    first.on("RCPT", "421 4.3.2 too much to do")
    await world.submit(ALICE, "x@busy.example")
    await second.wait(1)


async def test_without_mx_the_domain_itself_takes_it(world: World) -> None:
    sink = await world.host("implicit.example")
    await world.submit(ALICE, "x@implicit.example")
    await sink.wait(1)


async def test_names_may_be_other_names(world: World) -> None:
    """Both the domain and the host of its MX are CNAMEs (RFC 5321 §5.1 lets the one, the world does the other)."""
    sink = await world.host("real.hosting.example")
    world.dns.add("shop.example. CNAME tenant.hosting.example.\ntenant.hosting.example. MX 10 mx.hosting.example.")
    world.dns.add("mx.hosting.example. CNAME real.hosting.example.")
    await world.submit(ALICE, "x@shop.example")
    (copy,) = await sink.wait(1)
    assert copy.recipients == ["x@shop.example"], "the address is not rewritten"


async def test_an_address_literal_is_dialed(world: World) -> None:
    sink = await world.host("literal.example")
    await world.submit(ALICE, f"x@[{sink.host}]")
    await sink.wait(1)


async def test_ipv6_and_ipv4_take_turns(world: World) -> None:
    """A host with both is reached though one family is dead; one with IPv6 alone where the machine has it."""
    both = await world.host("both.example")
    world.dns.add("both.example. AAAA ::1")
    await world.submit(ALICE, "x@both.example")
    (copy,) = await both.wait(1)
    await world.gone("x@both.example")
    if is_ours("::1"):
        six = await world.host("six.example", address="::1")
        await world.submit(ALICE, "x@six.example", f"y@[IPv6:{six.host}]")
        await six.wait(2)
    else:
        world.dns.add("six.example. AAAA ::1")
        await world.submit(ALICE, "x@six.example")
        assert (await world.tried("x@six.example")).last_reply
        await world.mailctl("queue", "drop", "--to", "x@six.example", "--yes")


async def test_a_domain_whose_dns_cannot_tell_is_tried_later(world: World) -> None:
    world.dns.trouble["sick.example"] = "SERVFAIL"
    trace = await world.submit(ALICE, "x@sick.example")
    await world.tried("x@sick.example")
    sink = await world.domain("sick.example")
    world.dns.trouble.clear()
    await world.settled(lambda: sink.copies)
    await world.gone("x@sick.example")
    assert "deferred dns" in kinds(await world.story(trace))


# -- a peer that puts us off -------------------------------------------------------------------------------------------


async def test_a_greylisted_message_is_tried_again_and_its_story_is_told_in_order(world: World) -> None:
    sink = await world.domain("grey.example")
    sink.on("RCPT", "450 4.7.1 greylisted, come back in a minute", times=1)
    trace = await world.submit(ALICE, "x@grey.example", subject="patience")
    await sink.wait(1)
    await world.gone("x@grey.example")
    story = await world.story(trace)
    assert kinds(story) == ["accepted submission", "queued submission", "deferred later", "sent accepted"]
    assert [step["at"] for step in story] == sorted(step["at"] for step in story)
    deferred, sent = story[2], story[3]
    assert "450 4.7.1 greylisted, come back in a minute" in deferred["text"] and "mx.grey.example" in deferred["text"]
    assert sent["peer"] == f"mx.grey.example [{sink.host}]" and sent["detail"]["reply"] == "250 2.0.0 taken"
    told = await world.mailctl("trace", trace)
    places = [told.index(word) for word in ("accepted", "queued", "450 4.7.1 greylisted", "250 2.0.0 taken")]
    assert places == sorted(places), told


async def test_each_recipient_has_a_fate_of_his_own(world: World) -> None:
    """S12: one is refused, one is put off, two are taken, one of them here: everybody has one copy or one notice."""
    sink, far = await world.domain("party.example"), await world.domain("far.example")
    sink.on("RCPT", "550 5.1.1 carol does not live here", match="carol")
    sink.on("RCPT", "450 4.2.0 dora is away", match="dora", times=1)
    everybody = ("ann@party.example", "carol@party.example", "dora@party.example", "eve@far.example", BOB)
    await world.submit(ALICE, *everybody, subject="invitation to the party")
    await far.wait(1)
    await sink.wait(2)
    await world.gone("party.example")
    assert [copy.recipients for copy in sink.copies] == [["ann@party.example"], ["dora@party.example"]]
    notice = await world.notice(ALICE, "carol does not live here")
    report = notice.partition(b"Content-Type: message/delivery-status")[2].partition(b"Content-Type:")[0].decode()
    assert report.count("Final-Recipient") == 1 and "carol@party.example" in report
    (here,) = [message for message in await world.inbox(BOB) if b"invitation to the party" in message]
    assert b"Return-Path: <alice@example.test>" in here


async def test_a_destination_that_hangs_or_is_down_delays_no_other(world: World) -> None:
    hung, quick = await world.domain("hung.example"), await world.domain("quick.example")
    hung.on("connect", "stall")
    world.dns.add(f"dead.example. MX 10 mx.dead.example.\nmx.dead.example. A {world.address()}")
    for number in range(20):
        await world.submit(ALICE, f"u{number}@hung.example", f"u{number}@dead.example")
    for number in range(5):
        await world.submit(BOB, f"u{number}@quick.example")
        await quick.wait(number + 1, patience=2)
    assert hung.open and not hung.copies
    for domain in ("hung", "dead"):
        await world.mailctl("queue", "drop", "--domain", f"{domain}.example", "--yes")
    await hung.stop()


# -- roads of the administrator's choice -------------------------------------------------------------------------------


async def test_a_smart_host_takes_it_after_a_login(world: World) -> None:
    relay = await world.host("smtp.provider.example", users={"customer": "secret words"})
    place = f"{relay.host}:{relay.port}"
    await world.mailctl(
        "route", "add", "--to", "byrelay.example", place, "--tls", "none", "--username", "customer", "--password-stdin",
        input="wrong words\n",
    )  # fmt: skip
    trace = await world.submit(ALICE, "x@byrelay.example")
    entry = await world.tried("x@byrelay.example")
    assert "535" in (entry.last_reply or "") and not relay.copies
    assert not [m for m in await world.inbox(ALICE) if b"byrelay.example" in m], "our mistake bounces nobody's mail"
    await world.mailctl("route", "rm", "--all", "--yes")
    await world.mailctl(
        "route", "add", "--to", "byrelay.example", place, "--tls", "none", "--username", "customer", "--password-stdin",
        input="secret words\n",
    )  # fmt: skip
    await world.mailctl("queue", "flush", "--to", "x@byrelay.example")
    (copy,) = await relay.wait(1)
    assert copy.session.login == "customer"
    assert any(command.startswith("AUTH SCRAM-SHA-256") for command in asked(relay)), "the password itself is not told"
    await world.gone("x@byrelay.example")
    assert "sent accepted" in kinds(await world.story(trace))
    await world.mailctl("route", "rm", "--all", "--yes")


async def test_routes_go_by_sender_and_by_default(world: World) -> None:
    bobs, others = await world.host("bobs.example"), await world.host("others.example")
    direct = await world.domain("direct.example")
    await world.mailctl("route", "add", "--from", BOB, f"{bobs.host}:{bobs.port}")
    await world.mailctl("route", "add", "--default", f"{others.host}:{others.port}")
    await world.submit(BOB, "x@direct.example")
    await world.submit(ALICE, "x@direct.example")
    await bobs.wait(1)
    await others.wait(1)
    await world.mailctl("route", "rm", "--all", "--yes")
    await world.submit(ALICE, "y@direct.example")
    await direct.wait(1)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certified() -> Callable[[str], ssl.SSLContext]:
    authority = trustme.CA()

    def context(name: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(made)
        return made

    return context


async def test_starttls_is_used_and_recorded(world: World, certified: Callable[[str], ssl.SSLContext]) -> None:
    sink = await world.domain("secure.example", tls=certified("mx.secure.example"))
    trace = await world.submit(ALICE, "x@secure.example")
    (copy,) = await sink.wait(1)
    assert copy.session.tls == "TLSv1.3"
    assert asked(sink).count("STARTTLS") == 1
    await world.gone("x@secure.example")
    sent = (await world.story(trace))[-1]
    assert sent["detail"]["tls"] == "TLSv1.3" and "verified" not in sent["detail"], "nobody vouches for that authority"


async def test_broken_starttls_does_not_keep_mail_back_and_is_told(
    world: World, certified: Callable[[str], ssl.SSLContext]
) -> None:
    sink = await world.domain("broken.example", tls=certified("mx.broken.example"))
    sink.handshake_garbage = True
    trace = await world.submit(ALICE, "x@broken.example")
    (copy,) = await sink.wait(1)
    assert copy.session.tls == ""
    await world.gone("x@broken.example")
    sent = (await world.story(trace))[-1]
    assert "STARTTLS failed" in sent["detail"]["note"] and "tls" not in sent["detail"]
    assert "event=starttls-failed host=mx.broken.example" in world.server.log()


async def test_a_route_that_insists_on_tls_waits_for_it(world: World) -> None:
    relay = await world.host("plain.example")
    await world.mailctl("route", "add", "--to", "strict.example", f"{relay.host}:{relay.port}", "--tls", "starttls")
    await world.submit(ALICE, "x@strict.example")
    entry = await world.tried("x@strict.example")
    assert "TLS is required" in (entry.last_reply or "") and not relay.copies
    await world.mailctl("queue", "drop", "--to", "x@strict.example", "--yes")
    await world.mailctl("route", "rm", "--all", "--yes")


# -- what the peer can take --------------------------------------------------------------------------------------------


async def test_a_message_over_the_peers_size_is_returned_without_asking(world: World) -> None:
    sink = await world.domain("small.example", ("PIPELINING", "SIZE 1000"))
    await world.submit(ALICE, "x@small.example", text="x" * 70 + "\r\n" + "y" * 900 + "\r\n" + "z" * 900 + "\r\n")
    notice = await world.notice(ALICE, "x@small.example")
    assert b"Status: 5.3.4" in notice and b"mx.small.example takes 1000" in notice
    assert not any(command.startswith("MAIL") for command in asked(sink))


async def test_a_peer_without_8bitmime_gets_seven_bits(world: World) -> None:
    sink = await world.domain("seven.example", ("PIPELINING",))
    await world.submit(ALICE, "x@seven.example", text="Grüße aus Köln\r\n", mail="BODY=8BITMIME")
    (copy,) = await sink.wait(1)
    assert copy.data.isascii() and "BODY" not in copy.parameters
    assert message_from_bytes(copy.data, policy=policy.default).get_content().strip() == "Grüße aus Köln"


async def test_a_peer_with_8bitmime_gets_it_as_it_is(world: World) -> None:
    sink = await world.domain("eight.example")
    await world.submit(ALICE, "x@eight.example", text="Grüße aus Köln\r\n", mail="BODY=8BITMIME")
    (copy,) = await sink.wait(1)
    assert "Grüße aus Köln".encode() in copy.data and "BODY=8BITMIME" in copy.parameters


async def test_a_peer_without_smtputf8_gets_only_what_needs_it_not(world: World) -> None:
    old, new = await world.domain("ascii.example", ("PIPELINING", "8BITMIME")), await world.domain("utf8.example")
    to = ("jürgen@ascii.example", "plain@ascii.example", "jürgen@utf8.example")
    await world.submit(ALICE, *to, mail="SMTPUTF8 BODY=8BITMIME")
    (taken,), (whole,) = await old.wait(1), await new.wait(1)
    assert taken.recipients == ["plain@ascii.example"] and "SMTPUTF8" not in taken.parameters
    assert whole.recipients == ["jürgen@utf8.example"] and "SMTPUTF8" in whole.parameters
    notice = await world.notice(ALICE, "no SMTPUTF8")
    assert b"Status: 5.6.7" in notice and "jürgen@ascii.example".encode() in notice


async def test_a_peer_that_knows_only_helo_gets_its_mail(world: World) -> None:
    sink = await world.domain("ancient.example", ())
    sink.on("EHLO", "500 5.5.1 what?")
    await world.submit(ALICE, "x@ancient.example")
    (copy,) = await sink.wait(1)
    assert copy.session.hello == HOST and "HELO" in asked(sink)[1]


# -- by hand -----------------------------------------------------------------------------------------------------------


async def test_held_mail_waits_for_its_release(world: World) -> None:
    sink = await world.domain("later.example")
    sink.on("RCPT", "450 4.2.1 not now", match="held")
    trace = await world.submit(ALICE, "held@later.example")
    tries = (await world.tried("held@later.example")).attempts
    await world.mailctl("queue", "hold", "--to", "held@later.example", "--reason", "a look first")
    await world.settled(lambda: world.queued("held@later.example")[0].state == "held")
    tries = world.queued("held@later.example")[0].attempts
    sink.behave()
    await world.mailctl("queue", "flush", "--all")
    await world.submit(ALICE, "other@later.example")
    (copy,) = await sink.wait(1)
    assert copy.recipients == ["other@later.example"]
    (entry,) = world.queued("held@later.example")
    assert entry.state == "held" and entry.attempts == tries and entry.hold_reason == "a look first"
    await world.mailctl("queue", "release", "--to", "held@later.example")
    await sink.wait(2)
    await world.gone("later.example")
    story = kinds(await world.story(trace))
    assert story[-3:] == ["held a look first", "released", "sent accepted"], story


@pytest.mark.parametrize("verb", ["flush", "retry"])
async def test_a_try_by_hand_does_not_wait_for_the_schedule(world: World, verb: str) -> None:
    sink = await world.domain(f"{verb}.example")
    sink.on("connect", "421 4.3.2 closed for lunch")
    await world.configure("queue.retry", "1h")
    await world.submit(ALICE, f"x@{verb}.example")
    await world.tried(f"x@{verb}.example")
    sink.behave()
    await world.mailctl("queue", verb, "--to", f"x@{verb}.example")
    await sink.wait(1)
    await world.configure("queue.retry", "1s")


async def test_mail_can_be_given_up_dropped_and_sent_another_way(world: World) -> None:
    stubborn, other = await world.domain("stubborn.example"), await world.host("another.example")
    stubborn.on("RCPT", "451 4.3.0 no and no again")
    for name in ("given-up", "dropped", "rerouted"):
        await world.submit(ALICE, f"{name}@stubborn.example")
        await world.tried(f"{name}@stubborn.example")
    await world.configure("queue.retry", "1h")
    for name in ("given-up", "dropped", "rerouted"):
        await world.settled(lambda to=f"{name}@stubborn.example": world.queued(to)[0].state == "due")  # type: ignore[misc]
    await world.mailctl("queue", "bounce", "--to", "given-up@", "--reason", "the firm is gone", "--yes")
    notice = await world.notice(ALICE, "given-up@stubborn.example")
    assert b"ended by the administrator: the firm is gone" in notice
    await world.mailctl("queue", "drop", "--to", "dropped@", "--yes")
    route = await world.mailctl("route", "add", "--to", "nobody.example", f"{other.host}:{other.port}")
    number = route.split()[1].rstrip(":")
    await world.mailctl("queue", "reroute", "--to", "rerouted@", "--route", number)
    (copy,) = await other.wait(1)
    assert copy.recipients == ["rerouted@stubborn.example"]
    await world.gone("stubborn.example")
    await world.configure("queue.retry", "1s")
    await world.mailctl("route", "rm", "--all", "--yes")
    assert not [m for m in await world.inbox(ALICE) if b"dropped@stubborn.example" in m]


async def test_names_and_ports_that_change_are_followed(world: World) -> None:
    """`smtp.out_port` and `hostname` count for the next session, without a restart."""
    sink = Sink((*ALL,), host=world.address())
    async with sink:
        world.dns.add(f"moved.example. A {sink.host}")
        await world.submit(ALICE, "x@moved.example")
        await world.tried("x@moved.example")
        await world.configure("smtp.out_port", str(sink.port))
        await sink.wait(1)
    sink.copies.clear()
    async with sink:  # the session that was open is over
        await world.configure("hostname", "mx2.example.test")
        await world.configure("smtp.out_port", str(sink.port))
        await world.submit(ALICE, "y@moved.example")
        (copy,) = await sink.wait(1)
        assert copy.session.hello == "mx2.example.test"
    await world.configure("hostname", HOST)
    await world.configure("smtp.out_port", str(world.port))
