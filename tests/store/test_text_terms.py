"""What follows for a query from what the full-text index knows of its terms."""

from __future__ import annotations

import pytest

from daemon.store import text_terms
from daemon.store.find import All, Either, Not, Query, Term
from daemon.store.fulltext import Found

HARBOUR, DINNER, LATER = Term("body", "harbour"), Term("any", "dinner"), Term("after", 5)
KNOWN = {HARBOUR: Found({1, 2, 3}, {1, 2}), DINNER: Found({3, 4}, set()), Term("body", "nowhere"): Found(set(), set())}

QUERIES: list[tuple[Query, set[int] | None, set[int]]] = [
    (HARBOUR, {1, 2, 3}, {1, 2}),
    (LATER, None, set()),
    (All(), None, set()),
    (Either(()), set(), set()),
    (All((HARBOUR,)), {1, 2, 3}, {1, 2}),
    (All((HARBOUR, DINNER)), {3}, set()),
    (All((HARBOUR, LATER)), {1, 2, 3}, set()),
    (Either((HARBOUR, DINNER)), {1, 2, 3, 4}, {1, 2}),
    (Either((HARBOUR, LATER)), None, {1, 2}),
    (All((HARBOUR, Term("body", "nowhere"), LATER)), set(), set()),
    (Not(HARBOUR), None, set()),
    (All((Not(HARBOUR), DINNER)), {3, 4}, set()),
]


@pytest.mark.parametrize(("query", "maybe", "sure"), QUERIES)
def test_what_lies_between(query: Query, maybe: set[int] | None, sure: set[int]) -> None:
    assert text_terms.between(KNOWN.get, query) == (maybe, sure)


@pytest.mark.parametrize(
    ("term", "email", "answer"),
    [
        (HARBOUR, 1, True),
        (HARBOUR, 3, None),
        (HARBOUR, 4, False),
        (DINNER, 4, None),
        (DINNER, 1, False),
        (LATER, 1, None),
    ],
)
def test_what_is_known_of_one_email(term: Term, email: int, answer: bool | None) -> None:
    assert text_terms.Known(None, set(), KNOWN).answer(term, email) is answer
