"""The one address resolver. RCPT, delivery, send-as checks and `mailctl address test` all ask here.

Order: exact user, alias, subaddress (`user+tag`), the domain this one is an alias of, catch-all; and postmaster and
abuse (RFC 2142, RFC 5321 §4.5.1) reach somebody in any case. Targets are followed to the end, each mailbox once. What
cannot be followed to the end is denied as a whole: nobody may be left out in silence (traps D20).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.mail import srs
from daemon.mail.address import Address, BadAddress, fold_local, parse_address, subaddresses
from daemon.store import accounts, aliases, domains
from daemon.store.tx import Tx

DAY = 86_400_000  # milliseconds
_DEPTH = 20  # targets of targets; deeper is a mistake
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
BOUNCES_ONLY = Denial(550, "5.7.1", "bounces-only", "this address takes notices of failed delivery only")
TOO_DEEP = Denial(550, "5.4.6", "alias-loop", "aliases lead in a circle or too far")


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
    rewritten: bool = False  # the sender of mail we forwarded: only notices go back to him

    def denial_for(self, sender: Address | None) -> Denial | None:
        """Why this sender's mail is not taken, None when it is. A `sender` of None is the null sender."""
        if self.denial is None and self.rewritten and sender is not None:
            return BOUNCES_ONLY
        return self.denial


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


def srs_key(tx: Tx) -> bytes:
    """The secret that rewritten senders are signed with."""
    value: int = tx.value("select value from counter where name = 'srs-key'")
    return value.to_bytes(8, "big", signed=True)


class _Overgrown(Exception):
    """The address leads further than we follow."""


