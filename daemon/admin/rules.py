"""Rules of users without Sieve: listed, added, removed, moved. They are kept as a block of the user's script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from daemon.admin import scripts, words
from daemon.admin.errors import BadData, Missing
from daemon.admin.scripts import Own
from daemon.sieve import simple
from daemon.sieve.simple import Condition
from daemon.store import accounts
from daemon.store.db import Store
from daemon.store.tx import Tx

LISTED = "list-id"  # the field by which mail of a list is known (RFC 2919)
FLAGGED, SEEN = "\\Flagged", "\\Seen"


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule `number` of a user, in the script of this name; `active`: that script sees his mail. `when` and `then`: the
    rule in words."""

    user: str
    script: str
    active: bool
    number: int
    when: str
    then: str
    rule: simple.Rule


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule as an administrator writes it. `header`: NAME or NAME:TEXT."""

    sender: Sequence[str] = ()
    to: Sequence[str] = ()
    subject: Sequence[str] = ()
    list_: Sequence[str] = ()
    has_list: bool = False
    header: Sequence[str] = ()
    larger: str | None = None
    smaller: str | None = None
    any_: bool = False
    everything: bool = False
    file: str | None = None
    flag: bool = False
    read: bool = False
    keyword: Sequence[str] = ()
    keep: bool = False
    forward: Sequence[str] = ()
    discard: bool = False
    stop: bool = False


def everyone(store: Store, user: str | None = None) -> list[Rule]:
    """The rules of one user or of all, in their order. Raises `Missing`; `BadData`: changed by hand."""

    def work(tx: Tx) -> list[Own]:
        people = [user] if user is not None else [str(account.address) for account in accounts.everyone(tx)]
        return [scripts.own(tx, each) for each in people]

    return [rule for own in store.read_now(work) for rule in _rules(own)]


def of(tx: Tx, user: str) -> list[Rule]:
    """Those of one user, in their order. Raises `Missing`; `BadData`: changed by hand."""
    return _rules(scripts.own(tx, user))


def add(store: Store, user: str, asked: Asked, place: int | None = None) -> Rule:
    """Behind the others, or as number `place`. Raises `Missing`, `BadData`, `BadScript`, `Invalid`."""
    wanted = rule(asked)
    at = 0

    def change(text: str) -> str:
        nonlocal at
        there = list(simple.rules(text))
        at = len(there) if place is None else min(place - 1, len(there))
        there.insert(at, wanted)
        return simple.with_rules(text, there)

    return _rules(scripts.edit(store, user, change))[at]


def some(store: Store, user: str, numbers: Sequence[int] | None) -> list[Rule]:
    """The rules of these numbers, None: all. Raises `Missing`, `BadData`."""
    there = everyone(store, user)
    for number in numbers or ():
        if not 0 < number <= len(there):
            raise Missing(f"{user} has no rule {number}; `mailctl rule list {user}` shows them")
    return there if numbers is None else [there[number - 1] for number in numbers]


def set_all(store: Store, user: str, before: Sequence[simple.Rule], wanted: Sequence[simple.Rule]) -> list[Rule]:
    """These rules and no others, if those that are there still are `before`. Raises `Missing`: they are not;
    `BadData`, `BadScript`, `Invalid`."""
    change = partial(_set_all, tuple(before), tuple(wanted))
    return _rules(scripts.edit(store, user, change, activate=bool(wanted)))


def _set_all(before: tuple[simple.Rule, ...], wanted: tuple[simple.Rule, ...], text: str) -> str:
    if simple.rules(text) != before:
        raise Missing("the rules are others by now; nothing was changed")
    return simple.with_rules(text, wanted)


def remove(store: Store, user: str, gone: Sequence[Rule]) -> None:
    """These rules, as they were listed. Raises `Missing`: they changed in between; `BadData`, `BadScript`."""

    def change(text: str) -> str:
        there = list(simple.rules(text))
        for each in sorted(gone, key=lambda one: -one.number):
            if there[each.number - 1 : each.number] != [each.rule]:
                raise Missing(f"rule {each.number} of {user} is another one by now; nothing was removed")
            del there[each.number - 1]
        return simple.with_rules(text, there)

    scripts.edit(store, user, change, activate=False)


def move(store: Store, user: str, number: int, place: int) -> Rule:
    """Rule `number` becomes the one numbered `place`. Raises `Missing`, `BadData`, `BadScript`."""
    at = 0

    def change(text: str) -> str:
        nonlocal at
        there = list(simple.rules(text))
        if not 0 < number <= len(there):
            raise Missing(f"{user} has no rule {number}; `mailctl rule list {user}` shows them")
        at = min(place, len(there)) - 1
        there.insert(at, there.pop(number - 1))
        return simple.with_rules(text, there)

    return _rules(scripts.edit(store, user, change))[at]


def _rules(own: Own) -> list[Rule]:
    found = scripts.understood(own, simple.rules)
    return [
        Rule(str(own.user), own.name, own.active, number, _when(each), _then(each), each)
        for number, each in enumerate(found, 1)
    ]


# ------------------------------------------------------------------------------------------------- what is asked for


def rule(asked: Asked) -> simple.Rule:
    """Raises `BadData`."""
    conditions = [
        *_people("from", asked.sender, asked.any_),
        *_people("to", asked.to, asked.any_),
        *([Condition("subject", "contains", tuple(asked.subject))] if asked.subject else []),
        *([Condition(LISTED, "exists")] if asked.has_list else []),
        *([Condition(LISTED, "contains", tuple(asked.list_))] if asked.list_ else []),
        *[_field(each) for each in asked.header],
        *[Condition("size", "over", (), words.octets(asked.larger)) for _ in [0] if asked.larger is not None],
        *[Condition("size", "under", (), words.octets(asked.smaller)) for _ in [0] if asked.smaller is not None],
    ]
    if bool(conditions) == asked.everything:
        raise BadData("say which mail the rule is about, or --all for all mail")
    flags = (*([FLAGGED] if asked.flag else []), *([SEEN] if asked.read else []), *asked.keyword)
    made = simple.Rule(
        tuple(conditions), asked.any_ and len(conditions) > 1, flags, asked.file or "", asked.keep,
        tuple(asked.forward), asked.discard, asked.stop,
    )  # fmt: skip
    try:
        simple.check(made)
    except simple.BadRule as error:
        raise BadData(str(error)) from None
    return made


def _people(part: str, texts: Sequence[str], any_: bool) -> list[Condition]:
    """Whole addresses are compared, other words are looked for."""
    whole = tuple([text for text in texts if simple.is_address(text)])
    words_ = tuple([text for text in texts if not simple.is_address(text)])
    if whole and words_ and not any_:
        raise BadData(
            f"--{part} {whole[0]} is a whole address, --{part} {words_[0]} is not; make two rules of them, or say --any"
        )
    found = ((whole, "is"), (words_, "contains"))
    return [Condition(part, how, texts) for texts, how in found if texts]


def _field(text: str) -> Condition:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    return Condition(name, "contains", (value,)) if colon and value else Condition(name, "exists")


# --------------------------------------------------------------------------------------------------------- in words


def _when(wanted: simple.Rule) -> str:
    if not wanted.conditions:
        return "all mail"
    return (" or " if wanted.any else " and ").join(map(_condition, wanted.conditions))


def _condition(condition: Condition) -> str:
    part, how = condition.part, condition.how
    any_of = " or ".join([f"“{value}”" for value in condition.values])
    match how:
        case "over":
            return f"larger than {simple.number(condition.octets)}"
        case "under":
            return f"smaller than {simple.number(condition.octets)}"
        case "exists":
            return "from a list" if part == LISTED else f"has {part}"
        case "is":
            return f"{part} is {any_of}"
    return f"{'list' if part == LISTED else part} has {any_of}"


def _then(wanted: simple.Rule) -> str:
    names = {FLAGGED: "flag it", SEEN: "mark it read"}
    done = [names.get(flag, f"mark it {flag}") for flag in wanted.flags]
    if wanted.file:
        done.append(f"file into {wanted.file}")
    if wanted.keep:
        done.append("keep a copy in INBOX")
    done += [f"forward to {address}" for address in wanted.forward]
    if wanted.discard:
        done.append("discard it")
    if wanted.stop:
        done.append("stop")
    return ", ".join(done)
