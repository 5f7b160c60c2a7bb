"""Cards of people (JSContact, RFC 9553): read as far as one looks for them, kept whole. No clock, no database.

A card is what a client says it is: what is not known here is kept as it came. What is known must have its form, so that
any client can show it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, parse_address

Card = dict[str, Any]
KINDS = ("individual", "group", "org", "location", "device", "application")
_MAPS = {  # properties that are objects by id, with the member that is looked for, and must be a string
    "emails": "address", "phones": "number", "onlineServices": "", "nicknames": "name", "organizations": "",
    "titles": "name", "notes": "note", "addresses": "full", "links": "uri", "media": "uri", "calendars": "uri",
    "anniversaries": "", "speakToAs": "", "personalInfo": "value", "members": "", "keywords": "", "relatedTo": "",
}  # fmt: skip


class BadCard(ValueError):
    """It is no card: the property that is wrong, and why."""

    def __init__(self, property: str, text: str) -> None:
        super().__init__(text)
        self.property = property

    def __reduce__(self) -> tuple[type[BadCard], tuple[str, str]]:
        return BadCard, (self.property, str(self))


class Read(NamedTuple):
    """What is looked for. `name` is folded, to sort by; `text`: all words, folded; `addresses` as they are written."""

    name: str
    kind: str
    text: str
    addresses: tuple[str, ...]


def fold(text: str) -> str:
    """For comparing: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


def collected(address: str, name: str, uid: str) -> Card:
    """The card of somebody of whom only this is known."""
    made: Card = {"@type": "Card", "version": "1.0", "uid": uid, "kind": "individual"}
    if name:
        made["name"] = {"full": name}
    return {**made, "emails": {"e1": {"address": address}}}


def full_name(card: Mapping[str, Any]) -> str:
    """The name as one says it; of several components joined where nothing better is said."""
    name = card.get("name") or {}
    if name.get("full"):
        return str(name["full"])
    return " ".join(str(each["value"]) for each in name.get("components") or () if each.get("value"))


def read(card: Mapping[str, Any]) -> Read:
    """Raises `BadCard`."""
    _check(card)
    name = full_name(card)
    addresses = tuple(each["address"] for each in card.get("emails", {}).values())
    words = [name, *addresses, *_words(card)]
    return Read(
        fold(name or next(iter(addresses), "")), card.get("kind", "individual"), fold("\n".join(words)), addresses
    )


def _words(card: Mapping[str, Any]) -> Iterator[str]:
    for property in ("nicknames", "organizations", "titles", "notes", "phones", "onlineServices", "addresses"):
        for each in card.get(property, {}).values():
            for member in ("name", "note", "number", "full", "user", "uri"):
                if isinstance(each.get(member), str):
                    yield each[member]


def _check(card: Mapping[str, Any]) -> None:
    if card.get("@type", "Card") != "Card":
        raise BadCard("@type", "it is a Card")
    if card.get("version", "1.0") not in ("1.0", "2.0"):
        raise BadCard("version", "it is 1.0")
    if card.get("kind", "individual") not in KINDS:
        raise BadCard("kind", f"it is one of {', '.join(KINDS)}")
    uid = card.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= LIMITS.contact_uid or not uid.isprintable():
        raise BadCard("uid", "it is a string of one line")
    _check_name(card.get("name"))
    for property, member in _MAPS.items():
        if property in card:
            _check_map(property, member, card[property])
    for each in card.get("emails", {}).values():
        try:
            parse_address(each["address"])
        except BadAddress as error:
            raise BadCard("emails", f"{each['address'][:80]!r} is no address: {error.reason}") from None
    if len(card.get("emails", ())) > LIMITS.contact_addresses:
        raise BadCard("emails", f"a card has at most {LIMITS.contact_addresses} addresses")


def _check_name(name: Any) -> None:
    if name is None:
        return
    if not isinstance(name, dict) or not isinstance(name.get("full", ""), str):
        raise BadCard("name", "it is an object; `full` is a string")
    components = name.get("components")
    if components is None:
        return
    if not isinstance(components, list) or not all(
        isinstance(each, dict) and isinstance(each.get("value", ""), str) for each in components
    ):
        raise BadCard("name", "components are objects with a value")


def _check_map(property: str, member: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadCard(property, "it has an object for each id")
    for each in value.values():
        if property in ("keywords", "members"):
            if each is not True:
                raise BadCard(property, "it has true for each")
        elif property != "speakToAs" and not isinstance(each, dict):
            raise BadCard(property, "it has an object for each id")
        elif member and not isinstance(each.get(member, None if property == "emails" else ""), str):
            raise BadCard(property, f"`{member}` is a string")
