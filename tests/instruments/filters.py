"""Real filters, each started in a folder of its own and as a user who may nothing: rspamd, SpamAssassin behind
spamass-milter, clamd behind clamav-milter, opendkim.

    with rspamd() as running:
        running.milter, running.url      # as in filter.milters and filter.rspamd

They listen on Unix sockets in their folder and on high ports of 127.0.0.1, ask no name server that is there, and share
no configuration with what the machine may have of them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.instruments.clamd import EICAR
from tests.instruments.server import free_ports
from tests.instruments.until import until

PATTERN = b"JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
GTUBE = b"X" + PATTERN
VIRUS = b"VIRUS HERE FOR TESTS"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass
class Filters:
    """What runs in one folder. `milter` and `url` as settings have them."""

    folder: Path
    user: str
    milter: str = ""
    url: str = ""
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("{}", str(self.folder)))
        return path

    def start(self, *command: str | Path, ready: str | int) -> None:
        """Run it until the end; returns when it takes connections at the socket or port `ready`."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self.user)
        log = (self.folder / f"output-{len(self.programs)}").open("wb")
        with log:
            program = subprocess.Popen(
                [str(part) for part in command], cwd=self.folder, env=_ENVIRONMENT, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **self._nobody(),
            )  # type: ignore[call-overload]  # fmt: skip
        self.programs.append(program)
        until(lambda: program.poll() is None and _listens(self.folder, ready), lambda: self.said)

    def _nobody(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        known = pwd.getpwnam(self.user)
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}

    @property
    def said(self) -> str:
        """What the programs printed."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("output-*")))

    def end(self) -> None:
        """Some take their time to say goodbye: nothing of theirs is worth waiting for."""
        for program in self.programs:
            program.terminate()
        for program in self.programs:
            try:
                program.wait(1)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()


def _listens(folder: Path, ready: str | int) -> bool:
    family, where = (
        (socket.AF_INET, ("127.0.0.1", ready)) if isinstance(ready, int) else (socket.AF_UNIX, str(folder / ready))
    )
    with socket.socket(family) as one:
        return one.connect_ex(where) == 0


@contextlib.contextmanager
def _filters(user: str) -> Iterator[Filters]:
    with tempfile.TemporaryDirectory(prefix="filter-") as name:  # short: a socket's path has 100 characters
        folder = Path(name)
        folder.chmod(0o755)
        running = Filters(folder, user, f"unix:{folder}/milter")
        try:
            yield running
        finally:
            running.end()


@contextlib.contextmanager
def rspamd() -> Iterator[Filters]:
    """By its own protocol and as a milter. Its test patterns have every action: X reject, Y add header, Z subject."""
    with _filters("_rspamd") as running:
        (port,) = free_ports(1)
        running.url = f"http://127.0.0.1:{port}"
        running.write("suffixes", "com\norg\nexample\ntest\n")
        conf = running.write("rspamd.conf", _RSPAMD % {"port": port})
        running.start("rspamd", "-f", "-c", conf, ready="milter")
        yield running


_RSPAMD = """
options {
  pidfile = "{}/pid"; tempdir = "{}"; url_tld = "{}/suffixes"; control_socket = "{}/control"; hs_cache_dir = "{}";
  cache_file = "{}/symbols.cache"; history_file = "{}/history"; filters = "regexp"; local_addrs = [];
  enable_test_patterns = true;
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "127.0.0.1:%(port)d"; count = 1; }
worker "rspamd_proxy" {
  bind_socket = "{}/milter mode=0666"; milter = yes; count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
actions { reject = 15; add_header = 6; greylist = 4; }
modules { path = "/usr/share/rspamd/plugins/milter_headers.lua"; }
milter_headers { use = ["x-spamd-result"]; skip_local = false; skip_authenticated = false; }
"""


@contextlib.contextmanager
def spamassassin() -> Iterator[Filters]:
    """Debian's rules without those that ask the network, and one of our own for a subject with `cheap watches`."""
    with _filters("nobody") as running:
        (port,) = free_ports(1)
        plugins = "Check BodyEval DNSEval HTMLEval HeaderEval MIMEEval RelayEval URIDetail URIEval WLBLEval".split()
        running.write("site/a.pre", "".join(f"loadplugin Mail::SpamAssassin::Plugin::{name}\n" for name in plugins))
        running.write("site/local.cf", _SPAMASSASSIN)
        running.start(
            "spamd", "-L", "-x", "-m", "1", "--min-children=1", "-i", "127.0.0.1", "-p", str(port), "-s", "stderr",
            "-C", "/usr/share/spamassassin", f"--siteconfigpath={running.folder}/site", "-H", running.folder,
            ready=port,
        )  # fmt: skip
        running.start(
            "spamass-milter", "-p", running.folder / "milter", "-m", "-r", "50", "--", "-d", "127.0.0.1", "-p",
            str(port), ready="milter",
        )  # fmt: skip
        yield running


_SPAMASSASSIN = """
required_score 5
use_bayes 0
dns_available no
header TEST_SUBJECT Subject =~ /cheap watches/
score TEST_SUBJECT 7.5
"""


@contextlib.contextmanager
def clamd() -> Iterator[Filters]:
    """The scanner alone, at `url` as virus.scanner has it, with the signatures of `VIRUS` and of EICAR."""
    with _filters("clamav") as running:
        running.write("db/test.ndb", f"Test.Virus:0:*:{VIRUS.hex()}\nTest.Eicar:0:*:{EICAR.hex()}\n")
        running.write(
            "clamd.conf", "Foreground yes\nDatabaseDirectory {}/db\nLocalSocket {}/clamd\nStreamMaxLength 1M\n"
        )
        running.url = f"unix:{running.folder}/clamd"
        start_clamd(running)
        yield running


def start_clamd(running: Filters) -> None:
    """Once more, after it was killed. Its old socket would look as if it were there."""
    (running.folder / "clamd").unlink(missing_ok=True)
    running.start("clamd", "-c", running.folder / "clamd.conf", ready="clamd")


@contextlib.contextmanager
def clamav(on_infected: str = "Reject") -> Iterator[Filters]:
    """With a database of one signature, which `VIRUS` has."""
    with _filters("clamav") as running:
        running.write("db/test.ndb", f"Test.Virus:0:*:{VIRUS.hex()}\n")
        clamd = running.write("clamd.conf", "Foreground yes\nDatabaseDirectory {}/db\nLocalSocket {}/clamd\n")
        running.start("clamd", "-c", clamd, ready="clamd")
        milter = running.write("milter.conf", _CLAMAV + f"OnInfected {on_infected}\n")
        running.start("clamav-milter", "-c", milter, ready="milter")
        yield running


_CLAMAV = """Foreground yes
MilterSocket unix:{}/milter
ClamdSocket unix:{}/clamd
OnFail Defer
AddHeader Add
RejectMsg found %v
TemporaryDirectory {}
"""


@contextlib.contextmanager
def opendkim(conf: str, **files: str) -> Iterator[Filters]:
    with _filters("opendkim") as running:
        for name, text in files.items():
            running.write(name, text).chmod(0o600)
        path = running.write("conf", "Background no\nSocket local:{}/milter\nRequireSafeKeys no\n" + conf)
        running.start("opendkim", "-f", "-x", path, ready="milter")
        yield running
