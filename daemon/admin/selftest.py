"""A real message on the whole road: submission, queue, another server, port 25, filters, IMAP and POP3.

A temporary user (or a temporary app password of a named one) hands it in for a domain that nobody has; a temporary
route leads that domain to a `Carrier` in this process, which plays the far server and brings the message back to
port 25 as a stranger would. What is read back must be, octet for octet, what was handed in. Then all of it is taken
away again. Nothing leaves the machine. The first step that fails ends it, with what was said.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from daemon.admin import clients, health, mail, people, queue, routes
from daemon.admin.carrier import Carrier
from daemon.admin.clients import Off
from daemon.admin.errors import Missing, Unavailable
from daemon.admin.findings import in_words
from daemon.config import Config
from daemon.mail.headers import format_date
from daemon.mail.remedy import remedy
from daemon.store import domains, events, settings
from daemon.store.db import Store
from daemon.store.errors import Refusal
from daemon.store.tx import Tx

_PATIENCE = 20  # seconds for the queue, and for the mailbox
_PAUSE = 0.05
_NAME = "selftest"
_NEEDED = ("submission", "mx")  # without these doors the message gets nowhere
_LAST = 10  # messages in which POP3 looks for it: others may come meanwhile
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """`result` is ok, failed or skipped; `text` what was done or what was said; `ms` how long it took."""

    name: str
    result: str
    text: str
    ms: int


class _Failed(Exception):
    """What was said, and what it means."""


def run(store: Store, *, user: str | None = None, tell: Callable[[Step], None] = lambda _: None) -> list[Step]:
    """All steps, up to the first that failed, and the cleaning up; `tell` hears of each.

    Raises `Unavailable` when no server runs, `Missing` for a user who is not there, `BadData`, `BadSetting`.
    """
    if not health.is_running(store):
        raise Unavailable("no server serves from this data directory; start it with `mailctl serve`")
    if user is not None:
        people.show(store, user)
    steps: list[Step] = []

    def done(name: str, work: Callable[[], str]) -> bool:
        steps.append(_take(name, work))
        tell(steps[-1])
        return steps[-1].result != "failed"

    with Carrier() as carrier:
        errand = _Errand(store, store.read_now(settings.load), carrier, user)
        for name, work in errand.road():
            if not done(name, work):
                break
        done("cleaning up", errand.clean)
    return steps


def _take(name: str, work: Callable[[], str]) -> Step:
    started = time.monotonic()
    try:
        result, text = "ok", work()
    except Off as error:
        result, text = "failed" if name in _NEEDED else "skipped", str(error)
    except (_Failed, Refusal, EOFError) as error:
        result, text = "failed", str(error) or "the connection ended"
    except smtplib.SMTPRecipientsRefused as error:
        result, text = "failed", "; ".join(_reply(*said) for said in error.recipients.values())
    except smtplib.SMTPResponseException as error:
        result, text = "failed", _reply(error.smtp_code, error.smtp_error)
    except (imaplib.IMAP4.error, poplib.error_proto) as error:
        said = error.args[0] if error.args else ""
        result, text = "failed", said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    except OSError as error:  # ssl's and smtplib's are some of these
        result, text = "failed", in_words(error)
    return Step(name, result, text, round((time.monotonic() - started) * 1000))


def _reply(code: int, said: bytes | str) -> str:
    """A peer's words, and what they mean where that is known."""
    text = f"{code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}".replace("\n", " ")
    known = remedy(text)
    return f"{text} ({known.sentence})" if known else text


