import asyncio

import pytest

from daemon.config import Config
from daemon.flow.outbound import Outbound, local, ourselves
from daemon.store import settings
from tests.flow.house import House
from tests.instruments.dns_server import DNSServer
from tests.instruments.sink import Sink

ZONE = "there.example. MX 10 mx.there.example.\nmx.there.example. A 127.0.0.1\n"


def test_what_the_settings_say_of_ourselves() -> None:
    config = Config([("hostname", "mx.us.example"), ("listen.smtp", ":25,127.0.0.1:2525")])
    found = ourselves(config)
    assert found.is_name("mx.us.example", 25) and not found.is_name("mx.us.example", 26)
    assert found.is_address("127.0.0.3", 25) and not found.is_address("192.0.2.1", 25)
    assert found.is_address("127.0.0.1", 2525) and not found.is_address("127.0.0.3", 2525)
    assert not ourselves(Config([("listen.smtp", "off")])).is_address("127.0.0.1", 25)


@pytest.mark.parametrize(
    "text, want",
    [
        ("", {}),
        ("192.0.2.1", {4: "192.0.2.1"}),
        ("192.0.2.1, 2001:db8::1", {4: "192.0.2.1", 6: "2001:db8::1"}),
        ("x", {}),
    ],
)
def test_the_address_to_come_from(text: str, want: dict[int, str]) -> None:
    assert local(Config([("smtp.out_address", text)])) == want


async def test_the_whole_road_follows_the_settings(house: House) -> None:
    house.store.attach(asyncio.get_running_loop())
    async with Sink() as sink, Sink(port=0) as other, DNSServer(ZONE) as dns, DNSServer() as empty:
        rows = {"hostname": "mx.here.example", "dns.servers": empty.at, "smtp.out_port": str(sink.port)}
        config = Config(rows.items())
        outbound = Outbound(house.store, lambda: config)
        running = asyncio.create_task(outbound.run())
        house.mail("ann@here.example", "x@there.example")
        async with asyncio.timeout(10):
            while house.queued():
                await asyncio.sleep(0.01)
        assert b"5.1.2" in house.inbox("ann@here.example")[0]
        config = Config({**rows, "dns.servers": dns.at, "hostname": "new.here.example"}.items())
        house.store.write_now(lambda tx: settings.put(tx, "hostname", "new.here.example", "test"))
        house.mail("ann@here.example", "y@there.example")
        await sink.wait(1)
        assert sink.sessions[0].hello == "new.here.example"
        await sink.stop()
        config = Config({**rows, "dns.servers": dns.at, "smtp.out_port": str(other.port)}.items())
        house.store.write_now(lambda tx: settings.put(tx, "hostname", "old.here.example", "test"))
        house.mail("ann@here.example", "z@there.example")
        await other.wait(1)
        await outbound.stop(1)
        await running
