"""Where the data directory is, and every setting: its type, default, unit and effect.

A setting is a row in the store; this table says what the row may hold. `Config` is an immutable snapshot of all of
them, made anew when one changes. Text is what the administrator writes, values are what the program uses.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from daemon.limits import LIMITS
from daemon.setting_types import BadSetting as BadSetting
from daemon.setting_types import HostPort as HostPort
from daemon.setting_types import Network as Network
from daemon.setting_types import Setting as Setting
from daemon.setting_types import Socket as Socket
from daemon.setting_types import format_span as format_span
from daemon.setting_types import hostname as hostname
from daemon.setting_types import parse_host_port as parse_host_port
from daemon.setting_types import parse_size as parse_size
from daemon.setting_types import parse_span as parse_span
from daemon.settings_filtering import FILTERING


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data directory: mode 0700, everything the server knows."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "mail.db"

    @property
    def segments(self) -> Path:
        return self.path / "segments"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def doorbell(self) -> Path:
        return self.path / "doorbell"

    @property
    def lock(self) -> Path:
        return self.path / "serve.lock"

    @property
    def key(self) -> Path:
        return self.path / "secret.key"

    @property
    def acme_lock(self) -> Path:
        return self.path / "acme.lock"

    def make(self) -> None:
        """Create what is missing. Raises `OSError`."""
        for folder in (self.path, self.segments, self.spool):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=folder is self.path, exist_ok=True)
                hand_over(folder, self.path)


def hand_over(made: Path, directory: Path) -> None:
    """What root makes in somebody else's data directory is that one's, or the server could not use it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        if owner.st_uid != 0:
            os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)


def machine_name() -> str:
    """This machine's full host name; without one its short name, and `localhost` when it has none mail could use."""
    names = []
    for ask in (socket.getfqdn, socket.gethostname):
        with suppress(BadSetting, OSError):
            names.append(hostname(ask()))
    names = [name for name in names if name.partition(".")[0] != "localhost"]
    return next((name for name in names if "." in name), names[0] if names else "localhost")


_ALLOWED = {
    "messages": "Messages to other servers that one user may send",
    "recipients": "Recipients at other servers that one user may write to, message by message,",
    "strangers": "Recipients at other servers whom he never wrote to before, that one user may write to",
}


def _allowance(what: str, span: str, most: int) -> Setting:
    within = "an hour" if span == "hour" else "24 hours"
    effect = f"{_ALLOWED[what]} in {within}; beyond that all he sends there is held until an administrator has looked."
    effect += " 0: no limit."
    return Setting(f"allowance.{what}_per_{span}", "number", str(most), effect, what.replace("strangers", "recipients"))


