"""Parts of a script that programs write, between two comments; what its owner wrote around them stays as it is.

    require ["fileinto"]; # for what mailctl wrote below
    # mailctl rules: begin
    ...
    # mailctl rules: end

A block has no `require` of its own, for these stand in front of all else (RFC 5228 section 3.2): one line in front of
the script has what all blocks need. A new block stands behind the owner's last `require`; where he moves one, it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from daemon.sieve.errors import ScriptError
from daemon.sieve.lexer import comments, tokens

_BEGIN = "# mailctl {}: begin"
_END = "# mailctl {}: end"
_HINT = " (made by a program; by hand only in the same form)"
_MARK = re.compile(r"# mailctl ([a-z]+): (begin|end)\b")
_OURS = "# for what mailctl wrote below"
_REQUIRE = re.compile(r'require \[((?:"[a-z0-9;_-]+"(?:, )?)+)\]; ' + re.escape(_OURS) + r"[ \t\r]*")


class NotUnderstood(ValueError):
    """A block was changed by hand and means nothing to us any more; what stands there is left alone."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(line, text)
        self.line = line
        self.text = text

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class Block(NamedTuple):
    """`start` to `end`: with its comments. `text`: what stands between them, its lines ended by line feeds, the first
    being `line` of the script."""

    start: int
    end: int
    text: str
    line: int


class Layout(NamedTuple):
    """How a script is laid out. `required`: what is required at its beginning; `head`: where a new block may stand;
    `ours`: the line that requires what blocks need, and `needs`, what it requires."""

    required: frozenset[str]
    head: int
    ours: tuple[int, int] | None
    needs: frozenset[str]
    blocks: dict[str, Block]


def layout(script: str) -> Layout:
    """Raises `ScriptError` for a fault of grammar, `NotUnderstood` for comments of ours that do not belong together."""
    required, head = _requires(script)
    ours, needs = None, frozenset[str]()
    blocks: dict[str, Block] = {}
    open_: tuple[str, int, int] | None = None
    for at, comment in comments(script):
        if comment.startswith(_OURS):
            start = script.rfind("\n", 0, at) + 1
            found = _REQUIRE.fullmatch(script[start : at + len(comment)])
            if found:
                ours = (start, min(at + len(comment) + 1, len(script)))
                needs = frozenset(re.findall('"(.*?)"', found[1]))
        mark = _MARK.match(comment)
        if mark is None:
            continue
        name, kind = mark.groups()
        line = script.count("\n", 0, at) + 1
        behind = min(at + len(comment) + 1, len(script))
        if (kind == "begin") == (open_ is not None) or name in blocks or (open_ and open_[0] != name):
            raise NotUnderstood(line, f"`{mark[0]}` stands where none is expected")
        if kind == "begin":
            open_ = (name, at, behind)
        elif open_:
            text = script[open_[2] : at].replace("\r\n", "\n")
            blocks[name] = Block(open_[1], behind, text, script.count("\n", 0, open_[2]) + 1)
            open_ = None
    if open_:
        line = script.count("\n", 0, open_[1]) + 1
        raise NotUnderstood(line, f"`{_BEGIN.format(open_[0])}` has no `{_END.format(open_[0])}` behind it")
    return Layout(required, head, ours, needs, blocks)


def replaced(script: str, there: Layout, name: str, text: str, needs: Iterable[str], behind: str = "") -> str:
    """The script with another text in a block, "" for no block. `needs`: what its blocks require from now on.
    A new block stands behind the block `behind`, if that is at the head of the script."""
    break_ = "\r\n" if "\r\n" in script else "\n"
    edits: list[tuple[int, int, str]] = []
    wanted = sorted(set(needs))
    line = f"require [{', '.join([f'{chr(34)}{each}{chr(34)}' for each in wanted])}]; {_OURS}\n" if wanted else ""
    edits.append((*(there.ours or (0, 0)), line))
    whole = f"{_BEGIN.format(name)}{_HINT}\n{text}{_END.format(name)}\n" if text else ""
    block = there.blocks.get(name)
    if block is not None:
        edits.append((block.start, block.end, whole))
    elif whole:
        other = there.blocks.get(behind)
        at = other.end if other is not None and other.start == there.head else there.head
        if at and script[at - 1] != "\n" and at == len(script):
            whole = "\n" + whole
        edits.append((at, at, whole))
    pieces, place = list[str](), 0
    for start, end, new in sorted(edits, key=lambda each: each[0]):
        pieces += [script[place:start], new.replace("\n", break_)]
        place = end
    return "".join([*pieces, script[place:]])


def _requires(script: str) -> tuple[frozenset[str], int]:
    """What is required at the beginning of a script, and the place behind that: of a line, if nothing else is on it."""
    required, end = set[str](), 0
    inside = False
    starts = [0, *(found.end() for found in re.finditer("\n", script))]
    for kind, value, place in tokens(script):
        if not inside and (kind, value) != ("name", "require"):
            break
        inside = kind != ";"
        if kind == "string":
            required.add(str(value))
        elif kind == ";":
            end = starts[place.line - 1] + place.column
        elif kind == "end":
            raise ScriptError(place, "';' is missing behind 'require'")
    rest = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|$)").match(script, end) if end else None
    if rest and not _MARK.search(rest[0]):
        end = rest.end()
    return frozenset(required), end
