"""Smart hosts: which other server takes mail that would go to the recipient's own.

The most telling match wins: the sender's address, the sender's domain, the recipient's address, the recipient's domain,
a domain above it (`.example.org`), the default. A table is read once for many questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.mail.address import Address, BadAddress, normal_domain, parse_address
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx

KINDS = ("sender", "recipient", "default")
TLS = ("none", "opportunistic", "starttls", "implicit")
_COLUMNS = "id, kind, pattern, host, port, tls, username, password, created_at"


@dataclass(frozen=True, slots=True)
class Route:
    """`tls` is none, opportunistic, starttls (required) or implicit. `host` is a name or an IP address."""

    id: int
    kind: str
    pattern: str
    host: str
    port: int
    tls: str
    username: str | None
    password: str | None = field(repr=False)
    created_at: int

    @property
    def destination(self) -> str:
        """What queue rows on this route have as their destination."""
        return f"route:{self.id}"


class Table:
    """All routes, ready to be asked."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_pattern = {(r.kind, r.pattern): r for r in routes}
        self._by_id = {r.id: r for r in self._by_pattern.values()}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def get(self, route_id: int) -> Route | None:
        return self._by_id.get(route_id)

    def match(self, sender: str, recipient: str) -> Route | None:
        """The route for an envelope's sender ('' is the null sender) and recipient."""
        if not self._by_id:
            return None
        for kind, address in (("sender", sender), ("recipient", recipient)):
            for pattern in _patterns(address) if address else ():
                found = self._by_pattern.get((kind, pattern))
                if found is not None:
                    return found
        return self._by_pattern.get(("default", "*"))


def domain_of(address: str) -> str:
    """The domain of an address as text: what stands behind the last @, lower case."""
    return address.rpartition("@")[2].lower()


def _patterns(address: str) -> Iterable[str]:
    domain = domain_of(address)
    yield f"{address.rpartition('@')[0].lower()}@{domain}"
    yield domain
    while "." in domain:
        domain = domain.partition(".")[2]
        yield f".{domain}"


def load(tx: Tx) -> Table:
    return Table(everyone(tx))


def everyone(tx: Tx) -> list[Route]:
    """All routes, by kind and pattern."""
    return [Route(*row) for row in tx.all(f"select {_COLUMNS} from route order by kind, pattern")]


def get(tx: Tx, route_id: int) -> Route:
    """Raises `Missing`."""
    row = tx.one(f"select {_COLUMNS} from route where id = ?", route_id)
    if row is None:
        raise Missing(f"there is no route {route_id}; `mailctl route list` shows them")
    return Route(*row)


def add(
    tx: Tx,
    kind: str,
    pattern: str,
    host: str,
    port: int = 25,
    *,
    tls: str = "opportunistic",
    username: str | None = None,
    password: str | None = None,
) -> int:
    """A new route; its id. Raises `Invalid` for a pattern, port or TLS word that cannot be, `Exists`.

    What waits in the queue takes it at its next try.
    """
    if kind not in KINDS:
        raise Invalid(f"{kind!r} is not sender, recipient or default")
    if tls not in TLS:
        raise Invalid(f"{tls!r} is not none, opportunistic, starttls or implicit")
    if not 0 < port < 65536:
        raise Invalid(f"{port} is not a port")
    if not host or any(c.isspace() or c in "@/<>" for c in host):
        raise Invalid(f"{host!r} is not a host name or an IP address")
    if (username is None) != (password is None):
        raise Invalid("a user name and a password go together")
    pattern = _pattern(kind, pattern)
    if tx.value("select 1 from route where kind = ? and pattern = ?", kind, pattern):
        raise Exists(f"there is a route for {kind} {pattern} already")
    route_id = tx.insert(
        "insert into route (kind, pattern, host, port, tls, username, password, created_at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        kind, pattern, host.strip("[]").lower(), port, tls, username, password, tx.now,
    )  # fmt: skip
    tx.queue_touched()
    return route_id


def remove(tx: Tx, route_id: int) -> Route:
    """Raises `Missing`. What waits for it goes its usual way at the next try."""
    route = get(tx, route_id)
    tx.run("delete from route where id = ?", route_id)
    tx.queue_touched()
    return route


def _pattern(kind: str, text: str) -> str:
    if kind == "default":
        if text not in ("", "*"):
            raise Invalid("the default route has no pattern, or *")
        return "*"
    try:
        if "@" in text.lstrip("@"):
            address: Address = parse_address(text)
            return f"{address.local.lower()}@{address.domain}"
        name = text.lstrip("@")
        return f".{normal_domain(name[1:])}" if name.startswith(".") else normal_domain(name)
    except BadAddress as error:
        raise Invalid(f"{text!r} is neither an address nor a domain: {error.reason}") from None
