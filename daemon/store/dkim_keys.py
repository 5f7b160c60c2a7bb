"""The keys that sign what goes out, and their life: pending → active → retired → gone (see `schema/0002_dkim.sql`).

Keys are made elsewhere, outside of any transaction: an RSA key takes a twentieth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from daemon.store import domains
from daemon.store.errors import Exists, Missing
from daemon.store.tx import Tx

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]
ALGORITHMS: Mapping[Algorithm, str] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""What we sign with, and what k= calls it (RFC 8463 §3)."""


class Made(NamedTuple):
    """A new key pair: private in PKCS#8 PEM, public in base64 as p= has it."""

    algorithm: Algorithm
    private_key: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Key:
    """`domain` is the name (A-labels). `seen_at`: its record is in the DNS, as far as we know."""

    id: int
    domain: str
    selector: str
    algorithm: Algorithm
    public_key: str
    state: str
    created_at: int
    seen_at: int | None
    activated_at: int | None
    retired_at: int | None
    gone_at: int | None

    @property
    def name(self) -> str:
        """Where its record stands (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of its TXT record."""
        return f"v=DKIM1; k={ALGORITHMS[self.algorithm]}; p={self.public_key}"


@dataclass(frozen=True, slots=True)
class Signing:
    """What one signature needs."""

    domain: str
    selector: str
    algorithm: Algorithm
    private_key: str = field(repr=False)


_COLUMNS = (
    "k.id, d.name, k.selector, k.algorithm, k.public_key, k.state, k.created_at, k.seen_at, k.activated_at,"
    " k.retired_at, k.gone_at"
)
_KEYS = f"select {_COLUMNS} from dkim_key k join domain d on d.id = k.domain_id"


def everyone(tx: Tx, domain: str | None = None) -> list[Key]:
    """All keys, or those of one domain, by domain and age."""
    return _those(tx, domain, "1 = 1")


def _those(tx: Tx, domain: str | None, condition: str, *params: Any) -> list[Key]:
    sql = f"{_KEYS} where (? is null or d.name = ?) and {condition} order by d.name, k.id"
    return [Key(*row) for row in tx.all(sql, domain, domain, *params)]


def get(tx: Tx, domain: str, selector: str) -> Key:
    """Raises `Missing`."""
    row = tx.one(f"{_KEYS} where d.name = ? and k.selector = ?", domain, selector)
    if row is None:
        raise Missing(f"{domain} has no key {selector!r}; `mailctl dkim list {domain}` names them")
    return Key(*row)


def signing(tx: Tx, names: Sequence[str]) -> list[Signing]:
    """The active keys of the first of these domains that is ours; none of a disabled one."""
    for name in names:
        domain = domains.find(tx, name)
        if domain is not None:
            return [
                Signing(name, *row)
                for row in tx.all(
                    "select selector, algorithm, private_key from dkim_key where domain_id = ? and state = 'active'"
                    " order by id",
                    domain.id,
                )
                if domain.enabled
            ]
    return []


def published(tx: Tx, domain: str) -> list[Key]:
    """Those whose record must be in the DNS."""
    return _those(tx, domain, "k.state <> 'gone'")


def without(tx: Tx) -> list[str]:
    """The domains that have no key yet."""
    rows = tx.all(
        "select name from domain d where not exists (select 1 from dkim_key where domain_id = d.id) order by name"
    )
    return [str(r[0]) for r in rows]


def add(tx: Tx, name: str, made: Iterable[Made]) -> list[Key]:
    """New keys of a domain: active at once where none of their algorithm is, else pending.

    Raises `Missing`, and `Exists` when one of the algorithm is pending already.
    """
    domain = domains.get(tx, name)
    found = []
    for algorithm, private_key, public_key in made:
        states = tx.all(
            "select state from dkim_key where domain_id = ? and algorithm = ? and state in ('pending', 'active')",
            domain.id, algorithm,
        )  # fmt: skip
        if ("pending",) in states:
            raise Exists(f"a new {algorithm} key of {name} waits to be published; `mailctl dkim rotate {name}` goes on")
        state = "pending" if states else "active"
        key_id = tx.insert(
            "insert into dkim_key (domain_id, selector, algorithm, private_key, public_key, state, created_at,"
            " activated_at) values (?, '', ?, ?, ?, ?, ?, ?)",
            domain.id, algorithm, private_key, public_key, state, tx.now, None if states else tx.now,
        )  # fmt: skip
        selector = f"{datetime.fromtimestamp(tx.now / 1000, UTC):%Y%m}-{ALGORITHMS[algorithm]}-{key_id}"
        tx.run("update dkim_key set selector = ? where id = ?", selector, key_id)
        found.append(get(tx, name, selector))
    tx.settings_touched()
    return found


