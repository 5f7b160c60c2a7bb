"""When an authority would have its certificates renewed (ARI, RFC 9773): asked some times a day, and kept.

An authority that has to revoke certificates moves the window forward, and nobody is left with one that is no good. The
moment is chosen by chance within the window, so that not all come at once. Who says nothing, or nothing that can be
understood, is asked again later; until then two thirds of the lifetime count.

Blocking, like `acme_order`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import requests
from acme import errors
from cryptography import x509
from josepy.errors import Error as JoseError

from daemon.admin import acme_order
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.store import acme
from daemon.store.certificates import Certificate
from daemon.store.db import Store

_SILENT = (
    errors.Error, JoseError, requests.exceptions.RequestException, x509.ExtensionNotFound, OSError, ValueError,
    TypeError, AttributeError, OverflowError, KeyError,
)  # fmt: skip


def ask(store: Store, config: Config, certificates: Sequence[Certificate]) -> None:
    """Ask about each, and keep what was said. All are put off before they are asked about, so that no fault goes round;
    nobody waits longer for this than for an order."""
    end = time.monotonic() + LIMITS.acme_patience
    store.write_now(acme.put_off, [one.id for one in certificates], store.clock() + LIMITS.acme_ask * 1000)
    try:
        speaker = acme_order.speaker(config)
    except _SILENT:
        return
    for certificate in certificates:
        if time.monotonic() > end:
            return
        try:
            at, again = speaker.renewal_time(certificate.chain.encode())
            pause = min(max(again.timestamp() - time.time(), LIMITS.acme_ask_least), LIMITS.acme_ask_most)
            renew_at = None if at is None else int(at.timestamp() * 1000)
        except _SILENT:
            continue
        store.write_now(acme.note_renewal, certificate.id, renew_at, store.clock() + int(pause * 1000))
