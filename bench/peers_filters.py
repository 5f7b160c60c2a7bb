"""The peers with what an administrator puts beside them to judge or to sort incoming mail. All else is the
configuration of the suite's peers.

`trust`: opendkim and opendmarc as milters, policyd-spf as Postfix's policy service. `rspamd`: rspamd as Debian ships
it, as a milter, its statistics in a Redis of its own; it has learnt as many messages as it wants before it judges.

These two run in a mount namespace of their own, where resolv.conf names the name server of `correspondent`. Loopback is
no friend there, as it is by default, but a stranger whose mail is judged.

`sieve`: Pigeonhole in Dovecot's LMTP, and its ManageSieve, through which users put their scripts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.correspondent import ADDRESS, lesson
from bench.suite import NoSuite, Server, Suite

_MANAGE = 47  # from the port of IMAP to that of ManageSieve
_PORT = re.compile(r"\b22([01]\d\d)\b")  # of the suite's peers
_LESSONS = 250  # of each kind; rspamd's statistics judge from 200 on
_ALWAYS = """
mynetworks = 192.0.2.1
smtpd_client_event_limit_exceptions = 127.0.0.0/8
"""


@dataclass(frozen=True)
class Filters:
    """A set of filters: what it needs, and how it is put beside Postfix. `{home}` and `{address}` are filled in."""

    packages: Mapping[str, str]  # command -> Debian's package
    ports: int  # in place of the suite's 22xxx
    main: str  # more of main.cf
    master: str
    start: str  # shell
    files: Mapping[str, str]
    pidfiles: tuple[str, ...]
    dovecot: str = ""  # more of dovecot.conf
    strangers: bool = True  # mail from loopback is judged


TRUST = Filters(
    packages={"opendkim": "opendkim", "opendmarc": "opendmarc", "policyd-spf": "postfix-policyd-spf-python"},
    ports=23,
    main="""
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policyd-spf
policyd-spf_time_limit = 3600
smtpd_milters = unix:{home}/filters/opendkim.sock, unix:{home}/filters/opendmarc.sock
""",
    master="policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf {home}/policyd-spf.conf\n",
    start="""
opendkim -x {home}/opendkim.conf
opendmarc -c {home}/opendmarc.conf
""",
    files={
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
    },
    pidfiles=("filters/opendkim.pid", "filters/opendmarc.pid"),
)

# what rspamd spares its own machine; the peer of the bench is on loopback
_NOT_OF_LOOPBACK = ("spf", "dkim", "dmarc", "whitelist", "hfilter", "once_received")
RSPAMD = Filters(
    packages={"rspamd": "rspamd", "redis-server": "redis-server"},
    ports=24,
    main="smtpd_milters = unix:{home}/filters/rspamd.sock\n",
    master="",
    start="""
redis-server {home}/redis.conf
chown -R _rspamd: {home}/filters
rspamd -u _rspamd -g _rspamd --config {home}/rspamd.conf --var LOCAL_CONFDIR={home}/rspamd \
  --var DBDIR={home}/filters --var RUNDIR={home}/filters --var LOGDIR={home}/filters
for i in $(seq 100); do [ -S {home}/filters/control.sock ] && break; sleep 0.1; done
rspamc --connect {home}/filters/control.sock learn_ham {home}/lessons/ham >{home}/learnt
rspamc --connect {home}/filters/control.sock learn_spam {home}/lessons/spam >>{home}/learnt
""",
    files={
        "rspamd.conf": '.include "/etc/rspamd/rspamd.conf"\n',
        "rspamd/local.d/options.inc": """
pidfile = "{home}/filters/rspamd.pid";
local_addrs = [192.0.2.1];
dns {{ nameserver = ["{address}"]; }}
""",
        "rspamd/local.d/worker-normal.inc": "enabled = false;\n",
        "rspamd/local.d/worker-controller.inc": 'bind_socket = "{home}/filters/control.sock mode=0666";\n',
        "rspamd/local.d/worker-proxy.inc": """
bind_socket = "{home}/filters/rspamd.sock mode=0666";
count = 2;
upstream "local" {{ default = yes; self_scan = yes; }}
""",
        "rspamd/local.d/redis.conf": 'servers = "{home}/filters/redis.sock";\n',
        "rspamd/local.d/greylist.conf": "enabled = false;\n",
        "rspamd/local.d/milter_headers.conf": """
use = ["authentication-results", "x-spamd-result"];
skip_local = false;
""",
        "rspamd/local.d/rbl.conf": "default_exclude_local = false;\n",
        **{f"rspamd/local.d/{module}.conf": "check_local = true;\n" for module in _NOT_OF_LOOPBACK},
        "redis.conf": """
