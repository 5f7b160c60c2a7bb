"""More than usual: noticed, forgotten, and bounded."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.flow import rate
from daemon.flow.rate import Rates, network_of
from daemon.limits import LIMITS


def test_more_than_usual_is_noticed_and_forgotten() -> None:
    rates, usual = Rates(), int(LIMITS.rate_usual)
    assert [rates.note("192.0.2.1", 0) for _ in range(4 * usual)] == [0.0] * (4 * usual), "a newcomer may write some"
    flood = [rates.note("192.0.2.99", 60) for _ in range(100 * usual)]
    assert flood == sorted(flood) and flood[0] < 0.1 and flood[-1] == 1.0, "its network does not help"
    assert rates.note("198.51.100.1", 60) == 0.0, "others are not concerned"
    assert rates.note("192.0.2.1", 60 + 7200) == 0.0


def test_what_is_usual_for_one_is_not_for_another() -> None:
    rates = Rates()
    for minute in range(0, 3 * 24 * 60):
        assert rates.note("192.0.2.1", minute * 60, recipients=3) < 0.2, "a busy server is always busy"
    assert rates.note("192.0.2.1", 3 * 86400, recipients=1000) > 0.4


def test_rates_are_remembered_of_so_many_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "LIMITS", dataclasses.replace(LIMITS, rate_networks=3))
    rates = Rates()
    for number in range(50):
        rates.note(f"192.0.{number}.1", number)
        rates.note("192.0.0.1", number, recipients=100)
    assert len(rates) == 3
    assert rates.note("192.0.0.1", 50) == 1.0, "who was silent for longest is forgotten first"


@pytest.mark.parametrize(
    "ip,network",
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_is_one_sender(ip: str, network: str) -> None:
    assert network_of(ip) == network
