"""Postfix with TLS and a mailbox: a peer that takes mail for a domain of its own, and may send some.

with SecurePostfix("there.example", leaf, address="127.0.0.9", port=2525) as postfix:
    postfix.mail()                                     # what arrived for x@there.example, byte for byte
    postfix.send("a@there.example", "b@ours.example", b"...")
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.instruments.authority import Issued
from tests.instruments.postfix import Postfix

# The address stands with the service: 127.0.0.9 is no interface of its own.
_MORE = """\
inet_interfaces = loopback-only
myhostname = mx.{domain}
default_transport = smtp
disable_dns_lookups = no
virtual_mailbox_domains = {domain}
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = inline:{{ x@{domain}=x/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_chain_files = DIR/chain.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
"""


class SecurePostfix(Postfix):
    """`settings` are further lines of main.cf."""

    def __init__(
        self, domain: str, leaf: Issued, *, address: str, port: int, settings: str = "", prefix: Sequence[str] = ()
    ) -> None:
        tables = {"chain.pem": leaf.key_pem + leaf.pem}
        super().__init__(
            0, _MORE.format(domain=domain) + settings, tables, address=address, port=port, prefix=prefix
        )  # fmt: skip

    def mail(self) -> list[bytes]:
        """What is in the mailbox of x."""
        return [path.read_bytes() for path in sorted((self._directory / "mail/x/new").glob("*"))]

    def send(self, sender: str, to: str, text: bytes) -> None:
        """Hand a message to its queue."""
        command = [*self.prefix, "sendmail", "-C", str(self._directory), "-f", sender, "-i", to]
        done = subprocess.run(command, input=text, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
