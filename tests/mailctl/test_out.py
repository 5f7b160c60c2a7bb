"""How answers look: tables on a terminal, aligned text in a pipe, JSON; times, sizes, spans."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field

import pytest

from mailctl.out import Column, Out, clean, count, fitted, iso, plain, size, span, when, width_of, yes


@dataclass
class Thing:
    name: str
    number: int
    made_at: int | None = 0
    secret: str = field(default="x", repr=False)


COLUMNS = [
    Column("NAME", lambda t: t.name, lambda t: "bold" if t.number else "red"),
    Column("NUMBER", lambda t: str(t.number), right=True),
    Column("TEXT", lambda t: "word " * t.number, "dim", fold=True),
]
THINGS = [Thing("Ann", 1), Thing("日本語", 22)]


def shown(terminal: bool, *, json: bool = False, color: bool = True) -> str:
    stream = io.StringIO()
    Out(json=json, color=color, stream=stream, terminal=terminal).rows(THINGS, COLUMNS, "nothing")
    return stream.getvalue()


def test_in_a_pipe_columns_are_aligned_by_the_cells_they_take() -> None:
    first, second, third = shown(False).splitlines()
    assert first == "NAME    NUMBER  TEXT"
    assert second == "Ann          1  word"
    assert third.startswith("日本語      22  word word")


def test_on_a_terminal_a_table_has_colours_unless_told_otherwise() -> None:
    assert "\x1b[1m" in shown(True) and "───" in shown(True)
    THINGS.append(Thing("zero", 0))
    try:
        assert "\x1b[31m" in shown(True) and "\x1b[31m" not in shown(True, color=False)
    finally:
        THINGS.pop()


def test_json_is_one_object_a_line_without_what_is_not_shown() -> None:
    lines = [json.loads(line) for line in shown(True, json=True).splitlines()]
    assert lines == [
        {"name": "Ann", "number": 1, "made_at": "1970-01-01T00:00:00.000Z"},
        {"name": "日本語", "number": 22, "made_at": "1970-01-01T00:00:00.000Z"},
    ]


def test_an_empty_list_is_said_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    for terminal, said in ((True, "nothing\n"), (False, "")):
        stream = io.StringIO()
        Out(stream=stream, terminal=terminal).rows([], COLUMNS, "nothing")
        assert stream.getvalue() == "" and capsys.readouterr().err == said


def test_fields_without_a_value_are_left_out_and_long_ones_stand_below_each_other() -> None:
    stream = io.StringIO()
    Out(stream=stream, terminal=False).fields([("One", "a\nb"), ("Other", ""), ("Third", "c")])
    assert stream.getvalue() == "One    a\n       b\nThird  c\n"


def test_a_narrow_terminal_takes_from_the_widest() -> None:
    assert fitted([5, 40, 60], 60) == [5, 25, 26]
    assert fitted([5, 40, 60], 200) == [5, 40, 60]
    assert fitted([30, 30, 30], 10) == [10, 10, 10]
    assert fitted([], 10) == []


@pytest.mark.parametrize(
    "ms, text", [(0, "0s"), (999, "1s"), (59_000, "59s"), (61_000, "1m"), (7_800_000, "2h10m"), (266_400_000, "3d2h")]
)
def test_spans(ms: int, text: str) -> None:
    assert span(ms) == text


@pytest.mark.parametrize(
    "octets, text",
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), (3 << 40, "3.0 TiB"), (None, "")],
)
def test_sizes(octets: int | None, text: str) -> None:
    assert size(octets) == text


def test_times_are_local_on_the_screen_and_utc_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    try:
        assert when(1_795_449_821_120) == "2026-11-23 13:03"
        assert when(1_795_449_821_120, seconds=True) == "2026-11-23 13:03:41"
        assert iso(1_795_449_821_120) == "2026-11-23T16:03:41.120Z"
        assert when(None) == ""
    finally:
        monkeypatch.undo()
        time.tzset()


def test_values_as_json_has_them() -> None:
    assert plain({"a_at": 0, "b": (1, {"at": 0}), "c": {3}, "d": None, "e_at": None}) == {
        "a_at": "1970-01-01T00:00:00.000Z", "b": [1, {"at": "1970-01-01T00:00:00.000Z"}], "c": [3], "d": None,
        "e_at": None,
    }  # fmt: skip
    assert plain(1.5) == 1.5 and plain(Exception("x")) == "x"


def test_text_can_do_nothing_but_be_read() -> None:
    assert clean("a\x1b[2Jb\tc\nd\u202ee\x9bf") == "a\ufffd[2Jb c d\ufffde\ufffdf"
    assert (width_of("abc"), width_of("日本"), width_of("e\u0301")) == (3, 4, 1)


def test_words_for_numbers() -> None:
    assert (count(1, "message"), count(1204, "message"), count(2, "alias", "aliases")) == (
        "1 message", "1,204 messages", "2 aliases",
    )  # fmt: skip
    assert (yes(True), yes(False)) == ("yes", "no")


def test_a_progress_bar_is_for_terminals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Out(stream=io.StringIO()).progress("working", 3) as step:
        step(3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    for unit in ("", "octets"):
        with Out(stream=io.StringIO()).progress("working", 3, unit) as step:
            step(3)
    assert "working" in capsys.readouterr().err
