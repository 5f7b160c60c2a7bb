"""Ids of a user's things."""

from __future__ import annotations

import pytest

from daemon.mail import object_ids


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        ("e", "e12", 12),
        ("e", "m12", None),
        ("e", "e", None),
        ("e", "e0", None),
        ("e", "e01", None),
        ("e", "e-1", None),
        ("e", "e\u0661", None),
        ("e", "", None),
        ("m", "m999999999999999999", 999999999999999999),
        ("m", "m9999999999999999999", None),
    ],
)
def test_numbers(kind: str, text: str, number: int | None) -> None:
    assert object_ids.number(kind, text) == number


@pytest.mark.parametrize(
    ("value", "good"), [("e12", True), ("-_aZ", True), ("", False), ("a" * 256, False), ("a.b", False), (12, False)]
)
def test_ids_of_anybody(value: object, good: bool) -> None:
    assert object_ids.is_id(value) is good
