"""MTA-STS (RFC 8461): whether a domain has a policy, what it says, and which hosts it admits. Nothing is fetched here.

The policy domain is the recipient's own domain, as written in the address: never what it is an alias of, since nobody
proved that alias. Whoever fetches must have a valid certificate for `host_of(domain)` and follow no redirect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.resolver import Resolver

Mode = Literal["none", "testing", "enforce"]
PATH = "/.well-known/mta-sts.txt"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_LINE = re.compile(r"[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*?)[ \t]*")  # RFC 8461 §3.2


class BadPolicy(ValueError):
    """What was fetched is no policy; the message says why. RFC 8460 calls it sts-policy-invalid."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx`: names and patterns in lower case. `max_age` in seconds. `id` is that of the TXT record it came with."""

    id: str
    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def admits(self, host: str) -> bool:
        """Whether an MX host is one of the policy's: `*.` stands for exactly one label (§4.1)."""
        name = host.lower().removesuffix(".")
        first, _, parent = name.partition(".")
        return name in self.mx or bool(first and parent) and f"*.{parent}" in self.mx

    def lines(self) -> list[str]:
        """As it was published, or nearly, for reports (RFC 8460 §4.4)."""
        return ["version: STSv1", f"mode: {self.mode}", *(f"mx: {one}" for one in self.mx), f"max_age: {self.max_age}"]


def host_of(domain: str) -> str:
    """Who serves the policy of a domain."""
    return f"mta-sts.{domain}"


async def discover(resolver: Resolver, domain: str) -> str:
    """The id in the domain's TXT record (§3.1); '' when it has none, or more than one. Raises `TemporaryDNSError`."""
    answer = await resolver.ask(f"_mta-sts.{domain}", "TXT")
    return read_record(answer.records)


def read_record(texts: Sequence[bytes]) -> str:
    """The id of the one record among these TXT strings; '' when there is none or it is not in order."""
    found = [text for text in texts if text.startswith(b"v=STSv1;")]
    if len(found) != 1:
        return ""
    ids = []
    for part in found[0].decode("ascii", "replace").split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.strip() == "id":
            ids.append(value.strip())
    return ids[0] if len(ids) == 1 and _ID.fullmatch(ids[0]) else ""


def parse(data: bytes, id: str = "") -> Policy:
    """Read a policy (§3.2). Raises `BadPolicy`.

    Unknown keys are passed over; of a key that comes twice the first counts, but for `mx`. A longer life than the RFC
    allows is cut to what it allows.
    """
    if len(data) > LIMITS.sts_policy:
        raise BadPolicy(f"longer than {LIMITS.sts_policy} octets")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPolicy("not text in UTF-8") from None
    values: dict[str, str] = {}
    mx: dict[str, None] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            if line.strip():
                raise BadPolicy(f"not a line of a policy: {line[:60]!r}")
        elif found[1] == "mx":
            mx[_pattern(found[2])] = None
        else:
            values.setdefault(found[1], found[2])
    if values.get("version") != "STSv1":
        raise BadPolicy("the version is not STSv1")
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if mode not in get_args(Mode):
        raise BadPolicy(f"the mode is {mode[:20] or 'missing'!r}")
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise BadPolicy("max_age is not a number of seconds")
    if not mx and mode != "none":
        raise BadPolicy("no mx is named")
    return Policy(id, mode, tuple(mx), min(int(age), LIMITS.sts_max_age))  # type: ignore[arg-type]


def _pattern(text: str) -> str:
    """A host name, or `*.` and one. Raises `BadPolicy`."""
    star = "*." if text.startswith("*.") else ""
    try:
        return star + normal_domain(text.removeprefix("*."))
    except BadAddress:
        raise BadPolicy(f"not a host name: {text[:60]!r}") from None
