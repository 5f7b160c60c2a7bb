"""`urn:mailctl:owner`: what the owner of an account sees and sets."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import people, scripts
from daemon.admin import rules as admin_rules
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.login import LoginRefused
from daemon.serve.web.jmap import owner
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from daemon.serve.web.jmap.owner import METHODS, TYPES, URN
from daemon.serve.web.jmap.owner import rules as owner_rules
from daemon.serve.web.jmap.push.news import News
from daemon.sieve import simple
from daemon.sieve.simple import Condition, Rule
from daemon.store import accounts, blobs, passkeys, quarantine, rule_ids, sender_lists, states, web_sessions
from daemon.store.quarantine import Bounds, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD, Caller, account
from tests.store.stage import clean, deliver

INVOICE = {"conditions": [{"field": "subject", "match": "contains", "values": ["invoice"]}], "file": "Invoices"}
LETTER = b"From: <news@shop.example>\r\nSubject: Win\r\n\r\nNow.\r\n"


@pytest.fixture
def alice(house: Site) -> Caller:
    return Caller(house, METHODS)


def the(value: dict[str, Any] | None) -> Any:
    assert value is not None
    (only,) = value.values()
    return only


async def test_an_app_password_does_what_it_is_for(house: Site, alice: Caller) -> None:
    """What stays behind when it is taken away, and who is signed in, is not for one that reads mail."""
    start = partial(web_sessions.begin, epoch=0, idle=3600, age=7200)
    begun = house.store.write_now(start, account(house), b"x" * 32, "password", "192.0.2.1", "Lynx/1")
    reader = Caller(house, METHODS, scopes=frozenset(("jmap",)), app_password_id=1)
    assert await reader.error("Rule/set", create={"a": INVOICE}) == "forbidden"
    assert await reader.error("Forwarding/set", update={"singleton": {"addresses": ["x@y.example"]}}) == "forbidden"
    assert await reader.error("Session/set", destroy=[f"w{begun}"]) == "forbidden"
    for scopes in (("jmap", "sieve"), ()):
        filer = Caller(house, METHODS, scopes=frozenset(scopes), app_password_id=1)
        assert (await filer("Rule/set", create={"a": INVOICE}))["notCreated"] is None
        assert (await filer("Forwarding/set", update={"singleton": {"keep": True}}))["notUpdated"] is None
    assert (await alice("Session/set", destroy=[f"w{begun}"]))["destroyed"] == [f"w{begun}"]


# -- rules -------------------------------------------------------------------------------------------------------------


async def test_rules_are_made_changed_moved_and_destroyed(house: Site, alice: Caller) -> None:
    made = await alice("Rule/set", create={"a": INVOICE, "b": {"keywords": {"$seen": True}, "order": 1}})
    assert made["notCreated"] is None and made["oldState"] != made["newState"]
    first, second = (await alice("Rule/get"))["list"]
    assert [first["then"], second["then"]] == ["mark it read", "file into Invoices"]
    assert second["when"] == "subject has “invoice”" and second["id"] == made["created"]["a"]["id"]
    moved = await alice("Rule/set", update={second["id"]: {"order": 1, "stop": True}})
    assert the(moved["updated"])["then"] == "file into Invoices, stop"
    one, other = (await alice("Rule/get"))["list"]
    assert (one["id"], one["order"], one["stop"], other["id"]) == (second["id"], 1, True, first["id"])
    gone = await alice("Rule/set", destroy=[one["id"], other["id"], "x"])
    assert gone["destroyed"] == [one["id"], other["id"]] and the(gone["notDestroyed"])["type"] == "notFound"
    assert (await alice("Rule/get"))["list"] == []
    assert house.store.read_now(rule_ids.of, alice.visitor.account_id) == {}
    clean(house.store)


async def test_a_rule_of_mailctl_is_one_like_all_others(house: Site, alice: Caller) -> None:
    await house.store.aside(
        admin_rules.add, house.store, ALICE, admin_rules.Asked(sender=("shop.example",), file="Shop", flag=True)
    )
    (found,) = (await alice("Rule/get", ids=None, properties=["conditions", "keywords", "file"]))["list"]
    assert found == {
        "id": found["id"],
        "conditions": [{"field": "from", "match": "contains", "values": ["shop.example"], "size": 0}],
        "keywords": {"$flagged": True},
        "file": "Shop",
    }
    twice = await alice("Rule/set", create={"x": {name: found[name] for name in ("conditions", "keywords", "file")}})
    assert the(twice["created"])["id"] == found["id"] + "-2", "the same rule once more"


@pytest.mark.parametrize(
    "rule",
    [
        Rule((Condition("from", "is", ("a@b.example", "c@d.example")),), file="A/B", keep=True),
        Rule((Condition("size", "over", (), 102400), Condition("list-id", "exists")), any=True, discard=True),
        Rule((), flags=("\\Flagged", "project"), forward=("x@y.example",), stop=True),
        Rule((Condition("x-spam", "contains", ('a "quoted" ${thing}\\',)),), flags=("\\Seen",)),
    ],
)
def test_a_rule_is_told_so_that_it_can_be_said_again(rule: Rule) -> None:
    assert owner_rules._rule(owner_rules._told(rule)) == rule


@pytest.mark.parametrize(
    "value, said",
    [
        ({}, "does nothing"),
        ({"conditions": [{"field": "subject"}], "stop": True}, "field and match"),
        ({"conditions": [{"field": "sub ject", "match": "exists"}], "stop": True}, "header field"),
        ({"conditions": [{"field": "subject", "match": "like"}], "stop": True}, "one of"),
        ({"conditions": [{"field": "subject", "match": "over", "size": 1}], "stop": True}, "size"),
        ({"conditions": [{"field": "size", "match": "over", "size": -1}], "stop": True}, "size"),
        ({"conditions": "all", "stop": True}, "right type"),
        ({"keywords": {"$seen": False}}, "true"),
        ({"forward": ["nobody"]}, "no address"),
        ({"forward": [1]}, "list of strings"),
        ({"file": "A\r\n"}, "written"),
        ({"discard": True, "keep": True}, "either"),
        ({"stop": True, "order": 0}, "from 1"),
        ({"stop": 1}, "right type"),
        ({"stop": True, "when": "x"}, "not for a client"),
    ],
)
async def test_rules_that_are_none(alice: Caller, value: dict[str, Any], said: str) -> None:
    answer = await alice("Rule/set", create={"a": value})
    refused = the(answer["notCreated"])
    assert refused["type"] == "invalidProperties" and said in refused["description"]
    assert answer["created"] is None and answer["oldState"] == answer["newState"]


async def test_a_block_that_was_changed_by_hand_is_left_alone(house: Site, alice: Caller) -> None:
    await alice("Rule/set", create={"a": INVOICE})
    text = house.store.read_now(lambda tx: scripts.own(tx, ALICE)).text.replace("if header", "if  header")
    await house.store.aside(scripts.put, house.store, ALICE, "mailctl", text)
    assert await alice.error("Rule/get") == "notUnderstood"


async def test_what_a_set_may_not(alice: Caller) -> None:
    assert await alice.error("Rule/set", ifInState="x") == "stateMismatch"
    assert await alice.error("Rule/set", created={}) == "invalidArguments"
    assert await alice.error("Rule/set", create=[]) == "invalidArguments"
    assert await alice.error("Rule/set", create={"a": 1}) == "invalidArguments"
    assert await alice.error("Rule/set", destroy="r1") == "invalidArguments"
    assert await alice.error("Rule/set", destroy=["r"] * 501) == "requestTooLarge"
    assert await alice.error("Rule/set", create={str(n): {} for n in range(501)}) == "requestTooLarge"
    assert await alice.error("Rule/get", ids=["r"] * 501) == "requestTooLarge"
    await alice("Rule/set", create={"a": INVOICE})
    (rule,) = (await alice("Rule/get"))["list"]
    assert await alice.error("Rule/get", properties=["strange"]) == "invalidArguments"
    both = await alice("Rule/set", update={rule["id"]: {"stop": True}}, destroy=[rule["id"]])
    assert the(both["notUpdated"])["type"] == "willDestroy" and both["destroyed"] == [rule["id"]]
    await alice("Rule/set", create={"a": INVOICE})
    patched = await alice("Rule/set", update={rule["id"]: {"keywords/$seen": True}, "#a": {"stop": True}})
    assert patched["notUpdated"][rule["id"]]["type"] == "invalidPatch"
    assert patched["notUpdated"]["#a"]["type"] == "notFound", "a creation of another request"
    same = await alice("Rule/set", update={rule["id"]: {"stop": False}})
    assert same["updated"] == {rule["id"]: None} and same["oldState"] == same["newState"]


# -- senders, the quarantine, forwarding -------------------------------------------------------------------------------


async def test_senders_are_let_in_and_kept_out(house: Site, alice: Caller) -> None:
    made = await alice("SenderEntry/set", create={"a": {"sender": "@Shop.example", "allowed": False, "note": "ads"}})
    entry = the(made["created"])
    assert (entry["sender"], entry["kind"], entry["allowed"], entry["note"]) == ("shop.example", "domain", False, "ads")
    turned = await alice("SenderEntry/set", update={entry["id"]: {"allowed": True}})
    assert turned["notUpdated"] is None
    (there,) = house.store.read_now(sender_lists.everyone, alice.visitor.account_id)
    assert there.allowed and there.note == "ads"
    assert (await Caller(house, METHODS, BOB)("SenderEntry/get"))["list"] == []
    other = await alice("SenderEntry/set", update={entry["id"]: {"sender": "b.example"}})
    assert the(other["notUpdated"])["properties"] == ["sender"]
    gone = await alice("SenderEntry/set", destroy=[entry["id"]])
    assert gone["destroyed"] == [entry["id"]]
    bad = await alice("SenderEntry/set", create={"a": {"sender": "nonsense"}, "b": {}})
    assert {each["type"] for each in bad["notCreated"].values()} == {"invalidProperties"}


def keep(site: Site, reason: str = "spam", user: str = ALICE) -> str:
    """A message that was refused; its id."""
    kept = Kept(user, "bounce@shop.example", "news@shop.example", "The Shop", "Win", None, reason, 9.0, "words")

    def work(tx: Tx, body: Body) -> int:
        blob, room = blobs.keep(tx, body, None), Bounds(1 << 30, 1 << 30)
        made = quarantine.keep(tx, account(site, user), kept, "t" * 16, blob, len(LETTER), b"", room)
        assert made is not None
        return made

    body = Body.of(LETTER)
    return f"q{site.store.write_now(work, body, bodies=[body])}"


async def test_what_was_kept_is_released_and_thrown_away(house: Site, alice: Caller) -> None:
    released, allowed, blocked, dropped = (keep(house) for _ in range(4))
    found = (await alice("QuarantinedMessage/get", ids=[released]))["list"][0]
    assert (found["subject"], found["from"], found["mayRelease"]) == (
        "Win", {"email": "news@shop.example", "name": "The Shop"}, True,
    )  # fmt: skip
    done = await alice(
        "QuarantinedMessage/set",
        update={released: {"action": "release"}, allowed: {"action": "allow"}, blocked: {"action": "block"}},
        destroy=[dropped],
    )
    assert done["notUpdated"] is None and done["destroyed"] == [dropped]
    assert (await alice("QuarantinedMessage/query"))["ids"] == []
    assert house.store.read_now(accounts.by_id, alice.visitor.account_id).messages == 2  # type: ignore[union-attr]
    (entry,) = house.store.read_now(sender_lists.everyone, alice.visitor.account_id)
    assert entry.sender == "news@shop.example"
    clean(house.store)


async def test_what_is_not_for_its_reader_to_release(house: Site, alice: Caller) -> None:
    forged, hers = keep(house, "dmarc-reject"), keep(house, user=BOB)
    answer = await alice(
        "QuarantinedMessage/set",
        update={forged: {"action": "release"}, hers: {"action": "release"}},
        create={"a": {}},
    )
    assert answer["notUpdated"][forged]["type"] == "forbidden"
    assert answer["notUpdated"][hers]["type"] == "notFound"
    assert the(answer["notCreated"])["type"] == "forbidden"
    again = await alice("QuarantinedMessage/set", update={forged: {"action": "burn"}}, destroy=[forged])
    assert again["notUpdated"][forged]["type"] == "willDestroy" and again["destroyed"] == [forged]


async def test_the_quarantine_is_looked_through(house: Site, alice: Caller) -> None:
    first, second = keep(house), keep(house, "attachment")
    assert (await alice("QuarantinedMessage/query"))["ids"] == [second, first]
    assert (await alice("QuarantinedMessage/query", filter={"reason": "spam"}))["ids"] == [first]
    assert (await alice("QuarantinedMessage/query", filter={"text": "SHOP"}, position=1, limit=1))["ids"] == [first]
    assert (await alice("QuarantinedMessage/query", filter={"text": "nobody"}, calculateTotal=True))["total"] == 0
    for arguments, error in (
        ({"filter": {"body": "x"}}, "unsupportedFilter"),
        ({"filter": []}, "invalidArguments"),
        ({"sort": [{"property": "size"}]}, "unsupportedSort"),
        ({"limit": "1"}, "invalidArguments"),
        ({"anchor": "q999"}, "anchorNotFound"),
    ):
        assert await alice.error("QuarantinedMessage/query", **arguments) == error


async def test_mail_goes_on_to_other_addresses(house: Site, alice: Caller) -> None:
    none = {"id": "singleton", "addresses": [], "keep": True, "targets": []}
    assert (await alice("Forwarding/get"))["list"] == [none]
    done = await alice("Forwarding/set", update={"singleton": {"addresses": ["a@b.example"], "keep": False}})
    assert done["updated"] == {"singleton": None} and done["oldState"] != done["newState"]
    fresh = {"address": "a@b.example", "health": None, "sentAt": None, "failedAt": None, "failure": None}
    (told,) = (await alice("Forwarding/get"))["list"]
    assert told == {"id": "singleton", "addresses": ["a@b.example"], "keep": False, "targets": [fresh]}
    for wrong in ([ALICE], ["nobody"], [f"a{n}@b.example" for n in range(21)], "a@b.example"):
        refused = await alice("Forwarding/set", update={"singleton": {"addresses": wrong}})
        assert the(refused["notUpdated"])["type"] == "invalidProperties", wrong
    both = await alice("Forwarding/set", create={"a": {}}, destroy=["singleton"])
    assert the(both["notCreated"])["type"] == the(both["notDestroyed"])["type"] == "singleton"


# -- credentials -------------------------------------------------------------------------------------------------------


async def test_an_app_password_is_shown_once_and_opens_its_doors(house: Site, alice: Caller) -> None:
    made = await alice(
        "AppPassword/set",
        password=PASSWORD,
        create={"a": {"name": "phone", "scopes": ["imap"], "expiresAt": "2100-01-01T00:00:00Z"}},
    )
    one = the(made["created"])
    assert one["scopes"] == ["imap"] and one["expiresAt"] == "2100-01-01T00:00:00Z"
    assert (await house.door.plain("imap", "192.0.2.1", ALICE, one["password"], True)).account_id == account(house)
    (listed,) = (await alice("AppPassword/get"))["list"]
    assert "password" not in listed and listed["id"] == one["id"]
    gone = await alice("AppPassword/set", password=PASSWORD, destroy=[one["id"]])
    assert gone["destroyed"] == [one["id"]]
    with pytest.raises(LoginRefused):
        await house.door.plain("imap", "192.0.2.1", ALICE, one["password"], True)


async def test_app_passwords_that_are_none(alice: Caller) -> None:
    wrong = {
        "a": {"name": ""},
        "b": {"name": "x", "scopes": ["ftp"]},
        "c": {"name": "x", "expiresAt": "2001-01-01T00:00:00Z"},
        "d": {"name": "x", "expiresAt": 1},
        "e": {"name": "x" * 201},
        "f": {"name": "x", "scopes": "imap"},
        "g": {"name": "x", "password": "mine"},
    }
    answer = await alice("AppPassword/set", password=PASSWORD, create=wrong)
    assert answer["created"] is None
    assert {key: each["type"] for key, each in answer["notCreated"].items()} == dict.fromkeys(
        wrong, "invalidProperties"
    )
    one = the((await alice("AppPassword/set", password=PASSWORD, create={"a": {"name": "x"}}))["created"])["id"]
    changed = await alice("AppPassword/set", password=PASSWORD, update={one: {"name": "y"}})
    assert the(changed["notUpdated"])["type"] == "forbidden"


async def test_a_user_has_so_many_app_passwords(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from daemon.serve.web.jmap.owner import credentials

    monkeypatch.setattr(credentials, "LIMITS", dataclasses.replace(LIMITS, app_passwords=1))
    answer = await alice("AppPassword/set", password=PASSWORD, create={"a": {"name": "x"}, "b": {"name": "y"}})
    assert the(answer["created"])["name"] == "x" and the(answer["notCreated"])["type"] == "overQuota"


async def test_who_changes_how_one_signs_in_says_the_present_password(house: Site, alice: Caller) -> None:
    by_app_password = Caller(house, METHODS, app_password_id=7)
    for name in ("AppPassword/set", "Password/set", "TwoFactor/set", "Passkey/set", "Passkey/challenge"):
        more = {"newPassword": "long enough"} if name == "Password/set" else {}
        assert await alice.error(name, **more) == "invalidArguments"
        assert await alice.error(name, password="wrong", **more) == "passwordRefused"
        assert await by_app_password.error(name, password=PASSWORD, **more) == "forbidden"
    for name in ("AppPassword/get", "TwoFactor/get", "Passkey/get"):
        assert await by_app_password.error(name) == "forbidden"
    assert (await alice("AppPassword/get"))["list"] == []


async def test_a_new_password_signs_other_browsers_out(house: Site, alice: Caller) -> None:
    def sign_in(token: bytes) -> int | None:
        begin = web_sessions.begin
        return house.store.write_now(
            lambda tx: begin(tx, account(house), token, "password", "192.0.2.1", "Fox", epoch=epoch, idle=60, age=600)
        )

    epoch = house.store.peek(accounts.credentials, alice.visitor.identity.address).epoch  # type: ignore[union-attr]
    mine, other = sign_in(b"1" * 32), sign_in(b"2" * 32)
    object.__setattr__(alice.visitor, "session_id", mine)
    listed = (await alice("Session/get"))["list"]
    assert [(each["id"], each["kind"], each["current"]) for each in listed] == [
        (f"w{other}", "browser", False),
        (f"w{mine}", "browser", True),
    ]
    assert await alice.error("Password/set", password=PASSWORD, newPassword="short") == "invalidArguments"
    await alice("Password/set", password=PASSWORD, newPassword="battery staple")
    assert [each["id"] for each in (await alice("Session/get"))["list"]] == [f"w{mine}"]
    await alice("Password/set", password="battery staple", newPassword=PASSWORD)
    gone = await alice("Session/set", destroy=[f"w{mine}", f"w{other}"])
    assert gone["destroyed"] == [f"w{mine}"] and the(gone["notDestroyed"])["type"] == "notFound"


# -- states ------------------------------------------------------------------------------------------------------------


def _anything(tx: Tx) -> None:
    tx.changes.everything = True


async def test_every_change_is_told_by_its_type_and_state(house: Site, alice: Caller) -> None:
    news = News(house.store, TYPES)
    ear = news.listen(alice.visitor.account_id, frozenset(TYPES))
    for name, change in (
        ("Rule", {"create": {"a": INVOICE}}),
        ("SenderEntry", {"create": {"a": {"sender": "a.example"}}}),
        ("Forwarding", {"update": {"singleton": {"addresses": ["a@b.example"]}}}),
        ("AppPassword", {"create": {"a": {"name": "x"}}, "password": PASSWORD}),
    ):
        answer = await alice(f"{name}/set", **change)
        told = ear.take()
        assert told[name] == answer["newState"] == (await alice(f"{name}/get"))["state"], name
    keep(house)
    await asyncio.sleep(0)
    assert list(ear.take()) == ["QuarantinedMessage"]
    deliver(house.store, alice.visitor.account_id, LETTER)
    await house.store.write(_anything)
    assert ear.take() == {}, "mail is nothing of theirs, nor was what another process did"
    news.close()
    assert house.store.read_now(states.of_type, alice.visitor.account_id, "Session") == 0
    await house.store.aside(people.remove, house.store, ALICE)
    clean(house.store)


# -- the page that tells of it -----------------------------------------------------------------------------------------


async def test_the_manual_has_every_method_and_property(house: Site, alice: Caller) -> None:
    page = (Path(__file__).parents[4] / "man" / "man7" / "mailctl-jmap.7").read_text()
    keep(house)
    await alice("Rule/set", create={"a": INVOICE})
    await alice("SenderEntry/set", create={"a": {"sender": "a.example"}})
    await alice("AppPassword/set", create={"a": {"name": "x"}}, password=PASSWORD)
    house.store.write_now(passkeys.add, account(house), b"id", b"key", 0, "usb", False, "Key")
    house.store.write_now(_sign_in, account(house))
    (whole,) = (each.methods for each in CAPABILITIES if each.urn == URN)
    assert METHODS.keys() <= whole.keys()
    for name in whole:
        assert f"\n.It Cm {name}\n" in page, name
    for name in TYPES:
        _, there, rest = page.partition(f"\n.Ss {name}\n")
        (found, *_) = (await alice(f"{name}/get"))["list"]
        told = set(re.findall(r"^\.It Cm ([A-Za-z]+)$", re.split("\n[.]S[hs] ", rest)[0], re.MULTILINE))
        assert there and told - {"password"} == found.keys(), name


def _sign_in(tx: Tx, account_id: int) -> None:
    web_sessions.begin(tx, account_id, b"3" * 32, "password", "192.0.2.1", "Fox", epoch=0, idle=60, age=600)


async def test_a_rule_longer_than_a_script_is_not_written_down(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple, "check", None)
    condition = {"field": "from", "match": "is", "values": [""] * LIMITS.sieve_script}
    answer = await alice("Rule/set", create={"a": {"conditions": [condition], "keep": True}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


# -- the way to the administration page --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "admin", "url"),
    [
        ("127.0.0.1:8443", False, None),
        ("off", True, None),
        ("127.0.0.1:8443", True, "https://localhost:8443/admin/"),
        ("[::1]:8443,:9443", True, "https://localhost:8443/admin/"),
        (":8443", True, "https://mail.example.org:8443/admin/"),
        ("0.0.0.0:8443", True, "https://mail.example.org:8443/admin/"),
        ("192.0.2.5:8443", True, "https://192.0.2.5:8443/admin/"),
        ("[2001:db8::5]:8443", True, "https://[2001:db8::5]:8443/admin/"),
        ("admin.example.org:8443", True, "https://admin.example.org:8443/admin/"),
    ],
)
def test_administrators_are_told_where_their_page_is(
    alice: Caller, listener: str, admin: bool, url: str | None
) -> None:
    who = dataclasses.replace(alice.visitor, admin=admin, host="mail.example.org")
    assert owner.account(Config([("listen.admin", listener)]), who).get("adminUrl") == url
