"""Whether the scripts that see mail can be run: the administrator's, and the active one of each user.

Each was checked when it was put. But what it includes may have changed since, and a newer server may know less or
more: then it does nothing, and mail is kept as if it were not there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from daemon.admin import scripts
from daemon.admin.findings import Facts, Finding
from daemon.admin.scripts import BadScript
from daemon.limits import LIMITS
from daemon.store import accounts, sieve
from daemon.store.accounts import Account
from daemon.store.db import Store
from daemon.store.tx import Tx


def check(facts: Facts) -> Iterable[Finding]:
    """A finding for each that cannot be run, as far as the time goes; one in all when there is none."""
    end = time.monotonic() + LIMITS.doctor_patience / 2
    found = [*_global(facts.store)]
    seen = 0
    for account in facts.store.read_now(accounts.everyone):
        if time.monotonic() > end:
            text = f"the scripts of {seen} users were looked at, there was no time for the rest"
            found.append(Finding("info", "scripts-many", "scripts", text))
            break
        found += _own(facts.store, account)
        seen += 1
    return found or [Finding("ok", "scripts-run", "scripts", "every script that sees mail can be run")]


def _global(store: Store) -> Iterator[Finding]:
    there = store.read_now(sieve.globals)
    for one in there:
        texts = {other.name: other.text for other in there if other.domain in ("", one.domain)}
        try:
            scripts.compiled(one.name, one.text, scripts.shared(texts))
        except BadScript as error:
            where = f" --domain {one.domain}" if one.domain else ""
            text = (
                f"it cannot be run: {_first(error)}; what it is there for is not done, for {one.domain or 'everybody'}"
            )
            remedy = f"`mailctl sieve get --global {one.name}{where}`, then `put --{one.place}` a better one"
            yield Finding("error", "script-global", f"script {one.name}", text, remedy)


def _own(store: Store, account: Account) -> Iterator[Finding]:
    def work(tx: Tx) -> str:
        active = sieve.active(tx, account.id)
        if active is None:
            return ""
        name, text = active
        try:
            scripts.compiled(name, text, scripts.library(tx, account.id))
        except BadScript as error:
            return f"his active script {name!r} cannot be run: {_first(error)}; all his mail is kept in INBOX"
        return ""

    if said := store.read_now(work):
        remedy = f"`mailctl sieve get {account.address} NAME`, then `put` a better one, or `activate` another"
        yield Finding("warning", "script-own", str(account.address), said, remedy)


def _first(error: BadScript) -> str:
    fault = error.faults[0]
    return f"line {fault.line}, column {fault.column}: {fault.text}"
