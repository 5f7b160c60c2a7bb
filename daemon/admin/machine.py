"""What the server stands on: the disk, the clock, and the queue that tells whether mail moves."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime

from daemon.admin.findings import Facts, Finding
from daemon.flow.alarm import why
from daemon.store import census, incidents
from daemon.store.events import newest

_BUILT = 2026  # the year this was written in: no clock that is right says less
_DRIFT = 5_000  # ms between the clock and the file system's
_FEW_INODES = 0.02
_HOUR = 3_600_000
_LATE = 15 * 60_000  # ms a due recipient may wait in a server that runs
_TIME_ERROR = 5  # adjtimex(2): nobody keeps the clock right


def disk(facts: Facts) -> Iterator[Finding]:
    """Room and inodes of every file system the data is on."""
    seen = set[int]()
    reserve = facts.config["store.reserve"]
    for path in (facts.store.data.path, facts.store.data.segments, facts.store.data.spool):
        device = path.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        state = os.statvfs(path)
        free = state.f_bavail * state.f_frsize
        said = f"{free >> 20} MiB free, {reserve >> 20} MiB are the reserve"
        if free < reserve:
            remedy = "make room: `mailctl user list` shows who has most; or lower store.reserve"
            yield Finding("error", "disk-full", str(path), f"new mail is refused: {said}", remedy)
        elif free < 2 * reserve:
            yield Finding("warning", "disk-low", str(path), f"new mail will be refused soon: {said}", "make room")
        else:
            yield Finding("ok", "disk-free", str(path), said)
        if state.f_files and state.f_favail < state.f_files * _FEW_INODES:
            text = f"{state.f_favail} of {state.f_files} inodes are left: no file can be made soon"
            yield Finding("warning", "inodes-low", str(path), text, "remove small files on that file system")


def clock(facts: Facts) -> Iterator[Finding]:
    """A clock that is wrong spoils certificates, signatures, the queue's times and the order of mail."""
    year = datetime.fromtimestamp(facts.now / 1000, UTC).year
    remedy = "set the clock, and let chrony or systemd-timesyncd keep it"
    last = facts.store.read_now(newest)
    if year < _BUILT:
        yield Finding("error", "clock-old", "clock", f"it says {year}, before this program was written", remedy)
    elif last is not None and last > facts.now + _DRIFT:
        text = f"it is {(last - facts.now) // 1000} s behind what happened last here: it was set back"
        yield Finding("error", "clock-back", "clock", text, remedy)
    elif abs(ahead := _file_time(facts) - facts.store.clock()) > _DRIFT:
        text = f"the file system's differs by {ahead // 1000} s"
        yield Finding("warning", "clock-files", "clock", text, "keep the clocks of both machines right")
    elif not _kept_right():
        text = "it is plausible, but the system says that nobody keeps it right"
        yield Finding("info", "clock-alone", "clock", text, "let chrony or systemd-timesyncd keep it")
    else:
        yield Finding("ok", "clock-right", "clock", "it is plausible, and kept right")


def queue(facts: Facts) -> Iterator[Finding]:
    """Whether what is due is tried, and which destinations take nothing."""
    state = facts.store.read_now(census.queue_state)
    fine = True
    if facts.running and state.oldest_due_at is not None and facts.now - state.oldest_due_at > _LATE:
        fine = False
        text = f"a recipient is due since {(facts.now - state.oldest_due_at) // 60_000} minutes, and nobody tries"
        yield Finding("error", "queue-stuck", "queue", text, "look into the server's log, and start it anew")
    if not facts.running and state.leased:
        fine = False
        text = f"{state.leased} recipients are in the hands of a server that is gone; the next start takes them back"
        yield Finding("warning", "queue-leases", "queue", text, "start the server")
    if state.held:
        text = f"{_recipients(state.held)} until released"
        remedy = "`mailctl queue list` shows why, `mailctl queue release` lets them go"
        yield Finding("info", "queue-held", "queue", text, remedy)
    for one in facts.store.read_now(incidents.open_ones):
        text = f"what {one.user} sends to other servers is held, {_recipients(one.waiting)}: {why(one)}"
        remedy = f"look at it with `mailctl queue list --incident {one.id}`, then `mailctl queue release --incident"
        remedy += f" {one.id}`, or `mailctl session kill {one.user}` and `mailctl queue drop --incident {one.id}`"
        yield Finding("warning", "incident", one.user, text, remedy)
    for down in state.down:
        fine = False
        text = f"not reached {down.failures} times in a row, {_recipients(down.waiting)}: {down.last_error}"
        yield Finding("warning", "destination-down", down.name, text, f"`mailctl queue list --domain {down.name}`")
    if fine:
        hours = 0 if state.oldest_at is None else (facts.now - state.oldest_at) // _HOUR
        oldest = f", the oldest for {hours} h" if hours else ""
        yield Finding("ok", "queue-moves", "queue", f"{_recipients(state.waiting)}{oldest}")


def _recipients(number: int) -> str:
    return "one recipient waits" if number == 1 else f"{number:,} recipients wait"


def _file_time(facts: Facts) -> int:
    """What the file system says is now, ms: another machine's clock where it is a network's."""
    with tempfile.TemporaryFile(dir=facts.store.data.spool) as file:
        return os.fstat(file.fileno()).st_mtime_ns // 1_000_000


def _kept_right() -> bool:
    """What the kernel knows of the clock (adjtimex(2) with nothing to change); True where it cannot be asked."""
    with contextlib.suppress(OSError, AttributeError):
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
        return state != _TIME_ERROR
    return True
