"""The shims `sendmail` and `mailq`: what cron, PHP and mail programs of this machine call.

`sendmail` hands its message to the store when it may read it, and else to the server on this machine by SMTP; so it
serves root and the server's own user as well as everybody else.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from mailctl.desk import Desk
from mailctl.grammar import TEMPORARY, complain

_WITH_VALUE = "fFrBNRVXCOoLphbqdAGMD"  # options of the old one that take a value; only f, F and r mean something here
_USAGE, _DATA, _UNAVAILABLE, _FORBIDDEN, _CONFIGURATION = 64, 65, 69, 77, 78


class Asked:
    """What the command line says. Unknown options are passed over, as every other sendmail does."""

    def __init__(self, args: list[str]) -> None:
        """Raises `ValueError` with what is wrong."""
        self.sender: str | None = None
        self.name = ""
        self.from_header = False
        self.dot_ends = True
        self.list_queue = False
        self.recipients: list[str] = []
        place = 0
        while place < len(args):
            arg = args[place]
            place += 1
            if arg == "--":
                self.recipients += args[place:]
                break
            if not arg.startswith("-") or arg == "-":
                self.recipients.append(arg)
                continue
            letter, value = arg[1], arg[2:]
            if arg in ("-oi", "-i"):
                self.dot_ends = False
            elif letter == "t" and not value:
                self.from_header = True
            elif letter == "t":  # -ti and the like
                self.from_header, self.dot_ends = True, "i" not in value
            elif letter == "b":
                self._mode(value or "m")
            elif letter in "fFr":
                if not value:
                    if place >= len(args):
                        raise ValueError(f"option -{letter} needs a value")
                    value = args[place]
                    place += 1
                if letter == "F":
                    self.name = value
                else:
                    self.sender = value
            elif letter in _WITH_VALUE and not value and place < len(args) and letter not in "ovbqd":
                place += 1

    def _mode(self, mode: str) -> None:
        if mode == "p":
            self.list_queue = True
        elif mode not in ("m", "d", "i"):
            raise ValueError(f"-b{mode} is not done here; mailctl(1) names what is")


def main() -> NoReturn:
    """The installed command `sendmail`."""
    sys.exit(run(sys.argv[1:]))


def mailq() -> NoReturn:
    """The installed command `mailq`."""
    sys.exit(_mailq())


def run(args: list[str]) -> int:
    """Hand in the message on standard input; the exit code (sysexits)."""
    try:
        asked = Asked(args)
    except ValueError as error:
        complain(str(error))
        return _USAGE
    if asked.list_queue:
        return _mailq()
    if not asked.recipients and not asked.from_header:
        complain("there is no recipient; name one, or use -t to take them from the header")
        return _USAGE
    try:
        return _hand_in(asked)
    except KeyboardInterrupt:
        return TEMPORARY
    except Exception as error:
        return _ended_by(error)


def _hand_in(asked: Asked) -> int:
    from daemon.admin import errors, house, post

    desk = Desk()
    data = _message(asked.dot_ends)
    try:
        try:
            store = house.open_store(desk.directory, create=False)
        except (errors.NotPermitted, errors.Missing):
            return post.by_smtp(data, asked.recipients, asked.sender, _me(), from_header=asked.from_header)
        try:
            sender = asked.sender if asked.sender is not None else f"{_me()}@{post.hostname(store)}"
            done = post.submit_local(
                store, data, asked.recipients, sender, from_header=asked.from_header, name=asked.name
            )
        finally:
            store.close()
    finally:
        data.close()
    for fate in done.refused:
        complain(f"{fate.recipient}: {fate.code} {fate.enhanced} {fate.text}")
    if not done.refused:
        return 0
    return TEMPORARY if all(f.code < 500 for f in done.refused) else _DATA


def _message(dot_ends: bool):  # type: ignore[no-untyped-def]  # a file of octets
    """Standard input, up to a line with a dot alone unless -i says otherwise."""
    import tempfile

    file = tempfile.SpooledTemporaryFile(max_size=1 << 20)
    for line in sys.stdin.buffer:
        if dot_ends and line in (b".\n", b".\r\n"):
            break
        file.write(line)
    file.seek(0)
    return file


def _me() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user{os.getuid()}"


def _mailq() -> int:
    try:
        desk = Desk()
        try:
            _list(desk)
        finally:
            desk.close()
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return TEMPORARY
    except Exception as error:
        return _ended_by(error)


def _list(desk: Desk) -> None:
    """The queue as Postfix's mailq prints it, so that scripts find what they look for."""
    from datetime import datetime

    from daemon.admin import queue
    from mailctl.out import clean

    entries = queue.entries(desk.store, queue.Wanted())
    if not entries:
        print("Mail queue is empty")
        return
    print("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------")
    messages: dict[int, list[queue.Entry]] = {}
    for entry in entries:
        messages.setdefault(entry.message, []).append(entry)
    for number, group in messages.items():
        first = group[0]
        mark = "*" if first.state == "sending" else "!" if first.state == "held" else " "
        at = datetime.fromtimestamp(first.created_at / 1000).astimezone()
        print(f"{number:<10}{mark}{first.size:>9} {at:%a %b %e %H:%M:%S}  {clean(first.sender) or 'MAILER-DAEMON'}")
        for entry in group:
            if entry.last_reply:
                print(f"{'':>8}({clean(entry.last_reply)})")
            print(f"{'':>41}{clean(entry.recipient)}")
        print()
    octets = sum(group[0].size for group in messages.values())
    print(f"-- {-(-octets // 1024)} Kbytes in {len(messages)} Request{'s' if len(messages) != 1 else ''}.")
    sys.stdout.flush()


def _ended_by(error: Exception) -> int:
    from daemon.admin import errors

    code = errors.exit_code(error)
    complain(errors.sentence(error) if code is not None else f"a fault ({type(error).__name__}: {error})")
    return TEMPORARY if code is None else code
