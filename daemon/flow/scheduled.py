"""Messages whose time has come (scheduled sending, and what waits a moment so that it can be undone) go out.

Looked at when one is due, and when one was handed in. Each goes the road of `email_submission`; what cannot go at its
time is told to its owner in a letter, in the transaction that ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon import log
from daemon.config import Config
from daemon.flow import email_submission, receive
from daemon.flow.email_submission import BadEnvelope, Submitter
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judging import Judge
from daemon.flow.postmaster import plain_letter, postmaster
from daemon.flow.rounds import rounds
from daemon.flow.submit import NotTaken
from daemon.limits import LIMITS
from daemon.store import accounts, submissions
from daemon.store.db import Store
from daemon.store.errors import Missing, StoreError
from daemon.store.spool import Body
from daemon.store.submissions import Due, Settled, Settlement
from daemon.store.tx import Changes


def _concerns(changes: Changes) -> bool:
    return changes.everything or any(type == submissions.TYPE for _, type in changes.objects)


class Scheduled:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(self, store: Store, config: Callable[[], Config], judge: Judge | None = None) -> None:
        self._store = store
        self._config = config
        self._road = Submitter(store, config, judge)

    async def run(self) -> None:
        await rounds(self._store, "submission", self.round, self._pause, concerns=_concerns)

    def _pause(self) -> float:
        """Seconds until the next one is due, a minute at most: clocks are set."""
        due = self._store.peek(submissions.next_due)
        if due is None:
            return float(LIMITS.submission_rest)
        return min(max((due - self._store.clock()) / 1000, 0.01), float(LIMITS.submission_rest))

    async def round(self) -> int:
        """Send all that is due; how many went or ended. Raises `StoreError`."""
        done = 0
        while due := self._store.peek(submissions.due, LIMITS.submission_batch):
            ended = await asyncio.gather(*map(self._one, due))
            done += sum(ended)
            if not all(ended):  # the rest waits for another round
                break
        return done

    async def _one(self, due: Due) -> bool:
        """Whether it is over, one way or another."""
        one = due.submission
        try:
            asked = email_submission.read(one.envelope, lambda _: None)
            receipt = await self._road.send(one.account_id, asked.envelope, due.place, Settlement(one.id))
            log.event("submitted", id=receipt.trace, submission=one.id)
            return True
        except Settled:
            return True
        except (NotTaken, BadEnvelope) as no:
            if isinstance(no, NotTaken) and no.code < 500:
                return await self._later(one.id, no.text)
            return await self._refused(due, no.text)
        except (StoreError, OSError) as trouble:
            return await self._later(one.id, str(trouble))
        except Exception as error:
            log.fault("submission", error, submission=one.id)
            return await self._later(one.id, "")

    async def _later(self, submission_id: int, why: str) -> bool:
        log.trouble("submission-put-off", submission=submission_id, reason=why)
        until = self._store.clock() + LIMITS.submission_rest * 1000
        await self._store.write(submissions.put_off, submission_id, until)
        return False

    async def _refused(self, due: Due, why: str) -> bool:
        """Its owner reads why; when no letter can reach him, it ends all the same."""
        one, config = due.submission, self._config()
        log.event("submission-refused", submission=one.id, reason=why)
        account = self._store.peek(accounts.by_id, one.account_id)
        try:
            if account is None:
                raise Missing("the user is gone")
            trace, to = receive.new_trace(self._store), Envelope(None, [Recipient(account.address, notify="NEVER")])
            ours = self._store.peek(postmaster, config.hostname, account.address)
            named = ", ".join(each["email"] for each in one.envelope["rcptTo"][:10])
            data = plain_letter(
                ours, f"<{account.address}>", "A message of yours could not be sent",
                ["The time of a message that you had scheduled has come, and it could not be sent.", "",
                 f"To: {named}", f"Reason: {why}", "", "It is not tried again. You find it among your messages."],
                unique=f"submission.{trace}", hostname=config.hostname, now=self._store.clock() / 1000,
            )  # fmt: skip
            await receive.accept(
                self._store, Origin("notice", trace=trace), to,
                Body.of(data), config=config, settlement=Settlement(one.id, refusal=why),
            )  # fmt: skip
            await self._store.write(submissions.refuse, one.id, why)
        except (Missing, Settled):
            pass
        return True
