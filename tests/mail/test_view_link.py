"""Addresses of views: only ours, only in time, only for what they say."""

from __future__ import annotations

import pytest

from daemon.mail.view_link import ViewLink, make, read

KEY, OTHER = b"k" * 32, b"o" * 32
LINK = ViewLink(7, 2**63, True, 1_800_000_000)


def test_what_is_made_is_read_until_its_end() -> None:
    text = make(LINK, KEY)
    assert len(text) == 56 and text.replace("-", "").replace("_", "").isalnum()
    assert read(text, KEY, LINK.expires) == LINK
    assert read(text, KEY, LINK.expires + 1) is None
    assert read(make(LINK._replace(remote=False), KEY), KEY, 0) == LINK._replace(remote=False)


@pytest.mark.parametrize("text", ["", "x", "x" * 56, "é" * 56, make(LINK, OTHER), make(LINK, KEY) + "A"])
def test_all_else_is_nothing(text: str) -> None:
    assert read(text, KEY, 0) is None


def test_no_octet_of_it_can_be_another() -> None:
    text = make(LINK, KEY)
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert read(changed, KEY, 0) is None
