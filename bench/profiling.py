"""Where a row's CPU time goes in our server: `python -m bench profile ROW`, by cProfile in every thread.

cProfile makes calls dearer than they are: shares are to be believed, absolute figures are not. Only CPU time counts,
so waiting (for sockets, locks, the disk) does not show. The writer, a process of its own on Linux, stays here as a
thread, as it does elsewhere, so that its share is seen too; what letters to it and back cost is then missing.
"""

from __future__ import annotations

import cProfile
import json
import re
import sys
import threading
import time
from pathlib import Path
from types import CodeType
from typing import Any

from bench.suite import Server
from daemon.store.db import Store

Profile = dict[str, tuple[int, float, float]]  # function -> calls, own seconds, seconds with what it called
TOP = Path(__file__).parents[1]
_profilers: list[cProfile.Profile] = []


def watch() -> None:
    """In the server: profile this thread and every thread that starts from now on; answer on standard input."""
    threading.Thread(target=_answer, daemon=True).start()
    Store.hire = _stay  # type: ignore[method-assign, assignment]
    if sys.version_info < (3, 12):  # later Pythons allow one profiler a process
        threading.setprofile(_begin)
    _begin()


async def _stay(_: Store) -> None:
    """Nobody is hired."""


def _begin(*_: object) -> None:
    profiler = cProfile.Profile(time.thread_time)
    _profilers.append(profiler)
    profiler.enable()  # takes this thread's hook over from threading.setprofile


def _answer() -> None:
    for _ in sys.stdin:
        print(json.dumps(_so_far()), flush=True)


def _so_far() -> Profile:
    total: Profile = {}
    for profiler in _profilers:
        for entry in profiler.getstats():
            name = _name(entry.code)
            calls, own, whole = total.get(name, (0, 0.0, 0.0))
            total[name] = (calls + entry.callcount, own + entry.inlinetime, whole + entry.totaltime)
    return total


def _name(code: CodeType | str) -> str:
    if isinstance(code, str):
        return re.sub(r" at 0x[0-9a-f]+", "", code).strip("<>").removeprefix("built-in method ")
    path = Path(code.co_filename)
    if path.is_relative_to(TOP) and "site-packages" not in path.parts:
        place = str(path.relative_to(TOP))
    else:
        place = "/".join(path.parts[-2:])
    return f"{place}:{code.co_firstlineno} {code.co_qualname}"


def snapshot(server: Server) -> Profile:
    """In the bench: the server's profile so far."""
    server["ask"].write("\n")
    server["ask"].flush()
    answer: dict[str, Any] = json.loads(server["answer"].readline())
    return {name: (int(calls), float(own), float(whole)) for name, (calls, own, whole) in answer.items()}


def table(before: Profile, after: Profile, lines: int) -> str:
    """The functions that used most CPU time between two snapshots: by themselves, then ours with what they called."""
    none = (0, 0.0, 0.0)
    used = {
        name: (calls - (was := before.get(name, none))[0], own - was[1], whole - was[2])
        for name, (calls, own, whole) in after.items()
    }
    total = sum(own for _, own, _ in used.values()) or 1.0
    by_own = sorted(used.items(), key=lambda item: -item[1][1])[:lines]
    by_whole = sorted((item for item in used.items() if item[0].startswith("daemon/")), key=lambda item: -item[1][2])
    out = [f"{total:.1f} s of CPU, profiler included", f"{'own %':>6} {'with callees %':>14} {'calls':>9}  function"]
    for part in (by_own, by_whole[:lines]):
        for name, (calls, own, whole) in part:
            out.append(f"{own / total * 100:6.1f} {min(100.0, whole / total * 100):14.1f} {calls:9d}  {name}")
        out.append("")
    return "\n".join(out).rstrip() + "\n"
