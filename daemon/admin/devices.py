"""What mail programs ask to set themselves up, out of the listeners that are on: Thunderbird's autoconfig, Microsoft's
Autodiscover, Apple's profile.

Nothing here is a secret, and nothing tells whether an address exists: every address of a domain of ours gets the same
answer. Who asks gets the ways that are encrypted from the first octet before the others.
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from daemon.admin.pem import Pair, leaf_of
from daemon.config import Config
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.store import domains
from daemon.store.db import Store

_WAYS = (  # protocol, listener, TLS from the start
    ("imap", "listen.imaps", True),
    ("imap", "listen.imap", False),
    ("pop3", "listen.pop3s", True),
    ("pop3", "listen.pop3", False),
    ("smtp", "listen.submissions", True),
    ("smtp", "listen.submission", False),
    ("managesieve", "listen.managesieve", False),
)
_NAMES = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP", "managesieve": "Sieve"}
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_IDS = uuid.UUID("8b1f4c0e-6a52-4b0b-9c57-5f3f1d0c2a77")  # the same profile replaces itself


class Way(NamedTuple):
    """One way to a service. `tls`: from the start, else by STARTTLS."""

    protocol: str
    host: str
    port: int
    tls: bool

    @property
    def security(self) -> str:
        return "TLS" if self.tls else "STARTTLS"


def ways(config: Config) -> list[Way]:
    """All that are on, the best of each protocol first."""
    return [
        Way(protocol, config.hostname, config[listener][0].port, tls)
        for protocol, listener, tls in _WAYS
        if config[listener]
    ]


def domain_of(store: Store, host: str, address: str) -> str | None:
    """The domain of ours that is asked about: that of the address, else of the host (`autoconfig.DOMAIN`, DOMAIN)."""
    asked = address.rpartition("@")[2] if address else host
    for name in (asked, asked.removeprefix("autoconfig."), asked.removeprefix("autodiscover.")):
        found = store.peek(domains.find, name.lower())
        if found is not None and found.enabled:
            return found.name
    return None


def address_of(store: Store, text: str) -> Address | None:
    """An address at a domain of ours, whether it exists or not."""
    try:
        address = parse_address(text)
    except BadAddress:
        return None
    return address if domain_of(store, "", str(address)) is not None else None


def table(config: Config) -> list[dict[str, str | int]]:
    """What a user types by hand."""
    return [
        {"name": _NAMES[way.protocol], "host": way.host, "port": way.port, "security": way.security}
        for way in ways(config)
    ]


# -- Thunderbird -------------------------------------------------------------------------------------------------------


def autoconfig(config: Config, domain: str, address: str = "") -> str:
    """`clientConfig` 1.1. The login is the whole address; without one the program puts in its user's own."""
    login = escape(address or "%EMAILADDRESS%")
    servers = []
    for way in ways(config):
        if way.protocol == "managesieve":
            continue
        kind = "outgoing" if way.protocol == "smtp" else "incoming"
        servers.append(
            f'    <{kind}Server type="{way.protocol}">\n'
            f"      <hostname>{way.host}</hostname>\n"
            f"      <port>{way.port}</port>\n"
            f"      <socketType>{'SSL' if way.tls else 'STARTTLS'}</socketType>\n"
            f"      <username>{login}</username>\n"
            f"      <authentication>password-cleartext</authentication>\n"
            f"    </{kind}Server>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<clientConfig version="1.1">\n'
        f'  <emailProvider id="{domain}">\n    <domain>{domain}</domain>\n'
        f"    <displayName>{domain}</displayName>\n    <displayShortName>{domain}</displayShortName>\n"
        f"{''.join(servers)}  </emailProvider>\n</clientConfig>\n"
    )


# -- Outlook -----------------------------------------------------------------------------------------------------------


def autodiscover(config: Config, address: str) -> str:
    """The answer of Autodiscover to who asks for settings of POP, IMAP and SMTP ([MS-OXDSCLI] 2.2.4)."""
    login = escape(address)
    protocols = []
    told: set[str] = set()
    for way in ways(config):
        if way.protocol in told or way.protocol == "managesieve":
            continue
        told.add(way.protocol)
        more = "<UsePOPAuth>off</UsePOPAuth><SMTPLast>off</SMTPLast>" if way.protocol == "smtp" else ""
        protocols.append(
            f"<Protocol><Type>{way.protocol.upper()}</Type><Server>{way.host}</Server><Port>{way.port}</Port>"
            f"<DomainRequired>off</DomainRequired><LoginName>{login}</LoginName><SPA>off</SPA>"
            f"<SSL>{'on' if way.tls else 'off'}</SSL><Encryption>{'SSL' if way.tls else 'TLS'}</Encryption>"
            f"<AuthRequired>on</AuthRequired>{more}</Protocol>"
        )
    return _envelope(
        f'<Response xmlns="{_OUTLOOK}"><User><DisplayName>{login}</DisplayName></User><Account>'
        f"<AccountType>email</AccountType><Action>settings</Action>{''.join(protocols)}</Account></Response>"
    )


def autodiscover_error(code: int, message: str) -> str:
    """600: the request makes no sense; 500: nothing is known of that address; 601: not that kind of settings."""
    return _envelope(
        f'<Response><Error Time="00:00:00.0000000" Id="0"><ErrorCode>{code}</ErrorCode>'
        f"<Message>{message}</Message><DebugData /></Error></Response>"
    )


def _envelope(inside: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover xmlns="{_RESPONSE}">{inside}</Autodiscover>\n'


# -- Apple -------------------------------------------------------------------------------------------------------------


def profile(config: Config, address: str) -> bytes | None:
    """A configuration profile for mail; None where IMAP or submission is off. The password is asked by the device."""
    best = {way.protocol: way for way in reversed(ways(config))}
    if "imap" not in best or "smtp" not in best:
        return None
    imap, smtp = best["imap"], best["smtp"]
    name = f"{config.hostname}.{address}"
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{config.hostname}.mail",
        "PayloadUUID": str(uuid.uuid5(_IDS, f"{name}.mail")).upper(),
        "PayloadDisplayName": address,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": address,
        "EmailAddress": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": imap.host,
        "IncomingMailServerPortNumber": imap.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": smtp.host,
        "OutgoingMailServerPortNumber": smtp.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    whole = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": config.hostname,
        "PayloadUUID": str(uuid.uuid5(_IDS, name)).upper(),
        "PayloadDisplayName": address,
        "PayloadDescription": f"Mail of {address}",
        "PayloadOrganization": config.hostname,
        "PayloadContent": [account],
    }
    return plistlib.dumps(whole)


def signed(octets: bytes, pair: Pair) -> bytes:
    """CMS (RFC 5652) around the octets, by the server's certificate, with the chain above it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    key = serialization.load_pem_private_key(pair.private_key.encode(), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(octets)
    builder = builder.add_signer(leaf_of(pair.chain), key, hashes.SHA256())  # type: ignore[arg-type]
    above: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(pair.chain.encode())[1:]
    for certificate in above:
        builder = builder.add_certificate(certificate)
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
