"""Thunderbird sets itself up: its user gives a name, an address and a password, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.instruments.server import Server
from tests.instruments.thunderbird import Thunderbird
from tests.instruments.until import until

ALICE = "alice@example.test"
USERS = {ALICE: "wonder land"}
HOST = "mx.example.test"
SHOTS = Path(__file__).parents[1] / "browser" / "shots"
CA = trustme.CA()
TLS = 3  # nsMsgSocketType.SSL: from the first octet
AUTHORITY = """const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
    db.addCertFromBase64(arguments[0], "C,C,C");"""
HUB = """const hub = document.querySelector("account-hub-container")?.modal?.querySelector("account-hub-email");"""
STEP = f"""{HUB}
    const step = [...(hub?.querySelectorAll("[id$=Subview]") ?? [])].find((one) => !one.hidden);
    return {{
        name: step?.id ?? "", said: step?.shadowRoot?.textContent ?? step?.textContent ?? "",
        ready: hub?.querySelector("#forward")?.disabled === false && !hub.classList.contains("busy"),
    }};"""
FILL = f"""{HUB}
    for (const [id, text] of Object.entries(arguments[0])) {{
        const field = hub.querySelector(`#${{id}}`);
        field.value = text;
        field.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }}"""
ON = f"""{HUB} hub.querySelector("#forward").click();"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pair = tmp_path / "pair.pem"
    leaf = CA.issue_cert(HOST, "example.test", "autoconfig.example.test")
    pair.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    with Server(tmp_path / "data", USERS, {"tls.certificate": str(pair)}) as running:
        yield running


@pytest.fixture
def thunderbird(server: Server, tmp_path: Path) -> Iterator[Thunderbird]:
    prefs: dict[str, str | int | bool] = {
        "network.socket.forcePort": f"443={server.ports['https']};80={server.ports['http']}",
        "mailnews.auto_config_url": "",  # no list of known providers helps,
        "mailnews.auto_config.guess.enabled": False,  # nor a guess
    }
    with Thunderbird(tmp_path / "thunderbird", prefs) as running:
        running.run(AUTHORITY, "".join(CA.cert_pem.bytes().decode().splitlines()[1:-1]))
        yield running


def step(thunderbird: Thunderbird, name: str) -> None:
    """Wait for a page of the set-up on which one may go on."""
    seen: dict[str, Any] = {}

    def there() -> bool:
        seen.update(thunderbird.run(STEP))
        return seen["name"] == name and seen["ready"]

    try:
        until(there, name, patience=60)
    except AssertionError:
        thunderbird.shot(SHOTS / "thunderbird-stuck.png")
        raise AssertionError(f"no {name}, but {seen}") from None


def servers(prefs: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The settings of each server, by their last names."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in prefs.items():
        if name.startswith(f"mail.{kind}."):
            _, _, number, *last = name.split(".")
            found.setdefault(number, {})[".".join(last)] = value
    return [one for one in found.values() if one.get("hostname") not in (None, "Local Folders")]


@pytest.mark.long
def test_an_address_and_its_password_are_enough(server: Server, thunderbird: Thunderbird) -> None:
    thunderbird.run("""return openAccountHub("MAIL");""")
    thunderbird.run(FILL, {"realName": "Alice", "email": ALICE})
    step(thunderbird, "emailAutoConfigSubview")
    thunderbird.run(ON)
    step(thunderbird, "emailConfigFoundSubview")
    thunderbird.shot(SHOTS / "thunderbird-found.png")
    thunderbird.run(ON)
    until(lambda: thunderbird.run(STEP)["name"] == "emailPasswordSubview", "it asks for the password")
    thunderbird.run(FILL, {"password": USERS[ALICE]})
    step(thunderbird, "emailPasswordSubview")
    thunderbird.run(ON)
    until(lambda: servers(thunderbird.prefs(), "smtpserver"), "an account", patience=60)
    prefs = thunderbird.prefs()
    (incoming,) = servers(prefs, "server")
    (outgoing,) = servers(prefs, "smtpserver")
    assert incoming["type"] == "imap" and incoming["userName"] == outgoing["username"] == ALICE
    assert (incoming["hostname"], incoming["port"], incoming["socketType"]) == (HOST, server.ports["imaps"], TLS)
    assert (outgoing["hostname"], outgoing["port"], outgoing["try_ssl"]) == (HOST, server.ports["submissions"], TLS)
    assert prefs["mail.identity.id1.useremail"] == ALICE