port 0
unixsocket {home}/filters/redis.sock
unixsocketperm 777
pidfile {home}/filters/redis.pid
dir {home}/filters
daemonize yes
save ""
""",
    },
    pidfiles=("filters/rspamd.pid", "filters/redis.pid"),
)

SIEVE = Filters(
    packages={"sievec": "dovecot-sieve", "/usr/lib/dovecot/managesieve": "dovecot-managesieved"},
    ports=25,
    main="",
    master="",
    start="",
    files={},
    pidfiles=(),
    dovecot="""
protocols = imap pop3 lmtp sieve
service managesieve-login {{
  inet_listener sieve {{
    port = {manage}
  }}
}}
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{home}/filters/%u;active={home}/filters/%u.sieve
}}
""",
    strangers=False,
)

_KINDS = {"trust": TRUST, "rspamd": RSPAMD, "sieve": SIEVE}
BASES = ("pd-maildir", "pd-mdbox")


def names(kind: str) -> tuple[str, ...]:
    """The peers with these filters."""
    return tuple(f"{base}-{kind}" for base in BASES)


NAMES = frozenset(name for kind in _KINDS for name in names(kind))


def split(name: str) -> tuple[str, str]:
    """The suite's peer of which this one is made, and the kind of its filters."""
    base, _, kind = name.rpartition("-")
    return base, kind


def described(suite: Suite, name: str, plain: Server) -> Server:
    """The descriptor, out of that of the peer without filters."""
    filters = _KINDS[split(name)[1]]
    doors = {door: [plain[door][0], plain[door][1] % 1000 + filters.ports * 1000] for door in ("smtp", "imap", "pop3")}
    return plain | doors | {
        "name": name,
        "sieve": [plain["imap"][0], doors["imap"][1] + _MANAGE],
        "home": _home(suite, name),
        "configuration": ("dovecot.conf", "pf/etc/main.cf", "pf/etc/master.cf", *filters.files),
        "pidfiles": ("run/master.pid", "pf/spool/pid/master.pid", *filters.pidfiles),
    }  # fmt: skip


def start(suite: Suite, name: str, server: Server, run: Callable[..., None]) -> None:
    """`server` is its descriptor; `run` runs a command that must succeed, with more variables in its environment.

    Raises `NoSuite`.
    """
    filters = _KINDS[split(name)[1]]
    missing = [package for command, package in filters.packages.items() if shutil.which(command) is None]
    if missing:
        raise NoSuite(f"{name} needs Debian's {', '.join(missing)} besides Postfix and Dovecot")
    home = _home(suite, name)
    shutil.rmtree(home, ignore_errors=True)
    run("bash", suite.folder / "anchor.sh", "wipe", home.name, MAILBENCH=str(_state(suite, name)))
    (home / "filters").mkdir()
    (home / "filters").chmod(0o1777)
    words = {"home": home, "address": ADDRESS, "manage": server["sieve"][1]}
    main = _ALWAYS + filters.main if filters.strangers else filters.main
    for file, more in (("dovecot.conf", filters.dovecot), ("pf/etc/main.cf", main),
                       ("pf/etc/master.cf", filters.master)):  # fmt: skip
        path = home / file
        text = _PORT.sub(rf"{filters.ports}\1", path.read_text())
        if filters.strangers:
            text = text.replace("mynetworks = 127.0.0.0/8\n", "")
        path.write_text(text + more.format(**words))
    start = f"""
{f"mount --bind {home}/resolv.conf /etc/resolv.conf" if filters.strangers else ""}
ulimit -n 20000
{filters.start.format(**words).strip()}
dovecot -c {home}/dovecot.conf
postfix -c {home}/pf/etc start
"""
    files = {file: text.format(**words) for file, text in filters.files.items()}
    for file, text in (files | {"resolv.conf": f"nameserver {ADDRESS}\n", "start": start}).items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(text.lstrip())
    for kind in ("ham", "spam"):
        (home / "lessons" / kind).mkdir(parents=True)
        for number in range(_LESSONS):
            (home / "lessons" / kind / f"{number}.eml").write_bytes(lesson(kind == "spam", number))
    run("unshare", "--mount", "sh", "-e", home / "start")


def _state(suite: Suite, name: str) -> Path:
    """Where the suite makes these peers: beside the others, because it knows them by the same names."""
    return suite.state / split(name)[1]


def _home(suite: Suite, name: str) -> Path:
    return _state(suite, name) / "anchor" / split(name)[0]
