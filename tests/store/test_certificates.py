"""Which of the certificates stands for a host."""

from __future__ import annotations

import pytest

from daemon.store import certificates
from daemon.store.db import Store

LATER, PAST = 10**15, 1
HOST = "mail.example.org"
KEPT = {  # in the order of their making: names, source, end
    "other": ("other.example", "imported", LATER),
    "star": ("*.example.org", "imported", LATER),
    "ended": (HOST, "acme", PAST),
    "self": (HOST, "self-signed", LATER),
    "first": (HOST, "imported", LATER),
    "newer": (f"{HOST} example.org", "acme", LATER),
}


@pytest.mark.parametrize(
    ("kept", "best", "shown"),
    [
        ("", "", ""),
        ("other", "other", ""),  # who asks for no name sees it all the same
        ("other star", "star", "star"),
        ("star ended", "ended", "ended"),  # its own name, as the listeners choose
        ("star ended self", "self", "self"),
        ("ended self first", "first", "first"),
        ("other star ended self first newer", "newer", "newer"),
    ],
)
def test_the_best_stands_for_the_host(store: Store, kept: str, best: str, shown: str) -> None:
    ids = {0: ""}
    for word in kept.split():
        names, source, end = KEPT[word]
        ids[store.write_now(certificates.add, tuple(names.split()), "", word, source, 0, end)] = word
    for ask, want in ((certificates.best, best), (certificates.shown, shown)):
        found = store.read_now(ask, HOST)
        assert ids[found.id if found else 0] == want
