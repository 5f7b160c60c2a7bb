"""The peers with what an administrator puts beside them to judge incoming mail: opendkim and opendmarc as milters,
policyd-spf as Postfix's policy service. All else is the configuration of the suite's peers.

They run in a mount namespace of their own, where resolv.conf names the name server of `correspondent`. Loopback is no
friend here, as it is by default, but a stranger whose mail is judged.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.correspondent import ADDRESS
from bench.suite import NoSuite, Server, Suite

NAMES = ("pd-maildir-trust", "pd-mdbox-trust")
PACKAGES = {"opendkim": "opendkim", "opendmarc": "opendmarc", "policyd-spf": "postfix-policyd-spf-python"}
_PORT = re.compile(r"\b22[01]\d\d\b")  # of the suite's peers
_MOVED = 1000  # these have 230xx and 231xx

MAIN = """
mynetworks = 192.0.2.1
smtpd_client_event_limit_exceptions = 127.0.0.0/8
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policyd-spf
policyd-spf_time_limit = 3600
smtpd_milters = unix:{home}/filters/opendkim.sock, unix:{home}/filters/opendmarc.sock
"""
MASTER = "policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf {home}/policyd-spf.conf\n"
FILES = {
    "opendkim.conf": """
Syslog yes
SyslogSuccess yes
Mode v
InternalHosts 192.0.2.1
Nameservers {address}
Socket local:{home}/filters/opendkim.sock
PidFile {home}/filters/opendkim.pid
UserID opendkim
UMask 000
""",
    "opendmarc.conf": """
Syslog yes
AuthservID mx.bench.test
RejectFailures yes
IgnoreHosts {home}/friends
PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat
Socket local:{home}/filters/opendmarc.sock
PidFile {home}/filters/opendmarc.pid
UserID opendmarc
UMask 000
""",
    "policyd-spf.conf": """
debugLevel = 1
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = 192.0.2.1
""",
    "friends": "192.0.2.1\n",
    "resolv.conf": "nameserver {address}\n",
    "start": """
mount --bind {home}/resolv.conf /etc/resolv.conf
ulimit -n 20000
opendkim -x {home}/opendkim.conf
opendmarc -c {home}/opendmarc.conf
dovecot -c {home}/dovecot.conf
postfix -c {home}/pf/etc start
""",
}


def base(name: str) -> str:
    """The suite's peer of which this one is made."""
    return name.removesuffix("-trust")


def described(suite: Suite, name: str, plain: Server) -> Server:
    """The descriptor, out of that of the peer without filters."""
    doors = {door: [plain[door][0], plain[door][1] + _MOVED] for door in ("smtp", "imap", "pop3")}
    return plain | doors | {
        "name": name,
        "home": _home(suite, name),
        "configuration": ("dovecot.conf", "pf/etc/main.cf", "pf/etc/master.cf", *FILES),
        "pidfiles": (
            "run/master.pid", "pf/spool/pid/master.pid", "filters/opendkim.pid", "filters/opendmarc.pid",
        ),
    }  # fmt: skip


def start(suite: Suite, name: str, run: Callable[..., None]) -> None:
    """`run` runs a command that must succeed, with more variables in its environment. Raises `NoSuite`."""
    missing = [package for command, package in PACKAGES.items() if shutil.which(command) is None]
    if missing:
        raise NoSuite(f"{name} needs Debian's {', '.join(missing)} besides Postfix and Dovecot")
    home = _home(suite, name)
    shutil.rmtree(home, ignore_errors=True)
    run("bash", suite.folder / "anchor.sh", "wipe", home.name, MAILBENCH=str(_state(suite)))
    (home / "filters").mkdir()
    (home / "filters").chmod(0o1777)
    words = {"home": home, "address": ADDRESS}
    for file, more in (("dovecot.conf", ""), ("pf/etc/main.cf", MAIN), ("pf/etc/master.cf", MASTER)):
        path = home / file
        text = _PORT.sub(lambda port: str(int(port[0]) + _MOVED), path.read_text())
        path.write_text(text.replace("mynetworks = 127.0.0.0/8\n", "") + more.format(**words))
    for file, text in FILES.items():
        (home / file).write_text(text.format(**words).lstrip())
    run("unshare", "--mount", "sh", "-e", home / "start")


def _state(suite: Suite) -> Path:
    """Where the suite makes these peers: beside the others, because it knows them by the same names."""
    return suite.state / "trust"


def _home(suite: Suite, name: str) -> Path:
    return _state(suite) / "anchor" / base(name)
