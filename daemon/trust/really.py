"""Who a message is really from, out of the results that this server itself wrote when it came (`authres.header`).

They are read from what we put before a message, which nobody else can write to; a field of that name in the message
proves nothing. The verdict is about the domain that a reader sees in From: what is proved of another domain is told,
and proves nothing of this one.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from daemon.mail.decode import unfold
from daemon.mail.header import split_fields
from daemon.trust.organisation import registered

Word = Literal["pass", "fail", "none"]
Reason = Literal["dmarc", "dkim", "spf", "dmarc-fail", "no-proof", "several-authors", "no-author", "not-checked", "own"]

_RESULT = re.compile(r"\s*([a-z0-9-]+)\s*=\s*([a-z]+)((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*)(?:;|\Z)", re.DOTALL)
_PROPERTY = re.compile(r"([a-z]+\.[a-z-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+))")
_SUBMITTED = re.compile(
    rb"\bwith (?:ESMTP|UTF8SMTP)S?A id "
)  # a user who proved to be one (RFC 3848), and may write so


class Really(NamedTuple):
    """`verdict`: pass, the domain of From vouches for it; fail, it says that it is not from there; none, nothing is
    known. `domain` is that of From, `signer` whose signature holds, '' without one. `spf`, `dkim`, `dmarc` are words of
    RFC 8601, '' for what was not looked at."""

    verdict: Word
    reason: Reason
    domain: str = ""
    signer: str = ""
    spf: str = ""
    dkim: str = ""
    dmarc: str = ""


class Result(NamedTuple):
    method: str
    word: str
    properties: dict[str, str]


def results(value: str) -> list[Result]:
    """The results in the value of a field of ours, in order."""
    _, _, rest = value.partition(";")
    found = []
    place = 0
    while one := _RESULT.match(rest, place):
        properties = {key: quoted or plain for key, quoted, plain in _PROPERTY.findall(one[3])}
        found.append(Result(one[1], one[2], properties))
        place = one.end()
    return found


def really(prefix: bytes, domains: tuple[str, ...]) -> Really:
    """The verdict. `prefix` is what stands before a message of ours, `domains` those of its From, in A-labels."""
    fields = [(name.lower(), value) for name, value in split_fields(prefix)]
    ours = next((value for name, value in fields if name == b"authentication-results"), None)
    domain = domains[0] if domains else ""
    if ours is None:
        own = any(name == b"received" and _SUBMITTED.search(unfold(value)) for name, value in fields)
        return Really("pass" if own else "none", "own" if own else "not-checked", domain)
    said = results(unfold(ours).decode("ascii", "replace"))
    words = {one.method: one.word for one in reversed(said)}
    signers = [one.properties.get("header.d", "") for one in said if one.method == "dkim" and one.word == "pass"]
    told = Really(
        "none", "no-proof", domain, next((one for one in signers if _same(one, domain)), (signers or [""])[0]),
        words.get("spf", ""), "pass" if signers else words.get("dkim", ""), words.get("dmarc", ""),
    )  # fmt: skip
    if len(domains) != 1:
        return told._replace(reason="several-authors" if domains else "no-author")
    if told.dmarc == "pass":
        return told._replace(verdict="pass", reason="dmarc")
    if told.dmarc == "fail":
        return told._replace(verdict="fail", reason="dmarc-fail")
    if any(_same(one, domain) for one in signers):
        return told._replace(verdict="pass", reason="dkim")
    senders = [one.properties.get("smtp.mailfrom", "") for one in said if one.method == "spf" and one.word == "pass"]
    if any(_same(one.rpartition("@")[2], domain) for one in senders):
        return told._replace(verdict="pass", reason="spf")
    return told


def _same(one: str, other: str) -> bool:
    """Whether two domains are of one owner (RFC 9989 §4.10: relaxed alignment)."""
    one, other = one.lower(), other.lower()
    return bool(one) and (one == other or (registered(one) or one) == (registered(other) or other))
