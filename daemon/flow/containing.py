"""What a user sends to other servers is counted in the write that takes it; what is too much is held.

What counts is what would be held: every row in the queue that a message gives rise to which a user hands in over SMTP,
whoever is meant by it, an alias or a colleague who forwards too, since all of that goes out in our name. Not counted is

* mail that stays here: it costs nobody's patience out there, can be taken back, and is how a user whose mail is held
  reaches his administrator. So it is delivered as always, incident or not;
* what is forwarded of mail that a user gets: others decide how much that is, and a thief sends nothing by it;
* what the server itself, its administrator (`mailctl mail deliver`, sendmail) or a trusted network sends, and what
  comes from a network of `limits.exempt_networks`: programs that send much are let in there.

Strangers are recipients that the user names himself and has never written to. Held mail makes nobody a correspondent.
The cost: three statements for a message, however many its recipients.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.config import Config, contains
from daemon.flow.envelope import Origin
from daemon.store import allowance, correspondents, incidents
from daemon.store.allowance import Amount, Limits
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from daemon.flow.deliver import Plan


def limits_for(config: Config, origin: Origin) -> Limits | None:
    """What a message of that origin has to fit in; None where nothing is counted."""
    if origin.kind != "submission" or origin.account_id is None:
        return None
    return None if contains(config["limits.exempt_networks"], origin.peer) else _limits(config)


@lru_cache(maxsize=4)
def _limits(config: Config) -> Limits:
    return Limits(
        *(Amount(*(config[f"allowance.{what}_per_{span}"] for what in Amount._fields)) for span in ("hour", "day"))
    )


def contain(tx: Tx, plan: Plan) -> int | None:
    """Count what goes out; else the incident that holds it."""
    account_id, limits = plan.origin.account_id, plan.limits
    if limits is None or account_id is None or not plan.sendings:
        return None
    known = allowance.state(tx, account_id)
    if known is None:
        return None
    amount = _amount(tx, account_id, plan)
    if known.incident is not None:
        incidents.add(tx, known.incident, amount)
        return known.incident
    over = known.over(amount, limits)
    if over is not None:
        return incidents.begin(tx, account_id, over, plan.trace, amount)
    allowance.spend(tx, account_id, amount)
    return None


def _amount(tx: Tx, account_id: int, plan: Plan) -> Amount:
    named = {r.address for s in plan.sendings if s.message.origin == "submission" for r in s.recipients}
    strangers = correspondents.strangers(tx, account_id, [a for a in plan.written_to if str(a) in named])
    return Amount(1, sum(len(sending.recipients) for sending in plan.sendings), strangers)
