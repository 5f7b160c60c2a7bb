"""What a domain should publish: where its mail goes, who may send for it, how it is carried, how programs find us.

`Wishes` is all that the records are made from, read once; the records themselves are plain values.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from daemon.admin import mtasts, words
from daemon.admin.errors import BadData
from daemon.config import Config, HostPort
from daemon.store import acme, dkim_keys, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

TTL = 3600
SERVICES = (  # RFC 6186, RFC 8314, RFC 5804 section 1.8, RFC 8620 section 2.2; what is off is said so, with "."
    ("_submissions._tcp", "listen.submissions"),
    ("_submission._tcp", "listen.submission"),
    ("_imaps._tcp", "listen.imaps"),
    ("_imap._tcp", "listen.imap"),
    ("_pop3s._tcp", "listen.pop3s"),
    ("_pop3._tcp", "listen.pop3"),
    ("_sieve._tcp", "listen.managesieve"),
    ("_jmap._tcp", "listen.https"),
)
ISSUERS = {  # RFC 8659: what authorities call themselves in certificates, and in CAA
    "let's encrypt": "letsencrypt.org",
    "google trust services": "pki.goog",
    "zerossl": "sectigo.com",
    "sectigo limited": "sectigo.com",
    "buypass as-983163327": "buypass.com",
    "digicert inc": "digicert.com",
    "ssl corporation": "ssl.com",
}
AUTHORITIES = {  # the ends of the names of ACME directories
    "letsencrypt.org": "letsencrypt.org",
    "pki.goog": "pki.goog",
    "zerossl.com": "sectigo.com",
    "sectigo.com": "sectigo.com",
    "buypass.com": "buypass.com",
    "digicert.com": "digicert.com",
    "ssl.com": "ssl.com",
}


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without the last dot, `data` as in a zone file. `purpose` in plain words."""

    name: str
    type: str
    data: str
    purpose: str
    ttl: int = TTL

    def __str__(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.type} {self.data}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `records` starts from, read once.

    `named`: the addresses were given, not found out. `dkim`: names and texts of the public keys that sign now or next.
    `tlsa`: hashes of the public key that port 25 shows, and of the next one. `policy_id` of MTA-STS, '' when no policy
    is served. `issuer`: whose certificates we use, as CAA names it; '' when nobody's.
    `gone`: names of keys that sign no more, whose records may go.
    """

    domain: str
    config: Config
    addresses: tuple[str, ...]
    named: bool = False
    dkim: tuple[tuple[str, str], ...] = ()
    tlsa: tuple[str, ...] = ()
    policy_id: str = ""
    issuer: str = ""
    gone: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return str(self.config["hostname"])

    @property
    def web(self) -> bool:
        """Whether this server answers for names such as autoconfig.DOMAIN."""
        return bool(self.config["listen.https"])


def wishes(store: Store, domain: str, addresses: Sequence[str] = ()) -> Wishes:
    """Raises `Missing` for a domain that is not ours, `BadData`."""
    name = words.domain(domain)
    try:
        given = tuple(str(ipaddress.ip_address(a)) for a in addresses)
    except ValueError as error:
        raise BadData(f"{error}; name addresses such as 192.0.2.1") from None
    return store.read_now(_wishes, name, given)


def _wishes(tx: Tx, name: str, given: tuple[str, ...]) -> Wishes:
    domains.get(tx, name)
    config = settings.load(tx)
    chain = _chain(tx, config)
    served = config["listen.https"] and config["mta_sts.mode"] != "none"
    return Wishes(
        name,
        config,
        given or public_addresses(config),
        named=bool(given),
        dkim=tuple((key.name, key.record) for key in dkim_keys.published(tx, name)),
        tlsa=_tlsa(tx, chain, config.hostname),
        policy_id=mtasts.policy_id(config) if served else "",
        issuer=_issuer(chain, config),
        gone=tuple(key.name for key in dkim_keys.everyone(tx, name) if key.state == "gone"),
    )


def _chain(tx: Tx, config: Config) -> str:
    from daemon.admin import tlsa

    try:
        return tlsa.chain_in_use(tx, config)
    except OSError:  # `cert list` and the server's log say so; records do without
        return ""


def _tlsa(tx: Tx, chain: str, host: str) -> tuple[str, ...]:
    """The key that is shown first, then the one that was prepared to come after it."""
    from daemon.admin import pem, tlsa

    coming = acme.next_key(tx, host)
    try:
        found = [tlsa.key_hash(chain)] if chain else []
    except pem.BadCertificate:
        found = []
    return (*found, pem.key_hash(coming.private_key)) if found and coming else tuple(found)


def _issuer(chain: str, config: Config) -> str:
    """Whose name CAA must have for the next certificate: that of ACME's authority, else of who issued this one."""
    from cryptography.x509.oid import NameOID

    from daemon.admin import pem

    if config["acme.agree"]:
        where = urlsplit(config["acme.directory"]).hostname or ""
        return next((issuer for end, issuer in AUTHORITIES.items() if f".{where}".endswith(f".{end}")), "")
    try:
        names = pem.leaf_of(chain).issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) if chain else []
    except pem.BadCertificate:
        names = []
    return next((ISSUERS[known] for one in names if (known := str(one.value).lower()) in ISSUERS), "")


# ------------------------------------------------------------------------------------------------------------- records


