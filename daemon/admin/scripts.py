"""Sieve scripts by hand: of users, and the administrator's own, which run before or after those of users.

A script is checked before it is kept, so that what is there can be run. Whatever the mail program of a user wrote,
`edit` changes in place: his active script; who has none gets one, called `mailctl`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from daemon.admin import words
from daemon.admin.errors import BadData, Exists, InUse, Invalid, Missing
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.sieve import Library, Program, ScriptError, ScriptErrors, compile
from daemon.sieve.blocks import NotUnderstood
from daemon.sieve.simple import BadRule
from daemon.store import accounts, sieve
from daemon.store.db import Store
from daemon.store.tx import Tx

__all__ = [
    "BadScript", "Exists", "Fault", "InUse", "Invalid", "Missing", "Script", "activate", "compiled", "edit", "everyone",
    "get", "put", "remove", "text_of",
]  # fmt: skip
T = TypeVar("T")
OWN_NAME = "mailctl"  # of the script of a user who has none


@dataclass(frozen=True, slots=True)
class Script:
    """`place`: own, or before, after and library (to be included) for the administrator's; those are for the users of
    `domain`, '' for all. `active`: it sees mail."""

    user: str
    domain: str
    place: str
    name: str
    active: bool
    size: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a script and where; `source`: the line itself, '' when it is in another script."""

    line: int
    column: int
    text: str
    source: str


class BadScript(BadData):
    """A script that cannot be compiled."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        first = faults[0]
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        super().__init__(f"the script {name!r} has a fault in line {first.line}: {first.text}{more}")
        self.name = name
        self.faults = faults

    def __reduce__(self) -> tuple[type[BadScript], tuple[str, tuple[Fault, ...]]]:
        return BadScript, (self.name, self.faults)


def text_of(data: bytes) -> str:
    """The script in a file. Raises `BadData`."""
    if len(data) > LIMITS.sieve_script:
        raise BadData(f"a script may have {LIMITS.sieve_script} octets")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadData("the script is not text in UTF-8") from None


def compiled(name: str, text: str, library: Library) -> Program:
    """Raises `BadScript`."""
    try:
        return compile(text, library)
    except ScriptErrors as errors:
        lines = text.split("\n")
        raise BadScript(name, tuple([_fault(error, lines) for error in errors.errors])) from None


def _fault(error: ScriptError, lines: list[str]) -> Fault:
    line, column = error.place
    own = not error.text.startswith("in the script ")
    return Fault(line, column, error.text, lines[line - 1].rstrip("\r") if own and line <= len(lines) else "")


# -------------------------------------------------------------------------------------------------------------- verbs


def everyone(store: Store, user: str | None = None) -> list[Script]:
    """The scripts of one user; or the administrator's, and then all users'. Raises `Missing`."""

    def work(tx: Tx) -> list[Script]:
        found = []
        if user is None:
            for each in sieve.globals(tx):
                runs = each.place != "library"
                found.append(Script("", each.domain, each.place, each.name, runs, len(each.text.encode())))
        people = accounts.everyone(tx) if user is None else [accounts.get(tx, words.address(user))]
        for account in people:
            for name, active in sieve.names(tx, account.id):
                size = len(sieve.get(tx, account.id, name).encode())
                found.append(Script(str(account.address), "", "own", name, active, size))
        return found

    return store.read_now(work)


def get(store: Store, user: str | None, name: str, *, domain: str = "") -> str:
    """The text of a script; `user` None: of the administrator's. Raises `Missing`."""
    if user is not None:
        return store.read_now(lambda tx: sieve.get(tx, accounts.get(tx, words.address(user)).id, name))
    return _global(store, name, domain).text


def put(store: Store, user: str, name: str, text: str, *, active: bool = False) -> Script:
    """Keep a user's script; `active`: and make it the active one. Raises `BadScript`, `Missing`, `Invalid`."""
    return store.write_now(_put, words.address(user), name, text, active)


def _put(tx: Tx, who: Address, name: str, text: str, active: bool) -> Script:
    account = accounts.get(tx, who)
    compiled(name, text, library(tx, account.id))
    sieve.put(tx, account.id, name, text)
    if active:
        sieve.activate(tx, account.id, name)
    return Script(str(account.address), "", "own", name, _is_active(tx, account.id, name), len(text.encode()))


def put_global(store: Store, name: str, text: str, *, place: str, domain: str = "") -> Script:
    """Keep a script of the administrator's. Raises `BadScript`, `Missing` (no such domain), `Invalid`."""
    where = words.domain(domain) if domain else ""

    def work(tx: Tx) -> Script:
        there = {each.name: each.text for each in sieve.globals(tx) if each.domain in ("", where)}
        compiled(name, text, shared(there))
        sieve.put_global(tx, name, text, place=place, domain=where)
        return Script("", where, place, name, place != "library", len(text.encode()))

    return store.write_now(work)


