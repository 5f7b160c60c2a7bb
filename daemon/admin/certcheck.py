"""The certificate TLS shows: whether it lasts, is for this host's name, and fits its key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from daemon.admin import acme, pem
from daemon.admin.findings import Facts, Finding
from daemon.store import certificates

_DAY = 86_400_000
_SOON = 21 * _DAY  # Let's Encrypt's last third is 30 days: at 21 a renewal has failed for a week


def check(facts: Facts) -> Iterator[Finding]:
    """The certificate in the files of `tls.certificate`, else the one in the store that stands for this host; and those
    that do not come from their authority."""
    chain, key = facts.config["tls.certificate"], facts.config["tls.key"]
    if chain or key:
        yield from _of_files(facts, chain, key or chain)
    else:
        yield from _of_store(facts)
    yield from _waited_for(facts)


def _of_store(facts: Facts) -> Iterator[Finding]:
    best = facts.store.read_now(certificates.best, facts.config.hostname)
    if best is None:
        yield Finding("info", "certificate-none", "certificate", "there is none yet; the first start makes one")
        return
    try:
        yield from judge(facts, pem.examine(best.chain, best.private_key), f"certificate {best.id}")
    except pem.BadCertificate as error:
        yield Finding("error", "certificate-unusable", f"certificate {best.id}", str(error), _remedy(facts))


def _waited_for(facts: Facts) -> Iterator[Finding]:
    """What the last order of each said, if it failed. A name of a domain that need not be there is `dns check`'s."""
    for plan in facts.store.read_now(acme.known_plans):
        name = plan.names[0]
        needed = plan.certificate is not None or name == facts.config.hostname or facts.config["acme.names"]
        if plan.problem and needed:
            remedy = f"mend that; then `mailctl cert renew {name}`, or wait for the next try"
            yield Finding("warning", "certificate-refused", f"certificate of {name}", plan.problem, remedy)


def _remedy(facts: Facts) -> str:
    if facts.config["tls.certificate"]:
        return "put a new one into that file, and send the server SIGHUP"
    if facts.config["acme.agree"]:
        return "`mailctl cert renew` fetches one, or says why none comes"
    return "`mailctl config set acme.agree yes` has one fetched and renewed; `mailctl cert import` brings another's"


def _of_files(facts: Facts, chain: str, key: str) -> Iterator[Finding]:
    try:
        yield from judge(facts, pem.examine(*(Path(path).read_text() for path in (chain, key))), chain)
    except (OSError, UnicodeError, pem.BadCertificate) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        remedy = "set tls.certificate and tls.key to files that fit, or unset both"
        yield Finding("error", "certificate-unusable", chain or key, f"cannot be used: {text}", remedy)


def leaves(facts: Facts) -> set[bytes]:
    """The certificates, as DER, one of which a listener shows to who asks for this host: that of the files if it is for
    this host, or any of the store's."""
    chain = facts.config["tls.certificate"]
    texts = [c.chain for c in facts.store.read_now(certificates.everyone)]
    with contextlib.suppress(OSError, UnicodeError, pem.BadCertificate):
        of_file = Path(chain).read_text() if chain else ""
        if of_file and any(covers(name, facts.config["hostname"]) for name in pem.examine(of_file).names):
            texts = []
        texts += [of_file] if of_file else []
    found = set[bytes]()
    for text in texts:
        with contextlib.suppress(pem.BadCertificate):
            found.add(pem.leaf_of(text).public_bytes(Encoding.DER))
    return found


def judge(facts: Facts, seen: pem.Examined, subject: str) -> Iterator[Finding]:
    """Everything wrong with a certificate that was read; one `ok` when nothing is."""
    left = (seen.not_after_at - facts.now) // _DAY
    host = facts.config["hostname"]
    fine = True
    if seen.not_after_at <= facts.now:
        fine = False
        yield Finding("error", "certificate-over", subject, f"it is over since {-left - 1} days", _remedy(facts))
    elif seen.not_after_at - facts.now < _SOON:
        fine = False
        yield Finding("warning", "certificate-ends", subject, f"it ends in {left} days", _remedy(facts))
    if seen.not_before_at > facts.now:
        fine = False
        text = "it is not valid yet"
        yield Finding("error", "certificate-early", subject, text, "look at the clock, or wait for its first day")
    if not any(covers(name, host) for name in seen.names):
        fine = False
        text = f"it is for {', '.join(seen.names[:5])}, not for {host}: mail programs and servers will not believe it"
        yield Finding("error", "certificate-name", subject, text, f"get one that names {host}")
    if seen.self_signed:
        fine = False
        text = "it signs itself: mail programs warn, and no server can verify it"
        yield Finding("warning", "certificate-self-signed", subject, text, _remedy(facts))
    if fine:
        yield Finding("ok", "certificate-good", subject, f"for {host}, {left} days left")


def covers(name: str, host: str) -> bool:
    """RFC 6125 §6.4.3: equal, or a star for the whole first label."""
    return name == host or name.startswith("*.") and name[2:] == host.partition(".")[2]
