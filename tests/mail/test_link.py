"""Links that are a right: nobody makes one up, changes one, or uses one for ever."""

from __future__ import annotations

import pytest

from daemon.mail import link
from daemon.mail.link import ACTIONS, BadLink, Link

KEY = bytes(range(32))
LINK = Link("release", 12, 3, 1_800_000_000)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("number,account,expires", [(1, 1, 1), (2**64 - 1, 2**63, 2**40), (12, 3, 1_800_000_000)])
def test_what_is_made_is_read(action: str, number: int, account: int, expires: int) -> None:
    wanted = Link(action, number, account, expires)
    text = link.make(wanted, KEY)
    assert link.read(text, KEY, expires) == wanted
    assert len(text) == 56 and text.replace("-", "a").replace("_", "a").isalnum()
    with pytest.raises(BadLink, match="expired"):
        link.read(text, KEY, expires + 1)


def test_every_letter_counts() -> None:
    """Not one may be another; and the last has no spare bits."""
    text = link.make(LINK, KEY)
    for at, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        with pytest.raises(BadLink, match="forged"):
            link.read(text[:at] + other + text[at + 1 :], KEY, 0)


def test_another_key_makes_another_link() -> None:
    with pytest.raises(BadLink, match="forged"):
        link.read(link.make(LINK, KEY[::-1]), KEY, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "A" * 55,
        "A" * 57,
        "é" * 56,
        "A" * 55 + "=",
        "A" * 55 + "\n",
        "A" * 56 + "\n",
        "A" * 55 + "+",
        "A" * 99999,
    ],
)
def test_what_has_not_the_form_is_looked_at_no_further(text: str) -> None:
    with pytest.raises(BadLink, match="malformed"):
        link.read(text, KEY, 0)
