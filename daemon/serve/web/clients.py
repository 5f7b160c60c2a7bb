"""How mail programs and phones set themselves up: what each of them asks for, where it asks.

Thunderbird and others ask `autoconfig.DOMAIN` and the domain itself, in the clear too; Outlook asks in any case of
letters, by POST, GET and in JSON; Apple's devices take a profile signed by the server; a code leads a phone to that.
Only what a user sees of himself needs him to be signed in.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

import msgspec
from aiohttp import web

from daemon.admin import devices
from daemon.admin.pem import Pair
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.web.visitors import visitor
from daemon.store import certificates
from daemon.store.db import Store
from daemon.store.tx import Tx


class Settings(NamedTuple):
    store: Store
    config: Callable[[], Config]


SETTINGS = web.AppKey("clients-settings", Settings)
AUTOCONFIG = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
_V1 = "/{_:(?i:autodiscover/autodiscover.xml)}"
_V2 = "/{_:(?i:autodiscover/autodiscover.json)}"
_MOBILE = "mobilesync"
_STYLE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_LOOK = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse}td{padding:.25rem 1rem .25rem 0}"
    ".button{display:inline-block;padding:.6rem 1rem;border-radius:.5rem;background:#0b57d0;color:#fff;"
    "text-decoration:none}"
)


async def autoconfig(request: web.Request) -> web.StreamResponse:
    """Thunderbird's, with and without `?emailaddress=`."""
    store, config = request.app[SETTINGS]
    address = request.query.get("emailaddress", "")[: LIMITS.smtp_address]
    known = devices.address_of(store, address) if "@" in address else None
    domain = devices.domain_of(store, _host(request), str(known or ""))
    if domain is None or (address and known is None and "%" not in address):
        raise web.HTTPNotFound
    return _xml(devices.autoconfig(config(), domain, str(known or "")))


async def discover(request: web.Request) -> web.StreamResponse:
    """Autodiscover v1: XML by POST; a GET that names an address is answered alike."""
    store, config = request.app[SETTINGS]
    if request.method == "POST":
        address, schema = _asked(await request.read())
    else:
        address, schema = _query(request, "emailaddress") or _query(request, "email"), ""
    if not address:
        return _xml(devices.autodiscover_error(600, "Invalid Request"))
    if _MOBILE in schema:
        return _xml(devices.autodiscover_error(601, "Provider is not available"))
    known = devices.address_of(store, address)
    if known is None:
        return _xml(devices.autodiscover_error(500, "The email address can't be found."))
    return _xml(devices.autodiscover(config(), str(known)))


async def discover_json(request: web.Request) -> web.StreamResponse:
    """Autodiscover v2: where v1 is."""
    _, config = request.app[SETTINGS]
    wanted = _query(request, "protocol").lower()
    if wanted != "autodiscoverv1":
        word = "ProtocolNotSupported" if wanted else "MandatoryParameterMissing"
        return _json(
            {"ErrorCode": word, "ErrorMessage": "The supported value is AutodiscoverV1."}, 404 if wanted else 400
        )
    url = f"{_origin(config())}/autodiscover/autodiscover.xml"
    return _json({"Protocol": "AutodiscoverV1", "Url": url})


async def table(request: web.Request) -> web.StreamResponse:
    """What is typed by hand, for a page."""
    store, config = request.app[SETTINGS]
    if devices.address_of(store, request.match_info["address"]) is None:
        raise web.HTTPNotFound
    return _json({"servers": devices.table(config())})


async def own_profile(request: web.Request) -> web.StreamResponse:
    """The profile of who is signed in."""
    return await _profile(request, str((await visitor(request)).identity.address))


async def profile(request: web.Request) -> web.StreamResponse:
    return await _profile(request, request.match_info["address"])


