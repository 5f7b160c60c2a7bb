"""Postfix sends to us and insists on DANE: what we show is what a TLSA record can name, and nothing else passes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.instruments.authority import issue, presented, tlsa
from tests.instruments.network import OwnNetwork
from tests.instruments.postfix_tls import SecurePostfix
from tests.instruments.server import Server
from tests.instruments.signed_dns import SignedDNS
from tests.instruments.until import until
from tests.mailctl.conftest import Ctl

STRICT = "smtp_dns_support_level = dnssec\nsmtp_tls_security_level = dane-only\n"


def test_postfix_finds_us_verified_and_leaves_us_alone_when_we_are_not(tmp_path: Path) -> None:
    ours, theirs = issue("mx.ours.example", names=["mx.ours.example"]), issue("theirs")
    (tmp_path / "chain.pem").write_text(ours.pem)
    (tmp_path / "key.pem").write_text(ours.key_pem)
    zones = {
        "ours.example": f"@ MX 10 mx\nmx A 127.0.0.7\n_25._tcp.mx TLSA {presented(tlsa(ours, 3, 1, 1))}\n",
        "wrong.example": f"@ MX 10 mx\nmx A 127.0.0.7\n_25._tcp.mx TLSA {presented(tlsa(theirs, 3, 1, 1))}\n",
    }
    settings = {
        "listen.smtp": "127.0.0.7:25", "tls.certificate": str(tmp_path / "chain.pem"),
        "tls.key": str(tmp_path / "key.pem"),
    }  # fmt: skip
    users = {"x@ours.example": "secret", "x@wrong.example": "secret"}
    server = Server(tmp_path / "data", users, settings)
    with OwnNetwork(tmp_path, "nameserver 127.0.0.1\noptions trust-ad edns0\n") as network:
        with SignedDNS(tmp_path / "dns", zones, prefix=network.prefix, port=53):
            server.start(*network.prefix)
            try:
                sends = SecurePostfix(
                    "there.example", theirs, address="127.0.0.9", port=2525, settings=STRICT, prefix=network.prefix
                )  # fmt: skip
                with sends as postfix:
                    postfix.send("a@there.example", "x@ours.example", b"Subject: proven\n\nHello.\n")
                    postfix.send("a@there.example", "x@wrong.example", b"Subject: not\n\nHello.\n")
                    until(lambda: "to=<x@ours.example>" in postfix.log, lambda: postfix.log)
                    until(lambda: "to=<x@wrong.example>" in postfix.log, lambda: postfix.log)
                    log = postfix.log
            finally:
                assert server.stop() == 0
    lines = {to: next(line for line in log.splitlines() if f"to=<{to}>" in line) for to in users}
    assert "Verified TLS connection established to mx.ours.example" in log, log
    assert "status=sent" in lines["x@ours.example"] and "status=deferred" in lines["x@wrong.example"], log
    assert "not verified" in lines["x@wrong.example"].lower() or "not trusted" in lines["x@wrong.example"].lower(), log
    listed = Ctl(server.data.path).ok("mail", "list", "x@ours.example", "--json")
    assert [json.loads(line)["subject"] for line in listed.splitlines()] == ["proven"]
    assert Ctl(server.data.path).ok("mail", "list", "x@wrong.example", "--json") == ""
