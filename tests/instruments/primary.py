"""A real primary name server (bind9's named) on loopback, whose zones are changed by dynamic update.

with Primary(tmp_path, {"example.org": ZONE}) as primary:
    primary.server                      # HostPort
    primary.key_text                    # what tsig-keygen would have written
    primary.ask("example.org", "MX")    # ["10 mail.example.org."]
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from daemon.config import HostPort
from tests.instruments.server import free_ports
from tests.instruments.until import until

_HEAD = "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n"


class Primary:
    """`zones` maps names to what stands after SOA and NS. The key `mailctl` may change them, `stranger` may not.

    Those in `signed` get DNSSEC keys of their own.
    """

    def __init__(self, path: Path, zones: Mapping[str, str], *, signed: Collection[str] = ()) -> None:
        self.path = path / "named"
        self.server = HostPort("127.0.0.1", free_ports(1)[0])
        self.secrets = {name: base64.b64encode(os.urandom(32)).decode() for name in ("mailctl", "stranger")}
        self.log = self.path / "log"
        self._signed = tuple(signed)
        self._process: subprocess.Popen[bytes] | None = None
        self.path.mkdir()
        conf = [
            f'options {{ directory "{self.path}"; pid-file none; session-keyfile none; recursion no; notify no;'
            f" listen-on port {self.server.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};"
            " dnssec-validation no; };\ncontrols { };",
            *(self.clause(name) for name in self.secrets),
        ]
        for name, text in zones.items():
            (self.path / name).write_text(_HEAD + text + "\n")
            keys = "dnssec-policy default;" if name in signed else ""
            conf.append(f'zone "{name}" {{ type primary; file "{name}"; allow-update {{ key mailctl; }}; {keys} }};')
        (self.path / "named.conf").write_text("\n".join(conf) + "\n")

    def clause(self, name: str, secret: str | None = None) -> str:
        return f'key "{name}" {{\n\talgorithm hmac-sha256;\n\tsecret "{secret or self.secrets[name]}";\n}};\n'

    @property
    def key_text(self) -> str:
        return self.clause("mailctl")

    def ask(self, name: str, kind: str) -> list[str]:
        """The records as text, sorted."""
        query = dns.message.make_query(name, kind)
        answer = dns.query.tcp(query, self.server.host, 5, self.server.port)
        wanted = dns.rdatatype.from_text(kind)
        return sorted(str(record) for rrset in answer.answer if rrset.rdtype == wanted for record in rrset)

    def change(self, *lines: str) -> None:
        """What somebody else changes: `add NAME TTL TYPE DATA`, `delete NAME TYPE`."""
        text = [f"server {self.server.host} {self.server.port}", *(f"update {line}" for line in lines), "send"]
        key = self.path / "key"
        key.write_text(self.key_text)
        subprocess.run(["nsupdate", "-k", str(key)], input="\n".join(text).encode(), check=True, capture_output=True)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError, dns.exception.DNSException, EOFError):
            dns.query.tcp(dns.message.make_query(".", "SOA"), self.server.host, 1, self.server.port)
            return b"running" in self.log.read_bytes()
        return False

    def __enter__(self) -> Primary:
        program = shutil.which("named") or "/usr/sbin/named"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-g", "-n", "1", "-c", str(self.path / "named.conf")], stdout=log, stderr=log
            )
        until(self._answers, lambda: self.log.read_text())
        for name in self._signed:
            until(lambda name=name: self.ask(name, "DNSKEY"), lambda: self.log.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
