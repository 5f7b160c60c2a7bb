"""A real ACME server on loopback: Let's Encrypt's pebble, which validates as the authority does.

with Pebble(path, dns=dns.at, http=server.ports["http"], tls=server.ports["https"]) as pebble:
    pebble.directory   # for acme.directory
    pebble.ca_bundle   # for acme.ca_bundle
    pebble.root()      # PEM of the root it signs by, for a client who should trust it
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import trustme

from tests.instruments.server import free_ports
from tests.instruments.until import until


class Pebble:
    """`http` and `tls` are the ports it validates at; `lifetime` of its certificates in seconds. `customers`: the key
    identifiers of who may have an account, each with its HMAC key; none: anybody may."""

    def __init__(
        self, path: Path, *, dns: str, http: int, tls: int, lifetime: int = 90 * 86400,
        customers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        path.mkdir()
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.ca_bundle = path / "root.pem"
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        issued.cert_chain_pems[0].write_to_path(str(path / "chain.pem"))
        issued.private_key_pem.write_to_path(str(path / "key.pem"))
        self._port, self._management = free_ports(2)
        config = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(path / "chain.pem"),
            "privateKey": str(path / "key.pem"),
            "httpPort": http,
            "tlsPort": tls,
            "certificateValidityPeriod": lifetime,
            "externalAccountBindingRequired": bool(customers),
            "externalAccountMACKeys": dict(customers or {}),
        }
        (path / "config.json").write_text(json.dumps({"pebble": config}))
        self._command = ["pebble", "-config", str(path / "config.json"), "-dnsserver", dns, "-strict"]
        self._log = path / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> str:
        return f"https://localhost:{self._port}/dir"

    def root(self) -> str:
        return self._get(f"https://localhost:{self._management}/roots/0")

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _get(self, url: str) -> str:
        context = ssl.create_default_context(cafile=str(self.ca_bundle))
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return str(answer.read().decode())

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with contextlib.suppress(OSError):
            return bool(self._get(self.directory))
        return False

    def __enter__(self) -> Pebble:
        # it would wait up to 15 s before it validates, refuse good nonces, and forget to reuse what it has validated
        environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5", "PEBBLE_AUTHZREUSE": "0"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, env=os.environ | environ, stdout=log, stderr=log)
        until(self._answers, self.log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
