"""TLS towards other servers: what we ask of it, and whether the certificate would have stood up to a check.

Opportunistic TLS (RFC 7435) takes any certificate, since the other choice is no TLS at all; whether it was a good one
is recorded. Where TLS is required, and before a password is told, OpenSSL checks it in the handshake.
"""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.x509 import verification as v

from daemon.limits import LIMITS
from daemon.trust import certificates

_CODES = {10: "certificate-expired", 62: "certificate-host-mismatch", 64: "certificate-host-mismatch"}
"""Of OpenSSL: X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""


class Tls:
    """The contexts of one process. `roots`, as `cadata` takes them, stand in for the system's."""

    def __init__(self, roots: str | bytes | None = None) -> None:
        self.strict = ssl.create_default_context(cadata=roots)
        self.sts = ssl.create_default_context(cadata=roots)
        self.sts.hostname_checks_common_name = False  # RFC 8461 §4.1: by subjectAltName only
        self.lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.lenient.check_hostname = False
        self.lenient.verify_mode = ssl.CERT_NONE

    def verified(self, session: ssl.SSLObject, host: str) -> bool:
        """Whether the peer's certificate is for `host` and a root we know stands behind it, as far as is known now."""
        return not self.failure(session, host)

    def failure(self, session: ssl.SSLObject, host: str) -> str:
        """'' when it is; else what is wrong in a word of RFC 8460 §4.3."""
        try:
            leaf, *others = chain(session)
            self._policy.build_server_verifier(_subject(host)).verify(leaf, others)
        except (v.VerificationError, ValueError):
            return _what_is_wrong(session, host)
        return ""

    @cached_property
    def _policy(self) -> v.PolicyBuilder:
        # The rules of the web for certificates, but for two fields whose criticality is nobody's harm.
        ours = v.ExtensionPolicy.webpki_defaults_ee()
        ours = ours.require_present(x509.SubjectAlternativeName, v.Criticality.AGNOSTIC, None)
        ours = ours.may_be_present(x509.ExtendedKeyUsage, v.Criticality.AGNOSTIC, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some old roots have odd serial numbers
            roots = [x509.load_der_x509_certificate(der) for der in self.strict.get_ca_certs(binary_form=True)]
        store = v.Store(roots) if roots else None
        if store is None:
            raise ValueError("no root certificates")
        authorities = v.ExtensionPolicy.webpki_defaults_ca()
        return v.PolicyBuilder().store(store).extension_policies(ca_policy=authorities, ee_policy=ours)


def chain(session: ssl.SSLObject) -> list[x509.Certificate]:
    """What the peer showed, its own certificate first. Raises `ValueError` when it is none."""
    give: Any = getattr(session, "get_unverified_chain", None)  # public from Python 3.13 on, as DER
    shown = give() if give is not None else session._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    if not shown:
        raise ValueError("no certificate was shown")
    der = [c if isinstance(c, bytes) else ssl.PEM_cert_to_DER_cert(c.public_bytes()) for c in shown]
    return [x509.load_der_x509_certificate(one) for one in der[: LIMITS.tls_chain]]


def _what_is_wrong(session: ssl.SSLObject, host: str) -> str:
    try:
        leaf = chain(session)[0]
    except ValueError:
        return "validation-failure"
    if not certificates.in_time(leaf, datetime.now(UTC)):
        return "certificate-expired"
    return "certificate-not-trusted" if certificates.is_for(leaf, [host]) else "certificate-host-mismatch"


def failure_of(error: BaseException) -> str:
    """What OpenSSL found wrong in a handshake, in a word of RFC 8460 §4.3."""
    code = getattr(error, "verify_code", 0)
    return _CODES.get(code, "certificate-not-trusted" if code else "validation-failure")


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]").removeprefix("IPv6:")))
    except ValueError:
        return x509.DNSName(host)
