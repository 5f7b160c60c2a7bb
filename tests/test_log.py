"""One line an event."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from daemon import log


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(log, "_say", log._say)  # put back afterwards
    root, ours = logging.getLogger(), logging.getLogger("maild")
    kept = (list(root.handlers), root.level, ours.level)
    switches = {
        k: v for k, v in vars(logging).items() if k.startswith("log") and isinstance(v, bool) or k == "_srcfile"
    }
    stream = io.StringIO()
    log.start(stream)
    yield stream
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    vars(logging).update(switches)


def test_a_line_has_the_time_the_event_and_its_fields(said: io.StringIO) -> None:
    log.event("accepted", id="1abc", ip=None, size=12, subject="two words")
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} event=accepted id=1abc size=12 subject="two words"\n', said.getvalue()
    )


def test_what_a_peer_sends_cannot_make_lines_of_its_own(said: io.StringIO) -> None:
    log.event("refused", helo='x"\nevent=accepted \x1b[31m')
    assert said.getvalue().count("\n") == 1
    assert r'helo="x\"\x0aevent=accepted \x1b[31m"' in said.getvalue()


def test_events_are_silent_where_only_trouble_is_asked_for(said: io.StringIO) -> None:
    log.start(said, logging.WARNING)
    log.event("accepted", id="1abc")
    log.trouble("disk-full")
    assert said.getvalue().endswith(" event=disk-full\n") and said.getvalue().count("\n") == 1


def test_a_stream_that_takes_nothing_stops_nobody(said: io.StringIO) -> None:
    said.close()
    log.event("accepted", id="1abc")


def test_a_fault_brings_its_traceback(said: io.StringIO) -> None:
    try:
        raise KeyError("specimen")
    except KeyError as error:
        log.fault("smtp-fault", error, ref="12ab")
    assert "event=smtp-fault ref=12ab\nTraceback" in said.getvalue()
    assert said.getvalue().endswith("KeyError: 'specimen'\n")
