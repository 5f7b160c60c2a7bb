"""Rules and an answer while away without Sieve: values to a marked block of a script, and a block back to values.

    from daemon.sieve import simple
    script = simple.with_rules(script, (*simple.rules(script), Rule((Condition("subject", "contains", ("order",)),),
                                                                    file="Receipts")))

`mailctl rule`, `mailctl vacation` and the webmail all come this way. A block that means what it says is understood
whoever wrote it: what is read is written again, and must be the same to the letter; else it is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_address
from daemon.sieve.blocks import Layout, NotUnderstood, layout, replaced
from daemon.sieve.editing import FIELD_NAME
from daemon.sieve.errors import ScriptError
from daemon.sieve.flags import listed
from daemon.sieve.parser import parse
from daemon.sieve.tree import Node, Number, Strings, Tag

RULES, VACATION = "rules", "vacation"  # the blocks
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNITS = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
_PEOPLE = ("from", "to")


class BadRule(ValueError):
    """A rule or an answer that cannot be written down; the message says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`part`: the name of a header field; `to` is Cc, too; `size` is the message's. `how`: contains, is (in From and To
    a whole address), exists, over, under. `values`: one of them will do."""

    part: str
    how: str
    values: tuple[str, ...] = ()
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done with which mail. All `conditions` hold, or one of them when `any`; without any it is all mail.

    `flags`: given to the message, also for the rules behind this one. `keep`: a copy stays in INBOX. `discard`: none
    does, unless it is said elsewhere. `stop`: no rule behind this one is tried."""

    conditions: tuple[Condition, ...] = ()
    any: bool = False
    flags: tuple[str, ...] = ()
    file: str = ""
    keep: bool = False
    forward: tuple[str, ...] = ()
    discard: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Vacation:
    """An answer while away. `first` and `last`: the days it is given, as 2026-12-24, both of them included. `days`:
    between two answers to one sender. `addresses`: more of his own, at which mail to him may be aimed."""

    text: str
    subject: str = ""
    first: str = ""
    last: str = ""
    days: int = 7
    addresses: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------------------------- of whole scripts


def rules(script: str) -> tuple[Rule, ...]:
    """The rules in their order; none without a block. Raises `ScriptError`, `NotUnderstood`."""
    return _rules(layout(script))


def vacation(script: str) -> Vacation | None:
    """The answer; None without a block. Raises `ScriptError`, `NotUnderstood`."""
    return _vacation(layout(script))


def with_rules(script: str, wanted: Sequence[Rule]) -> str:
    """The script with these rules and no others. Raises `ScriptError`, `NotUnderstood` (the rules that are there),
    `BadRule`."""
    there = layout(script)
    _rules(there)
    text = "".join([rule_text(rule, _dollar(there)) for rule in wanted])
    needs = {need for rule in wanted for need in _rule_needs(rule)} | _kept(there, VACATION)
    return replaced(script, there, RULES, text, needs, behind=VACATION)


def with_vacation(script: str, wanted: Vacation | None) -> str:
    """The script with this answer; None: without one. Raises `ScriptError`, `NotUnderstood` (the answer that is
    there), `BadRule`."""
    there = layout(script)
    _vacation(there)
    text = vacation_text(wanted, _dollar(there)) if wanted else ""
    needs = (_vacation_needs(wanted) if wanted else set[str]()) | _kept(there, RULES)
    return replaced(script, there, VACATION, text, needs)


def _kept(there: Layout, name: str) -> set[str]:
    """What the other block needs; when nobody knows, all that was required so far."""
    try:
        if name == RULES:
            return {need for rule in _rules(there) for need in _rule_needs(rule)}
        answer = _vacation(there)
        return _vacation_needs(answer) if answer else set()
    except NotUnderstood:
        return set(there.needs)


def _rules(there: Layout) -> tuple[Rule, ...]:
    nodes = _nodes(there, RULES)
    found = tuple([_read_rule(node, there) for node in nodes])
    _insist(there, RULES, lambda: "".join([rule_text(rule, _dollar(there)) for rule in found]))
    return found


def _vacation(there: Layout) -> Vacation | None:
    nodes = _nodes(there, VACATION)
    found = _read_vacation(nodes[0], there) if nodes else None
    _insist(there, VACATION, lambda: vacation_text(found, _dollar(there)) if found else "")
    return found


def _nodes(there: Layout, name: str) -> tuple[Node, ...]:
    block = there.blocks.get(name)
    if block is None:
        return ()
    try:
        return parse(block.text)
    except ScriptError as error:
        raise NotUnderstood(block.line + error.place.line - 1, f"in the block of {name}: {error.text}") from None


