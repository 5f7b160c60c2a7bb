"""What was measured on: the machine, the versions, and the configuration of the peers as they ran."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from bench import peers_filters
from bench.suite import Server, Suite

FILTERS = ("opendkim", "opendmarc", "postfix-policyd-spf-python")
HERE = Path(__file__).parent


def _said(*command: str) -> str:
    """What a command says; nothing when it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _found(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1] if found else "?"


def about(directory: Path) -> dict[str, str]:
    """For the head of the results. `directory`: where the servers keep their mail."""
    mount = _said("findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(directory))
    memory = int(_found("/proc/meminfo", r"^MemTotal:\s+(\d+)")) / 1024 / 1024
    model = _found("/proc/cpuinfo", r"^model name\s*:\s*(.*)")
    return {
        "processors": f"{os.cpu_count()} × {model}",
        "memory": f"{memory:.0f} GiB",
        "file system": mount or "?",
        "system": _found("/etc/os-release", r'^PRETTY_NAME="(.*)"$') + f", Linux {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "uvloop": metadata.version("uvloop"),
        "Postfix": _said("postconf", "-dh", "mail_version"),
        "Dovecot": _said("dovecot", "--version"),
        "Pigeonhole": _said("dpkg-query", "-Wf", "${Version}", "dovecot-sieve"),
        "filters of the peers": _said("dpkg-query", "-Wf", "${Package} ${Version}  ", *FILTERS, "unbound").strip(),
    }


def busy() -> float:
    """CPU seconds that anybody has used on this machine so far."""
    fields = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def revision() -> str:
    """The commit, and whether the tree has more than that."""
    top = str(HERE.parent)
    commit = _said("git", "-C", top, "rev-parse", "--short", "HEAD")
    return commit + ("+" if _said("git", "-C", top, "status", "--porcelain", "--", "daemon", "schema") else "")


def write_peers(suite: Suite, peers: Iterable[Server]) -> None:
    """`peers.md`: the configuration files of the peers, as they ran."""
    out = [
        "# Configuration of the peers\n",
        "Written by `python -m bench` out of the files the peers ran with; `STATE` is the suite's directory. Postfix",
        "takes mail on loopback and hands it to Dovecot by LMTP; fsync as Debian ships it. The tuned one is Dovecot's",
        '"high-performance" login mode with its authentication cache. Those called trust and rspamd judge what comes,',
        "those called sieve sort it by the scripts of its users, see `peers_filters.py`.\n",
    ]
    told = set[str]()
    for peer in peers:
        kind = peer["name"].rpartition("-")[2] if peer["name"] in peers_filters.NAMES else ""
        for file in peer["configuration"]:
            if not file.exists() or (file.name != "dovecot.conf" and f"{kind} {file.name}" in told):
                continue
            told.add(f"{kind} {file.name}")
            text = file.read_text().replace(str(suite.state), "STATE")
            text = "\n".join(line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
            out.append(f"## {peer['name']}: {file.name}\n\n```\n{text}\n```\n")
    out.append("The Postfix of the others differs in its port and its directories only.")
    (HERE / "peers.md").write_text("\n".join(out) + "\n")
