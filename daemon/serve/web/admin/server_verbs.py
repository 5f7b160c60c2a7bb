"""Verbs about the server itself: settings, bans, sessions, smart hosts, keys, certificates, the DNS."""

from __future__ import annotations

from typing import Any

from daemon.admin import certs, dkim, dnscheck, dnsrecords, guard, routes, sessions, settings, words
from daemon.serve.web.admin.verb import Asked, Many, Nothing, Number, Numbers, Text, Texts, Verb
from daemon.store.db import Store


class Settings(Asked):
    changed: bool = False


class Key(Asked):
    key: Text


class Setting(Asked):
    key: Text
    value: Text


class History(Asked):
    key: Text | None = None
    limit: Many = 100


class Change(Asked):
    id: Number


class Ban(Asked):
    """`until` as `mailctl ban add --until` has it; left out: for good."""

    network: Text
    reason: Text = "by hand"
    until: Text | None = None


class Networks(Asked):
    networks: Texts


class OfUser(Asked):
    user: Text | None = None


class Ending(Asked):
    user: Text
    keep_app_passwords: bool = False


class Route(Asked):
    """`kind` is sender, recipient or default; `pattern` "*" for the last."""

    kind: Text
    pattern: Text
    host: Text
    tls: Text = "opportunistic"
    username: Text | None = None
    password: Text | None = None


class Ids(Asked):
    ids: Numbers


class OfDomain(Asked):
    domain: Text | None = None


class Domain(Asked):
    domain: Text


class Zone(Asked):
    """`addresses`: of this server, when it has others than it knows of."""

    domain: Text
    addresses: Texts = []


class Renewal(Asked):
    names: Texts = []
    everything: bool = False
    due: bool = False


def _set(store: Store, a: Setting, who: str) -> Any:
    return settings.put(store, a.key, a.value, who)


def _unset(store: Store, a: Key, who: str) -> Any:
    return settings.unset(store, a.key, who)


def _revert(store: Store, a: Change, who: str) -> Any:
    return settings.revert(store, a.id, who)


def _ban(store: Store, a: Ban) -> Any:
    return guard.add(store, a.network, reason=a.reason, until=a.until)


def _ending(store: Store, a: Ending) -> Any:
    return sessions.ending(store, a.user, keep_app_passwords=a.keep_app_passwords)


def _end(store: Store, a: Ending) -> Any:
    return sessions.end(store, a.user, keep_app_passwords=a.keep_app_passwords)


def _add_route(store: Store, a: Route) -> Any:
    return routes.add(store, a.kind, a.pattern, a.host, tls=a.tls, username=a.username, password=a.password)


def _records(store: Store, a: Zone) -> Any:
    return dnsrecords.records(dnsrecords.wishes(store, a.domain, a.addresses))


def _notes(store: Store, a: Nothing) -> Any:
    """What `mailctl cert list` says below its table: certificates that did not come yet, and why; a file that goes
    before them all."""
    missing = [{"name": name, "problem": problem} for name, problem in certs.missing(store)]
    return {"missing": missing, "file": certs.files_in_use(store)}


def _renew(a: Renewal) -> list[str]:
    """Raises `BadData`."""
    how = ["--all"] * a.everything + ["--due"] * a.due
    return ["cert", "renew", *how, "--", *map(words.domain, a.names)]


TABLE: dict[str, Verb] = {
    "config/list": Verb(lambda store, a: settings.everyone(store, changed=a.changed), Settings),
    "config/describe": Verb(lambda store, a: settings.show(store, a.key), Key),
    "config/set": Verb(_set, Setting, True, signed=True, proven=True),
    "config/unset": Verb(_unset, Key, True, signed=True, proven=True),
    "config/history": Verb(lambda store, a: settings.history(store, a.key, a.limit), History),
    "config/revert": Verb(_revert, Change, True, signed=True, proven=True),
    "ban/list": Verb(lambda store, a: guard.everyone(store), Nothing),
    "ban/add": Verb(_ban, Ban, True),
    "ban/rm": Verb(lambda store, a: guard.remove(store, a.networks), Networks, True),
    "session/list": Verb(lambda store, a: sessions.everyone(store, a.user), OfUser),
    "session/ending": Verb(_ending, Ending),
    "session/kill": Verb(_end, Ending, True),
    "route/list": Verb(lambda store, a: routes.everyone(store), Nothing),
    "route/add": Verb(_add_route, Route, True),
    "route/rm": Verb(lambda store, a: routes.remove(store, a.ids), Ids, True),
    "dkim/list": Verb(lambda store, a: dkim.everyone(store, a.domain), OfDomain),
    "dkim/rotate": Verb(lambda store, a: dkim.rotate(store, a.domain), Domain, True),
    "cert/list": Verb(lambda store, a: certs.everyone(store), Nothing),
    "cert/notes": Verb(_notes, Nothing),
    "cert/renew": Verb(_renew, Renewal, True, apart=True),
    "dns/check": Verb(lambda store, a: dnscheck.check(store, a.domain, a.addresses), Zone),
    "dns/records": Verb(_records, Zone),
}
