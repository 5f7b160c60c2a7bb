"""Real DNSSEC on loopback: `named` (bind9) with signed zones, and `unbound` that validates them.

    with SignedDNS(tmp_path / "dns", {"good.example": "@ MX 10 mx\\nmx A 127.0.0.2"}, unsigned=["old.example"]) as dns:
        dns.at              # unbound, for the setting dns.servers: AD where it is proven, SERVFAIL where it is a lie
        dns.authority       # named, which just answers

A zone is its records; SOA and NS are added. Each signed zone is a trust anchor of its own: there is no root here.
`bogus` says what of a signed zone a liar changes, and into what. `publish` signs a zone anew with other records, and
has both servers forget. `prefix` is a command to run them under (a network of their own), `port` unbound's there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import dns.exception
import dns.message
import dns.query

from tests.instruments.server import free_ports
from tests.instruments.until import until

_HEAD = "$TTL {ttl}\n@ SOA ns hostmaster {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
_NAMED = """
options {{
  directory "{here}"; pid-file none; session-keyfile none; lock-file none;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; empty-zones-enable no; notify no; allow-transfer {{ any; }};
}};
controls {{ }};
"""
_UNBOUND = """
server:
  directory: "{here}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  verbosity: 1
  num-threads: 1
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-ip6: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-signaling: no
  minimal-responses: yes
  infra-host-ttl: 1
  val-bogus-ttl: 1
  local-zone: "example." nodefault
  local-zone: "test." nodefault
"""


class SignedDNS:
    """`zones` maps names to records; those in `unsigned` are not signed, those in `bogus` are changed after it."""

    def __init__(
        self,
        folder: Path,
        zones: Mapping[str, str],
        *,
        unsigned: Collection[str] = (),
        bogus: Mapping[str, tuple[str, str]] | None = None,
        ttl: int = 60,
        prefix: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.zones = dict(zones)
        self.unsigned = frozenset(unsigned)
        self.bogus = dict(bogus or {})
        named, unbound = free_ports(2)
        self.ports = {"named": named, "unbound": port or unbound}
        self._prefix = prefix
        self._ttl = ttl
        self._serial = 0
        self._anchors: list[str] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.ports['unbound']}"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.ports['named']}"

    def publish(self, zone: str, records: str) -> None:
        """Other records for a zone, signed with the key it has."""
        self.zones[zone] = records
        self._write(zone)
        self._stop()
        self._start()

    # -- zones ---------------------------------------------------------------------------------------------------------

    def _write(self, zone: str) -> None:
        self._serial += 1
        path = self.folder / f"{zone}.zone"
        path.write_text(_HEAD.format(ttl=self._ttl, serial=self._serial) + self.zones[zone].rstrip() + "\n")
        if zone in self.unsigned:
            return
        keys = self.folder / f"{zone}.keys"
        if not keys.exists():
            keys.mkdir()
            self._run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", str(keys), zone)
            (key,) = keys.glob("*.key")
            self._anchors += [line for line in key.read_text().splitlines() if not line.startswith(";")]
        signed = self.folder / f"{zone}.signed"
        self._run("dnssec-signzone", "-q", "-S", "-z", "-K", str(keys), "-o", zone, "-f", str(signed), str(path))
        text = signed.read_text()
        if zone in self.bogus:
            truth, lie = self.bogus[zone]
            assert truth in text, f"nothing in {zone} to lie about: {text}"
            text = text.replace(truth, lie)
        path.write_text(text)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    # -- the two servers -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        named, unbound = self.folder / "named.conf", self.folder / "unbound.conf"
        text = _NAMED.format(here=self.folder, port=self.ports["named"])
        named.write_text(
            text + "".join(f'zone "{zone}" {{ type primary; file "{zone}.zone"; }};\n' for zone in self.zones)
        )
        text = _UNBOUND.format(here=self.folder, port=self.ports["unbound"])
        text += "".join(f'  trust-anchor: "{anchor}"\n' for anchor in self._anchors)
        text += "".join(
            f'stub-zone:\n  name: "{z}"\n  stub-addr: 127.0.0.1@{self.ports["named"]}\n' for z in self.zones
        )
        unbound.write_text(text)
        self._spawn("named", "named", "-g", "-n", "1", "-c", str(named))
        self._spawn("unbound", "unbound", "-d", "-p", "-c", str(unbound))
        some = next(iter(self.zones))
        for name, port in self.ports.items():
            until(lambda port=port: self._answers(some, port), lambda name=name: self._log(name))  # type: ignore[misc]

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen([*self._prefix, *command], cwd=self.folder, stdout=log, stderr=log)

    def _answers(self, zone: str, port: int) -> bool:
        for name, process in self._running.items():
            assert process.poll() is None, self._log(name)
        question = f"import dns.message, dns.query; dns.query.udp(dns.message.make_query('{zone}', 'SOA'), '127.0.0.1'"
        if self._prefix:  # out of reach from here
            command = [*self._prefix, sys.executable, "-c", f"{question}, port={port}, timeout=0.3)"]
            return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
        try:
            dns.query.udp(dns.message.make_query(zone, "SOA"), "127.0.0.1", port=port, timeout=0.3)
        except (dns.exception.Timeout, OSError):
            return False
        return True

    def _log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def _stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def __enter__(self) -> SignedDNS:
        for zone in self.zones:
            self._write(zone)
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
