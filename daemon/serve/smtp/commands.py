"""Which command may be said when, and at which door. The rules that span commands are columns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from daemon.serve.smtp import auth, content, envelope, hello, small
from daemon.wire.smtp import Reply

if TYPE_CHECKING:
    from daemon.serve.smtp.session import Smtp

Door = Literal["mx", "submission", "lmtp"]
Answer = Reply | list[Reply]
Run = Callable[["Smtp", bytes], Awaitable[Answer]]

_ALL: frozenset[Door] = frozenset(("mx", "submission", "lmtp"))
_SMTP: frozenset[Door] = frozenset(("mx", "submission"))
_LMTP: frozenset[Door] = frozenset(("lmtp",))


@dataclass(frozen=True, slots=True)
class Row:
    """`hello`: only after EHLO. `login`: only after AUTH where AUTH is due. `chunks`: also between two BDATs.
    `idle`: it brings no mail nearer, so it may not be said for ever."""

    run: Run
    doors: frozenset[Door] = _ALL
    hello: bool = False
    login: bool = False
    chunks: bool = False
    idle: bool = False


COMMANDS: Mapping[str, Row] = {
    #          what it does          doors  hello  login  chunks idle
    "HELO":     Row(hello.helo,      _SMTP, False, False, True,  True),
    "EHLO":     Row(hello.ehlo,      _SMTP, False, False, True,  True),
    "LHLO":     Row(hello.ehlo,      _LMTP, False, False, True,  True),  # RFC 2033 §4.1: and neither of the other two
    "STARTTLS": Row(hello.starttls,  _ALL,  True,  False, False, False),
    "AUTH":     Row(auth.auth,       _ALL,  True,  False, False, False),
    "MAIL":     Row(envelope.mail,   _ALL,  True,  True,  False, False),
    "RCPT":     Row(envelope.rcpt,   _ALL,  True,  True,  False, False),
    "DATA":     Row(content.data,    _ALL,  True,  True,  False, False),
    "BDAT":     Row(content.bdat,    _ALL,  True,  True,  True,  False),
    "RSET":     Row(small.rset,      _ALL,  False, False, True,  True),
    "NOOP":     Row(small.noop,      _ALL,  False, False, True,  True),
    "VRFY":     Row(small.vrfy,      _ALL,  True,  True,  True,  True),
    "EXPN":     Row(small.expn,      _ALL,  True,  True,  True,  True),
    "HELP":     Row(small.help_,     _ALL,  False, False, True,  True),
    "QUIT":     Row(small.quit_,     _ALL,  False, False, True,  False),
}  # fmt: skip

# What browsers say when a page makes them talk to a mail server: nothing after it can be believed.
FORBIDDEN = frozenset(("GET", "POST", "PUT", "CONNECT", "OPTIONS", "HEAD"))
