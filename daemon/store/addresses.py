"""The one address resolver. RCPT, delivery, send-as checks and `mailctl address test` all ask here.

Order: exact user, alias, subaddress (`user+tag`), the domain this one is an alias of, catch-all; and postmaster and
abuse (RFC 2142, RFC 5321 §4.5.1) reach somebody in any case. Targets are followed to the end, each mailbox once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from daemon.mail.address import Address, BadAddress, fold_local, parse_address, split_subaddress
from daemon.store import accounts, aliases, domains
from daemon.store.tx import Tx

_DEPTH = 10  # targets of targets; deeper is a loop or a mistake
_TARGETS = 1000  # mailboxes and external addresses one recipient may grow into
_ROLES = ("postmaster", "abuse", "hostmaster", "mailer-daemon")


@dataclass(frozen=True, slots=True)
class Denial:
    """Why mail for an address is not taken: SMTP code, enhanced code, reason from a short list, text."""

    code: int
    enhanced: str
    reason: str
    text: str


UNKNOWN_USER = Denial(550, "5.1.1", "unknown-user", "no such user here")
DISABLED = Denial(550, "5.2.1", "disabled", "mailbox is disabled")
NOT_OURS = Denial(550, "5.7.1", "relay-denied", "relaying denied")
TOO_DEEP = Denial(550, "5.4.6", "alias-loop", "aliases form a loop")


@dataclass(frozen=True, slots=True)
class Onward:
    """An external address that gets the message. `via` is the alias or user that sends it on."""

    address: str
    via: str
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """A mailbox that gets a copy. `address` is the user's own, `tag` the subaddress of the recipient, if any."""

    account_id: int
    address: Address
    tag: str | None = None


@dataclass(slots=True)
class Resolution:
    """Where mail for an address goes, and the steps that say why. `denial` is set when it goes nowhere."""

    address: Address
    ours: bool = False
    locals: list[Local] = field(default_factory=list)
    onward: list[Onward] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    denial: Denial | None = None


def resolve(tx: Tx, address: Address) -> Resolution:
    """Follow `address` to its mailboxes and external addresses. An empty domain is the bare `<postmaster>`."""
    found = Resolution(address)
    _Walk(tx, found).start()
    return found


def may_send_as(tx: Tx, account_id: int, address: Address) -> bool:
    """Whether this user may write with that sender: his address, subaddresses of it, and aliases that reach him.

    A catch-all that reaches him counts too: who receives an address may send from it.
    """
    return account_id in writers(tx, address)


def writers(tx: Tx, address: Address) -> list[int]:
    """The users who may write with that sender."""
    found = Resolution(address)
    _Walk(tx, found, forwarding=False).start()
    return [local.account_id for local in found.locals]


