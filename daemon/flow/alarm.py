"""Whose mail is held since he sent too much is told, and so are the administrators: a letter each, once an incident.

The letters are committed with the note that they were written: a crash before it tells later, one after it not again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from daemon import log
from daemon.config import Config
from daemon.flow import planning
from daemon.flow.deliver import Plan, Stale, commit
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.postmaster import administrators, plain_letter, postmaster
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.mail.address import Address, parse_address
from daemon.mail.summary import summarize
from daemon.store import addresses, incidents
from daemon.store.db import Store
from daemon.store.incidents import Incident
from daemon.store.spool import Body
from daemon.store.tx import Tx

_TRIES = 5  # plans, before a letter is put off
_WHAT = {
    "messages": "messages to other servers",
    "recipients": "recipients at other servers",
    "strangers": "recipients at other servers to whom {} had never written",
}


class Alarms:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(self, store: Store, config: Callable[[], Config], *, every: float = LIMITS.incident_round) -> None:
        self._store = store
        self._config = config
        self._every = every

    async def run(self) -> None:
        """A round at the start, when an incident began, and now and then."""
        await rounds(
            self._store, "incidents", self.round, lambda: self._every,
            concerns=lambda changes: changes.incidents or changes.everything,
        )  # fmt: skip

    async def round(self) -> int:
        """Tell of what nobody was told of; of how many incidents that was. Raises `StoreError`."""
        return sum([await self._one(incident) for incident in self._store.peek(incidents.untold)])

    async def _one(self, incident: Incident) -> bool:
        for _ in range(_TRIES):
            plans = self._store.peek(_letters, incident, self._config(), self._store.clock())
            bodies = [body for plan in plans for body in plan.bodies]
            try:
                if not await self._store.write(_tell, incident.id, plans, bodies=bodies, into_reserve=True):
                    return False
            except Stale:  # a mailbox that a letter was for has changed
                continue
            log.event(
                "incident", number=incident.id, user=incident.user, reason=incident.reason, allowed=incident.allowed,
                found=incident.found, trace=incident.trace,
            )  # fmt: skip
            return True
        return False


def _tell(tx: Tx, number: int, plans: list[Plan]) -> bool:
    """Both in one write; False when it was told before."""
    if not incidents.told(tx, number):
        return False
    for plan in plans:
        commit(tx, plan)
    return True


def _letters(tx: Tx, incident: Incident, config: Config, now: int) -> list[Plan]:
    """Planned. One who is both reads what an administrator reads."""
    owner = parse_address(incident.user)
    admins = administrators(tx, config.hostname)
    made = [_plan(tx, config, admins, _to_administrators(incident), "administrators: ;", incident, now)]
    if incident.account_id not in {local.account_id for a in admins for local in addresses.resolve(tx, a).locals}:
        ours = postmaster(tx, config.hostname, owner)
        made.append(_plan(tx, config, [owner], _to_owner(incident, ours), f"<{owner}>", incident, now))
    return [plan for plan in made if not plan.empty]


def _plan(
    tx: Tx, config: Config, to: list[Address], words: tuple[str, list[str]], shown: str, incident: Incident, now: int
) -> Plan:
    ours = postmaster(tx, config.hostname, to[0] if to else None)
    unique = f"incident.{incident.id}.{incident.began_at}.{len(shown)}"
    data = plain_letter(ours, shown, *words, unique=unique, hostname=config.hostname, now=now / 1000)
    envelope = Envelope(None, [Recipient(address, notify="NEVER") for address in to], eightbit=not data.isascii())
    plan, _ = planning.prepare(tx, Origin("notice"), envelope, Body.of(data), summarize(data), config, 1)
    return plan


def why(incident: Incident, whom: str = "he") -> str:
    """The limit that was reached, in words."""
    what, _, span = incident.reason.partition("-per-")
    found = _WHAT[what].format(whom)
    return (
        f"{incident.found:,} {found} within {'an hour' if span == 'hour' else '24 hours'}; {incident.allowed:,} may be"
    )


def _to_administrators(incident: Incident) -> tuple[str, list[str]]:
    number, user = incident.id, incident.user
    return f"Mail of {user} is held", [
        f"{user} sends more than he may: with the message that began this it would have been",
        f"{why(incident)}.",
        "",
        f"Since {_moment(incident.began_at)} all that he sends to other servers is taken and held, whatever it is;",
        "what he sent before has gone out. Mail to users of this server is delivered as always. He was told.",
        "",
        "Look at what is held:",
        f"  mailctl queue list --incident {number}",
        f"  mailctl trace {incident.trace}",
        "",
        "If it is his, send it; his count begins anew:",
        f"  mailctl queue release --incident {number}",
        "If he often needs more than others, give him that, ten times as much say:",
        f"  mailctl user set {user} --allowance 10",
        "",
        "If somebody else has his password, or his machine: see who is logged in, change the password, end all",
        "sessions and take all app passwords away, then throw away what is held:",
        f"  mailctl session list --user {user}",
        f"  mailctl user passwd {user}",
        f"  mailctl session kill {user}",
        f"  mailctl queue drop --incident {number}",
        f"`mailctl user disable {user}` keeps him out until `mailctl user enable {user}`.",
        "",
        "There is no second letter until this incident is ended.",
    ]


def _to_owner(incident: Incident, ours: Address) -> tuple[str, list[str]]:
    number = incident.id
    return "Your mail to other servers is held", [
        "You send more than this server lets one user send: with the message that began this it would have been",
        f"{why(incident, 'you')}.",
        "",
        f"Since {_moment(incident.began_at)} all that you send to other servers is taken, and waits here until an",
        "administrator has looked. Nothing is lost, and nothing need be sent again. What you sent before has gone out,",
        "and mail to users of this server arrives as always.",
        "",
        f"* If all of it is yours, write to {ours}: incident {number} may be released.",
        "* If it is not, somebody else knows your password, or uses your computer. Ask the administrator for a new",
        "  password at once, and have your computer looked at.",
        "",
        "What the administrator does:",
        f"  mailctl queue release --incident {number}    sends what is held",
        f"  mailctl queue drop --incident {number}       throws it away",
        f"  mailctl user passwd {incident.user}, mailctl session kill {incident.user}    locks a thief out",
        "",
        "There is no second letter until this is ended.",
    ]


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
