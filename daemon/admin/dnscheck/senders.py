"""Who may send as the domain: SPF, DKIM and DMARC, and whether they can agree."""

from __future__ import annotations

import re
from typing import Literal

from daemon.admin import dnsrecords
from daemon.admin.dnscheck import spf
from daemon.admin.dnscheck.looking import Looking, several, tags
from daemon.limits import LIMITS

Level = Literal["info", "warning", "error"]
_POLICIES = ("none", "quarantine", "reject")
_WORDS = {  # RFC 9989 §4.7: what a tag may say; others are passed over
    "p": _POLICIES,
    "sp": _POLICIES,
    "np": _POLICIES,
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}
_URI = re.compile(r"mailto:([^\s,;!@]+@([^\s,;!@]+))(![0-9]+[kmgt]?)?", re.IGNORECASE)


async def look(at: Looking) -> None:
    proofs = [await spf.look(at), await _dkim(at)]
    await _dmarc(at, proofs)


async def _dkim(at: Looking) -> bool | None:
    """Whether one of our signatures verifies; None when that is not known."""
    domain = at.wanted.domain
    if not at.wanted.dkim:
        at.say("warning", "dkim-unsigned", domain, "there is no key to sign its mail; `mailctl dkim add` makes one")
        return False
    good: list[bool | None] = []
    for record in dnsrecords.dkim(at.wanted):
        text = dict(at.wanted.dkim)[record.name]
        found = await at.texts(record.name)
        if found is None:
            good.append(None)
            continue
        good.append(_one_key(at, record, text, found))
    if all(good):
        at.good("dkim-found", domain, f"{several(name for name, _ in at.wanted.dkim)}")
    return True if True in good else None if None in good else False


def _one_key(at: Looking, record: dnsrecords.Record, text: str, found: list[str]) -> bool:
    """Compare what is published with the key that signs."""
    name = record.name
    if not found:
        at.say("error", "dkim-missing", name, "the public key is not published", record)
        return False
    if len(found) > 1:
        at.say("error", "dkim-several", name, f"there are {len(found)} records; receivers may take any of them", record)
        return False
    said, ours = tags(found[0]) or {}, tags(text) or {}
    key = "".join(said.get("p", "?").split())
    if not key:
        at.say("error", "dkim-revoked", name, "the empty p= says that the key is revoked (RFC 6376 §3.6.1)", record)
    elif key != ours.get("p") or said.get("k", "rsa").lower() != ours.get("k", "rsa"):
        at.say("error", "dkim-differs", name, "what is published is not the key that signs", record)
    elif said.get("v", "DKIM1") != "DKIM1":
        at.say("error", "dkim-differs", name, f"its version is {said['v'][:20]!r}, not DKIM1", record)
    else:
        return True
    return False


async def _dmarc(at: Looking, proofs: list[bool | None]) -> None:
    domain = at.wanted.domain
    right = dnsrecords.dmarc(domain)
    found = await at.texts(right.name, "v=dmarc1")
    if found is None:
        return
    if not found and await _inherited(at):
        return
    if not found:
        at.say("warning", "dmarc-missing", domain, "there is no DMARC record; large providers ask for one", right)
        return
    if len(found) > 1:
        at.say("error", "dmarc-several", domain, f"{len(found)} DMARC records count as none; keep one", right)
        return
    said = tags(found[0])
    wrong = "it is not a list of tag=value" if said is None else _wrong_tag(said, found[0])
    if said is None or wrong:
        at.say("error", "dmarc-syntax", domain, wrong, right)
        return
    policy = said.get("p", "none").lower()
    if proofs == [False, False]:
        level: Level = "warning" if policy == "none" else "error"
        at.say(level, "dmarc-unaligned", domain, f"neither SPF nor DKIM can pass for the domain, and p={policy}")
    elif policy == "none":
        text = (
            "p=none asks for nothing yet; when reports show no mail of yours that fails, say p=quarantine, then reject"
        )
        better = str(right).replace("p=none", "p=quarantine")
        at.say("info", "dmarc-asks-nothing", domain, text, better)
    else:
        at.good("dmarc-found", domain, f"policy {policy}")
    await _reports(at, said.get("rua", ""), right)


async def _inherited(at: Looking) -> bool:
    """Whether the record of a domain above holds for this one, as in RFC 9989 §4.10; that is said."""
    above = at.wanted.domain.partition(".")[2]
    while "." in above:
        found = await at.texts(f"_dmarc.{above}", "v=dmarc1")
        if found:
            at.good("dmarc-found", at.wanted.domain, f"the record of {above} holds for it: {found[0][:80]}")
            return True
        above = above.partition(".")[2]
    return False


def _wrong_tag(said: dict[str, str], text: str) -> str:
    if next(iter(said)) != "v" or said["v"] != "DMARC1":
        return "it does not begin with v=DMARC1"
    for name, allowed in _WORDS.items():
        if name in said and said[name].lower() not in allowed:
            return f"{name}={said[name][:40]} is none of {several(allowed)}"
    for uri in said.get("rua", "").split(","):
        if uri.strip() and ":" not in uri:
            return f"rua must be mailto:ADDRESS, not {uri.strip()[:60]!r}"
    return ""


async def _reports(at: Looking, rua: str, right: dnsrecords.Record) -> None:
    """Whether reports are asked for, and whether those who get them agree (RFC 9990 §4)."""
    domain = at.wanted.domain
    targets = [found[2].lower() for uri in rua.split(",") if (found := _URI.fullmatch(uri.strip()))]
    if not targets:
        at.say("info", "dmarc-no-reports", domain, "it asks nobody for reports (rua)", right)
    for target in list(dict.fromkeys(targets))[: LIMITS.dmarc_report_targets]:
        if _related(target, domain):
            continue
        name = f"{domain}._report._dmarc.{target}"
        if await at.texts(name, "v=dmarc1") == []:
            record = f'{name}. {dnsrecords.TTL} IN TXT "v=DMARC1"'
            at.say("warning", "dmarc-reports-refused", domain, f"{target} does not say that it takes them", record)


def _related(one: str, other: str) -> bool:
    return one == other or one.endswith("." + other) or other.endswith("." + one)