def _insist(there: Layout, name: str, write: Callable[[], str]) -> None:
    """What was understood says all that stands there. Raises `NotUnderstood`."""
    block = there.blocks.get(name)
    if block is None:
        return
    try:
        ours, his = write().split("\n"), block.text.split("\n")
    except BadRule as error:
        raise NotUnderstood(block.line, f"in the block of {name}: {error}") from None
    if ours != his:
        same = [one == other for one, other in zip(ours, his, strict=False)]
        at = same.index(False) if False in same else len(same) - 1
        raise NotUnderstood(block.line + at, f"not in the form of the block of {name}: {his[at].strip()!r}")


# ------------------------------------------------------------------------------------------------------------- strings


def _dollar(there: Layout) -> str:
    """How a dollar sign is written in front of a brace, so that no extension that the script uses sees a reference
    there: a variable that nobody sets is empty (RFC 5229 section 3), a character has a number (RFC 5228 2.4.2.4)."""
    if "variables" in there.required:
        return "$${mailctl}"
    return "${unicode:24}" if "encoded-character" in there.required else "$"


def quoted(text: str, dollar: str = "$") -> str:
    """A string that is this text and nothing else, whatever it is. Raises `BadRule` for what no string can be."""
    if re.search("[\0\r\ud800-\udfff]", text):
        raise BadRule(f"{text[:40]!r} has characters that cannot be written into a script")
    escaped = text.replace("${", dollar + "{").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _listed(texts: Sequence[str], dollar: str) -> str:
    if len(texts) == 1:
        return quoted(texts[0], dollar)
    return f"[{', '.join([quoted(text, dollar) for text in texts])}]"


def _text(value: str, there: Layout) -> str:
    """The text that a string stands for."""
    return value.replace(_dollar(there) + "{", "${")


# --------------------------------------------------------------------------------------------------------------- rules


def rule_text(rule: Rule, dollar: str = "$") -> str:
    """A rule as Sieve. Raises `BadRule`."""
    check(rule)
    tests = [_test_text(each, dollar) for each in rule.conditions] or ["true"]
    test = tests[0]
    if len(tests) > 1:
        test = f"{'anyof' if rule.any else 'allof'} (\n    " + ",\n    ".join(tests) + "\n)"
    lines = [f"    {command}\n" for command in _commands(rule, dollar)]
    return f"if {test} {{\n{''.join(lines)}}}\n"


def check(rule: Rule) -> None:
    """Raises `BadRule` for a rule that says nothing, or what cannot be."""
    if not (rule.flags or rule.file or rule.keep or rule.forward or rule.discard or rule.stop):
        raise BadRule("the rule does nothing with the mail it is about")
    if rule.discard and (rule.file or rule.keep):
        raise BadRule("a message is either dropped or kept")
    for condition in rule.conditions:
        if condition.part != "size" and not FIELD_NAME.fullmatch(condition.part):
            raise BadRule(f"{condition.part[:40]!r} is no name of a header field")
        if condition.how in ("contains", "is") and not (condition.values and all(condition.values)):
            raise BadRule(f"what is looked for in {condition.part} is empty")
    for flag in rule.flags:
        if listed((flag,)) != (flag,):
            raise BadRule(f"{flag!r} is no flag")
    if len(rule.forward) > LIMITS.sieve_redirects:
        raise BadRule(f"a message may be sent on to {LIMITS.sieve_redirects} addresses")
    for address in rule.forward:
        if not is_address(address):
            raise BadRule(f"{address!r} is no address to send mail on to")


def is_address(text: str) -> bool:
    try:
        parse_address(text)
    except BadAddress:
        return False
    return True


def _rule_needs(rule: Rule) -> set[str]:
    needs = set[str]()
    if rule.file:
        needs |= {"fileinto", "mailbox"}
    if rule.forward:
        needs.add("copy")
    if rule.flags:
        needs.add("imap4flags")
    return needs


def _commands(rule: Rule, dollar: str) -> list[str]:
    found = list[str]()
    if rule.flags:
        found.append(f"addflag {_listed(rule.flags, dollar)};")
    if rule.file:
        found.append(f"fileinto :create {quoted(rule.file, dollar)};")
    if rule.keep:
        found.append("keep;")
    found += [f"redirect :copy {quoted(address, dollar)};" for address in rule.forward]
    if rule.discard:
        found.append("discard;")
    if rule.stop:
        found.append("stop;")
    return found


def _test_text(condition: Condition, dollar: str) -> str:
    part, how, values = condition.part, condition.how, condition.values
    match how:
        case "over" | "under":
            return f"size :{how} {number(condition.octets)}"
        case "exists":
            return f"exists {quoted(part, dollar)}"
        case "is" | "contains":
            names = '["to", "cc"]' if part == "to" else quoted(part, dollar)
            test = "address" if how == "is" and part in _PEOPLE else "header"
            return f"{test} :{how} {names} {_listed(values, dollar)}"
    raise BadRule(f"{how!r} is no way to look at {part}")


