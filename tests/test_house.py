"""The house keeps its plan: which room may use which, what the pure rooms must not touch, how long a file is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
LINE = ["wire", "mail", "sieve", "trust", "store", "flow", "admin", "serve"]
NEIGHBOURS = {("wire", "mail"), ("mail", "wire"), ("sieve", "wire"), ("trust", "wire"), ("store", "wire")}
PURE = {"wire", "mail", "sieve"}
UNCLEAN = {"asyncio", "socket", "ssl", "sqlite3", "time", "logging", "uvloop", "threading"}
HALL = {"limits", "config", "setting_types", "settings_filtering", "log", "metrics", "resolver", "passwords"}
OPEN_TO_ALL = {"limits"}
FILES = sorted(p for top in ("daemon", "mailctl") for p in (TOP / top).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of what a file imports at run time or for types."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    parts = path.relative_to(TOP).parts
    return parts[1] if parts[0] == "daemon" and len(parts) > 2 else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TOP)))
def test_a_room_uses_only_rooms_to_its_left(path: Path) -> None:
    here = room(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("daemon.")}
    if here in LINE:
        right = set(LINE[LINE.index(here) + 1 :])
        assert not used & right, f"{here} reaches to its right: {used & right}"
        assert not {(here, other) for other in used} & NEIGHBOURS, f"{here} uses {used}: these rooms do not meet"
        assert "mailctl" not in {name.split(".")[0] for name in imports(path)}
    if here in PURE:
        assert used <= {here, "mail"} | OPEN_TO_ALL, f"{here} is pure: {used}"
    if path.parent.name == "mailctl":
        rooms = used & set(LINE)
        assert rooms <= {"admin", "mail"}, f"mailctl asks admin, not {rooms - {'admin', 'mail'}}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in PURE], ids=lambda p: str(p.relative_to(TOP)))
def test_pure_rooms_touch_no_clock_socket_database_or_log(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & UNCLEAN


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TOP)))
def test_a_file_can_be_read_in_ten_minutes(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= 600
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{node.name} has {length} lines; a function is a screen"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TOP)))
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a file opens with what it is for"


def test_only_the_store_speaks_sql() -> None:
    speaks = re.compile(r"\b(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\s", re.IGNORECASE)
    for path in FILES:
        if room(path) == "store":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                doc = "\n" in node.value
                assert doc or not speaks.match(node.value), f"{path}: {node.value!r}"


def test_no_shell_anywhere() -> None:
    for path in FILES:
        text = path.read_text()
        assert "shell=True" not in text and "os.system" not in text and "os.popen" not in text, path


def test_the_daemon_package_is_ours() -> None:
    import daemon

    assert daemon.__mailctl__ is True


STATIC = TOP / "daemon" / "serve" / "web" / "static"
SCRIPTS = sorted(STATIC.rglob("*.js"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(STATIC)))
def test_a_script_can_be_read_in_ten_minutes_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(("/**", "//")), "a file opens with what it is for"
    assert text.count("\n") <= 600
    begun: dict[int, int] = {}  # by indentation: functions of a module, methods of its classes
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if re.match(r"(export )?(async )?function ", line) or re.match(r"  [a-zA-Z_# ]+\(.*\) \{$", line):
            begun[indent] = number
        elif line.strip() == "}" and indent in begun:
            assert number - begun.pop(indent) < 80, f"the function before line {number}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(STATIC)))
def test_a_script_makes_no_markup_of_data(path: Path) -> None:
    made = (
        r"\.(inner|outer)HTML\s*\+?=|insertAdjacentHTML|createContextualFragment|document\.write|\beval\(|new Function"
    )
    assert not re.search(made, path.read_text())
