"""Debian's Postfix in a directory of its own: a peer that takes mail, or one that sends it.

    with Postfix(port=2525, address="127.0.0.9", domain="there.example", leaf=leaf) as postfix:
        postfix.mail("x@there.example")      # what arrived for x, byte for byte

Its master and its daemons change users, so only root can start it, and its directory is not below pytest's, which is
root's alone. `prefix` is a command to run it under.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.instruments.authority import Issued
from tests.instruments.until import until

_MASTER = """
{address}:{port} inet n - n - - smtpd
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
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Takes mail for `domain`. `settings` are further lines of main.cf."""

    def __init__(
        self,
        *,
        domain: str,
        leaf: Issued,
        others: Sequence[Issued] = (),
        address: str = "127.0.0.1",
        port: int,
        settings: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        assert os.geteuid() == 0, "only root can start Postfix"
        self.folder = folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.domain = domain
        self.prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        for name in ("conf", "queue", "data", "mail"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        shutil.chown(folder / "mail", "nobody")
        (folder / "chain.pem").write_text(leaf.key_pem + "".join(one.pem for one in (leaf, *others)))
        main = {
            "compatibility_level": "3.6",
            "queue_directory": str(folder / "queue"),
            "data_directory": str(folder / "data"),
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file_prefixes": str(folder),
            "maillog_file": str(folder / "postfix.log"),
            "inet_interfaces": "loopback-only",  # the address is in master.cf: 127.0.0.9 is no interface of its own
            "inet_protocols": "ipv4",
            "myhostname": f"mx.{domain}",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "virtual_mailbox_domains": domain,
            "virtual_mailbox_base": str(folder / "mail"),
            "virtual_mailbox_maps": f"inline:{{ x@{domain}=x/ }}",
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
            "smtpd_tls_chain_files": str(folder / "chain.pem"),
            "smtpd_tls_security_level": "may",
            "smtpd_tls_loglevel": "1",
            "smtp_tls_loglevel": "1",
            **(settings or {}),
        }
        (folder / "conf/main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (folder / "conf/master.cf").write_text(_MASTER.format(address=address, port=port))

    def mail(self, address: str) -> list[bytes]:
        """What is in the mailbox of `x`."""
        box = self.folder / "mail" / address.partition("@")[0] / "new"
        return [path.read_bytes() for path in sorted(box.glob("*"))]

    def send(self, sender: str, to: str, text: bytes) -> None:
        """Hand a message to its queue."""
        command = [*self.prefix, "sendmail", "-C", str(self.folder / "conf"), "-f", sender, "-i", to]
        done = subprocess.run(command, input=text, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def log(self) -> str:
        path = self.folder / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Postfix:
        command = [*self.prefix, "postfix", "-c", str(self.folder / "conf"), "start-fg"]
        with (self.folder / "start.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._is_up, lambda: self.log() + (self.folder / "start.log").read_text())
        return self

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log() + (self.folder / "start.log").read_text()
        return "daemon started" in self.log()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        # What we started is a script that waits for the master: the master ends its daemons, and the script then.
        stop = [*self.prefix, "postfix", "-c", str(self.folder / "conf"), "stop"]
        subprocess.run(stop, capture_output=True, timeout=30)
        self._process.wait(30)
        until(self._is_gone, "its daemons end a moment after their master")

    def _is_gone(self) -> bool:
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()
