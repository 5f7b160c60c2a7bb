"""Where would mail for an address go, and why: the resolver's own steps, and the road out behind them."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin import words
from daemon.mail.address import Address
from daemon.store import accounts, addresses, routes
from daemon.store.db import Store
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer RCPT would get. `reason` is from a short list."""

    code: int
    enhanced: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Onward:
    """An address on another server. `via` is the alias or user that sends it on, `route` the smart host, if any."""

    address: str
    via: str
    route: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`steps` in order say why. With a sender: whether he may use his address, and what an outsider would be told."""

    address: str
    sender: str | None
    ours: bool
    accepted: bool
    mailboxes: tuple[str, ...]
    onward: tuple[Onward, ...]
    steps: tuple[str, ...]
    refusal: Refusal | None


def test(store: Store, address: str, sender: str | None = None) -> Explanation:
    """Ask what RCPT asks. With `sender`, one of our users who logged in, mail for other servers is taken too."""
    to = Address("postmaster", "") if address.strip().lower() == "postmaster" else words.address(address)
    by = words.address(sender) if sender else None
    return store.peek(_test, to, by)


def _test(tx: Tx, to: Address, by: Address | None) -> Explanation:
    found = addresses.resolve(tx, to)
    steps = list(found.steps)
    denial = found.denial
    table = routes.load(tx)
    reverse = str(by) if by else ""
    onward = [Onward(o.address, o.via, _route(table.match(reverse, o.address))) for o in found.onward]
    if by is not None:
        account = _who(tx, by)
        if account is None:
            steps.append(f"{by} is nobody's address here: as a stranger he may write to our addresses only")
        else:
            steps.append(f"{by} is written by {account.address}, who may log in and send")
            if not found.ours and denial is not None:
                denial = None
                route = table.match(reverse, str(to))
                onward.append(Onward(str(to), str(account.address), _route(route)))
                steps.append(f"{to} goes into the queue, {'to the smart host ' + route.host if route else 'by its MX'}")
    refusal = None if denial is None else Refusal(denial.code, denial.enhanced, denial.reason, denial.text)
    return Explanation(
        address=str(to),
        sender=str(by) if by else None,
        ours=found.ours,
        accepted=refusal is None,
        mailboxes=tuple(str(local.address) for local in found.locals),
        onward=tuple(onward),
        steps=tuple(steps),
        refusal=refusal,
    )


def _who(tx: Tx, sender: Address) -> accounts.Account | None:
    """The enabled user who may write with this address; the first of several."""
    for account_id in addresses.writers(tx, sender):
        account = accounts.by_id(tx, account_id)
        if account is not None and account.enabled:
            return account
    return None


def _route(route: routes.Route | None) -> str | None:
    return None if route is None else f"{route.host}:{route.port}"
