"""Terms of texts, and pieces of what is sought in them."""

from __future__ import annotations

import pytest

from daemon.limits import LIMITS
from daemon.mail import words
from daemon.mail.words import Piece, pieces, terms

THREES = ("123", "234", "345", "456", "567", "678", "789", "890", "901", "012", "123")


@pytest.mark.parametrize(
    "text,want",
    [
        ("", set()),
        (" \n\t\u2028", set()),
        ("the plan, the plan", {"the", "plan,", "plan"}),
        ("it's snake_case: alice@mail.example", {"it's", "snake_case:", "alice@mail.example"}),
        ("1234567890123456 a1b2c3d4", {"1234567890123456", "a1b2c3d4"}),
        ("12345678901234567", {"\t\x1f12"} | {f"\t{three}" for three in THREES} | {"\t67\x1f"}),
        ("x" * 72, {"x" * 72}),
        ("x" * 73, {"\t\x1fxx", "\txxx", "\txx\x1f"}),
        ("grüße", {"grüße"}),
        ("\x08ab c\x08", {"\t\x1f\x08a", "\t\x08ab", "\tab\x1f", "c\x08"}),
        ("cafe\u0301", {"cafe\u0301"}),
        ("日", {"日"}),
        ("日本語", {"日本", "本語"}),
        ("版本2の話です。", {"版本", "2", "の話", "話で", "です", "。"}),
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
    assert terms(digits) == words.threes(f"\x1f{digits}\x1f")
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
        (" \n", []),
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


@pytest.mark.parametrize(
    "sought,want",
    [("ab", ["ab"]), (" ab", ["\x1fab"]), ("ab c", ["ab\x1f", "\x1fc"]), (" a ", ["\x1fa\x1f"])],
)
def test_edges(sought: str, want: list[str]) -> None:
    assert [piece.edged for piece in pieces(sought)] == want


@pytest.mark.parametrize("run,word", [("a-b", True), ("\x08b", False), ("1" * 17, False), ("x" * 73, False)])
def test_words(run: str, word: bool) -> None:
    assert words.is_word(run) is word
    assert (run in (terms(run) or ())) is word