class _Walk:
    """Each way answers whether it led to somebody; None when it does not know the address."""

    def __init__(self, tx: Tx, found: Resolution, *, forwarding: bool = True) -> None:
        self.tx = tx
        self.found = found
        self.forwarding = forwarding
        self.reached: dict[tuple[str, str], bool] = {}  # False also while it is being followed: a circle is no way
        self.accounts: set[int] = set()
        self.outside: set[tuple[str, str]] = set()
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
            try:
                if not self.follow(found.address, 0, "") and fold_local(found.address.local) in _ROLES:
                    self._role(found.address)
            except _Overgrown as error:
                found.steps.append(str(error))
                found.locals.clear()
                found.onward.clear()
                self.denials = [TOO_DEEP]
        if not found.locals and not found.onward:
            found.denial = self.denials[0] if self.denials else UNKNOWN_USER

    def follow(self, address: Address, depth: int, via: str) -> bool:
        """Add what `address` leads to; `via` is the alias or user that named it, '' for the recipient himself."""
        found = self.found
        if depth > _DEPTH or len(self.reached) > _TARGETS:
            raise _Overgrown(f"{address}: too many aliases of aliases")
        if address.key in self.reached:
            found.steps.append(f"{address} was met before")
            if not self.reached[address.key]:
                self.denials.append(TOO_DEEP)
            return self.reached[address.key]
        self.reached[address.key] = False
        domain = domains.find(self.tx, address.domain)
        if domain is None:
            self._external(address, via, None)
            reached = True
        elif not domain.enabled:
            found.steps.append(f"the domain {domain.name} is disabled")
            self.denials.append(DISABLED)
            reached = False
        else:
            known = self._in_domain(domain, address, depth)
            if known is None and fold_local(address.local) in _ROLES:
                known = self._role(address)
            elif known is None:
                found.steps.append(f"{address}: no user, alias or catch-all")
                self.denials.append(UNKNOWN_USER)
            reached = bool(known)
        self.reached[address.key] = reached
        return reached

    def _in_domain(self, domain: domains.Domain, address: Address, depth: int) -> bool | None:
        """Try the ways in their order, until one knows the address."""
        known = self._named_or_tagged(domain, address.local, depth)
        home = domain
        if known is None and domain.alias_of is not None:
            home = domains.by_id(self.tx, domain.alias_of)
            self.found.steps.append(f"{domain.name} stands for {home.name}")
            if not home.enabled:
                self.denials.append(DISABLED)
                return False
            known = self._named_or_tagged(home, address.local, depth)
        if known is None and srs.is_rewritten(address.local):
            known = self._rewritten(address.local, depth)
        if known is None:
            known = self._catch_all(domain, depth)
        if known is None and home is not domain:
            known = self._catch_all(home, depth)
        return known

    def _named_or_tagged(self, domain: domains.Domain, local: str, depth: int) -> bool | None:
        known = self._named(domain, local, None, depth)
        for base, tag in subaddresses(local, domain.separators):
            if known is not None:
                break
            known = self._named(domain, base, tag, depth)
        return known

    def _named(self, domain: domains.Domain, local: str, tag: str | None, depth: int) -> bool | None:
        address = Address(local, domain.name)
        note = f" (subaddress {tag!r})" if tag is not None else ""
        account = accounts.find(self.tx, address)
        if account is not None:
            self.found.steps.append(f"{account.address} is a user{note}")
            return self._user(account, tag, depth)
        alias = aliases.find(self.tx, address)
        if alias is None or alias.local == aliases.CATCH_ALL:
            return None
        return self._alias(alias, depth, note)

    def _catch_all(self, domain: domains.Domain, depth: int) -> bool | None:
        alias = aliases.find(self.tx, Address(aliases.CATCH_ALL, domain.name))
        return None if alias is None else self._alias(alias, depth, " (catch-all)")

    def _rewritten(self, local: str, depth: int) -> bool | None:
        """The sender of mail that we forwarded (SRS): back to him, if the address is one we made lately."""
        try:
            original = srs.reverse(local, srs_key(self.tx), self.tx.now // DAY)
        except srs.NotOurs as error:
            self.found.steps.append(f"{local}: {error}")
            return None
        self.found.steps.append(f"{local} is {original}, rewritten when we forwarded his mail")
        self.found.rewritten = True
        return self.follow(original, depth + 1, "")

    def _alias(self, alias: aliases.Alias, depth: int, note: str) -> bool:
        if not alias.enabled or (alias.expires_at is not None and alias.expires_at <= self.tx.now):
            why = "is disabled" if not alias.enabled else "has expired"
            self.found.steps.append(f"the alias {alias.address} {why}")
            self.denials.append(UNKNOWN_USER)
            return False
        self.found.steps.append(f"{alias.address} is an alias{note} for {', '.join(alias.targets)}")
        return self._all(alias.targets, depth, str(alias.address), None)

    def _user(self, account: accounts.Account, tag: str | None, depth: int) -> bool:
        if not account.enabled:
            self.found.steps.append(f"{account.address} is disabled")
            self.denials.append(DISABLED)
            return False
        forwards = [f.address for f in accounts.forwards(self.tx, account.id) if f.enabled] if self.forwarding else []
        if not forwards or account.forward_keep:
            self._deliver(account, tag)
        if forwards:
            self.found.steps.append(f"{account.address} forwards to {', '.join(forwards)}")
            onward = self._all(forwards, depth, str(account.address), account.id)
            if not onward and not account.forward_keep:
                self.found.steps.append(f"no forward of {account.address} leads anywhere; kept")
                self._deliver(account, tag)
        return True

    def _all(self, targets: Sequence[str], depth: int, via: str, forwarder: int | None) -> bool:
        """Follow each; whether any led to somebody. `forwarder` is the user whose forwards they are."""
        reached = False
        for text in targets:
            try:
                target = parse_address(text)
            except BadAddress as error:
                self.found.steps.append(f"{text}: {error}")
                continue
            if forwarder is not None and domains.find(self.tx, target.domain) is None:
                self._external(target, via, forwarder)
                reached = True
            elif self.follow(target, depth + 1, via):
                reached = True
        return reached

    def _deliver(self, account: accounts.Account, tag: str | None) -> None:
        if account.id not in self.accounts:
            self.accounts.add(account.id)
            self.found.locals.append(Local(account.id, account.address, tag))

    def _external(self, address: Address, via: str, account_id: int | None) -> None:
        if address.key not in self.outside:
            self.outside.add(address.key)
            self.found.steps.append(f"{address} is on another server")
            self.found.onward.append(Onward(str(address), via, account_id))

    def _role(self, address: Address) -> bool:
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
            return False
        who = "an administrator" if account.admin else "the first user"
        self.found.steps.append(f"{address} goes to {account.address}, {who}")
        self._deliver(account, None)
        return True
