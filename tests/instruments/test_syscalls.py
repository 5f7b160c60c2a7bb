"""The instrument itself: it must see what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.instruments import syscalls
from tests.instruments.syscalls import SENDING, check_receipts, parse

GOOD = r"""
10    write(5</d/00000001.seg>, "MSG1\0\0\0"..., 2092) = 2092
11    fdatasync(5</d/00000001.seg> <unfinished ...>
11    <... fdatasync resumed>) = 0
10    pwrite64(6</d/mail.db-wal>, "7\177\6\202", 24, 0) = 24
10    fdatasync(6</d/mail.db-wal>) = 0
12    sendto(9<socket:[77]>, "250 2.0.0 01abc\r\n", 17, 0, NULL, 0) = 17
""".strip().splitlines()


def acks(lines: list[str]) -> tuple[list[syscalls.Call], list[syscalls.Call]]:
    calls = parse(lines)
    return calls, [c for c in calls if c.name in SENDING and c.data.startswith(b"250")]


def test_calls_are_read_with_their_files_data_and_places() -> None:
    calls, sent = acks(GOOD)
    assert [(c.name, c.path, c.began, c.ended) for c in calls] == [
        ("write", "/d/00000001.seg", 0, 0), ("fdatasync", "/d/00000001.seg", 1, 2),
        ("pwrite64", "/d/mail.db-wal", 3, 3), ("fdatasync", "/d/mail.db-wal", 4, 4), ("sendto", "socket:[77]", 5, 5),
    ]  # fmt: skip
    assert calls[0].data == b"MSG1\0\0\0" and calls[2].data == b"7\x7f\x06\x82"
    assert calls[1].result == 0
    check_receipts(calls, sent)


@pytest.mark.parametrize(
    "order,missing",
    [
        ([0, 3, 4, 5], "seg was not synced"),
        ([0, 1, 2, 3, 5], "wal was not synced"),
        ([0, 1, 3, 2, 4, 5], "wal was written before what it points to"),
        ([0, 3, 1, 2, 4, 5], "wal was written before what it points to"),
        ([0, 1, 3, 4, 5, 2], "seg was not synced"),
        ([0, 1, 2, 4, 3, 5], "wal was not synced"),
        ([1, 2, 0, 3, 4, 5], "seg was not synced"),
        ([1, 0, 2, 3, 4, 5], "seg was not synced"),
        ([0, 1, 2, 3, 5, 4], "wal was not synced"),
        ([3, 4, 5], "nothing was written to .*seg"),
        ([0, 1, 2, 5], "nothing was written to .*wal"),
        ([0, 1, 2, 3, 4, 5, 5], "acknowledgement 2 .*nothing was written"),
        ([0, 1, 2, 3, 4], "nothing was acknowledged"),
    ],
)
def test_what_is_missing_is_said(order: list[int], missing: str) -> None:
    calls, sent = acks([GOOD[n] for n in order])
    with pytest.raises(AssertionError, match=missing):
        check_receipts(calls, sent)


def test_a_sync_that_failed_is_none() -> None:
    calls, sent = acks([line.replace("wal>) = 0", "wal>) = -1 EIO (Input/output error)") for line in GOOD])
    with pytest.raises(AssertionError, match="wal was not synced"):
        check_receipts(calls, sent)


def test_a_missing_strace_is_said_clearly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="needs strace; `make packages` installs it"):
        syscalls.prefix(tmp_path / "log")


def test_a_real_program_is_traced_with_its_threads(tmp_path: Path) -> None:
    script = (
        "import os, sys, threading\n"
        "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
        "def work():\n"
        "    os.write(fd, b'one \\xff\"')\n"
        "    os.fdatasync(fd)\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
        "os.write(1, b'done')\n"
    )
    log = tmp_path / "log"
    subprocess.run(
        [*syscalls.prefix(log), sys.executable, "-c", script, str(tmp_path / "x.seg")], check=True, capture_output=True
    )
    calls = syscalls.read(log)
    sent = [c for c in calls if c.data == b"done"]
    check_receipts(calls, sent, files=(".seg",))
    assert any(c.data == b'one \xff"' for c in calls)