_ROWS = (
    Setting(
        "hostname",
        "hostname",
        "",
        "The name this server gives itself: SMTP greeting, HELO, Received, Message-ID. Notices come from postmaster at"
        " the domain it lies under; where it lies under none of ours, from postmaster at the domain of who is told.",
    ),
    Setting("listen.smtp", "listeners", ":25", "Where mail from other servers comes in.", restart=True),
    Setting("listen.submission", "listeners", ":587", "Where users hand in mail, with STARTTLS.", restart=True),
    Setting("listen.submissions", "listeners", ":465", "Where users hand in mail, TLS from the start.", restart=True),
    Setting("listen.lmtp", "listeners", "off", "LMTP for a filter or another server in front.", restart=True),
    Setting("listen.imap", "listeners", ":143", "IMAP with STARTTLS.", restart=True),
    Setting("listen.imaps", "listeners", ":993", "IMAP, TLS from the start.", restart=True),
    Setting("listen.pop3", "listeners", ":110", "POP3 with STLS.", restart=True),
    Setting("listen.pop3s", "listeners", ":995", "POP3, TLS from the start.", restart=True),
    Setting("listen.managesieve", "listeners", ":4190", "ManageSieve with STARTTLS: users' scripts.", restart=True),
    Setting(
        "listen.http",
        "listeners",
        ":80",
        "HTTP: answers to a certificate authority's challenges; all else is told to use HTTPS.",
        restart=True,
    ),
    Setting(
        "listen.https",
        "listeners",
        ":443",
        "HTTPS: the webmail, JMAP, the MTA-STS policy of our domains.",
        restart=True,
    ),
    Setting(
        "listen.admin",
        "listeners",
        "127.0.0.1:8443",
        "HTTPS: the administration page, for administrators only; strangers should not reach it.",
        restart=True,
    ),
    Setting(
        "listen.metrics",
        "listeners",
        "off",
        "Numbers for monitoring, in the clear: /metrics for Prometheus, /healthz; strangers should not reach it.",
        restart=True,
    ),
    Setting(
        "acme.agree",
        "yes/no",
        "no",
        "The terms of the certificate authority are agreed to; from then on certificates are fetched and renewed.",
    ),
    Setting("acme.email", "text", "", "Where the certificate authority may write to; empty: nowhere."),
    Setting(
        "acme.directory",
        "url",
        "https://acme-v02.api.letsencrypt.org/directory",
        "The certificate authority: its ACME directory (RFC 8555).",
    ),
    Setting(
        "acme.eab_kid",
        "text",
        "",
        "For an authority that gives accounts to its customers only: the key identifier it gave (RFC 8555 §7.3.4).",
    ),
    Setting("acme.eab_key", "path", "", "File with the HMAC key it gave with that, in base64url.", "file"),
    Setting(
        "acme.challenge",
        "challenge",
        "http-01",
        "How a name is proved to be ours: over listen.http, over listen.https, or in the DNS by dns.update_server.",
    ),
    Setting(
        "acme.names",
        "names",
        "",
        "The names of one certificate; empty: one each for the host name and for mta-sts. and autoconfig. of every"
        " domain.",
    ),
    Setting(
        "acme.ca_bundle",
        "path",
        "",
        "PEM file of the root that vouches for a private directory; empty: the roots of the world.",
        "file",
    ),
    Setting(
        "mta_sts.mode",
        "none/testing/enforce",
        "testing",
        "What other servers shall do when TLS to this one is not as promised (RFC 8461): nothing, report, not deliver.",
    ),
    Setting("mta_sts.max_age", "span", "1w", "How long they remember the policy; at most a year."),
    Setting(
        "dkim.retire_after",
        "span",
        "7d",
        "How long the record of a DKIM key that signs no more is still to be published, for mail on its way.",
        "span",
    ),
    Setting("dns.servers", "servers", "", "Name servers to ask; empty: the system's.", "HOST:PORT"),
    Setting(
        "dns.update_server",
        "servers",
        "",
        "The name server that takes changes of our zones (RFC 2136), for `mailctl dns publish` and ACME; empty: none.",
        "HOST:PORT",
    ),
    Setting("dns.update_key", "path", "", "File with the TSIG key that signs them, as tsig-keygen writes it.", "file"),
    Setting(
        "dns.blocklists",
        "text",
        "zen.spamhaus.org bl.spamcop.net b.barracudacentral.org psbl.surriel.com dnsbl.dronebl.org bl.mailspike.net",
        "Lists of spammers' addresses that `mailctl dns check` asks about this server, space separated; empty: none.",
    ),
    Setting(
        "dns.out_port", "number", "53", "The port of name servers asked themselves; another one only for tests.", "port"
    ),
    Setting(
        "limits.message_size", "size", "50M", "The largest message that is taken, also IMAP's APPENDLIMIT.", "octets"
    ),
    Setting("limits.recipients", "number", str(LIMITS.smtp_recipients), "Recipients of one message.", "recipients"),
    Setting("limits.quota", "size", "0", "Room of a user who has no quota of his own; 0: no limit.", "octets"),
    Setting("limits.connections", "number", str(LIMITS.connections), "Connections in all.", "connections"),
    Setting(
        "limits.connections_per_address",
        "number",
        str(LIMITS.connections_per_address),
        "Connections from one IPv4 address or IPv6 /64.",
        "connections",
    ),
    Setting("limits.exempt_networks", "networks", "", "Peers without rate and connection limits.", "networks"),
    _allowance("messages", "hour", LIMITS.allowance_messages_hour),
    _allowance("messages", "day", LIMITS.allowance_messages_day),
    _allowance("recipients", "hour", LIMITS.allowance_recipients_hour),
    _allowance("recipients", "day", LIMITS.allowance_recipients_day),
    _allowance("strangers", "hour", LIMITS.allowance_strangers_hour),
    _allowance("strangers", "day", LIMITS.allowance_strangers_day),
    Setting(
        "sieve.scripts",
        "number",
        str(LIMITS.sieve_scripts),
        "How many Sieve scripts one user may have; 0: he cannot put any.",
        "scripts",
    ),
    Setting(
        "sieve.storage",
        "size",
        f"{LIMITS.sieve_storage >> 20}M",
        "How much all Sieve scripts of one user may have together.",
        "octets",
    ),
    Setting("auth.require_tls", "yes/no", "yes", "Passwords only over TLS. `no` is for tests on loopback."),
    Setting(
        "auth.app_passwords_only",
        "never/two-factor/always",
        "two-factor",
        "Whose own password opens no more than the webmail's sign-in page, so that mail programs need app passwords:"
        " nobody's, that of users with two-factor on, everybody's.",
    ),
    Setting(
        "auth.scram_plus",
        "yes/no",
        "no",
        "Announce SCRAM-SHA-256-PLUS, bound by tls-server-end-point. Clients built on GNU SASL (mutt) insist on"
        " tls-exporter then, and cannot log in.",
    ),
    Setting(
        "queue.retry", "spans", "5m,15m,30m,1h,2h,4h", "Delays before each further try; the last one repeats.", "spans"
    ),
    Setting("queue.lifetime", "span", "5d", "How long delivery is tried before the sender is told it failed.", "span"),
    Setting("queue.warn_after", "span", "4h", "When the sender is told of a delay; 0s: never.", "span"),
    Setting(
        "queue.connections",
        "number",
        str(LIMITS.outbound_connections),
        "Sessions with other servers at a time, in all; attempts to connect may be four times as many.",
        "connections",
    ),
    Setting(
        "queue.connections_per_destination",
        "number",
        str(LIMITS.outbound_per_destination),
        "Outgoing connections to one destination.",
        "connections",
    ),
    Setting(
        "queue.tls_downgrade",
        "notice/defer",
        "notice",
        "When a destination speaks worse TLS than within the last month: `notice` sends all the same and tells log and"
        " trace, `defer` keeps its mail waiting.",
    ),
    Setting("queue.hold_external", "yes/no", "no", "Mail for other domains waits in the queue, held (trial mode)."),
    Setting(
        "reports.send", "yes/no", "yes", "Send DMARC and TLS reports, once a day, to the domains that ask for them."
    ),
    Setting(
        "reports.from",
        "address",
        "",
        "The address reports come from; empty: postmaster at the domain that the host's name lies under, or at the"
        " first there is.",
    ),
    Setting("smtp.trusted_networks", "networks", "", "Peers that may relay without a password.", "networks"),
    Setting(
        "smtp.bare_newline",
        "refuse/normalize",
        "refuse",
        "What happens to a bare CR or LF on port 25 (SMTP smuggling).",
    ),
    Setting("smtp.bare_newline_exempt", "networks", "", "Peers whose bare newlines are always normalized.", "networks"),
    Setting("smtp.out_port", "number", "25", "The port of other servers; another one only for tests.", "port"),
    Setting(
        "smtp.sts_port",
        "number",
        "443",
        "The port of other domains' MTA-STS policies; another one only for tests, which then may be on loopback.",
        "port",
    ),
    Setting("smtp.out_address", "text", "", "The local address mail goes out from; empty: the system's choice."),
    Setting("proxy.trusted", "networks", "", "Peers that begin with a PROXY header, on every listener.", "networks"),
    *FILTERING,
    Setting("web.session_idle", "span", "14d", "How long a browser stays signed in without being used.", "span"),
    Setting("web.session_age", "span", "90d", "How long a browser stays signed in at most.", "span"),
    Setting("store.reserve", "size", "512M", "Free disk below which new mail is refused for now.", "octets"),
    Setting("tls.certificate", "path", "", "PEM file of the certificate chain; empty: the store's own.", "file"),
    Setting("tls.key", "path", "", "PEM file of the private key.", "file"),
    Setting("trace.retention", "span", "30d", "How long events are kept.", "span"),
    Setting(
        "imap.capabilities_off",
        "text",
        "",
        "Capabilities not announced, for a client's sake, space separated: NAME for all, ADDRESS:NAME for one user.",
    ),
)
SETTINGS: Mapping[str, Setting] = {row.key: row for row in _ROWS}


