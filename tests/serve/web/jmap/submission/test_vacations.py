"""VacationResponse/get, /set (RFC 8621 §8): the answer while away, as `mailctl vacation` sets it too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.admin import vacations
from daemon.store import sieve
from daemon.store.check import check
from tests.serve.web.jmap.writing import Client


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


async def shown(ann: Client) -> dict[str, Any]:
    return dict((await ann.ask("VacationResponse/get"))["list"][0])


async def put(ann: Client, **patch: Any) -> Any:
    answer = await ann.ask("VacationResponse/set", update={"singleton": patch})
    assert answer["notUpdated"] is None, answer
    return answer["updated"]["singleton"]


async def test_there_is_one_and_it_says_nothing_at_first(ann: Client) -> None:
    assert await shown(ann) == {
        "id": "singleton", "isEnabled": False, "fromDate": None, "toDate": None, "subject": None, "textBody": None,
        "htmlBody": None,
    }  # fmt: skip
    assert (await ann.ask("VacationResponse/get", ids=["x"]))["notFound"] == ["x"]


async def test_it_is_given_and_the_administrator_sees_the_same(ann: Client) -> None:
    given = {"isEnabled": True, "subject": "away", "textBody": "Back on Monday.",
             "fromDate": "2027-02-01T00:00:00Z", "toDate": "2027-02-08T00:00:00Z"}  # fmt: skip
    assert await put(ann, **given) is None
    assert await shown(ann) == {"id": "singleton", "htmlBody": None, **given}
    there = vacations.show(ann.store, "ann@here.example")
    assert there is not None and (there.text, there.first, there.last) == (
        "Back on Monday.",
        "2027-02-01",
        "2027-02-07",
    )
    vacations.set(ann.store, "ann@here.example", text="Back on Tuesday.")
    assert (await shown(ann))["textBody"] == "Back on Tuesday."
    assert list(check(ann.store)) == []


async def test_what_it_said_is_there_when_it_is_given_again(ann: Client) -> None:
    await put(ann, isEnabled=True, textBody="Back on Monday.", subject="away")
    await put(ann, isEnabled=False)
    assert vacations.show(ann.store, "ann@here.example") is None
    found = await shown(ann)
    assert (found["isEnabled"], found["textBody"], found["subject"]) == (False, "Back on Monday.", "away")
    await put(ann, textBody="Never again.")
    await put(ann, isEnabled=True)
    there = vacations.show(ann.store, "ann@here.example")
    assert there is not None and (there.text, there.subject) == ("Never again.", "away")


async def test_what_cannot_be_kept_is_told(ann: Client) -> None:
    """Days are whole, and the text is plain: the client hears what came of its wishes (RFC 8620 §5.3)."""
    told = await put(ann, isEnabled=True, htmlBody="<p>Back on <b>Monday</b></p>", fromDate="2027-02-01T12:30:00Z")
    assert told == {"htmlBody": None, "fromDate": "2027-02-01T00:00:00Z"}
    assert (await shown(ann))["textBody"] == "Back on Monday"


@pytest.mark.parametrize(
    "patch",
    [
        {"isEnabled": True},
        {"isEnabled": "yes"},
        {"isEnabled": True, "textBody": "  "},
        {"textBody": 1},
        {"subject": "two\nlines"},
        {"fromDate": "soon"},
        {"textBody": "x", "fromDate": "2027-02-08T00:00:00Z", "toDate": "2027-02-01T00:00:00Z"},
        {"textBody": "x", "isEnabled": True, "toDate": "2001-01-01T00:00:00Z"},
        {"id": "x"},
    ],
)
async def test_what_is_no_answer(ann: Client, patch: dict[str, Any]) -> None:
    answer = await ann.ask("VacationResponse/set", update={"singleton": patch})
    assert answer["notUpdated"]["singleton"]["type"] == "invalidProperties"
    assert not (await shown(ann))["isEnabled"]


async def test_it_is_neither_made_nor_destroyed(ann: Client) -> None:
    answer = await ann.ask("VacationResponse/set", create={"x": {}}, destroy=["singleton"], update={"y": {}})
    assert (
        answer["notCreated"]["x"]["type"] == "singleton" and answer["notDestroyed"]["singleton"]["type"] == "singleton"
    )
    assert answer["notUpdated"]["y"]["type"] == "notFound"


async def test_what_the_user_wrote_himself_stays(ann: Client) -> None:
    script = "# mailctl vacation: begin\nkeep; # by hand\n# mailctl vacation: end\n"
    ann.store.write_now(sieve.put, ann.account_id, "mine", script)
    ann.store.write_now(sieve.activate, ann.account_id, "mine")
    assert not (await shown(ann))["isEnabled"]
    answer = await ann.ask("VacationResponse/set", update={"singleton": {"isEnabled": True, "textBody": "hi"}})
    assert "by hand" in answer["notUpdated"]["singleton"]["description"]
    assert ann.store.peek(sieve.get, ann.account_id, "mine") == script
