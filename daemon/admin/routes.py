"""Smart hosts: which other server takes mail that would go to the recipient's own."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin.errors import BadData
from daemon.config import BadSetting, parse_host_port
from daemon.store import routes
from daemon.store.db import Store
from daemon.store.tx import Tx

_PORTS = {"implicit": 465}


@dataclass(frozen=True, slots=True)
class Route:
    """`kind` sender, recipient or default. The password is never shown."""

    id: int
    kind: str
    pattern: str
    host: str
    port: int
    tls: str
    username: str | None
    created_at: int


def everyone(store: Store) -> list[Route]:
    return [_route(r) for r in store.read_now(routes.everyone)]


def show(store: Store, route_id: int) -> Route:
    """Raises `Missing`."""
    return _route(store.read_now(routes.get, route_id))


def add(
    store: Store,
    kind: str,
    pattern: str,
    host: str,
    *,
    tls: str = "opportunistic",
    username: str | None = None,
    password: str | None = None,
) -> Route:
    """`host` is HOST or HOST:PORT. Raises `Exists`, `Invalid`, `BadData`."""
    try:
        place = parse_host_port(host, _PORTS.get(tls, 587 if username else 25))
    except BadSetting as error:
        raise BadData(str(error)) from None

    def work(tx: Tx) -> Route:
        made = routes.add(tx, kind, pattern, place.host, place.port, tls=tls, username=username, password=password)
        return _route(routes.get(tx, made))

    return store.write_now(work)


def remove(store: Store, route_ids: list[int]) -> list[Route]:
    """Raises `Missing`, and then none is removed."""

    def work(tx: Tx) -> list[Route]:
        return [_route(routes.remove(tx, one)) for one in route_ids]

    return store.write_now(work)


def number(text: str) -> int:
    """The id in what was written. Raises `BadData`."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadData(f"{text!r} is not a route's number; `mailctl route list` shows them")
    return int(text)


def _route(r: routes.Route) -> Route:
    return Route(r.id, r.kind, r.pattern, r.host, r.port, r.tls, r.username, r.created_at)
