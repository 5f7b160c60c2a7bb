"""An authenticator in software: makes passkeys and signs with them, as a browser and a key together would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """`origin` is the page that asks, `flags` what the authenticator says of who holds it, `counts` how much it adds to
    its counter each time."""

    origin: str
    flags: int = PRESENT | VERIFIED
    counts: int = 1
    count: int = 0
    keys: dict[bytes, tuple[str, ec.EllipticCurvePrivateKey]] = field(default_factory=dict)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.create` gives for these options."""
        number, key = secrets.token_bytes(16), ec.generate_private_key(ec.SECP256R1())
        self.keys[number] = (options["rp"]["id"], key)
        point = key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        attested = bytes(16) + len(number).to_bytes(2, "big") + number + cose
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        return self._answer(
            number,
            clientDataJSON=self._client("webauthn.create", options["challenge"]),
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
            transports=["internal", "hybrid", "<nonsense>"],
        )

    def get(self, options: dict[str, Any], number: bytes | None = None) -> dict[str, Any]:
        """What `navigator.credentials.get` gives."""
        allowed = [octets(one["id"]) for one in options.get("allowCredentials", [])]
        number = number or next(one for one in self.keys if not allowed or one in allowed)
        name, key = self.keys[number]
        client = self._client("webauthn.get", options["challenge"])
        data = self._data(name)
        signature = key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(number, clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, name: str, more: int = 0) -> bytes:
        self.count += self.counts
        return hashlib.sha256(name.encode()).digest() + bytes([self.flags | more]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _answer(self, number: bytes, **response: Any) -> dict[str, Any]:
        shown = {k: text(v) if isinstance(v, bytes) else v for k, v in response.items()}
        return {
            "id": text(number), "rawId": text(number), "type": "public-key", "response": shown,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        }  # fmt: skip
