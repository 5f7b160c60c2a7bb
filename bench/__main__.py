"""`python -m bench`: our server beside Postfix and Dovecot. `python -m bench profile ROW`: where a row's time goes."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from bench import machine, profiling, report, servers
from bench.row import Field, Row
from bench.rows import ROWS
from bench.subject import PREFIX
from bench.suite import NoSuite, Server, find


def _say(text: str) -> None:
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=("run", "profile"), default="run")
    parser.add_argument("row", nargs="?", help="the row to profile")
    parser.add_argument("--only", metavar="ROW[,ROW]", default="", help="these rows only; the others' results are kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="what a case lasts at least (5)")
    parser.add_argument("--messages", type=int, default=10_000, help="in the big mailbox (10,000)")
    parser.add_argument("--idle", type=int, default=5_000, help="connections to hold open (5,000)")
    parser.add_argument("--ports", type=int, default=PREFIX, help="first three digits of our server's ports (226)")
    parser.add_argument("--dir", type=Path, help="where our server's directory is made")
    parser.add_argument("--alone", action="store_true", help="without the peers; nothing is written")
    parser.add_argument(
        "--dry", action="store_true", help="write nothing; so does any run that is shorter or smaller than the rows say"
    )
    parser.add_argument("--render", action="store_true", help="write RESULTS.md anew from results.json")
    return parser.parse_args()


def _chosen(names: str) -> list[Row]:
    """Raises `NoSuite` naming the rows there are."""
    wanted = [name for name in names.split(",") if name]
    known = {row.name for row in ROWS}
    if unknown := [name for name in wanted if name not in known]:
        raise NoSuite(f"no row {', '.join(unknown)}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not wanted or row.name in wanted]


def _measure(field: Field, row: Row, server: Server, measured: dict[str, Any]) -> None:
    """One round of one server; a failure is noted and the bench goes on."""
    began, before = time.monotonic(), _others(field, server)
    try:
        figures = row.measure(field, server, row)
    except Exception as error:  # the other servers and rows are still worth having
        traceback.print_exc(limit=-3)
        measured["errors"][server["name"]] = f"{type(error).__name__}: {error}"[:300]
        if "log" in server:
            print(Path(server["log"]).read_text()[-3000:], file=sys.stderr)
        return
    figures["others"] = max(0.0, (_others(field, server) - before) / (time.monotonic() - began))
    measured["servers"][server["name"]].append(figures)
    _say(f"{row.name:20s} {server['name']:12s} " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))


def _others(field: Field, server: Server) -> float:
    """CPU seconds used so far by what is neither this server nor the bench."""
    return machine.busy() - field.suite.cpu(server) - sum(os.times()[:4])


def _trial(arguments: argparse.Namespace) -> bool:
    """Whether the run is shorter or smaller than the rows say, or without peers: then it is no result."""
    short = arguments.seconds < 5 or arguments.messages != 10_000 or arguments.idle != 5_000
    return bool(arguments.alone or arguments.dry or short)


def _run(arguments: argparse.Namespace) -> int:
    rows = _chosen(arguments.only)
    suite = find()
    field = Field(suite, arguments.seconds, arguments.messages, arguments.idle)
    results = report.read()
    with contextlib.ExitStack() as stack:
        names = [] if arguments.alone else sorted({name for row in rows for name in row.peers})
        peers = {name: stack.enter_context(servers.peer(suite, name)) for name in names}
        ours = stack.enter_context(servers.subject(arguments.ports, arguments.dir))
        field.suite.imap(ours).close()  # it answers; else the bench ends here
        for row in rows:
            measured: dict[str, Any] = {
                "title": row.title, "load": os.getloadavg()[0], "rounds": arguments.rounds,
                "when": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "revision": "", "started": {}, "errors": {},
            }  # fmt: skip
            theirs = [peers[name] for name in row.peers if name in peers]
            measured["servers"] = {server["name"]: [] for server in [*theirs, ours]}
            for number in range(arguments.rounds):
                with _fresh(arguments, row) if row.fresh or row.settings else _as_it_is(ours) as subject:
                    order = [*theirs, subject]
                    measured["revision"] = subject["revision"]
                    measured["started"] = {server["name"]: server["started"] for server in order}
                    for server in order if number % 2 == 0 else order[::-1]:
                        _measure(field, row, server, measured)
            results["rows"][row.name] = measured
            print(report.table({row.name: measured}), flush=True)
            if not _trial(arguments):
                results["about"] = machine.about(arguments.dir or Path(tempfile.gettempdir()))
                report.write(results)
        if not (_trial(arguments) or arguments.only):
            machine.write_peers(suite, peers.values())
    return 0


def _fresh(arguments: argparse.Namespace, row: Row) -> contextlib.AbstractContextManager[Server]:
    return servers.subject(arguments.ports + 1, arguments.dir, settings=row.settings)


def _as_it_is(server: Server) -> contextlib.AbstractContextManager[Server]:
    return contextlib.nullcontext(server)


def _profile(arguments: argparse.Namespace) -> int:
    """The row twice under the profiler: the first time warms up; of the second, what is timed is shown."""
    row = _chosen(arguments.row or "-")[0]
    suite = find()
    field = Field(suite, arguments.seconds, arguments.messages, arguments.idle)
    marks: list[profiling.Profile] = []
    with servers.subject(arguments.ports, arguments.dir, profile=True, settings=row.settings) as server:
        row.measure(field, server, row)
        field.mark = lambda: marks.append(profiling.snapshot(server))
        figures = row.measure(field, server, row)
    if len(marks) < 2:
        raise NoSuite(f"{row.name} has no timed part: there is nothing to profile")
    text = profiling.table(marks[-2], marks[-1], 15)
    size = f"{arguments.messages:,} messages, {arguments.seconds:g} s"
    head = f"{row.name} at {server['revision']}, {size}: " + ", ".join(
        f"{key} {value:.4g}" for key, value in figures.items()
    )
    print(head, text, sep="\n")
    if not arguments.dry:
        report.PROFILES.mkdir(exist_ok=True)
        (report.PROFILES / f"{row.name}.txt").write_text(f"{head} (under the profiler)\n{text}")
    return 0


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.render:
            report.write(report.read())
            return 0
        return _profile(arguments) if arguments.verb == "profile" else _run(arguments)
    except (NoSuite, RuntimeError) as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