async def _profile(request: web.Request, address: str) -> web.StreamResponse:
    store, config = request.app[SETTINGS]
    known = devices.address_of(store, address)
    made = None if known is None else devices.profile(config(), str(known))
    if made is None:
        raise web.HTTPNotFound
    body = await store.aside(_signed, store, config(), made)
    held = {"Content-Disposition": 'attachment; filename="mail.mobileconfig"'}
    return web.Response(body=body, content_type="application/x-apple-aspen-config", headers=held)


def _signed(store: Store, config: Config, octets: bytes) -> bytes:
    """As it is where there is nothing to sign with: a device says so, and takes it."""
    if config["tls.certificate"]:
        chain = Path(config["tls.certificate"]).read_text()
        return devices.signed(octets, Pair(chain, Path(config["tls.key"] or config["tls.certificate"]).read_text()))
    found = store.read_now(_certificate, config.hostname)
    return octets if found is None else devices.signed(octets, found)


def _certificate(tx: Tx, host: str) -> Pair | None:
    found = certificates.best(tx, host)
    return None if found is None else Pair(found.chain, found.private_key)


async def code(request: web.Request) -> web.StreamResponse:
    """A picture for a phone's camera: the address of the page below, for who is signed in."""
    import segno

    who = (await visitor(request)).identity.address
    picture = io.BytesIO()
    where = f"{_origin(request.app[SETTINGS].config())}/clients/{quote(str(who))}"
    segno.make(where, micro=False).save(picture, kind="svg", scale=4, border=4, light="#fff", xmldecl=False)
    held = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return web.Response(body=picture.getvalue(), content_type="image/svg+xml", headers=held)


async def page(request: web.Request) -> web.StreamResponse:
    """Where the code leads: a profile for Apple's devices, and what others are told by hand."""
    store, config = request.app[SETTINGS]
    known = devices.address_of(store, request.match_info["address"])
    if known is None:
        raise web.HTTPNotFound
    rows = "".join(
        f"<tr><td>{way['name']}</td><td>{way['host']}</td><td>{way['port']}</td><td>{way['security']}</td></tr>"
        for way in devices.table(config())
    )
    name = escape(str(known))
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Set up {name}</title><style>{_LOOK}</style></head><body><h1>Set up {name}</h1>"
        "<p>Most mail programs need nothing but this address and its password.</p>"
        f'<p><a class="button" href="/clients/{quote(str(known))}.mobileconfig">iPhone, iPad or Mac</a></p>'
        f"<h2>By hand</h2><p>The user name is <b>{name}</b> everywhere.</p><table>{rows}</table></body></html>"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _STYLE})


ROUTES = (
    *(web.get(path, autoconfig) for path in AUTOCONFIG),
    web.post(_V1, discover),
    web.get(_V1, discover),
    web.get(_V2, discover_json),
    web.get(_V2 + "/{version}/{address}", discover_json),
    web.get("/clients/profile.mobileconfig", own_profile),
    web.get("/clients/qr.svg", code),
    web.get("/clients/{address}.json", table),
    web.get("/clients/{address}.mobileconfig", profile),
    web.get("/clients/{address}", page),
)


def _host(request: web.Request) -> str:
    return re.sub(r":\d{1,5}$", "", request.host, flags=re.ASCII).lower().removesuffix(".")


def _origin(config: Config) -> str:
    places = config["listen.https"]
    port = f":{places[0].port}" if places and places[0].port != 443 else ""
    return f"https://{config.hostname}{port}"


def _query(request: web.Request, name: str) -> str:
    """A parameter in any case of letters."""
    return next((value for key, value in request.query.items() if key.lower() == name), "")[: LIMITS.smtp_address]


def _asked(body: bytes) -> tuple[str, str]:
    """The address in a request of Autodiscover, and the kind of answer that is wanted; "" for what is none."""
    from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        return "", ""
    said = {each.tag.rpartition("}")[2].lower(): (each.text or "").strip() for each in root.iter()}
    return said.get("emailaddress", "")[: LIMITS.smtp_address], said.get("acceptableresponseschema", "").lower()


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
