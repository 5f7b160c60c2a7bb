"""What the filters found (RFC 5235): `spamtest` and `virustest` as numbers."""

from __future__ import annotations

from daemon.sieve.matching import matcher, options
from daemon.sieve.run import Run
from daemon.sieve.strings import Texts
from daemon.sieve.subject import SpamScore
from daemon.sieve.words import STRING, Ask, Call, Option, test

_VIRUS = {"clean": "1", "repaired": "2", "unsure": "4", "infected": "5"}  # 0: not looked at; section 3.2


@test("spamtest", STRING, needs="spamtest spamtestplus", options=(*options(), Option("percent", needs="spamtestplus")))
def spamtest(call: Call) -> Ask:
    match, percent = matcher(call, Texts([call.text(0)]), 0), call.has("percent")
    counts = call.has("count")

    def ask(run: Run) -> bool:
        found = run.subject.facts.spam
        if counts:
            return match(run, () if found is None else ("x",))
        return match(run, (_percent(found) if percent else _tenth(found),))

    return ask


@test("virustest", STRING, needs="virustest", options=options())
def virustest(call: Call) -> Ask:
    match, counts = matcher(call, Texts([call.text(0)]), 0), call.has("count")

    def ask(run: Run) -> bool:
        found = _VIRUS.get(run.subject.facts.virus)
        return match(run, () if found is None and counts else (found or "0",))  # section 3.1: none to count

    return ask


def _share(found: SpamScore) -> float:
    """Of what makes spam: 0 or less is surely wanted, 1 and more is spam."""
    return found.points / found.required if found.required else 0.0


def _tenth(found: SpamScore | None) -> str:
    """0: not looked at; 1: surely no spam, to 10: surely spam. What makes spam is 5."""
    if found is None:
        return "0"
    return str(min(10, max(1, round(1 + 4 * _share(found)))))


def _percent(found: SpamScore | None) -> str:
    """0 to 100; what makes spam is 50."""
    return "0" if found is None else str(min(100, max(0, round(50 * _share(found)))))