class _Walk:
    def __init__(self, tx: Tx, found: Resolution, *, forwarding: bool = True) -> None:
        self.tx = tx
        self.found = found
        self.forwarding = forwarding
        self.seen: set[tuple[str, str]] = set()
        self.denials: list[Denial] = []

    def start(self) -> None:
        found = self.found
        if not found.address.domain:
            found.ours = True
            self._role(found.address)
        else:
            domain = domains.find(self.tx, found.address.domain)
            found.ours = domain is not None
            if domain is None:
                found.steps.append(f"{found.address.domain} is not a domain of this server")
                found.denial = NOT_OURS
                return
            self.follow(found.address, 0, "")
        if not found.locals and not found.onward:
            found.denial = self.denials[0] if self.denials else UNKNOWN_USER

    def follow(self, address: Address, depth: int, via: str) -> None:
        """Add what `address` leads to; `via` is the alias or user that named it, '' for the recipient himself."""
        found = self.found
        if depth > _DEPTH or len(found.locals) + len(found.onward) >= _TARGETS:
            found.steps.append(f"{address}: too many aliases of aliases")
            self.denials.append(TOO_DEEP)
            return
        if address.key in self.seen:
            found.steps.append(f"{address} was met before")
            return
        self.seen.add(address.key)
        domain = domains.find(self.tx, address.domain)
        if domain is None:
            self._external(address, via, None)
        elif not domain.enabled:
            found.steps.append(f"the domain {domain.name} is disabled")
            self.denials.append(DISABLED)
        elif not self._in_domain(domain, address, depth):
            if fold_local(address.local) in _ROLES:
                self._role(address)
            else:
                found.steps.append(f"{address}: no user, alias or catch-all")
                self.denials.append(UNKNOWN_USER)

    def _in_domain(self, domain: domains.Domain, address: Address, depth: int) -> bool:
        """Try the ways in their order; whether one of them knew the address."""
        home = domain if domain.alias_of is None else domains.by_id(self.tx, domain.alias_of)
        if self._named(domain, address.local, None, depth):
            return True
        base, tag = split_subaddress(address.local, domain.separators)
        if tag is not None and self._named(domain, base, tag, depth):
            return True
        if home is not domain:
            self.found.steps.append(f"{domain.name} stands for {home.name}")
            if not home.enabled:
                self.denials.append(DISABLED)
                return True
            if self._named(home, address.local, None, depth):
                return True
            base, tag = split_subaddress(address.local, home.separators)
            if tag is not None and self._named(home, base, tag, depth):
                return True
        return self._catch_all(domain, depth) or (home is not domain and self._catch_all(home, depth))

    def _named(self, domain: domains.Domain, local: str, tag: str | None, depth: int) -> bool:
        address = Address(local, domain.name)
        note = f" (subaddress {tag!r})" if tag is not None else ""
        account = accounts.find(self.tx, address)
        if account is not None:
            self.found.steps.append(f"{account.address} is a user{note}")
            self._user(account, tag, depth)
            return True
        alias = aliases.find(self.tx, address)
        if alias is None or alias.local == aliases.CATCH_ALL:
            return False
        return self._alias(alias, depth, note)

    def _catch_all(self, domain: domains.Domain, depth: int) -> bool:
        alias = aliases.find(self.tx, Address(aliases.CATCH_ALL, domain.name))
        return alias is not None and self._alias(alias, depth, " (catch-all)")

    def _alias(self, alias: aliases.Alias, depth: int, note: str) -> bool:
        if not alias.enabled or (alias.expires_at is not None and alias.expires_at <= self.tx.now):
            why = "is disabled" if not alias.enabled else "has expired"
            self.found.steps.append(f"the alias {alias.address} {why}")
            self.denials.append(UNKNOWN_USER)
            return True
        self.found.steps.append(f"{alias.address} is an alias{note} for {', '.join(alias.targets)}")
        for target in alias.targets:
            try:
                self.follow(parse_address(target), depth + 1, str(alias.address))
            except BadAddress as error:
                self.found.steps.append(f"{target}: {error}")
        return True

    def _user(self, account: accounts.Account, tag: str | None, depth: int) -> None:
        if not account.enabled:
            self.found.steps.append(f"{account.address} is disabled")
            self.denials.append(DISABLED)
            return
        forwards = [f for f in accounts.forwards(self.tx, account.id) if f.enabled] if self.forwarding else []
        if not forwards or account.forward_keep:
            self._deliver(account, tag)
        for forward in forwards:
            try:
                target = parse_address(forward.address)
            except BadAddress as error:
                self.found.steps.append(f"{forward.address}: {error}")
                continue
            self.found.steps.append(f"{account.address} forwards to {target}")
            if domains.find(self.tx, target.domain) is None:
                self._external(target, str(account.address), account.id)
            else:
                self.follow(target, depth + 1, str(account.address))
        if forwards and not account.forward_keep and not self.found.onward and not self.found.locals:
            self.found.steps.append(f"no forward of {account.address} leads anywhere; kept")
            self._deliver(account, tag)

    def _deliver(self, account: accounts.Account, tag: str | None) -> None:
        if all(local.account_id != account.id for local in self.found.locals):
            self.found.locals.append(Local(account.id, account.address, tag))

    def _external(self, address: Address, via: str, account_id: int | None) -> None:
        if all(parse_address(o.address).key != address.key for o in self.found.onward):
            self.found.steps.append(f"{address} is on another server")
            self.found.onward.append(Onward(str(address), via, account_id))

    def _role(self, address: Address) -> None:
        """postmaster and abuse reach an administrator, or else the first user."""
        row = self.tx.one(
            "select a.id from account a join domain d on d.id = a.domain_id where a.enabled and d.enabled"
            " order by d.name = ? and a.admin desc, a.admin desc, d.name = ? desc, a.id limit 1",
            address.domain,
            address.domain,
        )
        account = None if row is None else accounts.by_id(self.tx, row[0])
        if account is None:
            self.found.steps.append(f"{address}: there is no user at all")
            self.denials.append(UNKNOWN_USER)
            return
        who = "an administrator" if account.admin else "the first user"
        self.found.steps.append(f"{address} goes to {account.address}, {who}")
        self._deliver(account, None)
