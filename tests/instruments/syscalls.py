"""What a program asks of the kernel, in order: shows that bytes are on the disk before anybody is told so.

    command = [*syscalls.prefix(log), sys.executable, ...]
    calls = syscalls.read(log)
    acks = [c for c in calls if c.name in syscalls.SENDING and b"250 2.0.0" in c.data]
    syscalls.check_receipts(calls, acks)

`Tracing` is for a server, with every octet that goes in and out. SIGKILL alone would let a server pass that never
syncs: the kernel keeps what was written. One tracer sees all threads: what it saw end before another call began,
happened before it.
"""

from __future__ import annotations

import re
import shutil
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.instruments.until import until

READING = frozenset(("read", "readv", "recvfrom", "recvmsg"))
WRITING = frozenset(("write", "writev", "pwrite64", "pwritev"))
SENDING = frozenset(("write", "writev", "sendto", "sendmsg"))
SYNCING = frozenset(("fdatasync", "fsync"))
NAMING = frozenset(("openat", "unlink", "unlinkat", "rename"))
NEVER = 1 << 60  # the end of a call that did not come back
_WHOLE = 1 << 21  # octets of a buffer: all
_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)\Z", re.DOTALL)
_BEGIN = re.compile(r"(?P<name>\w+)\((?P<args>.*)\Z", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)\Z", re.DOTALL)
_UNFINISHED = "<unfinished ...>"
_RESULT = re.compile(r"\) = (?P<result>-?\d+)(?P<rest>.*)\Z", re.DOTALL)
_PATH = re.compile(r"-?\d+<(.*?)>(?=[,)]|$)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


@dataclass(slots=True)
class Call:
    """`began` and `ended` are places in the trace: what ended before another began, happened before it.

    `path` is the file, or `socket:[...]`, `pipe:[...]`; `data` the octets that were carried, as many as were traced;
    `arguments` strace's text of all others.
    """

    name: str
    path: str
    data: bytes
    began: int
    ended: int
    result: int | None = None
    arguments: str = ""


def prefix(log: Path) -> list[str]:
    """The command that traces what follows it into `log`. Fails the test when strace is not installed."""
    return [_strace(), *_options(log, WRITING | SENDING | SYNCING, 200)]


def _options(log: Path, names: Collection[str], octets: int) -> list[str]:
    traced = ",".join(sorted(names))
    return ["-f", "-qq", "-a", "1", "-y", "-s", str(octets), "--seccomp-bpf", "-e", f"trace={traced}",
            "-e", "signal=none", "-o", str(log)]  # fmt: skip


def _strace() -> str:
    strace = shutil.which("strace")
    if strace is None:
        raise AssertionError("this test needs strace; `make packages` installs it (Debian package strace)")
    return strace


class Tracing:
    """Of a server: `prefix` goes before its command, `calls` reads what came of it once it has ended."""

    def __init__(self, log: Path) -> None:
        self._log = log
        names = READING | WRITING | SENDING | SYNCING | NAMING | {"exit_group"}
        # -D: the tracer is nobody's parent, so that signals and exit codes are the server's own
        self.prefix = [_strace(), "-D", *_options(log, names, _WHOLE)]

    def calls(self) -> list[Call]:
        until(lambda: b"exit_group(" in self._log.read_bytes()[-4096:], "the tracer's last lines")
        return read(self._log)


def read(log: Path) -> list[Call]:
    """All calls of all threads, in the order in which they began."""
    return parse(log.read_text(encoding="latin-1").split("\n"))


def parse(lines: Iterable[str]) -> list[Call]:
    calls: list[Call] = []
    begun: dict[str, tuple[Call, str]] = {}
    for place, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        if (resumed := _RESUMED.match(rest)) is not None:
            if pid in begun:
                call, head = begun.pop(pid)
                call.ended = place
                _understand(call, head + resumed["rest"])
            continue
        begin = _BEGIN.match(rest)
        if begin is None:
            continue
        call = Call(begin["name"], "", b"", place, place)
        calls.append(call)
        if rest.endswith(_UNFINISHED):
            call.ended = NEVER
            begun[pid] = call, begin["args"].removesuffix(_UNFINISHED).rstrip(" ")
            _understand(call, begun[pid][1], came_back=False)
        else:
            _understand(call, begin["args"])
    return calls


def _understand(call: Call, text: str, *, came_back: bool = True) -> None:
    """Fill in what `text`, from the first argument to the result, says."""
    end = _RESULT.match(text, max(0, text.rfind(") = "))) if came_back else None
    path = _PATH.match(text)
    call.path = path[1] if path is not None else ""
    call.result = int(end["result"]) if end is not None and "(INJECTED)" not in end["rest"] else None
    if call.name in READING | WRITING | SENDING:
        data = b"".join(_octets(string) for string in _STRING.findall(text))
        call.data = data if call.result is None or call.result < 0 else data[: call.result]
    else:
        call.arguments = text


def _octets(text: str) -> bytes:
    return _ESCAPE.sub(_unescape, text.encode("latin-1"))


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8)]) if code[:1].isdigit() else _PLAIN.get(code, code)


class Flow:
    """The octets that went through each place that `wanted` names, put together, and the call that carried each."""

    def __init__(self, calls: Iterable[Call], names: Collection[str], wanted: Callable[[str], bool]) -> None:
        self._calls: dict[str, list[Call]] = defaultdict(list)
        self._ends: dict[str, list[int]] = defaultdict(lambda: [0])
        for call in sorted(calls, key=lambda call: call.ended):
            if call.name in names and (call.result or 0) > 0 and wanted(call.path):
                assert len(call.data) == call.result, "a buffer was not traced whole"
                self._calls[call.path].append(call)
                self._ends[call.path].append(self._ends[call.path][-1] + len(call.data))
        self._octets = {path: b"".join(call.data for call in some) for path, some in self._calls.items()}

    def carried(self, octets: bytes) -> list[Call]:
        """The calls that carried the last of these octets, wherever they went, in order."""
        found = []
        for path, whole in self._octets.items():
            at = whole.find(octets)
            while at >= 0:
                found.append(self._calls[path][bisect_left(self._ends[path], at + len(octets)) - 1])
                at = whole.find(octets, at + 1)
        return sorted(found, key=lambda call: call.ended)


def check_receipts(calls: Sequence[Call], acks: Sequence[Call], files: Sequence[str] = (".seg", "-wal")) -> None:
    """Before each of `acks`, and after the one before it, what was written to each of `files` (by the end of their
    names) was synced; the first of the files before the last write to the second began, and so on: what points to bytes
    must not come to the disk before them.

    The client must wait for each answer before it asks for the next. Raises `AssertionError` saying what is missing.
    """
    assert acks, "nothing was acknowledged: nothing is proved"
    since = -1
    for number, ack in enumerate(acks, 1):
        what = f"acknowledgement {number} ({ack.data[:40]!r})"
        done = since
        for file in files:
            span = [c for c in calls if since < c.began < ack.began and c.path.endswith(file)]
            written = [c for c in span if c.name in WRITING]
            assert written, f"{what}: nothing was written to *{file}"
            assert done < max(c.began for c in written), (
                f"{what}: *{file} was written before what it points to was synced"
            )
            last = max(c.ended for c in written)
            syncs = [c for c in span if c.name in SYNCING and c.result == 0 and last < c.began and c.ended < ack.began]
            assert syncs, f"{what}: *{file} was not synced after it was written to, and before the answer"
            done = syncs[0].ended
        since = ack.began
