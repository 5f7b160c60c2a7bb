"""What mail programs are told when they set themselves up."""

from __future__ import annotations

import json
import plistlib
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest

from daemon.admin import devices, pem
from daemon.admin.pem import Pair
from daemon.config import Config
from daemon.store import certificates, domains
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.test_http import ALICE, BASIC, opened, quick
from tests.serve.web.test_app import status

__all__ = ["quick"]
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
PLAIN = "/mail/config-v1.1.xml"
V1 = "/autodiscover/autodiscover.xml"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


def body(answer: str) -> str:
    return answer.partition("\r\n\r\n")[2]


@pytest.fixture
async def listening(site: Site) -> Site:
    site.settings |= {"listen.pop3": "off", "listen.pop3s": "off", "listen.imaps": ":1993"}
    site.open()
    return site


@pytest.mark.parametrize("door", ["http", "https"])
@pytest.mark.parametrize(
    "host, path",
    [
        ("autoconfig.example.org", PLAIN),
        ("AutoConfig.Example.ORG.:80", PLAIN + "?emailaddress=alice%40example.org"),
        ("example.org", WELL_KNOWN + "?emailaddress=alice@example.org"),
        ("example.org", WELL_KNOWN),
        ("mail.example.org", WELL_KNOWN + "?emailaddress=nobody@EXAMPLE.org"),
        ("autoconfig.example.org", PLAIN + "?emailaddress=%25EMAILADDRESS%25"),
    ],
)
async def test_autoconfig(listening: Site, door: str, host: str, path: str) -> None:
    answer = await listening.ask(path, name=door, host=host)
    assert status(answer) == 200 and "\r\nContent-Type: text/xml" in answer
    config = ElementTree.fromstring(body(answer))
    assert config.tag == "clientConfig" and config.get("version") == "1.1"
    assert config.findtext("emailProvider/domain") == "example.org"
    found = [
        (each.get("type"), each.findtext("hostname"), each.findtext("port"), each.findtext("socketType"))
        for each in config.findall("emailProvider/*")
        if each.tag.endswith("Server")
    ]
    assert found == [
        ("imap", "mail.example.org", "1993", "SSL"),
        ("imap", "mail.example.org", "143", "STARTTLS"),
        ("smtp", "mail.example.org", "465", "SSL"),
        ("smtp", "mail.example.org", "587", "STARTTLS"),
    ]
    logins = {each.text for each in config.iter("username")}
    assert len(logins) == 1 and logins <= {"%EMAILADDRESS%", "alice@example.org", "nobody@example.org"}


@pytest.mark.parametrize(
    "host, path",
    [
        ("autoconfig.other.example", PLAIN),
        ("mail.example.org", PLAIN),
        ("autoconfig.example.org", PLAIN + "?emailaddress=alice@other.example"),
        ("autoconfig.example.org", PLAIN + "?emailaddress=<alice"),
        ("192.0.2.1", PLAIN),
    ],
)
async def test_autoconfig_of_others_is_not_here(listening: Site, host: str, path: str) -> None:
    assert status(await listening.ask(path, host=host)) == 404


async def test_a_domain_that_is_off_is_not_set_up(listening: Site) -> None:
    listening.store.write_now(lambda tx: domains.change(tx, "example.org", enabled=False))
    assert status(await listening.ask(PLAIN, host="autoconfig.example.org")) == 404


async def post(site: Site, path: str, text: str) -> tuple[int, ElementTree.Element]:
    url = f"https://127.0.0.1:{site.port('https')}{path}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client,
        client.post(url, data=text, headers={"Content-Type": "text/xml"}) as answer,
    ):
        return answer.status, ElementTree.fromstring(await answer.text())


def request(address: str, schema: str = OUTLOOK) -> str:
    return (
        '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema'
        f'/2006"><Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}'
        "</AcceptableResponseSchema></Request></Autodiscover>"
    )


@pytest.mark.parametrize("path", [V1, "/Autodiscover/Autodiscover.xml", "/AUTODISCOVER/AUTODISCOVER.XML"])
async def test_autodiscover(listening: Site, path: str) -> None:
    code, root = await post(listening, path, request(ALICE))
    assert code == 200
    names = {"o": OUTLOOK}
    wanted = ("Server", "Port", "SSL", "Encryption", "LoginName")
    found = {
        each.findtext("o:Type", "", names): [each.findtext(f"o:{key}", "", names) for key in wanted]
        for each in root.iterfind(".//o:Protocol", names)
    }
    assert found == {
        "IMAP": ["mail.example.org", "1993", "on", "SSL", ALICE],
        "SMTP": ["mail.example.org", "465", "on", "SSL", ALICE],
    }


