"""How answers look: a table on a terminal, plain aligned text in a pipe, JSON when asked.

Everything that came from outside is cleaned before it is shown, so that no subject can move a cursor. Times are local
on the screen, ISO 8601 in UTC in JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_NARROW = 10  # cells that are left to a column of a table however narrow the terminal is


class Column(NamedTuple):
    """`of` gives the cell's text. `style` is rich's, a name or a function of the row. `fold`: may be several lines."""

    title: str
    of: Callable[[Any], str]
    style: str | Callable[[Any], str] = ""
    right: bool = False
    fold: bool = False


Field = tuple[str, str]


class Out:
    """Where a verb's answer goes. `terminal` is looked up when not given."""

    def __init__(
        self, *, json: bool = False, color: bool = True, stream: TextIO | None = None, terminal: bool | None = None
    ) -> None:
        self.json = json
        self.color = color
        self.stream = stream or sys.stdout
        looks = self.stream is not None and self.stream.isatty()  # None: standard output was closed
        self.terminal = looks if terminal is None else terminal

    # ---------------------------------------------------------------------------------------------------- list and show

    def rows(self, items: Iterable[Any], columns: Sequence[Column], empty: str = "") -> None:
        """List-like: one JSON object a line, or a table. `empty` is told on a terminal when there is nothing."""
        if self.json:
            for item in items:
                self._json(item)
            return
        items = list(items)
        if not items:
            if empty and self.terminal:
                self.note(empty)
            return
        cells = [[clean(column.of(item)) for column in columns] for item in items]
        if self.terminal:
            self._table(items, columns, cells)
        else:
            self._plain([[c.title for c in columns], *cells], [c.right for c in columns])

    def show(self, item: Any, fields: Sequence[Field]) -> None:
        """Show-like: one JSON document, or a line for each field that has a value."""
        if self.json:
            self._json(item)
        else:
            self.fields(fields)

    def fields(self, fields: Sequence[Field]) -> None:
        width = max((len(name) for name, _ in fields), default=0) + 2
        for name, value in fields:
            for at, line in enumerate(value.split("\n") if value else ()):
                self.print((self.dim(f"{name:<{width}}") if at == 0 else " " * width) + clean(line))

    def done(self, sentence: str, item: Any = None) -> None:
        """What a verb did: the sentence, or the thing it made or changed as one JSON document."""
        if self.json:
            self._json({"done": sentence} if item is None else item)
        else:
            self.print(clean(sentence))

    def document(self, item: Any, text: Callable[[], None]) -> None:
        """One JSON document, or whatever `text` prints."""
        if self.json:
            self._json(item)
        else:
            text()

    def lines(self, title: str, touched: Sequence[str]) -> None:
        """What a dry run would touch."""
        if self.json:
            self._json({"dry_run": True, "action": title, "touched": list(touched)})
            return
        self.print(f"{title}:" if touched else f"{title}: nothing")
        for line in touched:
            self.print("  " + clean(line))

    def ask(self, title: str, touched: Sequence[str]) -> None:
        """What is shown before a question, on standard error."""
        print(title, file=sys.stderr)
        for line in touched[:20]:
            print("  " + clean(line), file=sys.stderr)
        if len(touched) > 20:
            print(f"  and {len(touched) - 20} more", file=sys.stderr)

    def note(self, sentence: str) -> None:
        """Something beside the answer, for people only."""
        if not self.json:
            print(clean(sentence), file=sys.stderr)

    def warn(self, sentence: str) -> None:
        print(f"mailctl: warning: {clean(sentence)}", file=sys.stderr)

    def print(self, text: str = "") -> None:
        print(text, file=self.stream)

    def summed(self, levels: Sequence[str], sound: str) -> None:
        """The last line under findings, for people: how many errors and warnings, or that all is well."""
        errors, warnings = (levels.count(level) for level in ("error", "warning"))
        more = [count(warnings, "warning")] if warnings else []
        if errors:
            self.print(", ".join([self.styled(count(errors, "error"), "1;31"), *more]))
        else:
            self.print(", ".join([self.styled(sound, "1;32"), *more]))

    # ----------------------------------------------------------------------------------------------------------- styles

    def styled(self, text: str, codes: str) -> str:
        """`text` in a style when the answer goes to a terminal with colours; `codes` as in SGR: `1`, `31`, `2`."""
        return f"\x1b[{codes}m{text}\x1b[0m" if self.terminal and self.color and text else text

    def dim(self, text: str) -> str:
        return self.styled(text, "2")

    def bold(self, text: str) -> str:
        return self.styled(text, "1")

    # ---------------------------------------------------------------------------------------------------------- inwards

    def _json(self, item: Any) -> None:
        self.print(json.dumps(plain(item), ensure_ascii=False))

    def _plain(self, rows: list[list[str]], right: list[bool]) -> None:
        widths = [max(width_of(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            line = "  ".join(pad(c, w, r) for c, w, r in zip(row, widths, right, strict=True))
            self.print(line.rstrip())

    def _table(self, items: Sequence[Any], columns: Sequence[Column], cells: list[list[str]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=self.stream, force_terminal=True, no_color=not self.color, highlight=False)
        widths = fitted(
            [max(map(width_of, texts)) for texts in zip([c.title for c in columns], *cells, strict=True)], console.width
        )
        console.width = max(console.width, sum(widths) + 2 * len(widths))  # rather broken by the terminal than lost
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for column, width in zip(columns, widths, strict=True):
            table.add_column(
                column.title.lower(),
                width=width,
                justify="right" if column.right else "left",
                overflow="fold" if column.fold else "ellipsis",
                no_wrap=not column.fold,
            )
        for item, row in zip(items, cells, strict=True):
            styles = [c.style(item) if callable(c.style) else c.style for c in columns]
            table.add_row(*(Text(cell, style=style) for cell, style in zip(row, styles, strict=True)))
        console.print(table)

    @contextlib.contextmanager
    def progress(self, title: str, total: int | None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """A progress bar on standard error when that is a terminal; the value is called with each step's size."""
        if sys.stderr is None or not sys.stderr.isatty():
            yield lambda step: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, no_color=not self.color)
        count = TextColumn("{task.percentage:>3.0f} %") if unit == "octets" else MofNCompleteColumn()
        with Progress(
            TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn(), console=console, transient=True
        ) as bar:
            task = bar.add_task(title, total=total)
            yield lambda step: bar.advance(task, step)


# --------------------------------------------------------------------------------------------------------------- values


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses as objects, milliseconds in `at` and `*_at` as ISO 8601 in UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _at(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(k): _at(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def _at(name: str, value: Any) -> Any:
    return iso(value) if (name == "at" or name.endswith("_at")) and isinstance(value, int) else plain(value)


def iso(ms: int) -> str:
    """`2026-11-23T16:03:41.120Z`"""
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def when(ms: int | None, *, seconds: bool = False) -> str:
    """Local time; nothing for None."""
    if ms is None:
        return ""
    at = datetime.fromtimestamp(ms / 1000).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"


def span(ms: int) -> str:
    """A length of time in one or two units: `45s`, `3m`, `2h10m`, `4d3h`."""
    seconds = max(0, round(ms / 1000))
    units = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    for at, (name, size) in enumerate(units):
        if seconds >= size:
            first, rest = divmod(seconds, size)
            second = rest // units[at + 1][1] if name in "dh" else 0
            return f"{first}{name}" + (f"{second}{units[at + 1][0]}" if second else "")
    return "0s"


def size(octets: int | None) -> str:
    """`812 B`, `1.5 MiB`; nothing for None."""
    if octets is None:
        return ""
    value = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{octets} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 message`, `1,204 messages`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def yes(value: bool) -> str:
    return "yes" if value else "no"


def clean(text: str) -> str:
    """Text that can do nothing but be read: control characters and marks that turn the line round are replaced."""
    return _UNSAFE.sub(lambda m: " " if m[0] in "\t\r\n" else "\ufffd", text)


def width_of(text: str) -> int:
    """Cells on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fitted(widths: list[int], room: int) -> list[int]:
    """Widths of columns, two cells apart, in `room` cells: the widest give."""
    widths = list(widths)
    while widths and sum(widths) + 2 * (len(widths) - 1) > room and max(widths) > _NARROW:
        widths[widths.index(max(widths))] -= 1
    return widths


def pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space
