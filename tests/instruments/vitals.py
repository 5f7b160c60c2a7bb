"""What a server process takes of the machine, as Linux tells it: memory, descriptors, processor time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MIB = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")


class Vitals:
    """Of the process `pid`."""

    def __init__(self, pid: int) -> None:
        self.place = Path("/proc") / str(pid)

    def memory(self) -> int:
        """Octets that are in memory now."""
        return self._status("VmRSS")

    def most_memory(self) -> int:
        """The most it ever was, since `forget_most`."""
        return self._status("VmHWM")

    def forget_most(self) -> None:
        (self.place / "clear_refs").write_text("5")

    def descriptors(self) -> int:
        return len(os.listdir(self.place / "fd"))

    def sockets(self) -> int:
        """How many of them are sockets."""
        return sum(each.startswith("socket:") for each in self._open())

    def bodies(self) -> int:
        """How many are bodies under way (`store.spool`): files without a name, in memory or in the spool."""
        return sum("memfd:body" in each or ("/spool/" in each and "(deleted)" in each) for each in self._open())

    def _open(self) -> list[str]:
        found = []
        for name in os.listdir(self.place / "fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(self.place / "fd" / name))
        return found

    def processor(self) -> float:
        """Seconds of processor time used so far, in its own code and in the kernel's."""
        fields = (self.place / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def _status(self, name: str) -> int:
        for line in (self.place / "status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)
