"""Places of words, marked."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail import snippets


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("Dinner on Thursday", ["dinner"], "<mark>Dinner</mark> on Thursday"),
        ("a <b> & dinner", ["dinner", "b"], "a &lt;<mark>b</mark>&gt; &amp; <mark>dinner</mark>"),
        ("dinners", ["dinner", "dinners"], "<mark>dinners</mark>"),
        ("on  thursday", ["on thursday"], "<mark>on  thursday</mark>"),
        ("a.c abc", ["a.c"], "<mark>a.c</mark> abc"),
        ("Dinner", ["lunch"], None),
        ("Dinner", [], None),
        ("Dinner", [" "], None),
    ],
)
def test_marks(text: str, words: list[str], shown: str | None) -> None:
    assert snippets.marked(text, words) == shown
    assert (snippets.around(text, words) is None) == (shown is None)


def test_a_snippet_is_short() -> None:
    text = "word " * 200 + "needle " + "<&> " * 200
    shown = snippets.around(text, ["needle"])
    assert shown is not None and "<mark>needle</mark>" in shown and shown.startswith("word word")
    assert len(shown.encode()) <= LIMITS.snippet
    wide = snippets.around("語" * 300 + "針" + "語" * 300, ["針"])
    assert wide is not None and "<mark>針</mark>" in wide and len(wide.encode()) <= LIMITS.snippet
