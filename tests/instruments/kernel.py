"""What a server asked of the kernel, in order and with every octet, as strace saw it.

    tracing = Tracing(tmp_path / "calls")
    server.start(*tracing.prefix)
    ...
    server.stop()
    calls = tracing.calls()
    heard = Flow(calls, READS, lambda where: where.startswith("socket:"))

There is one tracer for all threads: a call that it saw end before another began happened before that other one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.instruments.until import until

READS = ("read", "recvfrom", "recvmsg", "readv")
WRITES = ("write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev")
SYNCS = ("fsync", "fdatasync")
NAMES = ("openat", "unlink", "unlinkat", "rename")
_WHOLE = 1 << 21  # octets of a buffer that are kept: all
_LINE = re.compile(r"(\d+) +(.*)\Z", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)\Z", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)\Z", re.DOTALL)
_END = re.compile(r"\) = (-?\d+|\?)(.*)\Z", re.DOTALL)
_WHERE = re.compile(r"\d+<(.*?)>(?=[,)])")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came back. `began` and `ended` are places in the trace; `where` is what its descriptor was open
    on (a path, `socket:[123]`); `data` the octets that were really carried."""

    name: str
    where: str
    result: int
    arguments: str
    data: bytes
    began: int
    ended: int


class Tracing:
    """`prefix` goes before a command; `calls` reads what came of it, once the command has ended."""

    def __init__(self, path: Path) -> None:
        wanted = ",".join((*READS, *WRITES, *SYNCS, *NAMES))
        # -D: the tracer is nobody's parent, so that signals and exit codes are the command's own
        self.prefix = (
            "strace", "-D", "-f", "--seccomp-bpf", "-a", "1", "-y", "-s", str(_WHOLE), "-e", f"trace={wanted}",
            "-o", str(path),
        )  # fmt: skip
        self._path = path

    def calls(self) -> list[Call]:
        """In the order of their ends."""
        until(self._is_whole, "the tracer's last line")
        with self._path.open(encoding="latin-1", newline="\n") as lines:
            return list(parse(line.rstrip("\n") for line in lines))

    def _is_whole(self) -> bool:
        """The command's own end is the last thing that is told."""
        lines = self._path.read_bytes().splitlines()
        return bool(lines) and lines[-1].endswith(b"+++") and lines[-1].split(b" ")[0] == lines[0].split(b" ")[0]


def parse(lines: Iterable[str]) -> Iterator[Call]:
    """Calls out of strace's text, unfinished ones put together. Those that failed are left out."""
    begun: dict[str, tuple[int, str]] = {}
    for place, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None or found[2].startswith(("+++", "---")):
            continue
        thread, text, began = found[1], found[2], place
        if text.endswith("<unfinished ...>"):
            begun[thread] = (place, text.removesuffix("<unfinished ...>").rstrip(" "))
            continue
        if resumed := _RESUMED.match(text):
            began, head = begun.pop(thread)
            text = head + resumed[2]
        call = _call(text, began, place)
        if call is not None:
            yield call


def _call(text: str, began: int, ended: int) -> Call | None:
    start = _CALL.match(text)
    cut = text.rfind(") = ")
    end = _END.match(text, cut) if cut >= 0 else None
    if start is None or end is None or end[1] in ("?", "-1") or "(INJECTED)" in end[2]:
        return None
    name, arguments, result = start[1], text[start.start(2) : cut + 1], int(end[1])
    where = _WHERE.match(arguments)
    data = b""
    if name in READS or name in WRITES:
        strings = list(_STRING.finditer(arguments))
        assert not any(string[2] for string in strings), f"a buffer was cut short: {arguments[:200]}"
        data = b"".join(_octets(string[1]) for string in strings)[:result]
        arguments = ""
    return Call(name, where[1] if where else "", result, arguments, data, began, ended)


def _octets(text: str) -> bytes:
    return _ESCAPE.sub(_unescape, text.encode("latin-1"))


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8)]) if code[:1].isdigit() else _PLAIN.get(code, code)


class Flow:
    """The octets that went through each place that `wanted` names, put together, and the call that carried each."""

    def __init__(self, calls: Iterable[Call], names: Iterable[str], wanted: Callable[[str], bool]) -> None:
        self._calls: dict[str, list[Call]] = defaultdict(list)
        for call in calls:
            if call.name in names and call.data and wanted(call.where):
                self._calls[call.where].append(call)
        self._octets = {where: b"".join(call.data for call in some) for where, some in self._calls.items()}
        self._ends: dict[str, list[int]] = {}
        for where, some in self._calls.items():
            total, ends = 0, []
            for call in some:
                total += len(call.data)
                ends.append(total)
            self._ends[where] = ends

    def carried(self, octets: bytes) -> list[Call]:
        """The calls that carried the last of these octets, wherever they went, in order."""
        found = []
        for where, whole in self._octets.items():
            at = whole.find(octets)
            while at >= 0:
                found.append(self._calls[where][bisect_left(self._ends[where], at + len(octets))])
                at = whole.find(octets, at + 1)
        return sorted(found, key=lambda call: call.ended)
