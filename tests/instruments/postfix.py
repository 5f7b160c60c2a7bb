"""Postfix in a private directory, as another house's mail server: takes mail on loopback and sends all of it on.

    with Postfix(next_hop_port) as postfix:
        smtplib.SMTP("127.0.0.1", postfix.port)

Postfix changes users and so needs root. `settings` are lines of main.cf, `tables` files beside it, which settings name
as `DIR/name`. `prefix` is a command to run it under (a network of its own).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.instruments.until import until

_SERVICES = """\
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_SETTINGS = """\
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log
maillog_file_prefixes = DIR
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.postfix.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
default_transport = smtp:[127.0.0.1]:{next_hop}
relay_transport = $default_transport
smtp_tls_security_level = none
smtp_dns_support_level = disabled
disable_dns_lookups = yes
"""


class Postfix:
    def __init__(
        self,
        next_hop: int,
        settings: str = "",
        tables: dict[str, str] | None = None,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        prefix: Sequence[str] = (),
    ) -> None:
        self.next_hop = next_hop
        self.address = address
        self.port = port
        self.prefix = prefix
        self._settings = settings
        self._tables = tables or {}
        self._directory = Path()

    @property
    def log(self) -> str:
        path = self._directory / "log"
        return path.read_text() if path.exists() else ""

    def __enter__(self) -> Postfix:
        assert os.geteuid() == 0, "Postfix must be started by root"
        self._directory = Path(tempfile.mkdtemp(prefix="postfix-"))  # others than root must get in
        self._directory.chmod(0o755)
        if not self.port:
            with socket.create_server((self.address, 0)) as free:
                self.port = free.getsockname()[1]
        for folder, owner in (("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self._directory / folder).mkdir()
            shutil.chown(self._directory / folder, owner)
        # Each name once: of a second one every daemon would warn, the logger too, which then waits for itself.
        set_anew = {line.partition("=")[0].strip() for line in self._settings.splitlines()}
        usual = _SETTINGS.format(next_hop=self.next_hop).splitlines(keepends=True)
        settings = "".join(line for line in usual if line.partition("=")[0].strip() not in set_anew) + self._settings
        files = {"main.cf": settings, "master.cf": _SERVICES.format(port=f"{self.address}:{self.port}"), **self._tables}
        for name, text in files.items():
            (self._directory / name).write_text(text.replace("DIR", str(self._directory)))
        self._command("start")
        try:
            until(self._answers, lambda: f"Postfix does not answer\n{self.log}")
        except AssertionError:
            self._command("stop")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._command("stop")
        until(self._is_gone, "its daemons end a moment after their master")

    def _is_gone(self) -> bool:
        shutil.rmtree(self._directory, ignore_errors=True)
        return not self._directory.exists()

    def _command(self, verb: str) -> None:
        done = subprocess.run(
            [*self.prefix, "/usr/sbin/postfix", "-c", self._directory, verb],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"postfix {verb}: {done.stderr.decode()}\n{self.log}"

    def _answers(self) -> bool:
        if self.prefix:  # out of reach from here
            return "daemon started" in self.log
        try:
            with socket.create_connection((self.address, self.port), 1) as peer:
                return peer.recv(3) == b"220"
        except OSError:
            return False
