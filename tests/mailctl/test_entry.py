"""The real command in a process of its own: exit codes, no traceback, little imported, nobody asked without need."""

from __future__ import annotations

import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config import DataDir
from mailctl import desk, grammar
from tests.mailctl.conftest import Ctl

MAILCTL = [sys.executable, "-m", "mailctl"]
TOP = Path(__file__).parents[2]


def run(path: Path, *args: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "MAILCTL_DATA": str(path)}
    return subprocess.run([*MAILCTL, *args], capture_output=True, env=env, cwd=TOP, timeout=60, **more)  # type: ignore[call-overload, no-any-return]


def failed(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.startswith("mailctl: error: ") and "Traceback" not in text and text.count("\n") == 1
    return text


@pytest.mark.parametrize("args", [["version"], ["--help"], ["user", "--help"], ["queue", "list", "--help"]])
def test_help_and_version_import_little_and_touch_nothing(tmp_path: Path, args: list[str]) -> None:
    code = (
        "import sys\nfrom mailctl.main import cli\n"
        f"try: cli.main({args!r})\nexcept SystemExit: pass\n"
        "heavy = {'asyncio', 'aiosmtpd', 'dns', 'cryptography', 'rich', 'passlib', 'argon2', 'uvloop', 'ssl'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    env = {**os.environ, "MAILCTL_DATA": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=TOP, text=True)
    assert done.stderr == "[]\n"
    assert not (tmp_path / "data").exists()


def test_version_and_help_take_little_longer_than_click_itself(tmp_path: Path) -> None:
    def once(work: Callable[[], object]) -> float:
        begin = time.monotonic()
        work()
        return time.monotonic() - begin

    def click() -> object:
        return subprocess.run([sys.executable, "-c", "import click"], check=True)

    for args in (["version"], ["--help"]):  # in turn, so that a busy machine is busy for both
        took = [(once(lambda args=args: run(tmp_path, *args)), once(click)) for _ in range(7)]  # type: ignore[misc]
        assert min(took)[0] < 4 * min(pair[1] for pair in took), took


@pytest.mark.parametrize(
    "verb", [["user", "list"], ["queue", "list"], ["mail", "list"], ["config", "list"], ["status"]]
)
def test_verbs_import_nothing_that_they_do_not_need(tmp_path: Path, verb: list[str]) -> None:
    code = (
        f"import sys\nfrom mailctl.main import cli\ntry: cli.main({verb!r})\nexcept SystemExit: pass\n"
        "heavy = {'aiosmtpd', 'dns', 'cryptography', 'passlib', 'argon2', 'uvloop', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    env = {**os.environ, "MAILCTL_DATA": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=TOP, text=True)
    assert done.stderr == "[]\n"


def test_the_data_directory_is_made_with_mode_0700(tmp_path: Path) -> None:
    path = tmp_path / "a" / "data"
    assert run(path, "user", "list").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "mail.db").stat().st_mode & 0o777 == 0o600


def test_where_data_is_when_nobody_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILCTL_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert desk.Desk().directory == tmp_path / "mailctl"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert desk.Desk().directory == Path("/var/lib/mailctl")


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database_is_one_sentence_and_78(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mail.db").write_bytes(content)
    assert "mail.db" in failed(run(tmp_path, "user", "list"), 78)


def test_a_foreign_or_newer_database_is_one_sentence_and_78(tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / "mail.db")
    foreign.execute("create table theirs (x)")
    foreign.close()
    assert "another program" in failed(run(tmp_path, "user", "list"), 78)
    path = tmp_path / "data"
    assert run(path, "user", "list").returncode == 0
    ours = sqlite3.connect(path / "mail.db")
    ours.execute("insert into migration values (9999, 'later', '', 0)")
    ours.commit()
    ours.close()
    assert "newer" in failed(run(path, "user", "list"), 78)


def test_what_cannot_be_a_data_directory_is_one_sentence_and_78(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--data" in failed(run(tmp_path / "file", "user", "list"), 78)
    assert "--data" in failed(run(tmp_path / "file" / "below", "user", "list"), 78)
    failed(run(Path("/dev/null/x"), "user", "list"), 78)


def test_what_is_not_permitted_ends_with_77(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: DataDir) -> None:
        raise PermissionError(13, "Permission denied", str(data.path))

    with monkeypatch.context() as patch:
        patch.setattr(DataDir, "make", refuse)
        assert "not permitted" in ctl.fails(77, "user", "list")
    ctl.ok("user", "list")
    monkeypatch.setattr("daemon.admin.house.os.access", lambda *_: False)
    assert "somebody else" in ctl.fails(77, "user", "list")


def test_a_fault_of_ours_is_temporary_and_shows_no_traceback(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("daemon.admin.people.everyone", fault)
    assert "ZeroDivisionError" in ctl.fails(75, "user", "list")
    monkeypatch.setenv("MAILCTL_TRACEBACK", "1")
    assert isinstance(ctl("user", "list").exception, ZeroDivisionError)


def test_a_reader_who_had_enough_is_no_error(tmp_path: Path) -> None:
    env = {**os.environ, "MAILCTL_DATA": str(tmp_path / "data")}
    for args in (["config", "list"], ["mailq"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([*MAILCTL, *args] if args != ["mailq"] else
                              [sys.executable, "-c", "from mailctl.sendmail import mailq; mailq()"],
                              stdout=writer, stderr=subprocess.PIPE, env=env, cwd=TOP)  # fmt: skip
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b""), args


def test_closed_standard_streams_are_no_fault(town: Ctl) -> None:
    def close() -> None:
        for fd in (0, 1):
            os.close(fd)

    env = {**os.environ, "MAILCTL_DATA": str(town.path)}
    for code, args in (
        (0, ["user", "list"]),
        (0, ["user", "disable", "bob@example.org"]),
        (64, ["user", "rm", "bob@example.org"]),
    ):
        done = subprocess.run([*MAILCTL, *args], stderr=subprocess.PIPE, env=env, cwd=TOP, preexec_fn=close)
        assert done.returncode == code, done.stderr
    assert town.json("user", "show", "bob@example.org")["enabled"] is False


def heed_interrupts() -> None:
    """What a shell runs in the background inherits that SIGINT is ignored; a terminal's user is heard."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_ends_with_130_and_one_line(tmp_path: Path) -> None:
    env = {**os.environ, "MAILCTL_DATA": str(tmp_path / "data")}
    command = [*MAILCTL, "mail", "deliver", "-", "--to", "a@example.org"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                          cwd=TOP, preexec_fn=heed_interrupts) as process:  # fmt: skip
        end = time.monotonic() + 30
        while not (tmp_path / "data" / "mail.db").exists() and time.monotonic() < end:
            select.select([], [], [], 0.01)
        select.select([], [], [], 0.3)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(30) == 130
    assert "Traceback" not in said and said.strip() == "mailctl: error: interrupted"


# ------------------------------------------------------------------------------------------------------- on a terminal


class Terminal:
    """mailctl on a terminal of its own."""

    def __init__(self, path: Path, *args: str) -> None:
        pid, self.fd = pty.fork()
        if pid == 0:
            heed_interrupts()
            os.chdir(TOP)
            os.environ.update(MAILCTL_DATA=str(path), TERM="xterm", COLUMNS="100")
            os.execv(sys.executable, [*MAILCTL, *args])
        self.pid = pid
        self.said = ""

    def until(self, text: str) -> None:
        end = time.monotonic() + 30
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.said += os.read(self.fd, 65536).decode()
                except OSError:  # the other end is closed
                    raise AssertionError(self.said) from None

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self) -> int:
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.said += data.decode()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_terminal_is_asked_and_gets_a_table(town: Ctl) -> None:
    terminal = Terminal(town.path, "user", "rm", "bob@example.org")
    terminal.until("Go on? [y/N]: ")
    assert "6 mailboxes" in terminal.said
    terminal.type("n\n")
    assert terminal.end() == 1 and "nothing was done" in terminal.said
    terminal = Terminal(town.path, "user", "list")
    assert terminal.end() == 0 and "\x1b[1m" in terminal.said and "───" in terminal.said
    terminal = Terminal(town.path, "user", "rm", "bob@example.org")
    terminal.until("Go on? [y/N]: ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert [u["address"] for u in town.lines("user", "list")] == ["alice@example.org"]


def test_a_password_is_asked_for_twice_and_not_shown(town: Ctl) -> None:
    terminal = Terminal(town.path, "user", "passwd", "bob@example.org")
    terminal.until("New password for bob@example.org: ")
    terminal.type("hunter2\n")
    terminal.until("confirmation: ")
    terminal.type("hunter2\n")
    assert terminal.end() == 0 and "hunter2" not in terminal.said
    terminal = Terminal(town.path, "user", "passwd", "bob@example.org")
    terminal.until("New password for bob@example.org: ")
    terminal.type("\x03")
    assert terminal.end() == 130 and "interrupted" in terminal.said


def test_setup_asks_for_what_was_not_named(ctl: Ctl) -> None:
    terminal = Terminal(ctl.path, "setup", "--hostname", "mail.example.org")
    for question, answer in (
        ("Domain it takes mail for [example.org]: ", ""),
        ("Address of its administrator [admin@example.org]: ", "ann@example.org"),
        ("Password for ann@example.org: ", "secret"),
        ("confirmation: ", "secret"),
    ):
        terminal.until(question)
        terminal.type(answer + "\n")
    assert terminal.end() == 0 and "mailctl dns records example.org" in terminal.said
    assert ctl.json("user", "show", "ann@example.org")["admin"] is True


def test_an_error_has_one_form() -> None:
    assert grammar._lower("No such thing.") == "no such thing"
    assert grammar._lower("DNS is down") == "DNS is down"
