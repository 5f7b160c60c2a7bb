"""Rule/get and Rule/set: what a user wants done with his mail, as the marked block of his script has it.

The script knows no names of rules: one is called by a digest of what it says, and keeps that name when it is changed
here. A rule that was written by hand, or by `mailctl rule`, is one like all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from daemon.admin import rules
from daemon.limits import LIMITS
from daemon.serve.web.jmap.few import Few, Object, aside, said, texts
from daemon.serve.web.jmap.method import Call
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.visitors import Visitor
from daemon.sieve import simple
from daemon.sieve.simple import BadRule, Condition, Rule
from daemon.store import rule_ids
from daemon.store.tx import Tx

_FLAGS = {"$seen": "\\Seen", "$flagged": "\\Flagged", "$answered": "\\Answered", "$draft": "\\Draft"}
_KEYWORDS = {flag.lower(): keyword for keyword, flag in _FLAGS.items()}
_SETTABLE = frozenset(("order", "conditions", "any", "keywords", "file", "keep", "forward", "discard", "stop"))
_HOW = ("contains", "is", "exists", "over", "under")


def read(tx: Tx, visitor: Visitor) -> list[Object]:
    """All rules, in their order. Raises `BadData`: the script was changed by hand, and is not understood."""
    called = rule_ids.of(tx, visitor.account_id)
    taken: set[str] = set()
    found = []
    for each in rules.of(tx, str(visitor.identity.address)):
        name = _free(called.get(digest(each.rule), digest(each.rule)), taken)
        taken.add(name)
        found.append({"id": name, "order": each.number, **_told(each.rule), **_about(each)})
    return found


def _about(rule: rules.Rule) -> Object:
    return {"script": rule.script, "active": rule.active, "when": rule.when, "then": rule.then}


def digest(rule: Rule) -> str:
    return "r" + hashlib.sha256(simple.rule_text(rule).encode()).hexdigest()[:20]


def _free(name: str, taken: set[str]) -> str:
    """The same rule may stand there twice."""
    number, fresh = 1, name
    while fresh in taken:
        number += 1
        fresh = f"{name}-{number}"
    return fresh


def _told(rule: Rule) -> Object:
    return {
        "conditions": [
            {"field": each.part, "match": each.how, "values": list(each.values), "size": each.octets}
            for each in rule.conditions
        ],
        "any": rule.any,
        "keywords": {_KEYWORDS.get(flag.lower(), flag): True for flag in rule.flags},
        "file": rule.file or None,
        "keep": rule.keep,
        "forward": list(rule.forward),
        "discard": rule.discard,
        "stop": rule.stop,
    }


# ---------------------------------------------------------------------------------------------------------------- /set


async def _create(call: Call, value: Object) -> Object:
    before = await _there(call)
    wanted = _rule(value)
    at = _place(value, len(before) + 1) - 1
    after = [*before[:at], wanted, *before[at:]]
    await _write(call, before, after)
    return await _called(call, at)


async def _update(call: Call, object: Object, changes: Object) -> Object | None:
    before = await _there(call)
    at = _at(before, object)
    wanted = _rule({**{name: object[name] for name in _SETTABLE}, **changes})
    after = [*before[:at], *before[at + 1 :]]
    to = min(_place(changes, at + 1) - 1, len(after))
    after.insert(to, wanted)
    await _write(call, before, after)
    await _name(call, after, {digest(wanted): object["id"]})
    return {name: value for name, value in (await _called(call, to)).items() if name in ("order", "when", "then")}


async def _destroy(call: Call, object: Object) -> None:
    before = await _there(call)
    at = _at(before, object)
    after = [*before[:at], *before[at + 1 :]]
    await _write(call, before, after)
    await _name(call, after, {})


def _at(before: Sequence[Rule], object: Object) -> int:
    """Where it stands now: what was done before in this call may have moved it."""
    rule, at = _rule(object), object["order"] - 1
    if before[at : at + 1] == [rule]:
        return int(at)
    if rule not in before:
        raise SetError("notFound", "the rules are others by now")
    return before.index(rule)


async def _there(call: Call) -> list[Rule]:
    return [each.rule for each in await call.store.read(rules.of, str(call.visitor.identity.address))]


async def _write(call: Call, before: Sequence[Rule], after: Sequence[Rule]) -> None:
    await aside(call, rules.set_all, str(call.visitor.identity.address), before, after)


async def _name(call: Call, there: Sequence[Rule], called: Mapping[str, str]) -> None:
    await call.store.write(rule_ids.keep, call.account_id, called, [digest(each) for each in there])


async def _called(call: Call, at: int) -> Object:
    return (await call.store.read(read, call.visitor))[at]


def _place(value: Object, default: int) -> int:
    place = said(value, "order", int, default)
    if place < 1:
        raise SetError("invalidProperties", "rules are counted from 1", "order")
    return place


def _rule(value: Object) -> Rule:
    """Raises `SetError`."""
    conditions = tuple([_condition(each) for each in said(value, "conditions", list, [])])
    keywords = said(value, "keywords", dict, {})
    octets = sum(len(text) + 3 for each in conditions for text in each.values)  # with quotes and a comma
    if octets + len(keywords) + len(texts(value, "forward")) > LIMITS.sieve_script:  # before it is written down
        raise SetError("invalidProperties", f"a script has at most {LIMITS.sieve_script} octets", "conditions")
    if not all(each is True for each in keywords.values()):
        raise SetError("invalidProperties", "a keyword is true, or not there", "keywords")
    rule = Rule(
        conditions, said(value, "any", bool, False) and len(conditions) > 1,
        tuple([_FLAGS.get(each.lower(), each) for each in keywords]),
        "" if value.get("file") is None else said(value, "file", str, ""),
        said(value, "keep", bool, False), tuple(texts(value, "forward")), said(value, "discard", bool, False),
        said(value, "stop", bool, False),
    )  # fmt: skip
    try:
        simple.check(rule)
        simple.rule_text(rule)
    except BadRule as error:
        raise SetError("invalidProperties", str(error)) from None
    return rule


def _condition(value: object) -> Condition:
    if not isinstance(value, dict) or not {"field", "match"} <= value.keys() <= {"field", "match", "values", "size"}:
        raise SetError("invalidProperties", "a condition has field and match, and values or size", "conditions")
    how = said(value, "match", str, "")
    if how not in _HOW:
        raise SetError("invalidProperties", f"match is one of {', '.join(_HOW)}", "conditions")
    size = said(value, "size", int, 0)
    if (how in ("over", "under")) != (value["field"] == "size") or not 0 <= size < 1 << 53:
        raise SetError("invalidProperties", "a size is over or under a number of octets", "conditions")
    return Condition(said(value, "field", str, "").lower(), how, tuple(texts(value, "values")), size)


RULE = Few("Rule", read, _SETTABLE, _create, _update, _destroy, scope="sieve")
