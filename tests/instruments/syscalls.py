"""What a program asks of the kernel, in order: shows that bytes are on the disk before anybody is told so.

    command = [*syscalls.prefix(log), sys.executable, ...]      # also Server.start(*syscalls.prefix(log))
    calls = syscalls.read(log)
    acks = [c for c in calls if c.name in syscalls.SENDING and b"250 2.0.0" in c.data]
    syscalls.check_receipts(calls, acks)

SIGKILL alone would let a server pass that never syncs: the kernel keeps what was written.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WRITING = frozenset(("write", "writev", "pwrite64", "pwritev"))
SENDING = frozenset(("write", "writev", "sendto", "sendmsg"))
SYNCING = frozenset(("fdatasync", "fsync"))
_TRACED = ",".join(sorted(WRITING | SENDING | SYNCING))
_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_BEGIN = re.compile(r"(?P<name>\w+)\((?P<fd>-?\d+)(?:<(?P<path>.*?)>)?(?:[,)]|$| <unfinished)(?P<args>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_RESULT = re.compile(r"\) += (?P<result>-?\d+)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(slots=True)
class Call:
    """`began` and `ended` are places in the trace: what ended before another began, happened before it.

    `path` is the file, or `socket:[...]`, `pipe:[...]`; `data` the first octets that were written or sent.
    """

    name: str
    path: str
    data: bytes
    began: int
    ended: int
    result: int | None = None


def prefix(log: Path) -> list[str]:
    """The command that traces what follows it into `log`. Fails the test when strace is not installed."""
    strace = shutil.which("strace")
    if strace is None:
        raise AssertionError("this test needs strace; `make packages` installs it (Debian package strace)")
    return [strace, "-f", "-qq", "-y", "-s", "200", "--seccomp-bpf", "-e", f"trace={_TRACED}", "-e", "signal=none",
            "-o", str(log)]  # fmt: skip


def read(log: Path) -> list[Call]:
    """All calls of all threads, in the order in which they began."""
    return parse(log.read_text(errors="replace").splitlines())


def parse(lines: Sequence[str]) -> list[Call]:
    calls: list[Call] = []
    open_calls: dict[str, Call] = {}
    for place, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        resumed = _RESUMED.match(rest)
        if resumed is not None:
            call = open_calls.pop(pid, None)
            if call is not None:
                call.ended = place
                call.result = _result(resumed["rest"])
            continue
        begin = _BEGIN.match(rest)
        if begin is None:
            continue
        call = Call(begin["name"], begin["path"] or "", _data(begin["args"]), place, place)
        calls.append(call)
        if rest.endswith("<unfinished ...>"):
            call.ended = 1 << 60
            open_calls[pid] = call
        else:
            call.result = _result(rest)
    return calls


def _result(text: str) -> int | None:
    found = _RESULT.search(text)
    return None if found is None else int(found["result"])


def _data(args: str) -> bytes:
    """The strings among the arguments; strace writes them as C, which Python reads as well."""
    return b"".join(ast.literal_eval("b" + text) for text in _STRING.findall(args))


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
