"""The filter is tried every hour with the test strings that are made for it: EICAR for the virus scanner, GTUBE for the
content rules, a program by name for the attachment policy, and a harmless message for all.

How it ended is kept for `mailctl doctor` and `mailctl status`. What fails is tried again some minutes later (a scanner
that starts reads its signatures for a minute), and who administers is told once when it fails then.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from daemon import log
from daemon.config import Config
from daemon.flow import dangers, receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.postmaster import administrators, plain_letter, postmaster
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.store import drills
from daemon.store.db import Store
from daemon.store.drills import Drill
from daemon.store.spool import Body
from daemon.trust import attachments, rules, virus

Ended = tuple[str, bool, str]
"""The name of a trial, whether it passed, what was seen."""

EICAR = base64.b64decode("WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=")
"""The test file of scanners; written so that none finds it in here."""
_TOLD_AT = 2  # failures in a row


def letter(content: bytes, name: str) -> bytes:
    """A message with one attachment."""
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return (
        b"From: <drill@localhost.invalid>\r\nSubject: a trial of the filter\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="drill"\r\n\r\n--drill\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        b'--drill\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="%s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--drill--\r\n" % (name.encode(), body)
    )


async def look(config: Config) -> list[Ended]:
    """Try what the settings switch on; never raises."""
    stranger = Origin("smtp")
    found: list[Ended] = []
    if dangers.scans(config, stranger):
        found.append(("scanner", *await _scanner(config)))
    if config["spam.check"]:
        found.append(("content", *_content()))
    if config["attachments.action"] != "accept" and "exe" in config["attachments.blocked"]:
        found.append(("attachments", *_attachments(config)))
    return found


async def _scanner(config: Config) -> tuple[bool, str]:
    async def ask(data: bytes) -> tuple[str, str]:
        said = await virus.scan(
            config["virus.scanner"], data, most=config["virus.size"], patience=config["virus.timeout"]
        )
        return said.result, said.name or said.reason

    (bad, name), (good, why) = await ask(letter(EICAR, "eicar.com")), await ask(letter(b"hello", "hello.txt"))
    if (bad, good) == ("infected", "clean"):
        return True, f"the virus scanner finds EICAR ({name}), and nothing in a harmless message"
    if bad != "infected":
        return False, f"the virus scanner does not find EICAR: {bad}{name and f' ({name})'}"
    return False, f"the virus scanner does not pass a harmless message: {good}{why and f' ({why})'}"


def _content() -> tuple[bool, str]:
    if not rules.met(b"Subject: a trial\r\n\r\n" + rules.GTUBE + b"\r\n"):
        return False, "the content rules do not find GTUBE"
    if rules.met(letter(b"hello", "hello.txt")):
        return False, "the content rules find something in a harmless message"
    return True, "the content rules find GTUBE, and nothing in a harmless message"


def _attachments(config: Config) -> tuple[bool, str]:
    policy = attachments.Policy(config["attachments.blocked"])
    if not attachments.check(letter(b"hello", "hello.exe"), policy):
        return False, "the attachment policy does not find a program"
    if attachments.check(letter(b"hello", "hello.txt"), policy):
        return False, "the attachment policy finds something in a harmless message"
    return True, "the attachment policy finds a program, and nothing in a harmless message"


class Drills:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        *,
        every: float = LIMITS.drill_round,
        again: float = LIMITS.drill_again,
    ) -> None:
        self._store = store
        self._config = config
        self._every = every
        self._again = again
        self._failed = False

    async def run(self) -> None:
        """A round at the start, every hour, sooner after a failure, and when a setting was changed."""
        await rounds(self._store, "drill", self._try, lambda: self._again if self._failed else self._every)

    async def _try(self) -> None:
        self._failed = True
        self._failed = await self.round()

    async def round(self) -> bool:
        """Try all, keep how it ended, tell what began to fail; whether anything failed. Raises `StoreError`."""
        before = {drill.name: drill for drill in self._store.peek(drills.everyone)}
        now = await self._store.write(drills.note, await look(self._config()))
        for drill in now:
            if drill.failures == 1:
                log.trouble("drill-failed", trial=drill.name, text=drill.text)
            elif not drill.failures and before.get(drill.name, drill).failures:
                log.event("drill-passed", trial=drill.name, text=drill.text)
        if news := [drill for drill in now if drill.failures == _TOLD_AT]:
            await self._tell(news)
        return any(drill.failures for drill in now)

    async def _tell(self, news: list[Drill]) -> None:
        """A letter to each administrator; without one, to the postmaster."""
        config = self._config()
        recipients = self._store.peek(administrators, config.hostname)
        if not recipients:
            return
        trace = receive.new_trace(self._store)
        ours = self._store.peek(postmaster, config.hostname)
        data = plain_letter(
            ours, "administrators: ;", f"The mail filter of {config.hostname} fails", _words(news, config),
            unique=f"drill.{trace}", hostname=config.hostname, now=self._store.clock() / 1000,
        )  # fmt: skip
        envelope = Envelope(None, [Recipient(address, notify="NEVER") for address in recipients])
        receipt = await receive.accept(
            self._store, Origin("notice", trace=trace), envelope, Body.of(data), config=config
        )
        log.event("drill-told", id=receipt.trace, to=recipients[0], more=len(recipients) - 1 or None)


def _words(news: list[Drill], config: Config) -> list[str]:
    comes = "senders are told to try again" if config["virus.on_error"] == "defer" else "mail is delivered unscanned"
    lines = [f"The mail filter of {config.hostname} failed its trial:", ""]
    lines += [f"* {drill.text}" for drill in news]
    lines += [f"  Meanwhile {comes} (virus.on_error)." for drill in news if drill.name == "scanner"]
    return [*lines, "", "`mailctl doctor` tells what can be done. There is no second letter until it worked again."]