def records(wanted: Wishes) -> list[Record]:
    """All of them, in the order of a zone file."""
    domain, host = wanted.domain, wanted.host
    found = [mx(wanted), *host_addresses(wanted), spf(domain)]
    if host != domain:  # else it would be a second SPF record of one name
        found.append(helo_spf(host))
    found += [*dkim(wanted), dmarc(domain), *mta_sts(wanted), tls_reports(domain), *tlsa_records(wanted), *caa(wanted)]
    return found + services(domain, wanted.config) + autoconfig(wanted)


def mx(wanted: Wishes) -> Record:
    return Record(wanted.domain, "MX", f"10 {wanted.host}.", "mail for the domain comes to this server")


def host_addresses(wanted: Wishes) -> list[Record]:
    return [
        Record(wanted.host, "AAAA" if ":" in address else "A", address, "where this server is")
        for address in wanted.addresses
    ]


def spf(domain: str) -> Record:
    return Record(domain, "TXT", quoted("v=spf1 mx -all"), "SPF: the servers in MX may send for the domain, no others")


def helo_spf(host: str) -> Record:
    return Record(host, "TXT", quoted("v=spf1 a -all"), "SPF: this server may say it is itself (HELO, bounces)")


def dkim(wanted: Wishes) -> list[Record]:
    return [
        Record(name, "TXT", quoted(text), "DKIM: the public key that proves our signatures")
        for name, text in wanted.dkim
    ]


def dmarc(domain: str) -> Record:
    return Record(
        f"_dmarc.{domain}",
        "TXT",
        quoted(f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"),
        "DMARC: what others shall do with mail that only pretends to be from the domain; p=none only asks for reports."
        " When these show no mail of yours that fails: p=quarantine, later p=reject",
    )


def mta_sts(wanted: Wishes) -> list[Record]:
    if not wanted.policy_id:
        return []
    domain = wanted.domain
    found = [
        Record(
            f"_mta-sts.{domain}",
            "TXT",
            quoted(f"v=STSv1; id={wanted.policy_id}"),
            "MTA-STS: mail to the domain comes over verified TLS; the id changes with the policy",
        )
    ]
    return found + web_name(wanted, "mta-sts", "where the MTA-STS policy is served")


def tls_reports(domain: str) -> Record:
    return Record(
        f"_smtp._tls.{domain}",
        "TXT",
        quoted(f"v=TLSRPTv1; rua=mailto:postmaster@{domain}"),
        "TLS-RPT: other servers report every day where TLS to us failed",
    )


def tlsa_records(wanted: Wishes) -> list[Record]:
    name = f"_25._tcp.{wanted.host}"
    purposes = (
        "DANE: the key that port 25 shows (worth something only in a zone signed by DNSSEC)",
        "DANE: the key that port 25 will show next",
    )
    return [
        Record(name, "TLSA", f"3 1 1 {digest}", purposes[min(at, 1)]) for at, digest in enumerate(wanted.tlsa)
    ]  # 3 1 1: DANE-EE, the public key, SHA-256 (RFC 7672 §3.1.1)


def caa(wanted: Wishes) -> list[Record]:
    """For the server's own name only: what else the domain has may have other issuers."""
    if not wanted.issuer:
        return []
    purpose = f"CAA: only {wanted.issuer} may issue certificates for this server"
    return [Record(wanted.host, "CAA", f'0 issue "{wanted.issuer}"', purpose)]


def services(domain: str, config: Config) -> list[Record]:
    """SRV records: how mail programs find the ports."""
    host = config["hostname"]
    found = []
    for service, key in SERVICES:
        listeners: Sequence[HostPort] = config[key]
        data = f"0 1 {listeners[0].port} {host}." if listeners else "0 0 0 ."
        protocol = service.partition(".")[0].removeprefix("_")
        purpose = f"mail programs find {protocol} by it" if listeners else f"there is no {protocol}"
        found.append(Record(f"{service}.{domain}", "SRV", data, purpose))
    return found


def autoconfig(wanted: Wishes) -> list[Record]:
    """Names that Thunderbird and Outlook ask for settings."""
    if not wanted.web:
        return []
    port = wanted.config["listen.https"][0].port
    srv = f"_autodiscover._tcp.{wanted.domain}"
    return [
        *web_name(wanted, "autoconfig", "where Thunderbird and others look for the settings"),
        *web_name(wanted, "autodiscover", "where Outlook looks for the settings"),
        Record(srv, "SRV", f"0 1 {port} {wanted.host}.", "the same for Outlook, by SRV"),
    ]


def web_name(wanted: Wishes, label: str, purpose: str) -> list[Record]:
    """An alias of this server, unless it is called that itself."""
    name = f"{label}.{wanted.domain}"
    return [] if name == wanted.host else [Record(name, "CNAME", f"{wanted.host}.", purpose)]


def quoted(text: str) -> str:
    """A TXT record's strings, each at most 255 octets, as a zone file has them."""
    pieces = [text[at : at + 255] for at in range(0, len(text), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


# ----------------------------------------------------------------------------------------------------------- addresses


def public_addresses(config: Config) -> tuple[str, ...]:
    """The addresses this machine would go out from, if the world can reach them; nothing is sent to find out."""
    listening = [place.host for place in config["listen.smtp"] if place.host]
    found = [a for a in listening if _is_public(a)]
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        if found:
            break
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somewhere, 25))
                address = probe.getsockname()[0]
        except OSError:
            continue
        if _is_public(address):
            found.append(address)
    return tuple(found)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False