class _Errand:
    """One message on its way, and everything that was made for it."""

    def __init__(self, store: Store, config: Config, carrier: Carrier, user: str | None) -> None:
        self.store = store
        self.config = config
        self.carrier = carrier
        self.mark = secrets.token_hex(6)
        self.far = f"{_NAME}-{self.mark}.invalid"  # RFC 6761 §6.4: nobody's, ever
        self.address = user or ""
        self.temporary = user is None
        self.made = False
        self.password = ""
        self.route: int | None = None
        self.message = b""
        self.trace = ""  # of the message as it came back
        self.mailbox = ""

    def road(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("user", self.make_user), ("submission", self.hand_in), ("queue", self.leave), ("mx", self.come_back),
            ("filters", self.be_filed), ("imap", self.by_imap), ("pop3", self.by_pop3),
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------------- the way out

    def make_user(self) -> str:
        if self.temporary:
            names = self.store.read_now(_homes)
            if not names:
                raise _Failed("there is no domain a user can be made in; `mailctl domain add DOMAIN`")
            self.address = f"{_NAME}-{self.mark}@{names[0]}"
            people.add(self.store, self.address, None)
        self.made = True
        made = people.add_app_password(self.store, self.address, f"{_NAME}-{self.mark}", expires="10m")
        self.password = made.password or ""
        self.route = routes.add(self.store, "recipient", self.far, f"127.0.0.1:{self.carrier.port}", tls="none").id
        return f"{self.address} has an app password for ten minutes"

    def hand_in(self) -> str:
        text = "\r\n".join(
            (
                f"From: <{self.address}>",
                f"To: <echo@{self.far}>",
                f"Subject: self-test {self.mark}",
                f"Date: {format_date(time.time())}",
                f"Message-ID: <{self.mark}@{self.far}>",
                "Auto-Submitted: auto-generated",
                "",
                "A message of `mailctl selftest`; it is removed again.",
                "..a line that begins with dots",
                "",
            )
        )
        self.message = text.encode()
        client = clients.smtp(self.config, "submissions", "submission")
        with client:
            client.login(self.address, self.password)
            client.sendmail(self.address, [f"echo@{self.far}"], self.message)
            tls = client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else "no TLS"
        return f"taken from {self.address}, {tls}"

    def leave(self) -> str:
        if self.config["queue.hold_external"]:
            entry = self._waiting(held=True)
            if entry is None:
                raise _Failed(f"it is not in the queue after {_PATIENCE} s; `mailctl trace {self.mark}@{self.far}`")
            self.message = queue.raw(self.store, entry.id)
            return "held in the queue, as queue.hold_external wants; taken from there"
        found = self.carrier.wait(_PATIENCE)
        if found is None:
            entry = self._waiting(held=False)
            said = f": {entry.last_reply}" if entry and entry.last_reply else ""
            raise _Failed(f"it did not leave the queue within {_PATIENCE} s{said}; heard: {self.carrier.heard[-3:]}")
        if not found.endswith(self.message):
            raise _Failed("what left the queue is not what was handed in")
        self.message = found
        return "sent to the far server that this test plays"

    def _waiting(self, *, held: bool) -> queue.Entry | None:
        wanted = queue.Wanted(recipient=f"echo@{self.far}")
        return _until(
            lambda: next((e for e in queue.entries(self.store, wanted) if not held or e.state == "held"), None)
        )

    # --------------------------------------------------------------------------------------------------- the way back

    def come_back(self) -> str:
        client = clients.smtp(self.config, "smtp")
        with client:
            client.mail(self.address)
            code, said = client.rcpt(self.address)
            if code >= 300:
                raise _Failed(f"the recipient is refused: {_reply(code, said)}")
            code, said = client.data(self.message)
        if code != 250:
            raise _Failed(_reply(code, said))
        self.trace = said.decode("ascii", "replace").split()[-1]
        return f"taken on port {self.config['listen.smtp'][0].port}, trace {self.trace}"

    def be_filed(self) -> str:
        filed = _until(self._filed)
        if filed is None:
            raise _Failed(f"it is in no mailbox after {_PATIENCE} s; `mailctl trace {self.trace}` tells")
        self.mailbox = filed
        if filed != "INBOX":
            raise _Failed(f"it was filed to {filed}, not to INBOX; `mailctl trace {self.trace}` tells why")
        return "delivered to INBOX"

    def _filed(self) -> str | None:
        for event in self.store.read_now(events.of_trace, self.trace):
            if event.kind == "delivered":
                return str(event.detail.get("mailbox"))
        return None

    def by_imap(self) -> str:
        client = clients.imap(self.config)
        with client:
            client.login(self.address, self.password)
            client.select(self.mailbox, readonly=True)
            _, (found, *_) = client.search(None, "HEADER", "Message-ID", self.mark)
            if not found:
                raise _Failed("it is not found by its Message-ID")
            _, answer = client.fetch(found.split()[-1].decode(), "(BODY.PEEK[])")
            self._same(answer[0][1] if isinstance(answer[0], tuple) else b"")
        return "found by its Message-ID, octet for octet as it was sent"

    def by_pop3(self) -> str:
        client = clients.pop3(self.config)
        try:
            client.user(self.address)
            client.pass_(self.password)
            count = client.stat()[0]
            for number in range(count, max(0, count - _LAST), -1):
                found = b"\r\n".join(client.retr(number)[1]) + b"\r\n"
                if self.mark.encode() in found:
                    break
            else:
                raise _Failed(f"it is not among the last of {count} messages")
            self._same(found)
            client.quit()
        finally:
            client.close()
        return "there, octet for octet as it was sent"

    def _same(self, found: bytes) -> None:
        if not found.endswith(self.message):
            raise _Failed(f"what is read back ({len(found)} octets) is not what was sent ({len(self.message)})")

    # ---------------------------------------------------------------------------------------------------- cleaning up

    def clean(self) -> str:
        """Take away what was made; what is gone already is no trouble."""
        if not self.made:
            return "nothing to take away"
        if waiting := queue.entries(self.store, queue.Wanted(recipient=f"echo@{self.far}")):
            queue.drop(self.store, [entry.id for entry in waiting])
        with contextlib.suppress(Missing):
            if self.route is not None:
                routes.remove(self.store, [self.route])
        if self.temporary:
            people.remove(self.store, self.address)
            return f"{self.address} and all of its mail are gone"
        with contextlib.suppress(Missing):
            people.remove_app_password(self.store, self.address, f"{_NAME}-{self.mark}")
        gone = [one.id for one in mail.found(self.store, f"message-id:{self.mark}@{self.far}", user=self.address)]
        mail.remove(self.store, gone)
        return "the message and the app password are gone"


def _homes(tx: Tx) -> list[str]:
    return [domain.name for domain in domains.everyone(tx) if domain.enabled and domain.alias_of is None]


def _until(look: Callable[[], T | None]) -> T | None:
    end = time.monotonic() + _PATIENCE
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(_PAUSE)
    return found
