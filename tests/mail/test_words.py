"""Terms of texts, and pieces of what is sought in them."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail import words
from daemon.mail.words import Piece, pieces, terms


@pytest.mark.parametrize(
    "text,want",
    [
        ("", set()),
        ("-- \n", set()),
        ("the plan, the plan", {"the", "plan"}),
        ("it's snake_case: alice@mail.example", {"it", "s", "snake", "case", "alice", "mail", "example"}),
        ("12345678 a1b2c3d4", {"12345678", "a1b2c3d4"}),
        ("a1b2c3d4e", {"\ta1b", "\t1b2", "\tb2c", "\t2c3", "\tc3d", "\t3d4", "\td4e"}),
        ("x" * 24, {"x" * 24}),
        ("x" * 25, {"\txxx"}),
        ("grüße", {"grüße"}),
        ("cafe\u0301", {"cafe"}),  # a mark alone is neither letter nor digit
        ("日", {"日"}),
        ("日本語", {"日本", "本語"}),
        ("版本2の話です", {"版本", "2", "の話", "話で", "です"}),
        ("สวัสดี", {"สว", "วั", "ัส", "สด", "ดี"}),
        ("한국", {"한국"}),
    ],
)
def test_terms(text: str, want: set[str]) -> None:
    assert terms(text) == want


def test_terms_are_bounded() -> None:
    many = " ".join(f"w{number}" for number in range(LIMITS.fulltext_terms))
    assert len(terms(many) or ()) == LIMITS.fulltext_terms
    assert terms(many + " more") is None


@pytest.mark.parametrize("length", [4095, 4096, 4097, 4098, 4099, 8194, 9000])
def test_long_runs_are_cut_without_a_gap(length: int) -> None:
    digits = "".join(f"{number:x}z" for number in range(length))[:length]
    assert terms(digits) == words.threes(digits)
    letters = "".join(chr(0x4E00 + number) for number in range(length))
    assert terms(letters) == words.pairs(letters)


def test_one_run_of_very_many_terms_is_given_up() -> None:
    assert (
        terms("".join(chr(0x4E00 + number * 7919 % 20000) + chr(0x4E00 + number // 20) for number in range(99_999)))
        is None
    )


@pytest.mark.parametrize(
    "sought,want",
    [
        ("", []),
        (" --", []),
        ("nvoic", [Piece("nvoic", False, False, False)]),
        (" plan", [Piece("plan", True, False, False)]),
        (
            "he whole pl",
            [
                Piece("whole", True, True, False),  # nothing tells more than a whole word
                Piece("he", False, True, False),
                Piece("pl", True, False, False),
            ],
        ),
        ("本語x", [Piece("本語", False, True, True), Piece("x", True, False, False)]),
    ],
)
def test_pieces(sought: str, want: list[Piece]) -> None:
    assert pieces(sought) == want


def test_a_group_of_three_is_no_word() -> None:
    assert words.threes("abcd") == {"\tabc", "\tbcd"}
    assert words.threes("ab") == set()
