"""The MTA-STS policy of our own domains (RFC 8461): what is served over HTTPS, and the id that stands in the DNS."""

from __future__ import annotations

import hashlib

from daemon.config import Config
from daemon.limits import LIMITS

LABEL = "mta-sts."
PATH = "/.well-known/mta-sts.txt"


def policy(config: Config) -> str:
    """The policy file (RFC 8461 §3.2). All domains have the same one: their mail comes to this host."""
    age = min(config["mta_sts.max_age"], LIMITS.policy_age)
    lines = ["version: STSv1", f"mode: {config['mta_sts.mode']}", f"mx: {config.hostname}", f"max_age: {age}"]
    return "".join(line + "\r\n" for line in lines)


def policy_id(config: Config) -> str:
    """What `_mta-sts` says (RFC 8461 §3.1), by which others see that the policy is another one now: its hash."""
    return hashlib.sha256(policy(config).encode()).hexdigest()[:20]


def host(domain: str) -> str:
    """The host that serves the policy of `domain`."""
    return LABEL + domain