def activate(store: Store, user: str, name: str | None) -> str | None:
    """Make a script the active one, or none; the name of the one that was. Raises `BadScript`, `Missing`."""
    return store.write_now(_activate, words.address(user), name)


def _activate(tx: Tx, who: Address, name: str | None) -> str | None:
    account = accounts.get(tx, who)
    before = sieve.active(tx, account.id)
    if name is not None:
        compiled(name, sieve.get(tx, account.id, name), library(tx, account.id))
    sieve.activate(tx, account.id, name)
    return before[0] if before else None


def remove(store: Store, user: str, name: str) -> None:
    """Raises `Missing`; `InUse` for the active one."""
    store.write_now(_remove, words.address(user), name)


def _remove(tx: Tx, who: Address, name: str) -> None:
    try:
        sieve.remove(tx, accounts.get(tx, who).id, name)
    except InUse as error:
        raise InUse(f"{error}; `mailctl sieve activate {who} --none` ends that") from None


def remove_global(store: Store, name: str, *, domain: str = "") -> None:
    """Raises `Missing`."""
    where = words.domain(domain) if domain else ""
    store.write_now(lambda tx: sieve.remove_global(tx, name, domain=where))


def by_name(store: Store, user: str | None, name: str, *, domain: str = "") -> Script:
    """Raises `Missing`."""
    if user is None:
        each = _global(store, name, domain)
        return Script("", each.domain, each.place, name, each.place != "library", len(each.text.encode()))
    found = [script for script in everyone(store, user) if script.name == name]
    if not found:
        raise Missing(f"there is no script {name!r}")
    return found[0]


# ------------------------------------------------------------------------------------------------- parts of a script


@dataclass(frozen=True, slots=True)
class Own:
    """The script of a user that is looked at: the active one, or the one that would be."""

    user: Address
    account_id: int
    name: str
    text: str
    active: bool


def own(tx: Tx, user: str) -> Own:
    """Raises `Missing`: no such user."""
    account = accounts.get(tx, words.address(user))
    active = sieve.active(tx, account.id)
    if active is not None:
        return Own(account.address, account.id, *active, active=True)
    there = any(name == OWN_NAME for name, _ in sieve.names(tx, account.id))
    text = sieve.get(tx, account.id, OWN_NAME) if there else ""
    return Own(account.address, account.id, OWN_NAME, text, active=False)


def edit(store: Store, user: str, change: Callable[[str], str], *, activate: bool = True) -> Own:
    """Change a user's script, and make it the active one (`activate`); what is not understood is left as it is.

    In the server `change` is a function at the top of a module, or one with some of its arguments given (`partial`).
    Raises `BadScript`, `BadData`, `Missing`, `Invalid` (no room).
    """
    return store.write_now(_edit, user, change, activate)


def _edit(tx: Tx, user: str, change: Callable[[str], str], activate: bool) -> Own:
    before = own(tx, user)
    text = understood(before, change)
    active = before.active or activate
    if text != before.text or active != before.active:
        compiled(before.name, text, library(tx, before.account_id))
        sieve.put(tx, before.account_id, before.name, text)
        if active:
            sieve.activate(tx, before.account_id, before.name)
    return Own(before.user, before.account_id, before.name, text, active)


def understood(script: Own, look: Callable[[str], T]) -> T:
    """What `look` makes of the text. Raises `BadData` when it was changed by hand, or cannot be done."""
    try:
        return look(script.text)
    except (ScriptError, NotUnderstood) as error:
        raise BadData(
            f"the script {script.name!r} of {script.user} is left as it is, for it was changed by hand: {error};"
            f" put it right with `mailctl sieve get` and `mailctl sieve put`, or in the mail program that wrote it"
        ) from None
    except BadRule as error:
        raise BadData(str(error)) from None


def library(tx: Tx, account_id: int) -> Library:
    """The scripts that a user's may include."""
    return lambda name, everyone: sieve.included(tx, account_id, name, everyone)


def shared(texts: Mapping[str, str]) -> Library:
    """The scripts that the administrator's may include: these, and any of a user, known only when his mail comes."""
    return lambda name, everyone: texts.get(name) if everyone else ""


def _is_active(tx: Tx, account_id: int, name: str) -> bool:
    return (name, True) in sieve.names(tx, account_id)


def _global(store: Store, name: str, domain: str) -> sieve.Global:
    where = words.domain(domain) if domain else ""
    found = [each for each in store.read_now(sieve.globals) if (each.domain, each.name) == (where, name)]
    if not found:
        raise Missing(f"there is no global script {name!r} for {where or 'all domains'}")
    return found[0]
