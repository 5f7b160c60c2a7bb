"""Requests of JMAP, what they refer to, and dates (RFC 8620 §1.4, §3)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from daemon.limits import LIMITS
from daemon.wire import jmap
from daemon.wire.jmap import BadArguments, BadReference, Invocation, Problem


def test_a_request() -> None:
    said = b'{"using": ["a", "b"], "methodCalls": [["m/x", {"y": 1}, "c"]], "createdIds": {"k": "i"}}'
    found = jmap.request_of(jmap.decode(said))
    assert found == (frozenset("ab"), [("m/x", {"y": 1}, "c")], {"k": "i"})
    assert jmap.request_of({"using": [], "methodCalls": [], "more": 1}).created is None


@pytest.mark.parametrize(
    ("data", "type"),
    [
        (b"", "notJSON"),
        (b'{"a": NaN}', "notJSON"),
        (b'"\xff"', "notJSON"),
        (b"[" * 100_000, "notJSON"),
        (b"[]", "notRequest"),
        (b'{"using": "a", "methodCalls": []}', "notRequest"),
        (b'{"using": [], "methodCalls": [["a", {}]]}', "notRequest"),
        (b'{"using": [], "methodCalls": [["a", [], "b"]]}', "notRequest"),
        (b'{"using": [], "methodCalls": [], "createdIds": {"a": 1}}', "notRequest"),
    ],
)
def test_what_is_no_request(data: bytes, type: str) -> None:
    with pytest.raises(Problem) as caught:
        jmap.request_of(jmap.decode(data))
    assert caught.value.type == f"urn:ietf:params:jmap:error:{type}" and caught.value.detail


ANSWERS = [
    Invocation("Email/query", {"ids": ["a", "b"], "more": {"a/b": 1, "m~n": 2}}, "q"),
    Invocation(
        "Email/get",
        {"list": [{"id": "a", "to": [{"x": 1}, {"x": 2}], "ids": ["1", "2"]}, {"id": "b", "to": [], "ids": ["3"]}]},
        "g",
    ),
    Invocation("error", {"type": "x"}, "e"),
]
POINTED: list[tuple[str, str, str, Any]] = [
    ("q", "Email/query", "/ids", ["a", "b"]),
    ("q", "Email/query", "/ids/1", "b"),
    ("q", "Email/query", "/more/a~1b", 1),
    ("q", "Email/query", "/more/m~0n", 2),
    ("q", "Email/query", "", ANSWERS[0].arguments),
    ("g", "Email/get", "/list/*/id", ["a", "b"]),
    ("g", "Email/get", "/list/*/ids", ["1", "2", "3"]),
    ("g", "Email/get", "/list/*/to/*/x", [1, 2]),
]


@pytest.mark.parametrize(("mark", "name", "path", "value"), POINTED)
def test_results_are_referred_to(mark: str, name: str, path: str, value: Any) -> None:
    given = {"a": 1, "#ids": {"resultOf": mark, "name": name, "path": path}}
    assert jmap.resolve(given, ANSWERS) == {"a": 1, "ids": value}


@pytest.mark.parametrize(
    "reference",
    [
        {"resultOf": "x", "name": "Email/query", "path": "/ids"},
        {"resultOf": "e", "name": "Email/query", "path": "/ids"},
        {"resultOf": "q", "name": "Email/get", "path": "/ids"},
        {"resultOf": "q", "name": "Email/query", "path": "/nothing"},
        {"resultOf": "q", "name": "Email/query", "path": "ids"},
        {"resultOf": "q", "name": "Email/query", "path": "/ids/2"},
        {"resultOf": "q", "name": "Email/query", "path": "/ids/01"},
        {"resultOf": "q", "name": "Email/query", "path": "/ids/0/x"},
        {"resultOf": "q", "name": "Email/query", "path": "/more/*"},
        {"resultOf": "q", "name": "Email/query"},
        "nonsense",
    ],
)
def test_what_refers_to_nothing(reference: Any) -> None:
    with pytest.raises(BadReference):
        jmap.resolve({"#ids": reference}, ANSWERS)


def test_nothing_is_given_twice() -> None:
    with pytest.raises(BadArguments):
        jmap.resolve({"ids": [], "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"}}, ANSWERS)
    given: dict[str, Any] = {"ids": []}
    assert jmap.resolve(given, ANSWERS) is given


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1414649520000, "2014-10-30T06:12:00Z"),
        (1414649520120, "2014-10-30T06:12:00.120Z"),
        (-62135596800000, "0001-01-01T00:00:00Z"),
    ],
)
def test_dates(milliseconds: int, text: str) -> None:
    assert jmap.utc_date(milliseconds) == text
    assert jmap.read_utc_date(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["2014-10-30T06:12:00", "2014-10-30T06:12:00+00:00", "2014-13-30T06:12:00Z", "2014-10-30 06:12:00Z", "", 5]
)
def test_what_is_no_date(text: object) -> None:
    assert jmap.read_utc_date(text) is None


# --------------------------------------------------------------------------------------- what would hold up all others


@pytest.mark.parametrize(
    "hole", [b"[],", b"{},", b'[{"":[]}],', b'"a",', b"1,", b"1.5,", b'"\\\\","\\"",', b'"]" , "{",']
)
def test_a_request_of_many_small_things_is_not_read(hole: bytes) -> None:
    data = b'{"using": [], "methodCalls": [["Core/echo", {"a": [' + hole * LIMITS.jmap_values + b'0]}, "c"]]}'
    for text in (data, data.decode()):
        assert _refusal(text) == ("limit", "maxSizeRequest")


def test_a_request_of_many_names_is_not_read() -> None:
    names = [b'"%x":0' % number for number in range(LIMITS.jmap_values + 1)]
    assert _refusal(b"{%b}" % b",".join(names)) == ("limit", "maxSizeRequest")
    assert len(jmap.decode(b"{%b}" % b",".join(names[1:]))) == LIMITS.jmap_values


def test_a_text_may_have_many_of_whatever_stands_between_values() -> None:
    for inside in ("1,2,", "[", '{","', "\\,[", '\\",{', '\\\\",['):
        value = {"a": [inside * LIMITS.jmap_values, inside, 1.5, -1e300]}
        assert jmap.decode(msgspec.json.encode(value)) == value


def test_a_request_of_long_numbers_is_not_read() -> None:
    number = b"1234567890" * 400
    many = [number] * (LIMITS.jmap_structure // len(number))
    assert len(jmap.decode(b"[%b]" % b",".join(many[1:]))) == len(many) - 1
    assert _refusal(b"[%b]" % b",".join([*many, number])) == ("limit", "maxSizeRequest")
    assert _refusal(b"[%b]" % (b" " * LIMITS.jmap_structure)) == ("limit", "maxSizeRequest")


def _refusal(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(Problem) as caught:
        jmap.decode(text)
    return caught.value.type.rpartition(":")[2], caught.value.limit


@pytest.mark.parametrize("number", ["1.5", "-0.0", "1E5", "1e-400", "1.2345678901234567890e-300"])
def test_numbers_are_read_as_they_stand(number: str) -> None:
    assert jmap.decode(f"[{number}]") == [float(number)]


def test_a_number_beyond_all_is_none() -> None:
    assert _refusal("[1e400]") == _refusal("-1e999") == ("notJSON", "")


def test_half_a_character_is_no_json() -> None:
    """A surrogate alone cannot be written down again as UTF-8."""
    for text in (b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\ud800x": 1}', '"\ud800"'):
        with pytest.raises(Problem):
            jmap.decode(text)


def test_references_are_few_and_no_longer_than_a_request() -> None:
    long = [Invocation("Core/echo", {"a": "x" * (LIMITS.jmap_request // 2)}, "0")]
    reference = {"resultOf": "0", "name": "Core/echo", "path": "/a"}
    assert len(jmap.resolve({"#a": reference}, long)["a"]) == LIMITS.jmap_request // 2
    with pytest.raises(BadReference):
        jmap.resolve({"#a": reference, "#b": reference}, long)
    short = [Invocation("Core/echo", {"a": ""}, "0")]
    many = {f"#{number}": reference for number in range(LIMITS.jmap_references)}
    assert len(jmap.resolve(many, short)) == LIMITS.jmap_references
    with pytest.raises(BadReference):
        jmap.resolve({**many, "#a": reference}, short)


def test_references_walk_no_further_than_so_many_elements() -> None:
    """Empty arrays cost nothing to write down, and much to walk over."""
    half = [Invocation("Core/echo", {"a": [[]] * (LIMITS.jmap_walk // 2)}, "0")]
    reference = {"resultOf": "0", "name": "Core/echo", "path": "/a/*/*"}
    assert jmap.resolve({"#a": reference, "#b": reference}, half) == {"a": [], "b": []}
    with pytest.raises(BadReference):
        jmap.resolve({"#a": reference, "#b": reference, "#c": reference}, half)


def test_what_is_written_down_is_read_again() -> None:
    emails = [msgspec.Raw(msgspec.json.encode({"id": f"e{n}", "to": [{"email": f"{n}@x.example"}]})) for n in range(2)]
    answers = [Invocation("Email/get", {"list": emails}, "0")]
    assert jmap.pointed(answers[0].arguments, "/list/*/id") == ["e0", "e1"]
    assert jmap.pointed(answers[0].arguments, "/list/1/to/0/email") == "1@x.example"
    whole = jmap.resolve({"#a": {"resultOf": "0", "name": "Email/get", "path": "/list"}}, answers)
    assert whole["a"][1] == {"id": "e1", "to": [{"email": "1@x.example"}]}