@pytest.mark.parametrize(
    "text, code",
    [
        (request("alice@other.example"), "500"),
        (request("<b>"), "600"),
        (request(ALICE, "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"), "601"),
        ("", "600"),
        ("<x/>", "600"),
        ("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "600"),
        ("\ud7ff" * 10, "600"),
    ],
)
async def test_autodiscover_says_no_in_its_own_words(listening: Site, text: str, code: str) -> None:
    status_, root = await post(listening, V1, text)
    assert status_ == 200 and [each.text for each in root.iter() if each.tag.endswith("ErrorCode")] == [code]


async def test_autodiscover_by_get(listening: Site) -> None:
    assert "<Type>IMAP</Type>" in body(await listening.ask(f"{V1}?EmailAddress={ALICE}"))
    assert "<ErrorCode>600</ErrorCode>" in body(await listening.ask(V1))


@pytest.mark.parametrize(
    "path, code",
    [
        ("/autodiscover/autodiscover.json/v1.0/alice%40example.org?Protocol=AutodiscoverV1", 200),
        ("/Autodiscover/Autodiscover.JSON?Email=alice@example.org&protocol=autodiscoverv1&RedirectCount=1", 200),
        ("/autodiscover/autodiscover.json?Email=alice@example.org&Protocol=ActiveSync", 404),
        ("/autodiscover/autodiscover.json?Email=alice@example.org", 400),
    ],
)
async def test_autodiscover_in_json(listening: Site, path: str, code: int) -> None:
    answer = await listening.ask(path)
    told = json.loads(body(answer))
    assert status(answer) == code
    if code == 200:
        assert told["Protocol"] == "AutodiscoverV1" and told["Url"].endswith("/autodiscover/autodiscover.xml")
    else:
        assert told["ErrorCode"] in ("ProtocolNotSupported", "MandatoryParameterMissing")


async def test_what_a_signed_in_user_gets(site: Site, tmp_path: Path) -> None:
    async with opened(site) as (client, base, _):
        for path in ("/clients/profile.mobileconfig", "/clients/qr.svg"):
            async with client.get(base + path) as answer:
                assert answer.status == 401
        async with client.get(base + "/clients/qr.svg", headers=BASIC) as answer:
            assert answer.content_type == "image/svg+xml" and (await answer.read()).startswith(b"<svg")
        async with client.get(base + "/clients/profile.mobileconfig", headers=BASIC) as answer:
            assert answer.content_type == "application/x-apple-aspen-config"
            made = await answer.read()
    (tmp_path / "profile").write_bytes(made)
    (certificate,) = site.store.read_now(certificates.everyone)
    (tmp_path / "certificate").write_text(certificate.chain)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "profile", "-CAfile", "certificate"]
    opened_ = subprocess.run([*command, "-purpose", "any"], cwd=tmp_path, capture_output=True, check=True).stdout
    profile = plistlib.loads(opened_)
    (account,) = profile["PayloadContent"]
    assert account["EmailAddress"] == account["IncomingMailServerUsername"] == ALICE
    assert (account["IncomingMailServerHostName"], account["IncomingMailServerPortNumber"]) == ("mail.example.org", 993)
    assert account["OutgoingMailServerPortNumber"] == 465 and profile["PayloadType"] == "Configuration"
    assert not [key for key in account if key.endswith("Password") and key != "OutgoingPasswordSameAsIncomingPassword"]


async def test_what_anybody_gets(listening: Site) -> None:
    answer = await listening.ask("/clients/alice@example.org.json")
    assert json.loads(body(answer))["servers"][0] == {
        "name": "IMAP", "host": "mail.example.org", "port": 1993, "security": "TLS",
    }  # fmt: skip
    page = await listening.ask("/clients/a%22%3Cb%3E%40example.org")
    assert status(page) == 404
    page = await listening.ask("/clients/o'neil%26b@example.org")
    assert status(page) == 200 and "o&#x27;neil&amp;b@example.org" in page and "1993" in page
    for path in (
        "/clients/a@other.example.json",
        "/clients/a@other.example",
        "/clients/x",
        "/clients/a@b.mobileconfig",
    ):
        assert status(await listening.ask(path)) == 404


def test_no_profile_without_ways_in_and_out() -> None:
    assert devices.profile(Config([("listen.imap", "off"), ("listen.imaps", "off")]), ALICE) is None
    assert devices.profile(Config([("listen.submission", "off"), ("listen.submissions", "off")]), ALICE) is None


def test_a_profile_carries_the_chain() -> None:
    ours, above = (pem.self_signed((name,), 1_800_000_000_000) for name in ("mail.example.org", "ca.example"))
    made = devices.signed(b"x", Pair(ours.chain + above.chain, ours.private_key))
    assert b"ca.example" in made and b"ca.example" not in devices.signed(b"x", ours)
