"""Our proof on what goes out: the DKIM-Signature fields of submitted and generated mail (RFC 6376).

Signed is what a message of ours says in From: by the keys of that domain, or of the nearest one above it that is ours
(so that the notices of `mail.example.org` are proved by `example.org`; RFC 9989 takes that as aligned). What only
passes through is left as it is, so that its author's own signature holds.

The fields stand below our Received: they were there before the message left for the next hop (RFC 6376 §5.6).
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.mail.header import field_matcher, header_end
from daemon.mail.mailboxes import mailboxes
from daemon.store import dkim_keys
from daemon.store.db import Store
from daemon.store.dkim_keys import ALGORITHMS, Algorithm, Made, Signing
from daemon.store.spool import Body
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from mmap import mmap

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from daemon.trust import sign

_FROM = field_matcher(frozenset((b"from",)))
_SIGNATURE = field_matcher(frozenset((b"dkim-signature",)))


async def fields(store: Store, origin: Origin, body: Body) -> bytes:
    """What stands in front of a message because it is ours; nothing for another's. Long ones are signed in a thread."""
    if not origin.may_relay:
        return b""
    work = partial(store.peek, signature, origin, body)
    return await store.aside(work) if body.size > LIMITS.parse_inline else work()


def signature(tx: Tx, origin: Origin, body: Body) -> bytes:
    """The same at once."""
    return of(tx, body.view()) if origin.may_relay else b""


def of(tx: Tx, data: bytes | mmap) -> bytes:
    """The fields for a message as it is sent, by the active keys of its author's domain."""
    keys = dkim_keys.signing(tx, _domains(data))
    if not keys:
        return b""
    from daemon.trust import sign  # late: most commands sign nothing

    return sign.sign(data, [_key(key) for key in keys], now=tx.now / 1000)


def without(prefix: bytes) -> bytes:
    """What we put in front of a message, less our signatures."""
    return _SIGNATURE.sub(b"", prefix)


@lru_cache(maxsize=LIMITS.signing_keys)
def _key(key: Signing) -> sign.Key:
    """Which keys sign is asked of the store every time: none of these is used once it is retired or its domain is
    disabled. It is ours, so it need not be proved sound once more, which costs a hundred signatures."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from daemon.trust import sign

    private = load_pem_private_key(key.private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
    return sign.Key(key.domain, key.selector, key.algorithm, cast("RSAPrivateKey | Ed25519PrivateKey", private))


def _domains(data: bytes | mmap) -> list[str]:
    """The author's domain and those above it, for which we might sign. None when there is not one From."""
    found = _FROM.findall(data[: header_end(data, 0, min(len(data), LIMITS.header_bytes))])
    authors = mailboxes(found[0].partition(b":")[2]) if len(found) == 1 else []
    try:
        name = normal_domain(next((author.host for author in authors if author.host), ""))
    except BadAddress:
        return []
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]


def make(*algorithms: Algorithm) -> list[Made]:
    """New key pairs, of both algorithms if none is named. A twentieth of a second for RSA: for a thread."""
    from daemon.trust import sign

    found = []
    for algorithm in algorithms or ALGORITHMS:
        private = sign.generate(algorithm)
        record = sign.public_record(sign.Key("", "", algorithm, private))
        found.append(Made(algorithm, private, record.partition("p=")[2]))
    return found
