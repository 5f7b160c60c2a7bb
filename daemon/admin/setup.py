"""From a bare machine to a first message: name, domain, administrator, certificate. Safe to run again."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin import domains, pem, people, settings, words
from daemon.admin.errors import BadData
from daemon.config import SETTINGS
from daemon.store import accounts
from daemon.store import domains as kept
from daemon.store.db import Store


@dataclass(frozen=True, slots=True)
class Setup:
    """What was done, a sentence each; `password` when one was made for the administrator."""

    hostname: str
    domain: str
    admin: str
    done: tuple[str, ...]
    password: str | None = None


def needs_password(store: Store, admin: str) -> bool:
    """Whether the administrator is not there yet. Raises `BadData`."""
    address = words.address(admin)
    return store.read_now(accounts.find, address) is None


def run(store: Store, hostname: str, domain: str, admin: str, password: str | None, who: str) -> Setup:
    """Do what is not done yet. A new administrator without a password gets one made. Raises `BadData`, `BadSetting`."""
    name, address = words.domain(domain), words.address(admin)
    SETTINGS["hostname"].parse(hostname)
    if address.domain != name:
        raise BadData(f"{address} is not in the domain {name}; name an administrator there")
    done = []
    changed = settings.put(store, "hostname", hostname, who)
    if changed.old != changed.value:
        done.append(f"this server calls itself {changed.value}")
    if store.read_now(kept.find, name) is None:
        domains.add(store, name)
        done.append(f"it takes mail for {name}")
    made = None
    if store.read_now(accounts.find, address) is None:
        made = password
        if made is None:
            from daemon.passwords import new_app_password

            made = new_app_password()
        people.add(store, str(address), made, admin=True)
        done.append(f"{address} is its administrator, and gets mail for postmaster and abuse")
    if store.write_now(pem.ensure, changed.value):
        done.append("a certificate that signs itself; `mailctl cert renew` or `cert import` brings a real one")
    return Setup(changed.value, name, str(address), tuple(done), made if password is None else None)
