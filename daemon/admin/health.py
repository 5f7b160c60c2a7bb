"""How the server is: what it has, what it serves, what should be looked at; `doctor` looks closer."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from daemon.config import SETTINGS, BadSetting, Config
from daemon.flow.alarm import why
from daemon.store import census, certificates, drills, fulltext, incidents, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

_SOON = 21 * 86_400_000  # ms


@dataclass(frozen=True, slots=True)
class Listener:
    name: str
    addresses: str


@dataclass(frozen=True, slots=True)
class Status:
    """`running`: a server serves from this data directory. `problems`: what an administrator should look at.
    `incidents`: users whose mail is held since they sent more than they may.

    `indexed` messages are in the full-text index. `used` is what users see, `stored` the octets kept for it, `free` the
    disk's; new mail is refused below `reserve`.
    """

    running: bool
    hostname: str
    data: str
    domains: int
    users: int
    aliases: int
    messages: int
    indexed: int
    used: int
    stored: int
    waiting: int
    held: int
    incidents: int
    bans: int
    free: int
    reserve: int
    listeners: tuple[Listener, ...]
    problems: tuple[str, ...]
    oldest_at: int | None
    certificate_until_at: int | None


def status(store: Store) -> Status:
    """One look at everything. Works on a store whose settings were spoilt, too."""

    def work(tx: Tx) -> tuple[Config, list[str], census.Census, certificates.Certificate | None, int, int]:
        problems = [f"the trial of the filter fails: {drill.text}" for drill in drills.everyone(tx) if drill.failures]
        held = incidents.open_ones(tx)
        problems += [f"{_held(one)}; `mailctl queue list` shows incident {one.id}" for one in held]
        try:
            config = settings.load(tx)
        except BadSetting as error:
            problems.append(f"{error}; `mailctl config set` puts it right, the server does not start before")
            config = Config()
        shown = certificates.shown(tx, config.hostname)
        return config, problems, census.count(tx), shown, len(held), fulltext.standing(tx).indexed

    config, problems, counted, shown, held, indexed = store.read_now(work)
    disk = os.statvfs(store.data.path)
    free = disk.f_bavail * disk.f_frsize
    reserve = config["store.reserve"]
    if free < reserve:
        problems.append("the disk is below its reserve: new mail is refused until there is room")
    elif free < 2 * reserve:
        problems.append("the disk comes near its reserve, below which new mail is refused")
    until, soon = (shown.not_after_at, _soon(shown)) if shown else (None, _SOON)
    if config["tls.certificate"]:
        until, soon = _end_of_file(config["tls.certificate"], problems), _SOON
    way = "renew" if config["acme.agree"] and not config["tls.certificate"] else "import"
    if until is not None and until < store.clock():
        problems.append(f"the certificate is over; `mailctl cert {way}` brings a new one")
    elif until is not None and until < store.clock() + soon:
        problems.append(f"the certificate ends soon; `mailctl cert {way}` brings a new one")
    if not counted.domains:
        problems.append("there is no domain yet; `mailctl setup` or `mailctl domain add` makes one")
    return Status(
        running=is_running(store),
        hostname=config["hostname"],
        data=str(store.data.path),
        domains=counted.domains,
        users=counted.users,
        aliases=counted.aliases,
        messages=counted.messages,
        indexed=indexed,
        used=counted.used,
        stored=counted.stored,
        waiting=counted.waiting,
        held=counted.held,
        incidents=held,
        bans=counted.bans,
        free=free,
        reserve=reserve,
        listeners=listeners(config),
        problems=tuple(problems),
        oldest_at=counted.oldest_at,
        certificate_until_at=until,
    )


def _held(one: incidents.Incident) -> str:
    return f"mail of {one.user} is held ({one.waiting:,} recipients): {why(one)}"


def _soon(shown: certificates.Certificate) -> int:
    """How long before its end a certificate is worth a word: three weeks, less for one that was given for less."""
    return min(_SOON, (shown.not_after_at - shown.not_before_at) // 4)


def listeners(config: Config) -> tuple[Listener, ...]:
    """What is configured, those that are off left out."""
    keys = [key for key in SETTINGS if key.startswith("listen.") and config[key]]
    return tuple(Listener(key.removeprefix("listen."), config.text(key)) for key in keys)


def is_running(store: Store) -> bool:
    """Whether somebody answers the doorbell of this data directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        try:
            bell.connect(str(store.data.doorbell))
        except OSError:
            return False
    return True


def _end_of_file(path: str, problems: list[str]) -> int | None:
    from daemon.admin import pem

    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return pem.examine(file.read()).not_after_at
    except (OSError, pem.BadCertificate) as error:
        problems.append(f"tls.certificate: {path} cannot be used ({error})")
        return None
