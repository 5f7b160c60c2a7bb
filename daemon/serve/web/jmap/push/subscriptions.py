"""PushSubscription/get and PushSubscription/set: where a client wants to be told while it is not connected (RFC 8620
§7.2). What it may be sent before it says the code back is the code alone (`pushing`)."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.web.jmap import few, sets
from daemon.serve.web.jmap.few import Object, said
from daemon.serve.web.jmap.method import Arguments, Call, Capability, MethodError
from daemon.serve.web.jmap.sets import SetError, Type
from daemon.store import push
from daemon.store.push import Maker, Place, Subscription
from daemon.trust import web_push
from daemon.wire.jmap import read_utc_date, utc_date

VAPID = "urn:ietf:params:jmap:webpush-vapid"
_PROPERTIES = ("id", "deviceClientId", "verificationCode", "expires", "types")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


async def get(call: Call, arguments: Arguments) -> Arguments:
    """PushSubscription/get. Address and keys are told to nobody."""
    few.known(arguments, "ids", "properties")
    ids, properties = few.names(arguments, "ids"), few.names(arguments, "properties")
    if properties and not set(properties) <= set(_PROPERTIES):
        raise MethodError("forbidden", "url and keys are not told")
    there = {f"s{each.id}": _told(each) for each in await _mine(call)}
    wanted = list(there) if ids is None else list(dict.fromkeys(ids))
    shown = ("id", *properties) if properties is not None else _PROPERTIES
    found = [{name: there[each][name] for name in dict.fromkeys(shown)} for each in wanted if each in there]
    return {"list": found, "notFound": [each for each in wanted if each not in there]}


async def _mine(call: Call) -> list[Subscription]:
    """Those made with the credentials that are shown now."""
    return await call.store.read(push.made_by, call.account_id, _maker(call))


def _maker(call: Call) -> Maker:
    return Maker(call.visitor.session_id, call.visitor.identity.app_password_id)


async def _one(call: Call, id: str) -> Subscription:
    """Raises `SetError` (notFound)."""
    found = [each for each in await _mine(call) if f"s{each.id}" == id]
    if not found:
        raise SetError("notFound")
    return found[0]


def _told(one: Subscription) -> Object:
    return {
        "id": f"s{one.id}", "deviceClientId": one.device, "verificationCode": one.code if one.verified else None,
        "expires": utc_date(one.expires_at), "types": None if one.types is None else list(one.types),
    }  # fmt: skip


async def set_(call: Call, arguments: Arguments) -> Arguments:
    """PushSubscription/set. There is no state, and no account."""
    if "ifInState" in arguments:
        raise MethodError("invalidArguments", "subscriptions have no state")
    answer = await sets.run(call, arguments, Type(_create, _update, _destroy, state_of=lambda call: ""))
    return {name: value for name, value in answer.items() if name not in ("accountId", "oldState", "newState")}


async def _create(call: Call, value: Object) -> Object:
    strange = value.keys() - {"deviceClientId", "url", "keys", "expires", "types", "verificationCode"}
    if strange or value.get("verificationCode") is not None:
        raise SetError("invalidProperties", "this is not for a client to say now", *strange, "verificationCode")
    device = said(value, "deviceClientId", str, "")
    if not 0 < len(device) <= LIMITS.owner_text:
        raise SetError("invalidProperties", "a client calls itself something", "deviceClientId")
    place = Place(_address(value), *_keys(value.get("keys")))
    expires = _expires(call, value.get("expires"))
    number = await call.store.write(
        push.add, call.account_id, _maker(call), device, place, _types(value), secrets.token_urlsafe(18), expires
    )
    return {"id": f"s{number}", "expires": utc_date(expires), **({} if "keys" in value else {"keys": None})}


async def _update(call: Call, id: str, changes: Object) -> Object | None:
    one = await _one(call, id)
    strange = changes.keys() - {"verificationCode", "expires", "types"}
    if strange:
        raise SetError("invalidProperties", "another address is another subscription", *strange)
    verified = one.verified
    if changes.get("verificationCode") is not None:
        if not hmac.compare_digest(
            said(changes, "verificationCode", str, "").encode(errors="replace"), one.code.encode()
        ):
            raise SetError("invalidProperties", "this is not the code that was sent", "verificationCode")
        verified = True
    expires = _expires(call, changes["expires"]) if "expires" in changes else one.expires_at
    types = _types(changes) if "types" in changes else one.types
    await call.store.write(push.change, call.account_id, one.id, verified, types, expires)
    return {"expires": utc_date(expires)} if "expires" in changes else None


async def _destroy(call: Call, id: str) -> None:
    await call.store.write(push.remove, call.account_id, (await _one(call, id)).id)


def _address(value: Object) -> str:
    """Whether it is one on the public Internet is looked at each time something is sent there."""
    url = said(value, "url", str, "")
    try:
        place = urlsplit(url)
        fine = (
            place.scheme == "https"
            and bool(place.hostname)
            and place.port != 0
            and not (place.username or place.password)
        )
    except ValueError:
        fine = False
    if not fine or len(url) > LIMITS.push_url or not url.isascii() or not url.isprintable() or " " in url:
        raise SetError("invalidProperties", "url is that of a push service, by https", "url")
    return url


def _keys(value: Any) -> tuple[bytes | None, bytes | None]:
    if value is None:
        return None, None
    try:
        point, secret = web_push.from_b64(value["p256dh"]), web_push.from_b64(value["auth"])
    except (TypeError, KeyError, AttributeError, binascii.Error, ValueError):
        raise SetError("invalidProperties", "keys has p256dh and auth, in base64url", "keys") from None
    if not web_push.is_point(point) or len(secret) != web_push.SECRET:
        raise SetError("invalidProperties", "p256dh is a point of P-256, auth has 16 octets", "keys")
    return point, secret


def _expires(call: Call, value: Any) -> int:
    """At most so far ahead (RFC 8620 §7.2: at least two days may be asked for)."""
    last = call.store.clock() + LIMITS.push_memory * 1000
    if value is None:
        return last
    at = read_utc_date(value)
    if at is None or at <= call.store.clock():
        raise SetError("invalidProperties", "expires is a UTCDate to come, or null", "expires")
    return min(at, last)


def _types(value: Object) -> tuple[str, ...] | None:
    types = value.get("types")
    if types is None:
        return None
    if (
        not isinstance(types, list)
        or len(types) > 100
        or not all(isinstance(t, str) and _TYPE.fullmatch(t) for t in types)
    ):
        raise SetError("invalidProperties", "types is null, or a list of types", "types")
    return tuple(dict.fromkeys(types))


METHODS = {"PushSubscription/get": get, "PushSubscription/set": set_}


def capability(number: bytes) -> Capability:
    """What a client needs to know of our key (RFC 9749)."""
    key = web_push.b64(web_push.point_of(web_push.key_of(number)))

    def session(config: Config) -> Arguments:
        return {"applicationServerKey": key}

    return Capability(VAPID, {}, session, None)
