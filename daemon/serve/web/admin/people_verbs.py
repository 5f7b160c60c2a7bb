"""Verbs about domains, users with what they prove who they are by, and aliases."""

from __future__ import annotations

from typing import Any

from daemon.admin import aliases, domains, factors, people
from daemon.serve.web.admin.verb import Asked, Many, Nothing, Text, Texts, Verb
from daemon.store.db import Store


class OfDomain(Asked):
    domain: Text | None = None


class UserList(Asked):
    """`find`: part of an address or a name. `after`: an address, those behind it."""

    domain: Text | None = None
    find: Text = ""
    after: Text | None = None
    limit: Many = 200


class AppPassword(Asked):
    """`scopes` empty: all of them. `expires`: a span or a date."""

    address: Text
    name: Text
    scopes: Texts = []
    expires: Text | None = None


class AppPasswordName(Asked):
    address: Text
    name: Text


class Address(Asked):
    address: Text


class Name(Asked):
    name: Text


class UserAdd(Asked):
    """No password: nobody can log in yet."""

    address: Text
    password: Text | None = None
    name: Text = ""
    quota: Text | None = None
    admin: bool = False


class UserSet(Asked):
    address: Text
    name: Text | None = None
    quota: Text | None = None
    admin: bool | None = None
    allowance: Text | None = None
    enabled: bool | None = None


class Password(Asked):
    address: Text
    password: Text


class DomainAdd(Asked):
    name: Text
    alias_of: Text | None = None
    separators: Text | None = None
    max_users: int | None = None
    catch_all: Texts = []


class DomainSet(Asked):
    name: Text
    alias_of: Text | None = None
    separators: Text | None = None
    max_users: int | None = None
    enabled: bool | None = None
    catch_all: Texts | None = None


class AliasAdd(Asked):
    address: Text
    targets: Texts
    note: Text = ""
    expires: Text | None = None


class AliasSet(Asked):
    address: Text
    targets: Texts = []
    note: Text | None = None
    expires: Text | None = None
    enabled: bool | None = None


def _users(store: Store, a: UserList) -> Any:
    return people.everyone(store, a.domain, find=a.find, after=a.after, limit=a.limit)


def _add_app_password(store: Store, a: AppPassword) -> Any:
    """The one answer that has the password."""
    return people.add_app_password(store, a.address, a.name, scopes=a.scopes, expires=a.expires)


def _remove_app_password(store: Store, a: AppPasswordName) -> Any:
    people.remove_app_password(store, a.address, a.name)
    return {"user": a.address, "name": a.name}


def _add_user(store: Store, a: UserAdd) -> Any:
    return people.add(store, a.address, a.password, display_name=a.name, quota=a.quota, admin=a.admin)


def _set_user(store: Store, a: UserSet) -> Any:
    return people.change(
        store, a.address, display_name=a.name, quota=a.quota, admin=a.admin, allowance=a.allowance, enabled=a.enabled
    )


def _set_password(store: Store, a: Password) -> Any:
    return people.set_password(store, a.address, a.password)


def _add_domain(store: Store, a: DomainAdd) -> Any:
    return domains.add(
        store, a.name, alias_of=a.alias_of, separators=a.separators, max_users=a.max_users, catch_all=a.catch_all
    )


def _set_domain(store: Store, a: DomainSet) -> Any:
    return domains.change(
        store, a.name, alias_of=a.alias_of, separators=a.separators, max_users=a.max_users, enabled=a.enabled,
        catch_all=a.catch_all,
    )  # fmt: skip


def _remove_domain(store: Store, a: Name) -> Any:
    gone = domains.show(store, a.name)
    domains.remove(store, a.name)
    return gone


def _set_alias(store: Store, a: AliasSet) -> Any:
    return aliases.change(
        store, a.address, targets=a.targets, note=a.note, expires=a.expires, enabled=a.enabled
    )  # fmt: skip


def _remove_alias(store: Store, a: Address) -> Any:
    gone = aliases.show(store, a.address)
    aliases.remove(store, a.address)
    return gone


TABLE: dict[str, Verb] = {
    "user/list": Verb(_users, UserList),
    "user/add": Verb(_add_user, UserAdd, True, proven=True),
    "user/set": Verb(_set_user, UserSet, True, proven=True),
    "user/passwd": Verb(_set_password, Password, True, proven=True),
    "user/removal": Verb(lambda store, a: people.removal(store, a.address), Address),
    "user/rm": Verb(lambda store, a: people.remove(store, a.address), Address, True),
    "app-password/list": Verb(lambda store, a: people.app_passwords(store, a.address), Address),
    "app-password/add": Verb(_add_app_password, AppPassword, True, proven=True),
    "app-password/rm": Verb(_remove_app_password, AppPasswordName, True),
    "two-factor/show": Verb(lambda store, a: factors.state(store, a.address), Address),
    "two-factor/off": Verb(lambda store, a: factors.reset(store, a.address), Address, True, proven=True),
    "domain/list": Verb(lambda store, a: domains.everyone(store), Nothing),
    "domain/add": Verb(_add_domain, DomainAdd, True),
    "domain/set": Verb(_set_domain, DomainSet, True),
    "domain/rm": Verb(_remove_domain, Name, True),
    "alias/list": Verb(lambda store, a: aliases.everyone(store, a.domain), OfDomain),
    "alias/add": Verb(
        lambda store, a: aliases.add(store, a.address, a.targets, note=a.note, expires=a.expires), AliasAdd, True
    ),
    "alias/set": Verb(_set_alias, AliasSet, True),
    "alias/rm": Verb(_remove_alias, Address, True),
}
