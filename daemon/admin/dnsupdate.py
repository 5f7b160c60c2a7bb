"""Changing a zone where it lives: dynamic update (RFC 2136), signed with a shared key (TSIG, RFC 8945).

`set_txt` and `remove_txt` are what an ACME challenge needs; `dnspublish` sends the records of a domain by `send`. Every
question and every change is signed, so that a key the server does not take is found before anything was changed.

How it can fail: `Unavailable` (no answer, or not the server of the zone), `NotPermitted` (it does not take the key, or
the key may not do this), `BadData` (what was given is no key). The secret is in none of their sentences.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from daemon.admin.dnsrecords import quoted
from daemon.admin.errors import BadData, NotPermitted, Unavailable
from daemon.config import Config, HostPort
from daemon.limits import LIMITS

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1", "hmac-md5.sig-alg.reg.int")
CHALLENGE_TTL = 60  # seconds; a challenge is looked at once


@dataclass(frozen=True, slots=True)
class Key:
    """A TSIG key. The secret is never shown."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)

    @property
    def tsig(self) -> dns.tsig.Key:
        return dns.tsig.Key(self.name, self.secret, self.algorithm)


def read_key(text: str) -> Key:
    """A key as `tsig-keygen` writes it, or one line `[ALGORITHM:]NAME:SECRET`. Raises `BadData`."""
    clause = re.search(r'\bkey\s+"?([^\s"{]+)"?\s*\{(.*?)\}', text, re.DOTALL)
    if clause:
        said = dict(re.findall(r'\b(algorithm|secret)\s+"?([^\s";]+)"?\s*;', clause[2]))
        name, algorithm, secret = clause[1], said.get("algorithm", ""), said.get("secret", "")
    else:
        algorithm, name, secret = ["hmac-sha256", *text.strip().split(":")][-3:] if ":" in text else ("", "", "")
    algorithm = {"hmac-md5": ALGORITHMS[-1]}.get(algorithm.lower().rstrip("."), algorithm.lower().rstrip("."))
    if algorithm not in ALGORITHMS or not secret:
        raise BadData("this is no TSIG key; give what `tsig-keygen NAME` writes, or a line ALGORITHM:NAME:SECRET")
    try:
        dns.name.from_text(name)
        return Key(name.rstrip(".").lower(), algorithm, base64.b64decode(secret, validate=True))
    except (binascii.Error, ValueError):
        raise BadData("the secret of the TSIG key is not base64; give it as `tsig-keygen` wrote it") from None
    except dns.exception.DNSException:
        raise BadData("the name of the TSIG key is no domain name; give it as `tsig-keygen` wrote it") from None


def configured(config: Config) -> tuple[HostPort, Key] | None:
    """What the settings dns.update_server and dns.update_key say; None when one of them is empty.

    Raises `BadData` for a file that holds no key, `OSError`.
    """
    servers, file = config["dns.update_server"], config["dns.update_key"]
    if not servers or not file:
        return None
    return servers[0], read_key(Path(file).read_text(errors="replace"))


async def set_txt(server: HostPort, key: Key, name: str, values: Sequence[str], *, ttl: int = CHALLENGE_TTL) -> None:
    """See that `name` has these TXT records and no others. Raises as told above."""
    name = name.rstrip(".")
    change = dns.update.UpdateMessage(await zone_of(server, key, name))
    texts = [dns.rrset.from_text(name + ".", ttl, "IN", "TXT", quoted(value))[0] for value in values]
    change.replace(dns.name.from_text(name), ttl, *texts)
    await send(server, key, change)


async def remove_txt(server: HostPort, key: Key, name: str, values: Sequence[str] = ()) -> None:
    """See that `name` has no TXT record, or none of these. Raises as told above."""
    name = name.rstrip(".")
    change = dns.update.UpdateMessage(await zone_of(server, key, name))
    owner = dns.name.from_text(name)
    if not values:
        change.delete(owner, "TXT")
    for value in values:
        change.delete(owner, dns.rrset.from_text(owner, 0, "IN", "TXT", quoted(value))[0])
    await send(server, key, change)


async def zone_of(server: HostPort, key: Key, name: str) -> str:
    """The zone at this server in which `name` is or would be. Raises as told above."""
    response = await ask(server, key, name, "SOA")
    for rrset in (*response.answer, *response.authority):
        if rrset.rdtype == dns.rdatatype.SOA:
            return rrset.name.to_text(omit_final_dot=True).lower()
    raise Unavailable(f"{server} has no zone with {name}; name the server where the zone can be changed")


async def ask(server: HostPort, key: Key, name: str, kind: str) -> dns.message.Message:
    """What this server itself says. Raises as told above."""
    try:
        query = dns.message.make_query(name + ".", kind)
    except dns.exception.DNSException:
        raise BadData(f"{name!r} is no domain name") from None
    query.flags &= ~dns.flags.RD
    return await send(server, key, query)


async def send(server: HostPort, key: Key, message: dns.message.Message) -> dns.message.Message:
    """Sign a question or an update, send it, and see that the answer is the server's. Raises as told above."""
    message.use_tsig(key.tsig)
    try:
        answer = await dns.asyncquery.tcp(message, server.host, LIMITS.dns_patience, server.port)
    except (dns.exception.Timeout, OSError, EOFError) as error:
        raise Unavailable(
            f"the name server {server} does not answer ({_reason(error)}); is it the right one?"
        ) from None
    except dns.tsig.PeerBadKey:
        raise NotPermitted(f"{server} does not know the key {key.name} (BADKEY); look at its name there") from None
    except (dns.tsig.PeerBadSignature, dns.tsig.PeerBadTruncation, dns.tsig.BadSignature):
        raise NotPermitted(
            f"{server} has another secret or algorithm for the key {key.name} (BADSIG); give the one it has"
        ) from None
    except (dns.tsig.PeerBadTime, dns.tsig.BadTime):
        raise NotPermitted(f"the clocks of {server} and of this machine differ (BADTIME); set them right") from None
    except dns.exception.DNSException as error:
        raise Unavailable(f"the name server {server} answers what cannot be read ({_reason(error)})") from None
    _see(server, key, answer.rcode())
    return answer


def _see(server: HostPort, key: Key, rcode: int) -> None:
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return
    word = dns.rcode.to_text(dns.rcode.Rcode(rcode))
    if rcode == dns.rcode.REFUSED:
        raise NotPermitted(
            f"{server} refuses it (REFUSED): it does not serve the zone, or the key {key.name} may not change it;"
            " look at its allow-update or update-policy"
        )
    if rcode in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE):
        raise Unavailable(f"{server} is not the primary of the zone ({word}); name the server where it can be changed")
    if rcode in (dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.YXDOMAIN):
        raise Unavailable(f"somebody else changed the zone at {server} meanwhile ({word}); look again")
    raise Unavailable(f"the name server {server} could not do it ({word}); its log says why")


def _reason(error: BaseException) -> str:
    if isinstance(error, dns.exception.Timeout):
        return f"no answer within {LIMITS.dns_patience} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
