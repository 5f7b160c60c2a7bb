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
from daemon.setting_types import TYPES as TYPES
from daemon.setting_types import BadSetting as BadSetting
from daemon.setting_types import HostPort as HostPort
from daemon.setting_types import Network as Network
from daemon.setting_types import Socket as Socket
from daemon.setting_types import format_span as format_span
from daemon.setting_types import hostname as hostname
from daemon.setting_types import parse_host_port as parse_host_port
from daemon.setting_types import parse_size as parse_size
from daemon.setting_types import parse_span as parse_span


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


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is text as the administrator would write it."""

    key: str
    type: str
    default: str
    effect: str
    unit: str = ""
    restart: bool = False

    def parse(self, text: str) -> Any:
        """The value. Raises `BadSetting` with the key in its sentence."""
        try:
            return TYPES[self.type](text)
        except BadSetting as error:
            raise BadSetting(f"{self.key}: {error}") from None


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
    Setting(
        "listen.http",
        "listeners",
        ":80",
        "HTTP: answers to a certificate authority's challenges; all else is told to use HTTPS.",
        restart=True,
    ),
    Setting("listen.https", "listeners", ":443", "HTTPS: the MTA-STS policy of our domains.", restart=True),
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
    Setting("auth.require_tls", "yes/no", "yes", "Passwords only over TLS. `no` is for tests on loopback."),
    Setting(
        "auth.scram_plus",
        "yes/no",
        "no",
        "Announce SCRAM-SHA-256-PLUS, bound by tls-server-end-point. Clients built on GNU SASL (mutt) insist on"
        " tls-exporter then, and cannot log in.",
    ),
    Setting(
        "quarantine.keep",
        "span",
        "14d",
        "How long mail that the filter refused is kept, and what it put into Junk is listed; 0s: nothing is.",
        "span",
    ),
    Setting(
        "quarantine.user_limit",
        "size",
        "64M",
        "How much refused mail is kept for one user; the oldest goes first.",
        "octets",
    ),
    Setting("quarantine.limit", "size", "1G", "How much refused mail is kept in all; the oldest goes first.", "octets"),
    Setting(
        "quarantine.forged",
        "yes/no",
        "no",
        "Mail that is refused since the policy of its domain asks for that (DMARC) is kept too.",
    ),
    Setting(
        "quarantine.digest",
        "yes/no",
        "yes",
        "Users are told once a day of what was kept from their INBOX since, with links to release it.",
    ),
    Setting("quarantine.digest_hour", "hour", "7", "The hour of the day, by the server's clock, of digests.", "hour"),
    Setting(
        "quarantine.admin_digest",
        "address",
        "",
        "The address that is told once a day of what was kept from anybody's INBOX; empty: nobody is.",
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
    Setting(
        "spam.check",
        "yes/no",
        "yes",
        "Mail from other servers gets a score, and what looks like spam goes to Junk. What is asked in the DNS needs"
        " trust.check too.",
    ),
    Setting(
        "spam.blocklists",
        "names",
        "zen.spamhaus.org bl.spamcop.net psbl.surriel.com bl.mailspike.net",
        "Lists in the DNS that are asked about the address of whoever hands mail in. All of the default are free for"
        " small sites, if dns.servers is a resolver of your own; empty: none.",
    ),
    Setting(
        "spam.domain_lists",
        "names",
        "dbl.spamhaus.org",
        "Lists in the DNS that are asked about the domains that sent a message: of its envelope, of HELO, of From, of"
        " its signatures; empty: none.",
    ),
    Setting(
        "spam.link_lists",
        "names",
        "dbl.spamhaus.org multi.surbl.org multi.uribl.com",
        "Lists in the DNS that are asked about the hosts that the links of a message lead to; empty: none.",
    ),
    Setting(
        "spam.welcome_lists",
        "names",
        "list.dnswl.org",
        "Lists in the DNS of the addresses of good senders, which have points taken off; empty: none.",
    ),
    Setting(
        "spam.welcome_domains",
        "names",
        "dwl.dnswl.org",
        "Lists in the DNS of the domains of good senders, which are asked about the domains whose DKIM signature proves"
        " that they sent a message; empty: none.",
    ),
    Setting("spam.junk", "points", "5.0", "The score from which on a message goes to Junk.", "points"),
    Setting(
        "spam.refuse",
        "points",
        "15.0",
        "The score from which on a message is refused, if it has that for all its recipients; 0: never.",
        "points",
    ),
    Setting(
        "spam.doubt",
        "points",
        "3.0",
        "The score from which on a message of a stranger is put off for some minutes, when spam.greylist is on.",
        "points",
    ),
    Setting(
        "spam.greylist",
        "yes/no",
        "yes",
        "Strangers whose mail is in doubt are told to try again, as real servers do; `no`: no mail is ever delayed.",
    ),
    Setting(
        "spam.greylist_delay",
        "span",
        "5m",
        "How long a stranger who was told to try again must wait; most servers come back after some minutes.",
        "span",
    ),
    Setting("store.reserve", "size", "512M", "Free disk below which new mail is refused for now.", "octets"),
    Setting("tls.certificate", "path", "", "PEM file of the certificate chain; empty: the store's own.", "file"),
    Setting("tls.key", "path", "", "PEM file of the private key.", "file"),
    Setting(
        "trust.check",
        "yes/no",
        "yes",
        "Mail from other servers is checked when it comes: SPF, DKIM, DMARC, ARC and the peer's name, told in"
        " Authentication-Results.",
    ),
    Setting(
        "trust.dmarc",
        "enforce/report",
        "enforce",
        "What comes of a DMARC failure: the policy of the domain in From (refuse, or Junk), or a word in the header.",
    ),
    Setting(
        "trust.arc_sealers",
        "names",
        "",
        "Forwarders and mailing lists whose ARC seal excuses a DMARC failure: the d= of the last seal.",
    ),
    Setting(
        "filter.milters",
        "milters",
        "",
        "Other filters that are shown mail before it is accepted, in this order, each with the changes of those"
        " before: unix:/PATH, inet:HOST:PORT or inet6:[ADDRESS]:PORT.",
    ),
    Setting(
        "filter.rspamd",
        "http",
        "",
        "An rspamd that is asked by its own protocol, before the milters: http://HOST:PORT or unix:/PATH; empty: none.",
    ),
    Setting("filter.rspamd_password", "path", "", "File with the password that it wants; empty: none.", "file"),
    Setting(
        "filter.on_error",
        "accept-tagged/defer",
        "accept-tagged",
        "What comes of mail that a filter of these could not be asked about: it is taken with a header field that says"
        " so, or its sender tries again.",
    ),
    Setting(
        "filter.timeout",
        "answer time",
        f"{LIMITS.filter_answer}s",
        f"How long such a filter may take for one answer; all of them have {LIMITS.filter_patience}s together.",
        "span",
    ),
    Setting("filter.outgoing", "yes/no", "no", "They are shown what our users hand in, too, so that they can sign it."),
    Setting(
        "virus.scanner",
        "scanner",
        "",
        "ClamAV's clamd, which is shown mail before it is accepted: unix:/PATH or HOST:PORT; empty: none.",
    ),
    Setting(
        "virus.on_error",
        "defer/deliver",
        "defer",
        "What comes of mail that it could not look at for now: its sender tries again, or it is delivered with a header"
        " field that says so.",
    ),
    Setting("virus.timeout", "answer time", "20s", "How long it may take for one message.", "span"),
    Setting(
        "virus.size",
        "size",
        "25M",
        "The largest message that it is shown, its StreamMaxLength; a larger one is delivered with a header field that"
        " says so.",
        "octets",
    ),
    Setting(
        "virus.outgoing",
        "yes/no",
        "yes",
        "What our users hand in, or put into a mailbox with a mail program, is shown to it, too, and refused when it is"
        " infected: their machine or password may be in other hands.",
    ),
    Setting(
        "attachments.action",
        "refuse/junk/accept",
        "refuse",
        "What comes of mail from other servers with programs and scripts attached, openly, disguised or in an archive;"
        " `accept`: nobody looks.",
    ),
    Setting(
        "attachments.blocked",
        "extensions",
        "ade adp apk appinstaller application appref-ms appx appxbundle bat cab chm cmd com command cpl diagcab"
        " diagcfg diagpkg dll dmg exe gadget hlp hta img inf ins iqy iso isp jar jnlp js jse lib library-ms lnk mde"
        " mjs msc msh msi msix msixbundle msp mst nsh ocx one onepkg oqy pif ps1 ps1xml ps2 psc1 psm1 pyz pyzw rdp reg"
        " rqy scf scr sct search-ms searchconnector-ms settingcontent-ms shb shs slk sys url vb vbe vbs vhd vhdx vxd"
        " website wim wll ws wsc wsf wsh xbap xll xnk",
        "The ends of names by which programs and scripts are known, without dots, space separated.",
    ),
    Setting(
        "attachments.macros",
        "refuse/junk/accept",
        "junk",
        "What comes of mail from other servers with office documents that hold macros, or with pages and SVG pictures"
        " whose scripts make files.",
    ),
    Setting(
        "attachments.closed",
        "refuse/junk/accept",
        "accept",
        "What comes of mail from other servers with archives that nobody can look into: encrypted and broken ones, and"
        " kinds that are not known.",
    ),
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
