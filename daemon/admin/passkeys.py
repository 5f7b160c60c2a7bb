"""Passkeys (Web Authentication, level 2): what a browser is asked for, and whether what it answers is right.

An authenticator makes a pair of keys for the name of this server and keeps the private one; it signs our challenge, and
the browser vouches that the page it did so for is ours. Attestation (who built the authenticator) is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from daemon.limits import LIMITS
from daemon.store import passkeys
from daemon.store.db import Store
from daemon.store.errors import Invalid
from daemon.store.passkeys import Passkey

_TRANSPORTS = frozenset(("usb", "nfc", "ble", "smart-card", "hybrid", "internal", "cable"))
_LONGEST = 16 * 1024  # octets of a browser's answer looked at; attestation "none" takes some hundred


class BadPasskey(ValueError):
    """It proves nothing."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey, as it is kept."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: str
    backed_up: bool


def creation(host: str, account_id: int, user: str, known: Sequence[Passkey], challenge: bytes) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked for, in JSON."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import structs

    options = generate_registration_options(
        rp_id=host,
        rp_name=host,
        user_id=b"u%d" % account_id,
        user_name=user,
        challenge=challenge,
        timeout=LIMITS.sign_in_patience * 1000,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.PREFERRED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_descriptors(known),
    )
    made: dict[str, Any] = msgspec.json.decode(options_to_json(options))
    return made


def register(host: str, challenge: bytes, answer: dict[str, Any]) -> Made:
    """The new passkey of what the browser answered. Raises `BadPasskey`."""
    from webauthn import verify_registration_response

    try:
        seen = verify_registration_response(
            credential=_small(answer),
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=_origin(answer, host),
        )
    except Exception as error:
        raise BadPasskey(str(error)) from None
    listed = answer.get("response", {}).get("transports", [])
    transports = " ".join(t for t in dict.fromkeys(listed) if t in _TRANSPORTS) if isinstance(listed, list) else ""
    return Made(seen.credential_id, seen.credential_public_key, seen.sign_count, transports, seen.credential_backed_up)


def request(host: str, known: Sequence[Passkey], challenge: bytes, *, alone: bool) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked for, in JSON. `alone`: no password was asked for, so that the
    authenticator has to look who holds it."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers import structs

    wanted = structs.UserVerificationRequirement
    options = generate_authentication_options(
        rp_id=host,
        challenge=challenge,
        timeout=LIMITS.sign_in_patience * 1000,
        allow_credentials=_descriptors(known),
        user_verification=wanted.REQUIRED if alone else wanted.PREFERRED,
    )
    made: dict[str, Any] = msgspec.json.decode(options_to_json(options))
    return made


def credential_of(answer: dict[str, Any]) -> bytes:
    """The id of the passkey that a browser's answer says it is of; empty for nonsense."""
    from webauthn.helpers import base64url_to_bytes

    shown = answer.get("id")
    if not isinstance(shown, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,1364}", shown):
        return b""
    try:
        return bytes(base64url_to_bytes(shown))
    except ValueError:
        return b""


async def check(
    store: Store, host: str, passkey: Passkey, challenge: bytes, answer: dict[str, Any], alone: bool
) -> None:
    """Whether this passkey signed that challenge, for a page of ours. Raises `BadPasskey`, `StoreError`."""
    from webauthn import verify_authentication_response

    try:
        seen = verify_authentication_response(
            credential=_small(answer),
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=_origin(answer, host),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except Exception as error:
        raise BadPasskey(str(error)) from None
    taken = await store.write(
        passkeys.used, passkey.id, passkey.sign_count, seen.new_sign_count, seen.credential_backed_up
    )
    if not taken:
        raise BadPasskey("it was used somewhere else at the same time")


def name(text: str) -> str:
    """What a user may call one. Raises `Invalid`."""
    text = text.strip()
    if not text or len(text) > LIMITS.passkey_name or not text.isprintable():
        raise Invalid(f"a passkey's name is one line of 1 to {LIMITS.passkey_name} characters")
    return text


def _descriptors(known: Sequence[Passkey]) -> list[Any]:
    from webauthn.helpers import structs

    ways = {way.value: way for way in structs.AuthenticatorTransport}
    return [
        structs.PublicKeyCredentialDescriptor(
            id=one.credential_id, transports=[ways[t] for t in one.transports if t in ways] or None
        )
        for one in known
    ]


def _small(answer: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(answer)) > _LONGEST:
        raise BadPasskey("the answer is too long")
    return answer


def _origin(answer: dict[str, Any], host: str) -> str:
    """The page that the browser says it is, if that is one of ours: HTTPS, our name, any port. The signature is over
    it, so it need not be believed here. Raises `BadPasskey`."""
    from webauthn.helpers import base64url_to_bytes

    said = msgspec.json.decode(base64url_to_bytes(answer["response"]["clientDataJSON"]))
    origin = said["origin"]
    parts = urlsplit(origin)
    if parts.scheme != "https" or parts.hostname != host or said.get("crossOrigin"):
        raise BadPasskey("it was asked for by a page that is not ours")
    return str(origin)
