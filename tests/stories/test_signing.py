"""Mail that is believed elsewhere: signed by us, verified by another program and by ourselves; and forwards that keep
what others have signed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.resolver import DNS
from daemon.trust import dkim, sign, spf
from tests.instruments.sink import ALL
from tests.stories.abroad import ALICE, BOB, DOMAIN, PASSWORD, World, abroad, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")
BODY = "Grüße!  \r\n\r\nZwei Wörter \t und noch eins.\r\n\r\n\r\n"


async def keys(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await world.mailctl("dkim", "list", DOMAIN, "--json")).splitlines()]


def put(world: World, name: str, text: str) -> None:
    """A TXT record."""
    pieces = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
    world.dns.add(f"{name}. TXT {pieces}")


async def published(world: World) -> list[dict[str, Any]]:
    """The keys there are, and their records in the DNS."""
    found = await keys(world)
    for key in found:
        put(world, key["name"], key["record"])
    return found


async def verified(world: World, data: bytes) -> list[tuple[str, str, str]]:
    """What we say of each signature: result, domain, algorithm."""
    resolver = DNS([world.dns.server])
    told = await dkim.verify(resolver, data, now=time.time())
    return [(s.result, s.domain, s.algorithm) for s in told]


def opendkim(tmp_path: Path, records: list[dict[str, Any]], data: bytes) -> list[str]:
    """What OpenDKIM says of each signature."""
    program = shutil.which("opendkim") or "/usr/sbin/opendkim"
    known, message, conf = tmp_path / "keys", tmp_path / "message.eml", tmp_path / "opendkim.conf"
    known.write_text("".join(f"{key['name']} {key['record']}\n" for key in records))
    message.write_bytes(data)
    conf.write_text(f"TestPublicKeys {known}\nMode v\nSyslog no\nAlwaysAddARHeader yes\nOn-BadSignature accept\n")
    done = subprocess.run([program, "-x", conf, "-vvv", "-t", message], capture_output=True, text=True, timeout=30)
    return [" ".join(found) for found in re.findall(r"dkim=(\w+).*header\.a=(\S+)", done.stdout + done.stderr)]


BOTH = [("pass", DOMAIN, "rsa-sha256"), ("pass", DOMAIN, "ed25519-sha256")]


async def test_what_users_hand_in_is_believed_elsewhere(world: World, tmp_path: Path) -> None:
    records = await published(world)
    sink = await world.domain("first.example")
    await world.submit(ALICE, "x@first.example", BOB, text=BODY, mail="BODY=8BITMIME")
    (copy,) = await sink.wait(1)
    assert await verified(world, copy.data) == BOTH
    assert opendkim(tmp_path, records, copy.data) == ["pass rsa-sha256", "pass ed25519-sha256"]
    assert await verified(world, (await world.inbox(BOB))[-1]) == BOTH, "and so is the copy that stays here"
    spoilt = copy.data.replace("Wörter".encode(), b"Worte")
    assert [word for word, *_ in await verified(world, spoilt)] == ["fail", "fail"]
    assert opendkim(tmp_path, records, spoilt) == ["fail rsa-sha256", "fail ed25519-sha256"]
    assert [word for word, *_ in await verified(world, b"From: <x@evil.example>\r\n" + copy.data)] == ["fail"] * 2


async def test_what_programs_hand_in_is_signed_too(world: World) -> None:
    await published(world)
    sink = await world.domain("script.example")
    await world.mailctl("mail", "deliver", "-", "--to", "x@script.example", input=letter(ALICE).decode())
    await world.mailctl("mail", "deliver", "-", "--to", "y@script.example", "--from", ALICE,
                        input=letter("x@foreign.example").decode())  # fmt: skip
    copies = {copy.recipients[0]: copy for copy in await sink.wait(2)}
    assert await verified(world, copies["x@script.example"].data) == BOTH
    assert await verified(world, copies["y@script.example"].data) == [], "a foreign From is not ours to vouch for"


async def test_where_eight_bits_are_not_taken_the_signature_is_made_anew(world: World, tmp_path: Path) -> None:
    records = await published(world)
    sink = await world.domain("seven.example", tuple(offer for offer in ALL if offer != "8BITMIME"))
    await world.submit(ALICE, "x@seven.example", text=BODY)
    (copy,) = await sink.wait(1)
    assert copy.data.isascii() and await verified(world, copy.data) == BOTH
    assert opendkim(tmp_path, records, copy.data) == ["pass rsa-sha256", "pass ed25519-sha256"]


async def test_a_bounce_is_signed(world: World) -> None:
    await published(world)
    sink = await world.domain("refusing.example")
    sink.on("RCPT", "550 5.1.1 nobody here")
    await world.submit(ALICE, "x@refusing.example")
    told = await world.notice(ALICE, "x@refusing.example")
    assert b"From: Mail Delivery System" in told and await verified(world, told) == BOTH


async def test_a_forward_keeps_the_authors_signature(world: World) -> None:
    world.dns.add(f'{DOMAIN}. TXT "v=spf1 mx -all"\nauthor.example. TXT "v=spf1 -all"')
    key = sign.Key("author.example", "s1", "ed25519-sha256", sign.generate("ed25519-sha256"))
    put(world, "s1._domainkey.author.example", sign.public_record(key))
    sink = await world.domain("home.example")
    await world.mailctl("forward", "add", BOB, "bob@home.example")
    data = letter("a@author.example", text=BODY)
    await world.arrive("a@author.example", BOB, data=sign.sign(data, [key], now=time.time()) + data)
    (copy,) = await sink.wait(1)
    await world.mailctl("forward", "rm", BOB, "bob@home.example", "--yes")
    assert copy.data.endswith(data), "octet for octet"
    assert await verified(world, copy.data) == [("pass", "author.example", "ed25519-sha256")], "and none of ours"
    assert copy.sender.startswith("SRS0=") and copy.sender.endswith(f"=author.example=a@{DOMAIN}")
    now, hello = time.time(), copy.session.hello
    words = [
        (
            await spf.check_host(
                DNS([world.dns.server]), copy.session.peer, hello, who, now=now, receiver="mx.home.example"
            )
        )
        for who in (copy.sender, "a@author.example")
    ]
    assert [word.result for word in words] == ["pass", "fail"], "under his own name it would have failed"


async def test_keys_are_changed_by_themselves_when_the_dns_has_the_new_ones(tmp_path: Path) -> None:
    async with abroad(tmp_path, {ALICE: PASSWORD, BOB: PASSWORD}, {"dkim.retire_after": "0s"}, running=False) as world:
        old = await published(world)
        await world.mailctl("dkim", "rotate", DOMAIN)
        await world.start()
        sink = await world.domain("later.example")
        await world.submit(ALICE, "x@later.example")
        await sink.wait(1)
        new = [key for key in await published(world) if key["state"] == "pending"]
        assert len(new) == 2
        await world.stop()
        await world.start()  # it looks at once, and then every minute
        async with asyncio.timeout(20):
            while {key["state"] for key in await keys(world)} != {"active", "gone"}:
                await asyncio.sleep(0.05)
        assert {key["next"] for key in await keys(world) if key["state"] == "gone"} <= {"remove"}
        await world.submit(ALICE, "x@later.example")
        copies = await sink.wait(2)
        for copy, signers in zip(copies, (old, new), strict=True):
            assert all(f"s={key['selector']};".encode() in copy.data for key in signers)
            assert await verified(world, copy.data) == BOTH
        await world.mailctl("dkim", "rm", DOMAIN, new[0]["selector"], "--yes")
        await world.submit(ALICE, "x@later.example")
        assert await verified(world, (await sink.wait(3))[2].data) == BOTH[1:], "removed is removed at once"