def add_first(tx: Tx, name: str, made: Sequence[Made]) -> list[Key]:
    """The same for a domain that has none at all; does nothing for another, or one that went meanwhile."""
    return add(tx, name, made) if name in without(tx) else []


def wanted(tx: Tx, domain: str | None = None) -> list[Key]:
    """Those of which the DNS has news to tell: not seen yet, or to be removed and still there."""
    return _those(tx, domain, "k.state <> 'retired' and (k.state = 'gone') = (k.seen_at is not null)")


def overdue(tx: Tx, before: int, domain: str | None = None) -> list[Key]:
    """Those that were retired before that moment."""
    return _those(tx, domain, "k.state = 'retired' and k.retired_at <= ?", before)


def note(tx: Tx, key_id: int, there: bool) -> list[Key]:
    """What the DNS says of a key's record; the keys whose state changed. A pending key that is seen takes over."""
    row = tx.one(f"{_KEYS} where k.id = ?", key_id)
    key = None if row is None else Key(*row)
    if key is None or there == (key.seen_at is not None):
        return []
    tx.run("update dkim_key set seen_at = ? where id = ?", tx.now if there else None, key_id)
    tx.settings_touched()
    if not there or key.state != "pending":
        return []
    old = _those(tx, key.domain, "k.state = 'active' and k.algorithm = ?", key.algorithm)
    for other in old:
        _end(tx, other, "retired")
    tx.run("update dkim_key set state = 'active', activated_at = ? where id = ?", tx.now, key_id)
    return [get(tx, k.domain, k.selector) for k in (key, *old)]


def let_go(tx: Tx, before: int, domain: str | None = None) -> list[Key]:
    """Keys that were retired before that moment are gone now; those."""
    old = overdue(tx, before, domain)
    for key in old:
        _end(tx, key, "gone")
    return [get(tx, key.domain, key.selector) for key in old]


def remove(tx: Tx, domain: str, selector: str) -> Key | None:
    """Sign with it no more: it is gone, and stays known until its record is; None when it was gone, and is forgotten.

    Raises `Missing`.
    """
    key = get(tx, domain, selector)
    if key.state == "gone":
        tx.run("delete from dkim_key where id = ?", key.id)
        tx.settings_touched()
        return None
    _end(tx, key, "gone")
    return get(tx, domain, selector)


def _end(tx: Tx, key: Key, state: str) -> None:
    """Retired or gone: it never signs again, so nobody can steal it here."""
    tx.run(
        f"update dkim_key set state = ?, private_key = '', {state}_at = ? where id = ?", state, tx.now, key.id
    )  # fmt: skip
    tx.settings_touched()


def broken(tx: Tx, most: int) -> list[tuple[Any, ...]]:
    """What must not be, for `store.check`: domain, selector and why."""
    when = "max(coalesce(k.activated_at, k.created_at), k.created_at)"
    rules = (
        ("the state and the private key do not fit", "(k.state in ('pending', 'active')) <> (k.private_key <> '')"),
        ("it is active since no time", "k.state = 'active' and k.activated_at is null"),
        ("it is retired since no time", "k.state = 'retired' and k.retired_at is null"),
        ("it is gone since no time", "k.state = 'gone' and k.gone_at is null"),
        ("its times are not in order", f"k.retired_at < {when} or k.gone_at < {when} or k.gone_at < k.retired_at"),
        ("the domain has two such keys in this state",
         "k.state in ('pending', 'active') and exists (select 1 from dkim_key o where o.domain_id = k.domain_id"
         " and o.algorithm = k.algorithm and o.state = k.state and o.id <> k.id)"),
        ("the selector is no DNS label",
         "length(k.selector) not between 1 and 63 or k.selector glob '*[^a-z0-9-]*' or k.selector glob '-*'"
         " or k.selector glob '*-'"),
        ("it has no public key", "k.public_key = ''"),
    )  # fmt: skip
    join = "from dkim_key k left join domain d on d.id = k.domain_id"
    return [
        (domain or "?", selector, why)
        for why, wrong in rules
        for domain, selector in tx.all(f"select d.name, k.selector {join} where {wrong} limit ?", most)
    ]
