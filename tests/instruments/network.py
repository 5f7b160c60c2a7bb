"""A network and mount namespace of a test's own, for programs that insist on port 25 or on /etc/resolv.conf.

    with OwnNetwork(tmp_path, "nameserver 127.0.0.1\\noptions trust-ad\\n") as network:
        subprocess.run([*network.prefix, "..."])      # there, port 25 of 127.0.0.1 is nobody else's

Only loopback is in it. Files are those of the machine, but for resolv.conf. Only root can make one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from tests.instruments.until import until

_BEGIN = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && touch "$2" && exec sleep infinity'


class OwnNetwork:
    def __init__(self, folder: Path, resolv_conf: str) -> None:
        self._resolv = folder / "resolv.conf"
        self._resolv.write_text(resolv_conf)
        self._resolv.chmod(0o644)
        self._ready = folder / "network-is-up"
        self._holder: subprocess.Popen[bytes] | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        assert self._holder is not None
        return ("nsenter", "-t", str(self._holder.pid), "-n", "-m")

    def __enter__(self) -> OwnNetwork:
        arguments = [str(self._resolv), str(self._ready)]
        self._holder = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c", _BEGIN, "sh", *arguments], stderr=subprocess.PIPE
        )
        until(self._is_up, "a network of one's own")
        return self

    def _is_up(self) -> bool:
        assert self._holder is not None and self._holder.stderr is not None
        assert self._holder.poll() is None, self._holder.stderr.read().decode()
        return self._ready.exists()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holder is not None and self._holder.stderr is not None
        self._holder.kill()
        self._holder.wait()
        self._holder.stderr.close()
