"""Starting and ending what is measured: the peers of the suite, and servers of ours. Only what we started is ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import peers_filters
from bench.machine import revision
from bench.suite import NoSuite, Server, Suite

START = 60.0  # seconds a server has until it listens
END = 30.0
FILES = ("dovecot.conf", "pf/etc/main.cf", "pf/etc/master.cf")
PIDFILES = ("run/master.pid", "pf/spool/pid/master.pid")


def _alive(pid: int) -> bool:
    """Whether the process runs; a zombie of somebody else's does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _pids(server: Server) -> list[int]:
    found = []
    for file in server["pidfiles"]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            found.append(int(Path(file).read_text().split()[0]))
    return [pid for pid in found if _alive(pid)]


def _describe(suite: Suite, name: str) -> Server:
    """Its ports and users; `home` is the directory of its files, `configuration` and `pidfiles` are some of them."""
    entries: list[Server] = json.loads((suite.folder / "servers.json").read_text())
    known = {entry["name"]: entry for entry in entries}
    if name in peers_filters.NAMES:
        server = peers_filters.described(suite, name, known[peers_filters.split(name)[0]])
    else:
        server = known[name] | {"home": suite.state / "anchor" / name, "configuration": FILES, "pidfiles": PIDFILES}
    return server | {key: [server["home"] / file for file in server[key]] for key in ("configuration", "pidfiles")}


@contextlib.contextmanager
def peer(suite: Suite, name: str) -> Iterator[Server]:
    """A peer that runs: started with empty mailboxes and ended after use; or left alone when it ran before."""
    server = _describe(suite, name)
    server["started"] = "by the bench, empty"
    if len(_pids(server)) == len(server["pidfiles"]):
        server["started"] = "before the bench, used as it was"
        yield server
        return
    if os.geteuid() != 0:
        raise NoSuite(f"{name} is Postfix and Dovecot: only root starts them")
    log = Path(tempfile.gettempdir()) / f"bench-{name}.log"

    def run(*command: object, **variables: str) -> None:
        # its daemons keep what they inherit open for ever: so nothing of ours, and a session of their own
        with log.open("ab") as out:
            process = subprocess.Popen(
                list(map(str, command)), cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, env=os.environ | {"MAILBENCH": str(suite.state)} | variables,
            )  # fmt: skip
        if process.wait(START):
            raise NoSuite(f"{name} did not start; see {log}")

    log.unlink(missing_ok=True)
    try:
        if name in peers_filters.NAMES:
            peers_filters.start(suite, name, server, run)
        else:
            for verb in ("wipe", "up"):
                run("bash", suite.folder / "anchor.sh", verb, name)
        yield server
    finally:
        _end(_pids(server))


def _end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + END
    while any(map(_alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)


@contextlib.contextmanager
def subject(
    prefix: int, base: Path | None, profile: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server of ours in a fresh directory, on the ports PREFIX00 to PREFIX99, with more `settings`.

    With `profile` the descriptor has `snapshot`: call it to get the profile so far, see `bench.subject`.
    """
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    log = path / "server.log"
    code = revision()  # before the start: the tree may change while the server runs
    command = [
        sys.executable,
        "-m",
        "bench.subject",
        str(path / "data"),
        str(prefix),
        *(["profile"] if profile else []),
        *(f"{key}={value}" for key, value in (settings or {}).items()),
    ]
    with log.open("wb") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        first = process.stdout.readline()
        if not first or process.stdout.readline().strip() != "ready":
            process.wait(END)
            raise NoSuite(f"our server did not start: {log.read_text()[-800:]}")
        server: Server = json.loads(first)
        server |= {"log": str(log), "data": str(path / "data"), "revision": code}
        server["started"] = f"{time.strftime('%Y-%m-%d %H:%M')}, {code}"
        if profile:
            server["ask"] = process.stdin
            server["answer"] = process.stdout
        yield server
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()
        process.stdout.close()
        shutil.rmtree(path)
