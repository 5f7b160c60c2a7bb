"""DANE and MTA-STS with real parts: bind9 signs, unbound validates, Postfix and sinks take the mail or must not."""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from daemon.resolver import TLSA
from tests.instruments.authority import Issued, issue, presented, serving, tlsa
from tests.instruments.https import Https
from tests.instruments.postfix_tls import SecurePostfix
from tests.instruments.server import Server, free_ports
from tests.instruments.signed_dns import SignedDNS
from tests.instruments.sink import ALL, Sink
from tests.instruments.until import soon
from tests.mailctl.conftest import Ctl

ALICE, PASSWORD = "alice@example.test", "wonderland"
ROOT = issue("Root", ca=True)  # the one root this world knows
PRIVATE = issue("Private", ca=True)  # and one that only TLSA records name
OWN = issue("own")
UNDER = issue("under", by=PRIVATE, names=["mx.anchor.example"])
STS = issue("sts", by=ROOT, names=["mx.sts.example"])
WRONG = tlsa(issue("other"), 3, 1, 1)
NAMED: dict[str, tuple[Issued, tuple[Issued, ...], TLSA]] = {
    "good.example": (OWN, (), tlsa(OWN, 3, 1, 1)),
    "whole.example": (OWN, (), tlsa(OWN, 3, 0, 2)),
    "anchor.example": (UNDER, (PRIVATE,), tlsa(PRIVATE, 2, 0, 1)),
    "wrong.example": (OWN, (), WRONG),
    "lie.example": (OWN, (), tlsa(OWN, 3, 1, 1)),
    "elsewhere.example": (OWN, (), tlsa(OWN, 3, 1, 1)),
    "old.example": (OWN, (), WRONG),
    "postfix.example": (OWN, (), tlsa(OWN, 3, 1, 1)),
    "strict.example": (OWN, (), WRONG),
}


class World:
    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.sinks: dict[str, Sink] = {}
        self.postfix: dict[str, SecurePostfix] = {}
        self._ctl = Ctl(server.data.path)

    async def send(self, domain: str, head: str = "", options: tuple[str, ...] = ()) -> dict[str, Any]:
        """One message to x@domain, and what became of its first try."""

        def submit() -> str:
            with smtplib.SMTP("127.0.0.1", self.server.ports["submission"], timeout=30) as smtp:
                smtp.starttls()
                smtp.login(ALICE, PASSWORD)
                code, text = smtp.docmd("MAIL", " ".join((f"FROM:<{ALICE}>", *options)))
                assert code == 250, text
                assert smtp.docmd("RCPT", f"TO:<x@{domain}>")[0] == 250
                code, text = smtp.data(f"From: {ALICE}\r\nSubject: hi\r\n{head}\r\nHello.\r\n")
                assert code == 250
                return text.decode().split()[1]

        trace = await asyncio.to_thread(submit)

        async def told() -> list[dict[str, Any]]:
            (line,) = (await self.mailctl("trace", trace, "--json")).splitlines()
            return [step for step in json.loads(line)["steps"] if step["kind"] in ("sent", "deferred", "failed")]

        async with asyncio.timeout(30):
            while not (steps := await told()):
                await asyncio.sleep(0.05)
        return dict(steps[0])

    async def mailctl(self, *words: str) -> str:
        return await asyncio.to_thread(self._ctl.ok, *words)


def zone(domain: str, port: int, number: int) -> str:
    record = f"_{port}._tcp.mx TLSA {presented(NAMED[domain][2])}\n" if domain in NAMED else ""
    return f"@ MX 10 mx\nmx A 127.0.0.{number}\n{record}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    path = tmp_path_factory.mktemp("dane")
    (path / "roots.pem").write_text(ROOT.pem)
    port, web_port = free_ports(2)
    names = [*NAMED, "sts.example", "testing.example"]
    zones = {domain: zone(domain, port, number) for number, domain in enumerate(names, 2)}
    for number, domain in enumerate(("sts.example", "testing.example"), 200):
        zones[domain] += f'_mta-sts TXT "v=STSv1; id=1;"\nmta-sts A 127.0.0.{number}\n'
    dns = SignedDNS(
        path / "dns", zones, unsigned=["old.example", "sts.example", "testing.example"],
        bogus={"lie.example": ("3 1 1", "3 0 1"), "elsewhere.example": ("A\t127.0.0.", "A\t127.0.1.")},
    )  # fmt: skip
    settings = {"smtp.out_port": str(port), "smtp.sts_port": str(web_port), "dns.servers": dns.at, "queue.retry": "1h"}
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, dns)
        server = Server(path / "data", {ALICE: PASSWORD}, settings)
        world = World(server, port)
        for number, domain in enumerate(names, 2):
            address = f"127.0.0.{number}"
            leaf, others, _ = NAMED.get(domain, (STS, (), WRONG))
            if domain in ("postfix.example", "strict.example"):
                peer = SecurePostfix(domain, leaf, address=address, port=port)
                world.postfix[domain] = await asyncio.to_thread(stack.enter_context, peer)
            else:
                sink = Sink((*ALL, "REQUIRETLS"), tls=serving(leaf, *others), host=address, port=port)
                world.sinks[domain] = await stack.enter_async_context(sink)
        for number, (domain, mode) in enumerate((("sts.example", "enforce"), ("testing.example", "testing")), 200):
            web = issue("web", by=ROOT, names=[f"mta-sts.{domain}"])
            policy = f"version: STSv1\nmode: {mode}\nmx: mx.sts.example\nmax_age: 86400\n".encode()
            await stack.enter_async_context(Https(serving(web), policy, host=f"127.0.0.{number}", port=web_port))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(path / "roots.pem"))
            await asyncio.to_thread(server.start)
        yield world
        assert await asyncio.to_thread(server.stop) == 0
    assert "Traceback" not in server.log(), server.log()[-5000:]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("domain", ["good.example", "whole.example", "anchor.example"])
