"""Comparing strings: comparators (RFC 4790) and match types (RFC 5228 section 2.7, RFC 5231, the regex extension)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.sieve.comparators import COMPARATORS, Comparator, Key, Way, numeric
from daemon.sieve.regex import BadPattern, regex
from daemon.sieve.words import STRING, Call, Option

if TYPE_CHECKING:
    from daemon.sieve.run import Run
    from daemon.sieve.strings import Texts

Ready = Callable[["Run", Iterable[str]], bool]
"""Whether one of the values matches one of the keys it was made of."""
_LONG = 2500  # characters from which on the search for a string takes time in proportion to the text alone
COMPILING = 100  # steps for a regular expression that a message makes
RELATIONS: dict[str, Callable[[Key, Key], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


# ------------------------------------------------------------------------------------------------------- match types


def _is(keys: Sequence[str], way: Way) -> Ready:
    normal, pace = way.comparator.normal, way.comparator.pace
    wanted = frozenset(map(normal, keys))

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            run.spend(1 + len(value) // pace)
            if normal(value) in wanted:
                return True
        return False

    return ready


def _contains(keys: Sequence[str], way: Way) -> Ready:
    normal, pace = way.comparator.normal, way.comparator.pace
    wanted = [str(normal(key)) for key in keys]
    letters = sum(map(len, wanted))

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            run.spend(len(value) // pace)
            text = str(normal(value))
            run.spend(1 + (len(text) * letters // 4000 if len(text) < _LONG else len(text) * len(wanted) // 2000))
            if any([key in text for key in wanted]):
                return True
        return False

    return ready


def _matches(keys: Sequence[str], way: Way) -> Ready:
    normal, pace = way.comparator.normal, way.comparator.pace
    globs = [Glob(key, lambda text: str(normal(text))) for key in keys]

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            run.spend(len(value) // pace)
            text = str(normal(value))
            original = value if len(text) == len(value) else text
            for glob in globs:
                run.spend(glob.cost(text))
                spots = glob.match(text)
                if spots is not None:
                    if way.captures:
                        run.matched = glob.captured(original, spots)
                    return True
        return False

    return ready


def _value(keys: Sequence[str], way: Way) -> Ready:
    holds, normal, pace = RELATIONS[way.relation], way.comparator.normal, way.comparator.pace
    wanted = list(map(normal, keys))

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            run.spend(1 + len(wanted) // 10 + len(value) // pace)
            known = normal(value)
            if any([holds(known, key) for key in wanted]):
                return True
        return False

    return ready


def _count(keys: Sequence[str], way: Way) -> Ready:
    """How many values there are is a number, whatever the comparator (RFC 5231 section 4.2)."""
    holds = RELATIONS[way.relation]
    wanted = list(map(numeric, keys))

    def ready(run: Run, values: Iterable[str]) -> bool:
        count = sum(1 for _ in values)
        run.spend(1 + count + len(wanted) // 10)
        return any(holds(count, key) for key in wanted)

    return ready


def _list(keys: Sequence[str], way: Way) -> Ready:
    """RFC 6134: a value is in one of the lists that the keys name."""

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            for key in keys:
                run.spend(100)
                if run.subject.facts.in_list(key, value):
                    run.matched = (value,)
                    return True
        return False

    return ready


class Type(NamedTuple):
    """A match type: how its keys are made ready (raises `BadPattern`); the capability it needs; whether it looks into
    strings; whether a relation stands behind it."""

    ready: Callable[[Sequence[str], Way], Ready]
    needs: str = ""
    inside: bool = False
    relation: bool = False


TYPES: dict[str, Type] = {
    "is": Type(_is),
    "contains": Type(_contains, inside=True),
    "matches": Type(_matches, inside=True),
    "list": Type(_list, "extlists"),
    "regex": Type(regex, "regex", inside=True),
    "value": Type(_value, "relational", relation=True),
    "count": Type(_count, "relational", relation=True),
}


def options() -> tuple[Option, ...]:
    """What every test takes that compares strings."""
    types = (Option(name, STRING if type.relation else None, type.needs, "match type") for name, type in TYPES.items())
    return (Option("comparator", STRING), *types)


def matcher(call: Call, keys: Texts, at: int) -> Ready:
    """How this test compares with `keys`, its positional argument `at`. Raises `ScriptError` for what cannot be."""
    name = call.one_of(tuple(TYPES), "is")
    type, way = TYPES[name], Way(_comparator(call), _relation(call, name), call.allows("variables"))
    if type.inside and not way.comparator.substrings:
        call.fault(f"this comparator knows no :{name}")
    if name == "regex":
        call.script.regexes[0] += len(keys)
        if call.script.regexes[0] > LIMITS.sieve_regexes:
            call.fault(f"a script may have {LIMITS.sieve_regexes} regular expressions", at)
    if keys.constant is None:
        return _made_of_variables(type, keys, way)
    try:
        return type.ready(keys.constant, way)
    except BadPattern as error:
        call.fault(str(error), at)


def _made_of_variables(type: Type, keys: Texts, way: Way) -> Ready:
    """Keys that only the message makes: one that is no pattern matches nothing."""

    def ready(run: Run, values: Iterable[str]) -> bool:
        found = keys(run)
        if type.ready is not regex:
            run.spend(len(found) + sum(map(len, found)) // 100)
            return type.ready(found, way)(run, values)
        good = list[Ready]()
        for key in found:
            run.spend(COMPILING + 4 * len(key))
            try:
                good.append(type.ready((key,), way))
            except BadPattern:
                continue
        all_values = tuple(values)
        return any([one(run, all_values) for one in good]) if good else False

    return ready


def _comparator(call: Call) -> Comparator:
    text = call.option_text("comparator")
    name = "i;ascii-casemap" if text is None else text.constant or ""
    comparator = COMPARATORS.get(name)
    if comparator is None:
        call.lacks(f"there is no comparator {name!r} here")
    if comparator.needs and not call.allows(comparator.needs):
        call.lacks(f'the comparator {name} needs: require "{comparator.needs}"')
    return comparator


def _relation(call: Call, name: str) -> str:
    if not TYPES[name].relation:
        return ""
    text = call.option_text(name)
    relation = (text.constant or "").lower() if text is not None else ""
    if relation not in RELATIONS:
        call.fault(f":{name} takes one of {', '.join(RELATIONS)}")
    return relation


# -------------------------------------------------------------------------------------------------------------- globs


class Glob:
    """A pattern of `:matches`: `*` is any run of characters (as short as can be, RFC 5229 section 3.2), `?` one, a
    backslash takes them literally. Never backtracks: each run between two stars is looked for from the left."""

    __slots__ = ("segments", "finders", "longest")

    def __init__(self, pattern: str, normal: Callable[[str], str] = str) -> None:
        segments: list[list[str]] = [[]]  # "" is any one character
        at = 0
        while at < len(pattern):
            letter = pattern[at]
            if letter == "\\" and at + 1 < len(pattern):
                at += 1
                segments[-1] += normal(pattern[at])
            elif letter == "*":
                segments.append([])
            elif letter == "?":
                segments[-1].append("")
            else:
                segments[-1] += normal(letter)
            at += 1
        self.segments = segments
        self.longest = max(map(len, segments))
        self.finders = [
            re.compile("".join([re.escape(one) if one else "." for one in segment]), re.DOTALL) for segment in segments
        ]

    def cost(self, text: str) -> int:
        """Steps of a match at worst."""
        return 1 + len(text) * (1 + self.longest) // 4000

    def match(self, text: str) -> list[int] | None:
        """Where each segment stands in a text that it matches."""
        last = len(self.segments) - 1
        tail = len(text) - len(self.segments[last])
        place, spots = 0, list[int]()
        for number, segment in enumerate(self.segments):
            if number == last:
                spot = tail
                if spot < place or (not last and spot) or not self.finders[number].match(text, spot):
                    return None
            elif number:
                found = self.finders[number].search(text, place)
                if found is None:
                    return None
                spot = found.start()
            else:
                spot = 0
                if not self.finders[0].match(text):
                    return None
            spots.append(spot)
            place = spot + len(segment)
        return spots

    def captured(self, original: str, spots: list[int]) -> tuple[str, ...]:
        """What matched: all, then each star and question mark; of `original`, the text before normalization."""
        captured, place = [original], 0
        for number, (segment, spot) in enumerate(zip(self.segments, spots, strict=True)):
            if number:
                captured.append(original[place:spot])
            captured += [original[spot + at] for at, one in enumerate(segment) if not one]
            place = spot + len(segment)
        return tuple(captured[: LIMITS.sieve_captures])
