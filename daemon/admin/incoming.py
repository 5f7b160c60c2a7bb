"""A message on its way in from a file, with what its mailbox knew of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Incoming:
    """`where` names it for people. `octets` is what it took in the file, for the progress. With a `problem` there is
    no data. `open_end`: the format cannot say whether the last line had an end (mbox)."""

    data: bytes
    mailbox: str
    flags: int = 0
    keywords: tuple[str, ...] = ()
    received_at: int | None = None
    where: str = ""
    octets: int = 0
    problem: str = ""
    open_end: bool = False
