"""The load suite: generator, raw clients and peers that this bench borrows. Found by the variable MAILBENCH_SUITE."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "MAILBENCH_SUITE"
FILES = ("bench.py", "mload.c", "anchor.sh", "corpus.py")
Server = dict[str, Any]  # a descriptor: name, ports, users, pids


class NoSuite(Exception):
    """What is missing, in one sentence."""


def find() -> Suite:
    """The suite that the environment names. Raises `NoSuite`."""
    named = os.environ.get(VARIABLE)
    if not named:
        raise NoSuite(
            f"set {VARIABLE} to the directory of the load suite ({', '.join(FILES)}); gcc and libssl-dev build its "
            "generator, and the peers need Debian's postfix, dovecot-imapd, dovecot-pop3d, dovecot-lmtpd and root"
        )
    folder = Path(named)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise NoSuite(f"{VARIABLE}={named} has no {', '.join(missing)}")
    if shutil.which("gcc") is None:
        raise NoSuite("the load generator is built with gcc, which is not there")
    return Suite(folder)


class Suite:
    """The suite's `bench.py` as a module, and what we ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = importlib.util.spec_from_file_location("mailbench_suite", folder / "bench.py")
        assert spec is not None and spec.loader is not None
        path, quiet = list(sys.path), sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # the suite's directory may be read-only, and it is not ours
        try:
            self.module: ModuleType = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self.module)  # builds the generator
        finally:
            sys.path[:], sys.dont_write_bytecode = path, quiet
        self.state = Path(self.module.STATE)

    def mload(self, *arguments: object) -> dict[str, Any]:
        """One run of the generator. Raises `RuntimeError` when it says nothing or when a session failed."""
        answer: dict[str, Any] = self.module.mload(*arguments)
        if answer.get("failed"):
            raise RuntimeError(f"{answer['failed']} of {answer['failed'] + answer['ok']} failed: {answer['error']}")
        return answer

    @property
    def generator(self) -> str:
        return str(self.module.MLOAD)

    def imap(self, server: Server, user: int = 0, source: tuple[str, int] | None = None) -> Any:
        """A logged-in raw connection of the suite."""
        return self.module.Imap(server, server["user"] % user, src=source)

    def cpu(self, server: Server) -> float:
        """CPU seconds of the server's whole process tree so far."""
        return float(self.module.cpu(server))

    def memory(self, server: Server) -> tuple[float, float, int]:
        """MiB resident, MiB proportional, processes."""
        resident, proportional, processes = self.module.mem(server)
        return float(resident), float(proportional), int(processes)

    def big_mailboxes(self, server: Server, messages: int) -> None:
        """Box10k and Box100k of user 0, made anew unless they are there."""

        class Arguments:
            n10 = messages

        with contextlib.redirect_stdout(io.StringIO()):
            self.module.setup_big(server, Arguments)
