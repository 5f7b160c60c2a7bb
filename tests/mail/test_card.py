"""Cards of people: what is read out of them, and what is none."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.mail import card as cards
from daemon.mail.card import BadCard, collected, fold, full_name, read

JANE = {
    "@type": "Card",
    "version": "1.0",
    "uid": "urn:uuid:1",
    "name": {"components": [{"kind": "given", "value": "Jané"}, {"kind": "surname", "value": "Doe"}]},
    "emails": {"a": {"address": "Jane@Example.org"}, "b": {"address": "j@d.example"}},
    "nicknames": {"n": {"name": "Jay"}},
    "organizations": {"o": {"name": "ACME", "units": [{"name": "Sales"}]}},
    "notes": {"n": {"note": "met in Oslo"}},
    "phones": {"p": {"number": "+47 1"}},
    "keywords": {"friend": True},
    "speakToAs": {"grammaticalGender": "feminine"},
    "x.example/colour": {"any": ["thing"]},
}


def test_what_is_looked_for_is_read_out_of_a_card() -> None:
    found = read(JANE)
    assert found.name == "jane doe" and found.kind == "individual"
    assert found.addresses == ("Jane@Example.org", "j@d.example")
    assert found.text.split("\n") == [
        "jane doe",
        "jane@example.org",
        "j@d.example",
        "jay",
        "acme",
        "met in oslo",
        "+47 1",
    ]


@pytest.mark.parametrize(
    "name, full",
    [
        (None, ""),
        ({}, ""),
        ({"full": "Jane Doe", "components": [{"value": "other"}]}, "Jane Doe"),
        ({"components": [{"value": "Jane"}, {"kind": "separator"}, {"value": "Doe"}]}, "Jane Doe"),
    ],
)
def test_a_name_as_one_says_it(name: Any, full: str) -> None:
    assert full_name({"name": name}) == full


def test_a_card_without_a_name_is_sorted_by_its_address() -> None:
    assert read(collected("A@b.example", "", "u")).name == "a@b.example"
    assert read(collected("a@b.example", "Ann", "u")).name == "ann"
    assert read({"uid": "u"}).name == ""


def test_accents_and_case_do_not_matter() -> None:
    assert fold("ÅSE Straße Ünal") == fold("ase STRASSE unal")


@pytest.mark.parametrize(
    "property, value",
    [
        ("@type", "Group"),
        ("version", "3"),
        ("kind", "robot"),
        ("uid", None),
        ("uid", ""),
        ("uid", "a\nb"),
        ("uid", "x" * (LIMITS.contact_uid + 1)),
        ("name", "Jane"),
        ("name", {"full": 1}),
        ("name", {"components": {}}),
        ("name", {"components": ["Jane"]}),
        ("name", {"components": [{"value": 1}]}),
        ("emails", []),
        ("emails", {"a": "a@b.example"}),
        ("emails", {"a": {}}),
        ("emails", {"a": {"address": 1}}),
        ("emails", {"a": {"address": "nobody"}}),
        ("emails", {str(n): {"address": f"a{n}@b.example"} for n in range(LIMITS.contact_addresses + 1)}),
        ("phones", {"a": {"number": 1}}),
        ("notes", {"a": {"note": None}}),
        ("organizations", {"a": "ACME"}),
        ("keywords", {"a": False}),
        ("members", {"a": {}}),
        ("speakToAs", "she"),
    ],
)
def test_what_is_no_card(property: str, value: Any) -> None:
    with pytest.raises(BadCard) as caught:
        read({**JANE, property: value})
    assert caught.value.property == property
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.property, str(again)) == (property, str(caught.value)), "it is told across processes"


def test_every_kind_there_is() -> None:
    assert [read({**JANE, "kind": kind}).kind for kind in cards.KINDS] == list(cards.KINDS)
