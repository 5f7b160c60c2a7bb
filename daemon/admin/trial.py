"""First starts: what an empty data directory gets, and the one-command trial on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from daemon import passwords
from daemon.admin import pem
from daemon.config import SETTINGS, BadSetting, Config, DataDir, machine_name
from daemon.flow import signing
from daemon.mail.address import parse_address
from daemon.store import accounts, dkim_keys, domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

DOMAIN = "example.test"
USERS = ("alice@example.test", "bob@example.test")
_NOTE = "trial.json"
_LISTEN = {
    "listen.smtp": "127.0.0.1:2525",
    "listen.submission": "127.0.0.1:2587",
    "listen.submissions": "127.0.0.1:2465",
    "listen.lmtp": "off",
    "listen.imap": "127.0.0.1:2143",
    "listen.imaps": "127.0.0.1:2993",
    "listen.pop3": "127.0.0.1:2110",
    "listen.pop3s": "127.0.0.1:2995",
    "listen.managesieve": "127.0.0.1:2190",
    "listen.http": "127.0.0.1:2080",
    "listen.https": "127.0.0.1:2443",
    "listen.admin": "127.0.0.1:2444",
    "listen.metrics": "127.0.0.1:2090",
}
_SETTINGS = {
    **_LISTEN,
    "hostname": "mail.example.test",
    "auth.require_tls": "no",  # loopback only: clients without TLS can be tried too
    "queue.hold_external": "yes",
    "trust.check": "no",  # it would ask the DNS of the world for every test message
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What the trial prints: addresses with their passwords, where its pages are, where each protocol listens."""

    users: tuple[tuple[str, str], ...]
    pages: tuple[tuple[str, str], ...]
    listeners: tuple[tuple[str, str], ...]


def first_start(store: Store) -> list[str]:
    """Settle what an empty data directory lacks; sentences for the administrator, none when nothing was done."""

    def work(tx: Tx) -> list[str]:
        if "hostname" in settings.load(tx).rows:
            return []
        name = machine_name()
        settings.put(tx, "hostname", name, "first start")
        said = [
            f"the database is new: {store.data.database}",
            f"this server calls itself {name}; `mailctl config set hostname NAME` changes it",
        ]
        if not settings.load(tx)["tls.certificate"] and pem.ensure(tx, name):
            said.append(
                f"its certificate for {name} signs itself; `mailctl cert renew` or `cert import` brings a real one"
            )
        return said

    return store.write_now(work)


class NotATrial(BadSetting):
    """A server's own data directory was named: its listeners are not loopback's, its mail does leave."""


def prepare(store: Store) -> Trial:
    """The trial's domain, users and settings when they are not there; the same answer at every start.

    Raises `NotATrial`.
    """
    there = bool(store.read_now(domains.everyone))
    if there and not (store.data.path / _NOTE).exists():
        raise NotATrial(f"{store.data.path} holds a real server; leave out --local, or name another directory")
    known = _passwords(store.data)
    keys = [] if there else signing.make()

    def work(tx: Tx) -> Trial:
        if not domains.everyone(tx):
            domains.add(tx, DOMAIN)
            for made in dkim_keys.add(tx, DOMAIN, keys):
                dkim_keys.note(tx, made.id, True)  # the trial has no DNS, and must not ask the world's
            for text, password in known.items():
                kept = accounts.Password(*passwords.keep(password))
                accounts.add(tx, parse_address(text), kept, admin=text == USERS[0])
            for key, value in _SETTINGS.items():
                settings.put(tx, key, value, "trial")
        for key in _LISTEN.keys() - settings.rows(tx).keys():  # a listener that came after this trial was made
            settings.put(tx, key, _LISTEN[key], "trial")
        config = settings.load(tx)
        listeners = [(key.removeprefix("listen."), config.text(key)) for key in SETTINGS if key.startswith("listen.")]
        return Trial(tuple(known.items()), tuple(_pages(config)), tuple(listeners))

    return store.write_now(work)


def _pages(config: Config) -> Iterator[tuple[str, str]]:
    """The pages of those listeners that are on, as a browser is told of them."""
    for name, key, path in (("webmail", "listen.https", "/"), ("administration", "listen.admin", "/admin/")):
        if config[key]:
            yield name, f"https://{config[key][0]}{path}"


def _passwords(data: DataDir) -> dict[str, str]:
    """The trial's passwords, made once and kept beside the database to be shown again (mode 0600, trial only)."""
    path = data.path / _NOTE
    if path.exists():
        known: dict[str, str] = json.loads(path.read_text())
        return known
    made = {user: passwords.new_app_password()[:10] for user in USERS}
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(made, file)
    return made