class Config:
    """All settings as values; immutable. `config["queue.lifetime"]` is seconds, `config["hostname"]` text."""

    def __init__(self, rows: Iterable[tuple[str, str]] = ()) -> None:
        """`rows` are the settings that differ from their defaults. Raises `BadSetting`."""
        self.rows = {k: v for k, v in rows if k in SETTINGS}
        self._values = {k: s.parse(self.rows[k]) for k, s in SETTINGS.items() if k in self.rows}
        for key, setting in SETTINGS.items():
            if key not in self._values and (setting.default or setting.type != "hostname"):
                self._values[key] = setting.parse(setting.default)

    def __reduce__(self) -> tuple[Any, ...]:
        return _config, (tuple(self.rows.items()), self.hostname)  # to another process: values are made there, once

    def __getitem__(self, key: str) -> Any:
        if key == "hostname":
            return self.hostname
        return self._values[key]

    @cached_property
    def hostname(self) -> str:
        return self._values.get("hostname") or machine_name()

    def text(self, key: str) -> str:
        """The value as text: what was set, or the default."""
        return self.rows.get(key, SETTINGS[key].default) or (self.hostname if key == "hostname" else "")


@lru_cache(maxsize=4)
def _config(rows: tuple[tuple[str, str], ...], hostname: str) -> Config:
    config = Config(rows)
    config.hostname = hostname  # to ask for the machine's name can take long
    return config


def setting(key: str) -> Setting:
    """The row of `key`. Raises `BadSetting` for a key that does not exist."""
    try:
        return SETTINGS[key]
    except KeyError:
        raise BadSetting(f"there is no setting {key!r}; `mailctl config list` names them all") from None


def default_data_dir(*, local: bool = False, environ: Mapping[str, str] = os.environ) -> Path:
    """Where data is when nobody says: /var/lib/mailctl for root, else under XDG_DATA_HOME; the trial has its own."""
    home = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    if local:
        return home / "mailctl-local"
    if environ.get("MAILCTL_DATA"):
        return Path(environ["MAILCTL_DATA"])
    return Path("/var/lib/mailctl") if os.geteuid() == 0 else home / "mailctl"


def contains(networks: tuple[Network, ...], address: str) -> bool:
    """Whether `address` is in one of the networks; a mapped IPv4 address counts as IPv4."""
    if not networks:
        return False
    ip = _address(address)
    return ip is not None and any(ip in network for network in networks)


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read once for all that is asked about a peer."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
