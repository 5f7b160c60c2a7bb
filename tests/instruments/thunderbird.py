"""Thunderbird with a profile of its own, on a screen that nobody sees (Xvfb), driven by Marionette.

Marionette's protocol: JSON arrays over a socket, each after its length and a colon; a command is
`[0, number, name, arguments]`, its answer `[1, number, error, result]`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.instruments.server import free_ports
from tests.instruments.until import until

PATIENCE = 90  # seconds for a start or an answer
QUIET: dict[str, str | int | bool] = {  # what it would open, ask or tell somebody by itself
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "network.dns.forceResolve": "127.0.0.1",  # every name of the world is here
}


class Thunderbird:
    """`prefs` go into its profile, which is below `home`."""

    def __init__(self, home: Path, prefs: Mapping[str, str | int | bool]) -> None:
        (self.port,) = free_ports(1)
        self.home, self.profile = home, home / "profile"
        self.profile.mkdir(parents=True)
        wanted = {**QUIET, "marionette.port": self.port, **prefs}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items())
        (self.profile / "user.js").write_text("".join(lines))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._number = 0

    def __enter__(self) -> Thunderbird:
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        reading, writing = os.pipe()
        with open(reading, "rb") as told:
            try:
                options = ("-screen", "0", "1280x900x24", "-nolisten", "tcp")
                self._run("Xvfb", "-displayfd", str(writing), *options, keep=writing)
            finally:
                os.close(writing)
            display = told.readline().decode().strip()
        assert display, f"there is no screen: {self.log()}"
        self._run(
            "thunderbird", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", self.profile,
            display=display,
        )  # fmt: skip
        self._socket = self._dial()
        self._stream = self._socket.makefile("rb")
        assert self._read()["marionetteProtocol"] == 3
        self._ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"pageLoadStrategy": "none"}}})
        self._ask("Marionette:SetContext", {"value": "chrome"})

    def _run(self, *command: str | Path, display: str = "", keep: int | None = None) -> None:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", "DISPLAY": f":{display}",
            "RES_OPTIONS": "timeout:1 attempts:1", "MOZ_CRASHREPORTER_DISABLE": "1", "NO_AT_BRIDGE": "1",
        }  # fmt: skip
        with (self.home / "log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=() if keep is None else (keep,),
                )  # fmt: skip
            )

    def _dial(self) -> socket.socket:
        found = until(self._dialled, lambda: f"it is not there: {self.log()}", PATIENCE)
        assert found is not None
        return found

    def _dialled(self) -> socket.socket | None:
        assert self._processes[-1].poll() is None, f"it ended: {self.log()}"
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        except ConnectionRefusedError:
            return None

    def _ask(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self._number += 1
        command = json.dumps([0, self._number, name, arguments]).encode()
        self._socket.sendall(b"%d:%s" % (len(command), command))
        kind, number, error, result = self._read()
        assert (kind, number) == (1, self._number)
        assert error is None, f"{name}: {error['error']}: {error['message']}\n{error.get('stacktrace', '')}"
        return result

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            octet = self._stream.read(1)
            assert octet, f"it went away: {self.log()}"
            length += octet
        return json.loads(self._stream.read(int(length[:-1])))

    def run(self, script: str, *arguments: Any) -> Any:
        """The body of a function, in the main window and with the rights of the program; a promise is waited for."""
        told = {"script": script, "args": arguments, "newSandbox": False, "sandbox": "default"}
        return self._ask("WebDriver:ExecuteScript", told)["value"]

    def prefs(self) -> dict[str, Any]:
        """As they stand in its file."""
        self.run("Services.prefs.savePrefFile(null);")
        text = (self.profile / "prefs.js").read_text()
        found = re.findall(r'^user_pref\("([^"]+)", (.*)\);$', text, re.MULTILINE)
        return {name: json.loads(value) for name, value in found}

    def shot(self, path: Path) -> None:
        """A picture of its window."""
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(base64.b64decode(self._ask("WebDriver:TakeScreenshot", {"full": False})["value"]))

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """It, then its screen; with all that they started."""
        for thing in ("_stream", "_socket"):
            if thing in self.__dict__:
                self.__dict__[thing].close()
        while self._processes:
            process = self._processes.pop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