async def test_mail_goes_to_a_host_whose_certificate_is_in_the_signed_dns(world: World, domain: str) -> None:
    sent = await world.send(domain)
    assert sent["kind"] == "sent" and sent["detail"]["policy"] == "dane" and sent["detail"]["verified"]
    proof = presented(NAMED[domain][2])[:5]
    assert f"over TLSv1.3, verified by DANE (TLSA {proof})" in sent["text"]
    assert len(world.sinks[domain].copies) == 1


async def test_another_certificate_defers(world: World) -> None:
    put_off = await world.send("wrong.example")
    assert (put_off["kind"], put_off["reason"]) == ("deferred", "dane") and "TLSA" in put_off["text"]
    assert not world.sinks["wrong.example"].copies
    listed = json.loads((await world.mailctl("queue", "list", "--json", "--to", "x@wrong.example")).splitlines()[0])
    shown = await world.mailctl("queue", "show", str(listed["id"]))
    assert "is none that the TLSA records of" in " ".join(shown.split())


async def test_a_lie_about_the_record_defers(world: World) -> None:
    put_off = await world.send("lie.example")
    assert (put_off["kind"], put_off["reason"]) == ("deferred", "dane") and "SERVFAIL" in put_off["text"]
    assert not world.sinks["lie.example"].sessions


async def test_a_lie_about_the_address_defers(world: World) -> None:
    put_off = await world.send("elsewhere.example")
    assert (put_off["kind"], put_off["reason"]) == ("deferred", "dns") and "SERVFAIL" in put_off["text"]
    assert not world.sinks["elsewhere.example"].sessions


async def test_what_is_not_signed_says_nothing(world: World) -> None:
    sent = await world.send("old.example")
    assert sent["kind"] == "sent" and "policy" not in sent["detail"] and "verified" not in sent["detail"]


async def test_postfix_takes_it_when_its_certificate_is_the_one(world: World) -> None:
    sent = await world.send("postfix.example")
    assert sent["kind"] == "sent" and "verified by DANE (TLSA 3 1 1)" in sent["text"]
    postfix = world.postfix["postfix.example"]
    await soon(lambda: postfix.mail(), lambda: postfix.log)
    assert "TLS connection established" in postfix.log and b"Hello.\n" in postfix.mail()[0]
    put_off = await world.send("strict.example")
    assert put_off["reason"] == "dane" and not world.postfix["strict.example"].mail()


async def test_mta_sts_is_fetched_and_held_to(world: World) -> None:
    sent = await world.send("sts.example")
    assert sent["kind"] == "sent" and "over TLSv1.3, verified as MTA-STS asks" in sent["text"]
    sent = await world.send("testing.example")  # its host is not in the policy, and the certificate not for it
    assert sent["kind"] == "sent" and "not verified (its MTA-STS policy is for testing)" in sent["text"]


async def test_requiretls_goes_where_it_can_be_kept_and_comes_back_from_elsewhere(world: World) -> None:
    sent = await world.send("good.example", options=("REQUIRETLS",))
    assert sent["kind"] == "sent" and "REQUIRETLS" in world.sinks["good.example"].copies[-1].parameters
    failed = await world.send("postfix.example", options=("REQUIRETLS",))
    assert failed["kind"] == "failed" and "5.7.30" in failed["text"] and "does not offer REQUIRETLS" in failed["text"]


async def test_tls_required_no_goes_past_dane(world: World) -> None:
    sent = await world.send("wrong.example", head="TLS-Required: No\r\n")
    assert sent["kind"] == "sent" and "the sender wrote TLS-Required: No" in sent["text"]