def number(octets: int) -> str:
    """As Sieve writes it: `512`, `20M`."""
    for size, unit in _UNITS:
        if octets and octets % size == 0:
            return f"{octets // size}{unit}"
    return str(octets)


def _read_rule(node: Node, there: Layout) -> Rule:
    if node.name != "if" or node.block is None or len(node.tests) != 1:
        raise _strange(node, there, RULES)
    (test,) = node.tests
    several = test.tests if test.name in ("allof", "anyof") else (test,)
    rule = Rule(
        () if test.name == "true" else tuple([_read_test(each, there) for each in several]), test.name == "anyof"
    )
    for command in node.block:
        match command.name, [each for each in command.arguments if not isinstance(each, Tag)]:
            case "addflag", [Strings(values)]:
                rule = replace(rule, flags=tuple([_text(value, there) for value in values]))
            case "fileinto", [Strings((box,))]:
                rule = replace(rule, file=_text(box, there))
            case "redirect", [Strings((address,))]:
                rule = replace(rule, forward=(*rule.forward, _text(address, there)))
            case "keep", []:
                rule = replace(rule, keep=True)
            case "discard", []:
                rule = replace(rule, discard=True)
            case "stop", []:
                rule = replace(rule, stop=True)
            case _:
                raise _strange(command, there, RULES)
    return rule


def _read_test(node: Node, there: Layout) -> Condition:
    match node.name, node.arguments:
        case "size", (Tag("over" | "under" as how), Number(octets)):
            return Condition("size", how, (), octets)
        case "exists", (Strings((part,)),):
            return Condition(_text(part, there), "exists")
        case "header" | "address", (Tag("contains" | "is" as how), Strings(names), Strings(values)):
            part = "to" if names == ("to", "cc") else _text(names[0], there)
            return Condition(part, how, tuple([_text(value, there) for value in values]))
    raise _strange(node, there, RULES)


def _strange(node: Node, there: Layout, name: str) -> NotUnderstood:
    line = there.blocks[name].line + node.place.line - 1
    return NotUnderstood(line, f"{node.name!r} is not in the form of the block of {name}")


# ------------------------------------------------------------------------------------------------------------ vacation


def vacation_text(answer: Vacation, dollar: str = "$") -> str:
    """An answer while away as Sieve. Raises `BadRule`."""
    if not answer.text.strip():
        raise BadRule("the answer has no text")
    for day in (answer.first, answer.last):
        if day and not _DATE.fullmatch(day):
            raise BadRule(f"{day!r} is no day such as 2026-12-24")
    if answer.first and answer.last and answer.last < answer.first:
        raise BadRule("the last day is before the first")
    if answer.days < 1:
        raise BadRule("one sender is answered once a day at most")
    words = ["vacation", f":days {answer.days}"]
    if answer.subject:
        words.append(f":subject {quoted(answer.subject, dollar)}")
    if answer.addresses:
        words.append(f":addresses {_listed(answer.addresses, dollar)}")
    command = f"{' '.join(words)} {quoted(answer.text, dollar)};\n"
    bounds = ((answer.first, "ge"), (answer.last, "le"))
    tests = [f'currentdate :value "{how}" "date" "{day}"' for day, how in bounds if day]
    if not tests:
        return command
    test = tests[0] if len(tests) == 1 else f"allof (\n    {tests[0]},\n    {tests[1]}\n)"
    return f"if {test} {{\n    {command}}}\n"


def _vacation_needs(answer: Vacation) -> set[str]:
    return {"vacation"} | ({"date", "relational"} if answer.first or answer.last else set())


def _read_vacation(node: Node, there: Layout) -> Vacation:
    days = dict[str, str]()
    if node.name == "if" and node.block and len(node.tests) == 1:
        for test in node.tests[0].tests if node.tests[0].name == "allof" else node.tests:
            match test.name, test.arguments:
                case "currentdate", (Tag("value"), Strings(("ge" | "le" as how,)), Strings(("date",)), Strings((day,))):
                    days[how] = day
                case _:
                    raise _strange(test, there, VACATION)
        node = node.block[0]
    options, waiting = dict[str, tuple[str, ...]](), list(node.arguments)
    while len(waiting) > 1:
        match waiting[:2]:
            case [Tag(name), Number(value)]:
                options[name] = (str(value),)
            case [Tag(name), Strings(values)]:
                options[name] = tuple([_text(value, there) for value in values])
            case _:
                raise _strange(node, there, VACATION)
        del waiting[:2]
    match node.name, waiting:
        case "vacation", [Strings((text,))]:
            return Vacation(
                _text(text, there), "".join(options.get("subject", ())), days.get("ge", ""), days.get("le", ""),
                int("".join(options.get("days", ("7",)))), options.get("addresses", ()),
            )  # fmt: skip
    raise _strange(node, there, VACATION)
