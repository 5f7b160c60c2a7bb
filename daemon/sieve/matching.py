"""Comparing strings: comparators (RFC 4790) and match types (RFC 5228 section 2.7, RFC 5231, the regex extension)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.sieve.comparators import COMPARATORS, Comparator, Key, numeric
from daemon.sieve.regex import regex, wrong
from daemon.sieve.words import STRING, Call, Option

if TYPE_CHECKING:
    from daemon.sieve.run import Run
    from daemon.sieve.strings import Texts

Ready = Callable[["Run", Iterable[str]], bool]
"""Whether one of the values matches one of the keys it was made of."""
RELATIONS: dict[str, Callable[[Key, Key], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


# ------------------------------------------------------------------------------------------------------- match types


def _is(keys: Sequence[str], comparator: Comparator, _: str) -> Ready:
    wanted = frozenset(map(comparator.normal, keys))
    normal = comparator.normal
    return lambda run, values: any(normal(value) in wanted for value in values)


def _contains(keys: Sequence[str], comparator: Comparator, _: str) -> Ready:
    wanted = [str(comparator.normal(key)) for key in keys]
    normal = comparator.normal

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            text = str(normal(value))
            if any([key in text for key in wanted]):
                return True
        return False

    return ready


def _matches(keys: Sequence[str], comparator: Comparator, _: str) -> Ready:
    globs = [Glob(str(comparator.normal(key))) for key in keys]
    normal = comparator.normal

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            text = str(normal(value))
            original = value if len(text) == len(value) else text
            for glob in globs:
                run.spend(glob.cost(text))
                found = glob.match(text, original)
                if found is not None:
                    run.matched = found
                    return True
        return False

    return ready


def _value(keys: Sequence[str], comparator: Comparator, relation: str) -> Ready:
    holds, normal = RELATIONS[relation], comparator.normal
    wanted = list(map(normal, keys))
    return lambda run, values: any(holds(normal(value), key) for value in values for key in wanted)


def _count(keys: Sequence[str], comparator: Comparator, relation: str) -> Ready:
    holds = RELATIONS[relation]
    wanted = list(map(numeric, keys))

    def ready(run: Run, values: Iterable[str]) -> bool:
        count = float(sum(1 for _ in values))
        return any(holds(count, key) for key in wanted)

    return ready


def _list(keys: Sequence[str], comparator: Comparator, _: str) -> Ready:
    """RFC 6134: a value is in one of the lists that the keys name."""

    def ready(run: Run, values: Iterable[str]) -> bool:
        for value in values:
            for key in keys:
                run.spend(10)
                if run.subject.facts.in_list(key, value):
                    run.matched = (value,)
                    return True
        return False

    return ready


class Type(NamedTuple):
    """A match type: how its keys are made ready; the capability it needs; whether it looks into strings; whether a
    relation stands behind it. `check`: what is wrong with a key, when it is a constant."""

    ready: Callable[[Sequence[str], Comparator, str], Ready]
    needs: str = ""
    inside: bool = False
    relation: bool = False
    check: Callable[[str], str | None] = lambda key: None


TYPES: dict[str, Type] = {
    "is": Type(_is),
    "contains": Type(_contains, inside=True),
    "matches": Type(_matches, inside=True),
    "list": Type(_list, "extlists"),
    "regex": Type(regex, "regex", inside=True, check=wrong),
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
    type, comparator, relation = TYPES[name], _comparator(call), _relation(call, name)
    if type.inside and not comparator.substrings:
        call.fault(f"this comparator knows no :{name}")
    if keys.constant is not None:
        for key in keys.constant:
            wrong = type.check(key)
            if wrong:
                call.fault(wrong, at)
        return type.ready(keys.constant, comparator, relation)
    made = lru_cache(maxsize=16)(lambda found: type.ready(found, comparator, relation))
    return lambda run, values: made(keys(run))(run, values)


def _comparator(call: Call) -> Comparator:
    text = call.option_text("comparator")
    name = "i;ascii-casemap" if text is None else text.constant or ""
    comparator = COMPARATORS.get(name)
    if comparator is None:
        call.fault(f"there is no comparator {name!r} here")
    if comparator.needs and comparator.needs not in call.required:
        call.fault(f'the comparator {name} needs: require "{comparator.needs}"')
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

    __slots__ = ("segments", "finders", "kinds")

    def __init__(self, pattern: str) -> None:
        segments: list[list[str]] = [[]]  # "" is any one character
        at = 0
        while at < len(pattern):
            letter = pattern[at]
            if letter == "\\" and at + 1 < len(pattern):
                at += 1
                segments[-1].append(pattern[at])
            elif letter == "*":
                segments.append([])
            else:
                segments[-1].append("" if letter == "?" else letter)
            at += 1
        self.segments = segments
        self.finders = [
            re.compile("".join([re.escape(one) if one else "." for one in segment]), re.DOTALL) for segment in segments
        ]

    def cost(self, text: str) -> int:
        """Steps of a match at worst."""
        return 1 + len(text) * (1 + max(map(len, self.segments))) // 20_000

    def match(self, text: str, original: str) -> tuple[str, ...] | None:
        """What matched: all, then each star and question mark; of `original`, which is `text` before normalization."""
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
        return self._captured(original, spots)

    def _captured(self, original: str, spots: list[int]) -> tuple[str, ...]:
        captured, place = [original], 0
        for number, (segment, spot) in enumerate(zip(self.segments, spots, strict=True)):
            if number:
                captured.append(original[place:spot])
            captured += [original[spot + at] for at, one in enumerate(segment) if not one]
            place = spot + len(segment)
        return tuple(captured[: LIMITS.sieve_captures])
