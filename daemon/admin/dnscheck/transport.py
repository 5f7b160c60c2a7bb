"""How mail to us must be carried: TLSA (DANE), MTA-STS, TLS-RPT, and CAA, on which the next certificate depends."""

from __future__ import annotations

import re

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several, tags
from daemon.resolver import TLSA

_ID = re.compile(r"[A-Za-z0-9]{1,32}")  # RFC 8461 §3.1
_CAA = re.compile(r'(\d+) (\w+) "?([^";]*)')


async def look(at: Looking) -> None:
    await _tlsa(at)
    await _mta_sts(at)
    await _tls_reports(at)
    await _caa(at)


# ---------------------------------------------------------------------------------------------------------------- DANE


async def _tlsa(at: Looking) -> None:
    ours = dnsrecords.tlsa_records(at.wanted)
    host = at.wanted.host
    name = f"_25._tcp.{host}"
    answer = await at.ask(name, "TLSA")
    if answer is None or not ours:
        return
    found = [r for r in answer.records if isinstance(r, TLSA)]
    if not found:
        if await _is_signed(at, host):
            at.say("info", "tlsa-missing", name, "the zone is signed, but there is no TLSA record", ours[0])
        return
    if not answer.secure and not await _is_signed(at, host):
        text = "there is a TLSA record, but the zone is not signed by DNSSEC; sign it, or take the record out"
        at.say("warning", "tlsa-unsigned", name, text)
        return
    if not any(_names(r, at.wanted.tlsa[0]) for r in found):
        text = "none of the TLSA records is of the certificate that port 25 shows"
        at.say("error", "tlsa-differs", name, text, ours[0])
    elif len(ours) > 1 and not any(_names(r, at.wanted.tlsa[1]) for r in found):
        text = "the next key is not published; it must be for a day before the certificate is changed"
        at.say("warning", "tlsa-next-missing", name, text, ours[1])
    elif not answer.secure:
        text = "the resolver does not validate DNSSEC, or is not on this machine: give dns.servers one that does"
        at.say("info", "tlsa-not-validated", name, text)
    else:
        at.good("tlsa-found", name, "it is of the certificate that port 25 shows")


def _names(record: TLSA, digest: str) -> bool:
    """Whether it is `3 1 1` of that key; other forms are left to who publishes them."""
    return (record.usage, record.selector, record.matching) == (3, 1, 1) and record.data.hex() == digest


async def _is_signed(at: Looking, name: str) -> bool | None:
    """Whether a zone above has keys (RFC 4035); None when nobody could tell."""
    while "." in name:
        answer = await at.ask(name, "DNSKEY")
        if answer is None:
            return None
        if answer.records:
            return True
        if (soa := await at.ask(name, "SOA")) is not None and soa.records:
            return False
        name = name.partition(".")[2]
    return False


# ------------------------------------------------------------------------------------------------------------- MTA-STS


async def _mta_sts(at: Looking) -> None:
    domain = at.wanted.domain
    ours = dnsrecords.mta_sts(at.wanted)
    name = f"_mta-sts.{domain}"
    found = await at.texts(name, "v=stsv1")
    if found is None:
        return
    if not found:
        if ours:
            at.say("info", "mta-sts-missing", name, "the policy is served, but no record says so", ours[0])
    elif len(found) > 1:
        at.say("error", "mta-sts-several", name, f"{len(found)} records count as none; keep one", *ours[:1])
    elif not _ID.fullmatch((tags(found[0]) or {}).get("id", "")):
        at.say("error", "mta-sts-syntax", name, "it must be `v=STSv1; id=...`, 1 to 32 letters and digits", *ours[:1])
    else:
        at.good("mta-sts-found", domain, "the record is in order")


async def _tls_reports(at: Looking) -> None:
    right = dnsrecords.tls_reports(at.wanted.domain)
    found = await at.texts(right.name, "v=tlsrptv1")
    if found is None:
        return
    if not found:
        at.say("info", "tls-reports-missing", right.name, "nobody is asked to report about TLS", right)
    elif len(found) > 1:
        at.say("warning", "tls-reports-several", right.name, f"{len(found)} records count as none; keep one", right)
    elif not re.match(r"(mailto:[^\s,@]+@|https://)", (tags(found[0]) or {}).get("rua", ""), re.IGNORECASE):
        text = "rua must be mailto:ADDRESS or https://..."
        at.say("warning", "tls-reports-syntax", right.name, text, right)
    else:
        at.good("tls-reports-found", right.name, "other servers report about TLS")


# ----------------------------------------------------------------------------------------------------------------- CAA


async def _caa(at: Looking) -> None:
    """Whether the authority we use may issue for our name (RFC 8659 §3: the nearest name that has any CAA)."""
    issuer, name = at.wanted.issuer, at.wanted.host
    while issuer and "." in name:
        answer = await at.ask(name, "CAA")
        if answer is None:
            return
        if answer.records:
            _judge(at, name, [str(r) for r in answer.records], issuer)
            return
        name = name.partition(".")[2]


def _judge(at: Looking, name: str, records: list[str], issuer: str) -> None:
    said = [found for text in records if (found := _CAA.match(text))]
    allowed = [found[3].strip().lower() for found in said if found[2].lower() == "issue"]
    if allowed and issuer not in allowed:
        who = several(a for a in allowed if a) or "nobody"
        record = dnsrecords.caa(at.wanted)[0]
        at.say("error", "caa-forbids", name, f"CAA lets {who} issue certificates, but not {issuer}", record)
    else:
        at.good("caa-found", name, f"{issuer} may issue certificates")
