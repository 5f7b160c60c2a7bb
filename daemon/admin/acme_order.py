"""One order at a certificate authority, from the account to the certificate (RFC 8555). certbot's `acme` speaks.

Blocking: for a process that has nothing else to do (`mailctl cert renew`, which the server starts too).

How it can fail: `Unavailable` (the authority does not answer), `NotNow` (it says no, in its own words: a challenge
failed, too many orders), `BadSetting` (what is asked of the administrator is missing).
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from daemon.admin import dnsupdate, pem
from daemon.admin.errors import BadSetting, NotNow, Unavailable
from daemon.config import Config
from daemon.limits import LIMITS
from daemon.store import acme
from daemon.store.db import Store

REMEDIES = {
    "http-01": "see that port 80 of that name reaches listen.http of this server",
    "tls-alpn-01": "see that port 443 of that name reaches listen.https of this server",
    "dns-01": "see that the servers of the zone tell what dns.update_server was told",
}

_NONCES = 3  # times that a request is repeated with another nonce


@dataclass(frozen=True, slots=True)
class _Proof:
    """What one authorization asks for: `answer` is the key authorization (RFC 8555 §8.1)."""

    challenge: messages.ChallengeBody
    name: str
    token: str
    answer: str


def fetch(store: Store, config: Config, names: tuple[str, ...], private_key: str) -> str:
    """A certificate for `names` and this key, PEM with its chain. Raises as told above."""
    directory = config["acme.directory"]
    try:
        return _fetch(store, config, names, private_key)
    except BadSetting:  # a ValueError
        raise
    except errors.ValidationError as error:
        said = "; ".join(_failures(error)) or "no reason was given"
        raise NotNow(f"{said}; {REMEDIES[config['acme.challenge']]}") from None
    except errors.IssuanceError as error:
        raise NotNow(f"{directory} gives no certificate: {_words(error.error)}") from None
    except errors.TimeoutError:
        raise NotNow(f"{directory} was not ready within {LIMITS.acme_patience} s; try again later") from None
    except messages.Error as error:
        raise NotNow(f"{directory} refuses: {_words(error)}") from None
    except requests.exceptions.SSLError as error:
        raise Unavailable(
            f"the certificate of {directory} is not to be trusted ({_reason(error)}); a private authority's root is"
            " named by acme.ca_bundle"
        ) from None
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"{directory} does not answer ({_reason(error)}); try again later") from None
    except (errors.Error, JoseError, KeyError, ValueError) as error:
        raise Unavailable(f"{directory} answers what cannot be understood ({_reason(error)}); is it right?") from None


def _fetch(store: Store, config: Config, names: tuple[str, ...], private_key: str) -> str:
    ours, key = _account(store, config)
    end = datetime.datetime.now() + datetime.timedelta(seconds=LIMITS.acme_patience)
    order = ours.new_order(_request(names, private_key))
    proofs = [
        _proof(authorization, config["acme.challenge"], key)
        for authorization in order.authorizations
        if authorization.body.status != messages.STATUS_VALID
    ]
    with _shown(store, config, proofs):
        for proof in proofs:
            ours.answer_challenge(proof.challenge, challenges.DNS01Response(key_authorization=proof.answer))
        order = ours.poll_authorizations(order, end)
    return str(ours.finalize_order(order, end).fullchain_pem)


class _Net(client.ClientNetwork):
    """An authority may call a good nonce bad at any time (RFC 8555 §6.5); the library tries twice."""

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(_NONCES):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


# -- the account -------------------------------------------------------------------------------------------------------


def _account(store: Store, config: Config) -> tuple[client.ClientV2, JWK]:
    """Somebody who speaks for our account; it is registered when the authority does not know it (any more)."""
    directory = config["acme.directory"]
    kept = store.read_now(acme.account, directory)
    private_key = pem.new_key() if kept is None else kept.private_key
    if kept is None:  # before anybody hears of it
        store.write_now(acme.keep_account, directory, private_key, "")
    key = JWKEC.load(private_key.encode())
    ours = speaker(config, key)
    if kept is not None and kept.url:
        try:
            ours.query_registration(messages.RegistrationResource(body=messages.Registration(), uri=kept.url))
            return ours, key
        except messages.Error as error:
            if error.code != "accountDoesNotExist":
                raise
            ours.net.account = None
    store.write_now(acme.keep_account, directory, private_key, _register(ours, key, config))
    return ours, key


def speaker(config: Config, key: JWK | None = None) -> client.ClientV2:
    """Who speaks with the authority; without a key for what needs no account. Raises `BadSetting`, and what the
    libraries raise."""
    directory = config["acme.directory"]
    net = _Net(key, alg=ES256, user_agent="mailctl", timeout=LIMITS.acme_request)
    bundle: Any = config["acme.ca_bundle"] or True
    net.verify_ssl = bundle
    try:
        return client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    except OSError as error:
        if isinstance(error, requests.exceptions.RequestException):
            raise
        raise BadSetting(f"acme.ca_bundle: {bundle} cannot be read") from None


def _register(ours: client.ClientV2, key: JWK, config: Config) -> str:
    """The address of a new account, or of the one that the key has already."""
    if ours.external_account_required() and not config["acme.eab_kid"]:
        raise BadSetting(
            "acme.eab_kid: this authority gives accounts to its customers only; set acme.eab_kid and acme.eab_key to"
            " what it gave you, or name another one as acme.directory"
        )
    wanted = messages.NewRegistration.from_data(
        email=config["acme.email"] or None, terms_of_service_agreed=config["acme.agree"],
        external_account_binding=_binding(ours, key, config),
    )  # fmt: skip
    try:
        return str(ours.new_account(wanted).uri)
    except errors.ConflictError as conflict:
        known = messages.RegistrationResource(body=messages.Registration(), uri=conflict.location)
        return str(ours.query_registration(known).uri)


def _binding(ours: client.ClientV2, key: JWK, config: Config) -> dict[str, Any] | None:
    """What ties the account to the one a customer has already (RFC 8555 §7.3.4); None when there is none to name."""
    kid, file = config["acme.eab_kid"], config["acme.eab_key"]
    if not kid:
        return None
    try:
        secret = Path(file).read_text().strip()
    except (OSError, UnicodeError):
        raise BadSetting(
            f"acme.eab_key: {file or 'no file'} cannot be read; write the authority's key into one"
        ) from None
    try:
        return messages.ExternalAccountBinding.from_data(key.public_key(), kid, secret, ours.directory)
    except (JoseError, ValueError):
        raise BadSetting(f"acme.eab_key: {file} holds no key in base64url; write it as the authority gave it") from None


# -- proving a name ----------------------------------------------------------------------------------------------------


def _proof(authorization: messages.AuthorizationResource, kind: str, key: JWK) -> _Proof:
    name = str(authorization.body.identifier.value).lower().removeprefix("*.")
    for challenge in authorization.body.challenges:
        told = challenge.chall.to_json()
        if told.get("type") == kind:
            thumbprint = _base64url(key.thumbprint(hash_function=hashes.SHA256))
            return _Proof(challenge, name, told["token"], f"{told['token']}.{thumbprint}")
    offered = ", ".join(sorted(str(c.chall.to_json().get("type")) for c in authorization.body.challenges))
    raise BadSetting(f"acme.challenge: the authority does not take {kind} for {name}; it offers {offered}")


@contextmanager
def _shown(store: Store, config: Config, proofs: list[_Proof]) -> Iterator[None]:
    """What the authority will look for is there, while it looks."""
    kind = config["acme.challenge"]
    if kind == "dns-01":
        with _in_the_dns(config, proofs):
            yield
        return
    until = store.clock() + LIMITS.challenge * 1000
    try:
        for proof in proofs:
            store.write_now(acme.put_challenge, kind, proof.name, proof.token, proof.answer, until)
        yield
    finally:
        for proof in proofs:
            store.write_now(acme.drop_challenge, proof.token)


@contextmanager
def _in_the_dns(config: Config, proofs: list[_Proof]) -> Iterator[None]:
    """RFC 8555 §8.4. A name and its wildcard are two proofs at the same place."""
    way = dnsupdate.configured(config)
    if way is None:
        raise BadSetting("acme.challenge: dns-01 needs dns.update_server and dns.update_key")
    server, key = way
    places: dict[str, list[str]] = {}
    for proof in proofs:
        digest = _base64url(hashlib.sha256(proof.answer.encode()).digest())
        places.setdefault(f"_acme-challenge.{proof.name}", []).append(digest)
    try:
        for place, values in places.items():
            asyncio.run(dnsupdate.set_txt(server, key, place, values))
        yield
    finally:
        for place, values in places.items():
            asyncio.run(dnsupdate.remove_txt(server, key, place, values))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _request(names: tuple[str, ...], private_key: str) -> bytes:
    """The certificate signing request, PEM."""
    key: Any = serialization.load_pem_private_key(private_key.encode(), None)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    signed = builder.add_extension(wanted, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


# -- what was said -----------------------------------------------------------------------------------------------------


def _failures(error: errors.ValidationError) -> Iterator[str]:
    for authorization in error.failed_authzrs:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                yield f"{authorization.body.identifier.value} is not proved: {_words(challenge.error)}"


def _words(problem: Any) -> str:
    """A problem document in the authority's own words (RFC 8555 §6.7), on one line."""
    said = [str(problem.detail or problem.title or problem.typ)]
    said += [f"{sub.identifier.value}: {sub.detail}" for sub in problem.subproblems or () if sub.identifier]
    return " ".join("; ".join(said).split())[:1000]


def _reason(error: BaseException) -> str:
    cause: Any = error
    while (inner := getattr(cause, "reason", None)) is not None or (
        cause.args and isinstance(inner := cause.args[0], BaseException)
    ):
        if not isinstance(inner, BaseException):
            break
        cause = inner
    words = re.sub(r"\A\w+\([^()]*\): ", "", " ".join(str(cause).split()))  # without the object that says it
    return words[:300] or type(cause).__name__
