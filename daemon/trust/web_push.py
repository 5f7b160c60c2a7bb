"""What is sent through a push service so that the client alone can read it (RFC 8291, RFC 8188), and the proof of who
sends it (VAPID, RFC 8292). Keys of P-256 as the RFCs write them: an uncompressed point, a number of 32 octets."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

POINT, SECRET = 65, 16  # octets of a client's key, and of its secret
_RECORD = 4096  # octets of the one record; RFC 8291 §4: a push service takes so many
MOST = _RECORD - 86 - 17  # octets of a message
_CURVE = ec.SECP256R1()


def new_number() -> bytes:
    """The secret number of a new key."""
    return ec.generate_private_key(_CURVE).private_numbers().private_value.to_bytes(32, "big")


def key_of(number: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(number, "big"), _CURVE)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def is_point(data: bytes) -> bool:
    """Whether it is the key of a client."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, data)
    except ValueError:
        return False
    return len(data) == POINT


def encrypted(message: bytes, point: bytes, secret: bytes, key: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The message for the client of this key and secret; `key` and `salt` (16 octets) are new for each message. Raises
    `ValueError` for one that is too long, or a key that is none."""
    if len(message) > MOST:
        raise ValueError("the message is too long for a push service")
    ours = point_of(key)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point))
    material = _derived(secret, shared, b"WebPush: info\0" + point + ours, 32)  # RFC 8291 §3.4
    content = _derived(salt, material, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(salt, material, b"Content-Encoding: nonce\0", 12)
    record = AESGCM(content).encrypt(nonce, message + b"\x02", None)  # RFC 8188 §2: 2 ends the last record
    return salt + _RECORD.to_bytes(4, "big") + bytes([len(ours)]) + ours + record


def _derived(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(material)


def proof(url: str, contact: str, key: ec.EllipticCurvePrivateKey, until: int) -> str:
    """The `Authorization` of a push to this address. `until`: seconds since 1970, at most a day ahead; `contact` a
    mailto: or https: address."""
    place = urlsplit(url)
    claims = {"aud": f"{place.scheme}://{place.netloc}", "exp": until, "sub": contact}
    signed = f"{_packed({'typ': 'JWT', 'alg': 'ES256'})}.{_packed(claims)}"
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"vapid t={signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}, k={b64(point_of(key))}"


def _packed(value: object) -> str:
    return b64(json.dumps(value, separators=(",", ":")).encode())


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_b64(text: str) -> bytes:
    """Raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
