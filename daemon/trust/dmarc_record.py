"""The DMARC record of a domain (RFC 9989 §4.7 and §4.8): what its owner asks for, read from one TXT record.

Unknown tags are passed over (`pct`, `rf` and `ri` of RFC 7489 too), a value that is none gives way to the default.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from daemon.limits import LIMITS

Policy = Literal["none", "quarantine", "reject"]
_POLICIES: dict[str, Policy] = {"none": "none", "quarantine": "quarantine", "reject": "reject"}
_VERSION = re.compile(r"[ \t]*v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s!,;]+")
_MAILTO = re.compile(r"mailto:[^\s!,;?@]+@[^\s!,;?@]+(?:\?\S*)?", re.IGNORECASE)
_SIZE = re.compile(r"!\d+[kmgt]?\Z", re.IGNORECASE)
_FO = re.compile(r"[01ds](?::[01ds])*", re.IGNORECASE)


class Record(NamedTuple):
    """One record. `sub` and `missing` are `sp` and `np`, "" where the owner says nothing of them; `testing` is `t=y`.

    `problem` is why nothing can be made of it: then DMARC does not apply (§4.10.1).
    """

    text: str
    policy: Policy = "none"
    sub: Literal["", Policy] = ""
    missing: Literal["", Policy] = ""
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: Literal["y", "n", "u"] = "u"
    testing: bool = False
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    fo: str = "0"
    problem: str = ""

    def asks(self, kind: Literal["domain", "subdomain", "missing"]) -> Policy:
        """The policy for the domain itself, a subdomain that exists or one that does not, after `t` (§4.7)."""
        policy = self.policy
        if kind != "domain":
            policy = (self.missing if kind == "missing" else "") or self.sub or policy
        if self.testing:
            return "quarantine" if policy == "reject" else "none"
        return policy


def parse(data: bytes) -> Record | None:
    """The record in a TXT record's octets, its strings joined. None: it is no DMARC record, or longer than any is."""
    if len(data) > LIMITS.dmarc_record:
        return None
    text = data.decode("ascii", "replace")
    version = _VERSION.match(text)
    if not version:
        return None
    tags: dict[str, str] = {}
    for part in text[version.end() :].split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
    rua = _uris(tags.get("rua", ""))
    p, sp, np = (_POLICIES.get(tags.get(name, "").lower()) for name in ("p", "sp", "np"))
    problem = ""
    if not p or ("sp" in tags and not sp) or ("np" in tags and not np):
        # §4.10.1: whoever at least wants reports is taken to ask for nothing else
        problem = "" if rua else "no valid p, sp or np, and no rua"
        p, sp, np = "none", None, None
    psd = tags.get("psd", "").lower()
    fo = tags.get("fo", "").replace(" ", "").lower()
    return Record(
        text, p, sp or "", np or "",
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        psd="y" if psd == "y" else "n" if psd == "n" else "u",
        testing=tags.get("t", "").lower() == "y",
        rua=rua, ruf=_uris(tags.get("ruf", "")),
        fo=fo if _FO.fullmatch(fo) else "0",
        problem=problem,
    )  # fmt: skip


def _uris(text: str) -> tuple[str, ...]:
    """The URIs of a list without the obsolete sizes (`!10m`); what is none is passed over."""
    found = []
    for part in text.split(",")[: LIMITS.dmarc_uris]:
        uri = _SIZE.sub("", part.strip(" \t"))
        if _URI.fullmatch(uri) and (_MAILTO.fullmatch(uri) or not uri.lower().startswith("mailto:")):
            found.append(uri)
    return tuple(found)
