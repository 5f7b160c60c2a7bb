"""Anything at all is understood or refused, never more: seeds, mutants of them, and what hypothesis makes of the words.

`make test-long` goes on for minutes. A failure prints its input: save it under `seeds/`, and it is tried for ever.
"""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.conversations import IMAP, MANAGESIEVE, MILTER, POP3, SMTP, SMTP_CLIENT
from tests.fuzz.harness import HERE, KIB, Target, campaign, judge
from tests.fuzz.scripts import SIEVE
from tests.fuzz.values import ADDRESS, CLIENT_HELLO, MESSAGE, SASL, SEARCH

TARGETS = (
    SMTP, IMAP, POP3, MANAGESIEVE, SMTP_CLIENT, MILTER, MESSAGE, ADDRESS, SASL, SEARCH, CLIENT_HELLO, SIEVE,
)  # fmt: skip
each = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@each
def test_seeds_and_their_mutants_are_understood_or_refused(target: Target) -> None:
    campaign(target, 2000)


@each
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_words_in_any_order_are_understood_or_refused(target: Target, data: st.DataObject) -> None:
    words = st.sampled_from(target.words) | st.binary(max_size=12)
    judge(target, b"".join(data.draw(st.lists(words, max_size=40))), random.Random(0))


@pytest.mark.parametrize("target", [t for t in TARGETS if not t.whole], ids=lambda target: target.name)
def test_a_long_stream_takes_the_memory_of_a_short_one(target: Target) -> None:
    for seed in target.seeds:
        piece = seed * (4 * KIB // len(seed) + 1)
        short, long = _peak(target, [piece] * 2), _peak(target, [piece] * 8)
        assert long < short + 2 * len(piece) + 64 * KIB, f"{short} and {long} octets for {seed!r}"


def _peak(target: Target, stream: list[bytes]) -> int:
    tracemalloc.start()
    try:
        target.run(stream)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_all_seeds_and_words_have_a_target() -> None:
    names = {target.name for target in TARGETS}
    assert {path.name for path in (HERE / "seeds").iterdir()} == names
    assert {path.name for path in (HERE / "words").iterdir()} == names | {"everywhere"}


@pytest.mark.long
@pytest.mark.timeout(600)
@each
@pytest.mark.parametrize("seed", range(1, 5))
def test_tens_of_thousands_of_mutants(target: Target, seed: int) -> None:
    campaign(target, 10_000, seed)
