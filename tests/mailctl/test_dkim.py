"""mailctl dkim: what is listed, what is to be published, and how keys are changed with no server running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemon.admin import dkim
from daemon.store import dkim_keys
from tests.instruments.dns_server import DNSServer
from tests.mailctl.conftest import Ctl


@contextmanager
def dns() -> Iterator[DNSServer]:
    """A name server that answers while the test calls commands."""
    loop = asyncio.new_event_loop()
    server = DNSServer(ttl=1)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(server.stop())
        loop.close()


@pytest.fixture
def zone(town: Ctl) -> Iterator[DNSServer]:
    with dns() as server:
        town.ok("config", "set", "dns.servers", server.at)
        yield server


def publish(zone: DNSServer, *keys: dict[str, str]) -> None:
    for key in keys:
        text = key["record"]
        pieces = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
        zone.add(f"{key['name']}. TXT {pieces}")


def states(ctl: Ctl) -> list[str]:
    return [f"{k['selector'][7:]} {k['state']} {k['next']}".strip() for k in ctl.lines("dkim", "list")]


def test_a_domain_has_two_keys_from_the_start(town: Ctl) -> None:
    rsa, ed = town.lines("dkim", "list", "example.org")
    assert (rsa["algorithm"], ed["algorithm"]) == ("rsa-sha256", "ed25519-sha256")
    assert (rsa["state"], rsa["next"], rsa["seen_at"]) == ("active", "publish", None)
    assert rsa["name"] == f"{rsa['selector']}._domainkey.example.org" and len(rsa["record"]) > 400
    assert ed["record"].startswith("v=DKIM1; k=ed25519; p=") and len(ed["record"]) == 66
    assert town.json("dkim", "show", "example.org", ed["selector"]) == ed
    shown = town.ok("dkim", "show", "example.org", rsa["selector"])
    assert f'{rsa["name"]}. 3600 IN TXT "v=DKIM1; k=rsa; p=' in shown and '" "' in shown, "in strings of 255 octets"
    town.ok("domain", "add", "example.net", "--alias-of", "example.org")
    assert [k["domain"] for k in town.lines("dkim", "list")] == ["example.net"] * 2 + ["example.org"] * 2


def test_what_is_to_be_published_is_what_others_ask_for(town: Ctl) -> None:
    store = town.store()
    keys = town.lines("dkim", "list")
    assert store.read_now(dkim.public_records, "example.org") == [(k["name"], k["record"]) for k in keys]
    assert store.read_now(dkim.public_records, "nowhere.example") == []
    store.close()


def test_a_rotation_from_the_first_step_to_the_last(town: Ctl, zone: DNSServer) -> None:
    publish(zone, *town.lines("dkim", "list"))
    first = town.json("dkim", "rotate", "example.org")
    assert [k["state"] for k in first["made"]] == ["pending", "pending"] and first["waiting"] == []
    assert states(town) == ["rsa-1 active", "ed25519-2 active", "rsa-3 pending publish", "ed25519-4 pending publish"]
    assert "does not have these records yet" in town.ok("dkim", "rotate", "example.org")
    assert [k["selector"] for k in town.json("dkim", "rotate", "example.org")["waiting"]] == [
        k["selector"] for k in first["made"]
    ], "nothing is made twice"
    publish(zone, first["made"][0])
    done = town.json("dkim", "rotate", "example.org")
    assert [k["state"] for k in done["changed"]] == ["active", "retired"] and len(done["waiting"]) == 1
    publish(zone, first["made"][1])
    said = town.ok("dkim", "rotate", "example.org")
    assert "it signs from now on" in said and "signs no more; keep its record until" in said
    assert states(town) == ["rsa-1 retired wait", "ed25519-2 retired wait", "rsa-3 active", "ed25519-4 active"]
    town.ok("config", "set", "dkim.retire_after", "0s")
    assert "its time is over; remove its record" in town.ok("dkim", "rotate", "example.org"), "and the next pair begins"
    assert states(town)[:2] == ["rsa-1 gone remove", "ed25519-2 gone remove"] and len(states(town)) == 6
    for name in (k["name"] for k in town.lines("dkim", "list")[:2]):
        zone.remove(name, "TXT")
    town.ok("dkim", "rotate", "example.org")
    assert [s.split()[0] for s in states(town)] == ["rsa-3", "ed25519-4", "rsa-5", "ed25519-6"]


def test_a_name_server_that_is_silent_is_told_and_changes_nothing(town: Ctl, zone: DNSServer) -> None:
    town.ok("dkim", "rotate", "example.org")
    before = states(town)
    zone.trouble["*"] = "SERVFAIL"
    assert "cannot say now" in town.fails(69, "dkim", "rotate", "example.org")
    assert states(town) == before


def test_keys_of_one_kind_are_added_and_removed(town: Ctl) -> None:
    rsa, ed = town.lines("dkim", "list")
    (made,) = town.json("dkim", "add", "example.org", "--algorithm", "ed25519")["made"]
    assert made["state"] == "pending"
    assert "rotate example.org" in town.fails(65, "dkim", "add", "example.org", "--algorithm", "ed25519")
    assert "nobody can be asked" in town.fails(64, "dkim", "rm", "example.org", rsa["selector"])
    assert rsa["selector"] in town.ok("dkim", "rm", "example.org", rsa["selector"], "--dry-run")
    assert len(states(town)) == 3
    said = town.ok("dkim", "rm", "example.org", rsa["selector"], made["selector"], "--yes")
    assert f"{rsa['name']} may be removed" in said
    assert states(town) == ["ed25519-2 active publish"]
    assert "signing; publish" in town.ok("dkim", "add", "example.org", "--algorithm", "rsa"), (
        "there is none of its kind"
    )
    assert states(town) == ["ed25519-2 active publish", "rsa-4 active publish"]
    assert town.ok("dkim", "rm", "example.org", rsa["selector"], "--yes") == f"removed {rsa['selector']}\n"
    town.fails(1, "dkim", "show", "example.org", rsa["selector"])


def test_what_is_not_there_is_said(town: Ctl) -> None:
    town.fails(1, "dkim", "list", "nowhere.example")
    town.fails(1, "dkim", "add", "nowhere.example")
    town.fails(1, "dkim", "rotate", "nowhere.example")
    assert "dkim list example.org" in town.fails(1, "dkim", "rm", "example.org", "none", "--yes")
    town.fails(64, "dkim", "add", "example.org", "--algorithm", "rsa-sha1")
    town.fails(65, "dkim", "list", "no domain")


def test_no_private_key_is_ever_shown(town: Ctl, zone: DNSServer) -> None:
    (made, _) = town.json("dkim", "rotate", "example.org")["made"]
    said = "".join(
        town.ok("dkim", *words)
        for words in (
            ["list"], ["list", "--json"], ["show", "example.org", made["selector"], "--json"],
            ["rotate", "example.org"], ["rotate", "example.org", "--json"],
            ["rm", "example.org", made["selector"], "--yes", "--json"],
        )
    )  # fmt: skip
    store = town.store()
    private = [k.private_key for k in store.read_now(dkim_keys.signing, ["example.org"])]
    store.close()
    assert len(private) == 2 and all("BEGIN PRIVATE KEY" in text for text in private)
    assert "PRIVATE" not in said and not any(text.splitlines()[1] in said for text in private)


def test_a_shell_completes_selectors(town: Ctl) -> None:
    selectors = {key["selector"] for key in town.lines("dkim", "list")}
    for line in ("mailctl dkim show example.org ", "mailctl dkim rm example.org "):
        town.runner.env |= {"_MAILCTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
        assert {one.partition(",")[2] for one in town().stdout.splitlines()} == selectors
