"""A JMAP request and what it refers to (RFC 8620 §3): bytes to calls, back references, dates. No sockets, no clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isinf
from typing import Any, NamedTuple

import msgspec

from daemon.limits import LIMITS

Arguments = dict[str, Any]
_UTC = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?Z")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Problem(Exception):
    """The request as a whole is refused: a type of RFC 8620 §3.6.1 and words for who writes a client."""

    def __init__(self, type: str, detail: str, limit: str = "") -> None:
        super().__init__(type)
        self.type = f"urn:ietf:params:jmap:error:{type}"
        self.detail = detail
        self.limit = limit


class BadArguments(Exception):
    """An argument is given twice, plainly and by reference."""


class BadReference(Exception):
    """A result reference that refers to nothing (RFC 8620 §3.7)."""


class Invocation(NamedTuple):
    """One call, or one answer: the name of the method, its arguments, the client's mark."""

    name: str
    arguments: Arguments
    mark: str


class Request(NamedTuple):
    """What a client asks at once. `created` None: it does not want to know what became of its creation ids."""

    using: frozenset[str]
    calls: list[Invocation]
    created: dict[str, str] | None


class _Request(msgspec.Struct, rename="camel"):
    using: list[str]
    method_calls: list[tuple[str, dict[str, Any], str]]
    created_ids: dict[str, str] | None = None


def decode(data: bytes | str) -> Any:
    """JSON of a stranger: what it costs to read is what it has of values, and of octets that are in no text of it.
    Raises `Problem` (notJSON, limit)."""
    try:
        octets = data.encode() if isinstance(data, str) else data
        if _is_light(octets) or _is_light(_outside_texts(octets)):
            return _DECODER.decode(octets)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Problem("notJSON", f"this is no JSON: {error}") from None
    raise Problem("limit", f"a request has at most {LIMITS.jmap_values} values, and no long numbers", "maxSizeRequest")


def _is_light(octets: bytes) -> bool:
    """Before each value but the first is a comma or a bracket."""
    values = octets.count(b",") + octets.count(b"[") + octets.count(b"{")
    return values <= LIMITS.jmap_values and len(octets) <= LIMITS.jmap_structure


def _outside_texts(octets: bytes) -> bytes:
    """What stands between texts: they may be long, and full of commas. Of very many texts only some are taken out: so
    many are too many values themselves."""
    plain = octets.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"', 4 * LIMITS.jmap_values)[::2])


def _float(text: str) -> float:
    """As the decoder would, which takes ten times as long for a number of many digits."""
    number = float(text)
    if isinf(number):
        raise ValueError("number out of range")
    return number


_DECODER = msgspec.json.Decoder(float_hook=_float)


def request_of(value: object) -> Request:
    """A request that was JSON. Raises `Problem` (notRequest)."""
    try:
        found = msgspec.convert(value, _Request)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Problem("notRequest", f"this is no Request object: {error}") from None
    calls = [Invocation(*call) for call in found.method_calls]
    return Request(frozenset(found.using), calls, found.created_ids)


# ---------------------------------------------------------------------------------------------------- result references


def resolve(arguments: Arguments, answers: Sequence[Invocation]) -> Arguments:
    """The arguments with every `#name` replaced by what it refers to. Raises `BadArguments`, `BadReference`.

    What is referred to is no longer, all in all, than a request may be, or some calls of some words would make answers
    of any length. Of answers, what is written down already is read again where a path leads into it.
    """
    references = sum(name.startswith("#") for name in arguments)
    if not references:
        return arguments
    if references > LIMITS.jmap_references:
        raise BadReference(f"a call has at most {LIMITS.jmap_references} references")
    found, octets, purse = {}, 0, _Purse(LIMITS.jmap_walk)
    for name, value in arguments.items():
        if not name.startswith("#"):
            found[name] = value
        elif name[1:] in arguments:
            raise BadArguments(f"{name[1:]} is given twice")
        else:
            written = msgspec.json.encode(_referred(value, answers, purse))
            octets += len(written)
            if octets > LIMITS.jmap_request:
                raise BadReference(f"what is referred to has more than {LIMITS.jmap_request} octets")
            found[name[1:]] = msgspec.json.decode(written)
    return found


def _referred(reference: Any, answers: Sequence[Invocation], purse: _Purse) -> Any:
    if not isinstance(reference, dict) or not all(
        isinstance(reference.get(k), str) for k in ("resultOf", "name", "path")
    ):
        raise BadReference("a reference has resultOf, name and path")
    answer = next((each for each in answers if each.mark == reference["resultOf"]), None)
    if answer is None or answer.name != reference["name"]:
        raise BadReference(f"there is no answer {reference['name']!r} of call {reference['resultOf']!r}")
    return pointed(answer.arguments, reference["path"], purse)


class _Purse:
    """How many more elements of arrays are looked at for one call."""

    def __init__(self, elements: int) -> None:
        self.elements = elements

    def pay(self, elements: int) -> None:
        """Raises `BadReference`."""
        self.elements -= elements
        if self.elements < 0:
            raise BadReference(f"references of a call walk over at most {LIMITS.jmap_walk} elements")


def pointed(value: Any, path: str, purse: _Purse | None = None) -> Any:
    """What a JSON pointer (RFC 6901) with `*` for every element of an array (RFC 8620 §3.7) points to."""
    if not path:
        return value
    if path[0] != "/":
        raise BadReference("a path begins with /")
    return _walk(
        value,
        [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")],
        purse or _Purse(LIMITS.jmap_walk),
    )


def _walk(value: Any, steps: Sequence[str], purse: _Purse) -> Any:
    for at, step in enumerate(steps):
        if isinstance(value, msgspec.Raw):
            value = msgspec.json.decode(value)
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step == "*":
            purse.pay(len(value))
            found: list[Any] = []
            for each in value:
                inner = _walk(each, steps[at + 1 :], purse)
                found += inner if isinstance(inner, list) else [inner]
            return found
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise BadReference(f"there is no {step!r}")
    return value


# --------------------------------------------------------------------------------------------------------------- dates


def utc_date(milliseconds: int) -> str:
    """A UTCDate (RFC 8620 §1.4), without a fraction where there is none."""
    seconds, fraction = divmod(milliseconds, 1000)
    day, second = divmod(seconds, 86400)
    text = f"{_day(day)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{text}.{fraction:03d}Z" if fraction else f"{text}Z"


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(number)).date().isoformat()


def read_utc_date(value: object) -> int | None:
    """Milliseconds since 1970; None when it is no UTCDate."""
    found = _UTC.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    whole = (moment - _EPOCH) // timedelta(milliseconds=1)
    return whole + int(float(found[7] or 0) * 1000)
