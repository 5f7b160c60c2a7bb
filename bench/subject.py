"""A server of ours set up to be measured: 100 users of one password, durable, no limits for loopback.

`python -m bench.subject DIR [PREFIX] [profile] [SETTING=VALUE…]` starts it on the ports PREFIX00 to PREFIX99 (226),
prints its descriptor and serves until it is told to stop. With `profile` every thread is profiled (CPU time), and each
line on standard input is answered by a line of JSON: the profile so far.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from daemon import passwords
from daemon.config import DataDir
from daemon.flow import signing
from daemon.mail.address import Address
from daemon.store import accounts, dkim_keys, domains, routes, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

USERS = 100
PREFIX = 226
PORTS = {
    "smtp": 25, "submission": 87, "submissions": 65, "lmtp": 24, "imap": 43, "imaps": 93, "pop3": 10, "pop3s": 95,
    "managesieve": 90, "http": 80, "https": 44,
}  # fmt: skip
SINK = 22905


def prepare(path: Path, prefix: int = PREFIX, more: Mapping[str, str] | None = None) -> None:
    """Make the data directory, once. `more` settings come after ours."""
    store = Store.open(DataDir(path))
    password = accounts.Password(*passwords.keep("pw"))
    keys = signing.make()

    def fill(tx: Tx) -> None:
        if domains.find(tx, "bench.test") is not None:
            return
        domains.add(tx, "bench.test")
        for key in dkim_keys.add(tx, "bench.test", keys):
            dkim_keys.note(tx, key.id, True)  # or the world's DNS would be asked for it
        for number in range(USERS):
            accounts.add(tx, Address(f"u{number}", "bench.test"), password)
        routes.add(tx, "recipient", "out.test", "127.0.0.1", SINK, tls="none")
        for key, port in PORTS.items():
            settings.put(tx, f"listen.{key}", f"127.0.0.1:{prefix * 100 + port}", "bench")
        for key, value in (
            ("hostname", "mx.bench.test"),
            ("auth.require_tls", "no"),
            ("limits.exempt_networks", "127.0.0.0/8"),
            ("smtp.trusted_networks", "127.0.0.0/8"),
            ("queue.connections_per_destination", "20"),  # Postfix's default_destination_concurrency_limit
            *(more or {}).items(),
        ):
            settings.put(tx, key, value, "bench")

    store.write_now(fill)
    store.close()


def descriptor(pid: int, name: str = "mailctl", prefix: int = PREFIX) -> dict[str, object]:
    """What a load generator has to know."""
    return {
        "name": name,
        "smtp": ["127.0.0.1", prefix * 100 + PORTS["smtp"]],
        "imap": ["127.0.0.1", prefix * 100 + PORTS["imap"]],
        "pop3": ["127.0.0.1", prefix * 100 + PORTS["pop3"]],
        "sieve": ["127.0.0.1", prefix * 100 + PORTS["managesieve"]],
        "https": ["127.0.0.1", prefix * 100 + PORTS["https"]],
        "user": "u%d@bench.test",
        "rcpt": "u%d@bench.test",
        "password": "pw",
        "nusers": USERS,
        "relay_rcpt": "r%d@out.test",
        "pids": [pid],
    }


def main() -> int:
    path = Path(sys.argv[1])
    prefix = int(sys.argv[2]) if len(sys.argv) > 2 else PREFIX
    prepare(path, prefix, dict(word.split("=", 1) for word in sys.argv[3:] if "=" in word))
    print(json.dumps(descriptor(os.getpid(), prefix=prefix)), flush=True)
    from daemon.main import run

    if "profile" in sys.argv[3:]:
        from bench.profiling import watch

        watch()
    return run(DataDir(path), say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
