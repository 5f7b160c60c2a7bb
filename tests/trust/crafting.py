"""Signatures of every kind, good and bad, made slowly from the RFC's words and not with the code under test.

`Keyring` is a resolver with the key records of a test. `signature` makes a DKIM-Signature with any tags, `sealed` puts
an ARC set on a message.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha1, sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from daemon.resolver import Answer, TemporaryDNSError
from daemon.trust.sign import Key, public_record

DATA = Path(__file__).parent / "data"
NOW = 1_700_000_000


class Keyring:
    """Key records by name; a name in `trouble` cannot be asked for."""

    def __init__(self, *keys: Key) -> None:
        self.records: dict[str, list[bytes]] = {}
        self.trouble: set[str] = set()
        self.asked: list[str] = []
        for key in keys:
            self.put(key, public_record(key))

    def put(self, key: Key, *records: str) -> None:
        self.records[f"{key.selector}._domainkey.{key.domain}"] = [record.encode() for record in records]

    async def ask(self, name: str, kind: str) -> Answer:
        assert kind == "TXT"
        self.asked.append(name)
        if name in self.trouble:
            raise TemporaryDNSError(name, kind, "SERVFAIL")
        found = self.records.get(name)
        return Answer(name, kind, tuple(found or ()), found is not None)


def rfc_keys() -> Keyring:
    keyring = Keyring()
    for line in (DATA / "keys.txt").read_text().splitlines():
        name, _, record = line.partition(" ")
        if name != "#":
            keyring.records[name] = [record.encode()]
    return keyring


def relaxed_field(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
    return name.rstrip(b" \t").lower() + b":" + value.strip(b" ") + b"\r\n"


def canonical_field(field: bytes, form: str) -> bytes:
    return relaxed_field(field) if form == "relaxed" else field


def canonical_body(body: bytes, form: str) -> bytes:
    lines = body.split(b"\r\n")
    if form == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines) or (b"" if form == "relaxed" else b"\r\n")


def split(data: bytes) -> tuple[list[bytes], bytes]:
    header, _, body = data.partition(b"\r\n\r\n")
    return re.findall(rb"[^\r]+(?:\r\n[ \t][^\r]*)*\r\n", header + b"\r\n"), body


def made(key: Key, text: bytes, algorithm: str | None = None) -> str:
    if isinstance(key.private, Ed25519PrivateKey):
        octets = key.private.sign(sha256(text).digest())
    else:
        assert isinstance(key.private, RSAPrivateKey)
        octets = key.private.sign(text, PKCS1v15(), SHA1() if algorithm == "rsa-sha1" else SHA256())
    return base64.b64encode(octets).decode()


def listed(fields: list[bytes], names: str, form: str) -> bytes:
    left, text = list(fields), b""
    for name in names.split(":"):
        for field in reversed(left):
            if field.partition(b":")[0].strip().lower() == name.strip().lower().encode():
                left.remove(field)
                text += canonical_field(field, form)
                break
    return text


def field_of(key: Key, data: bytes, name: str, tags: dict[str, str | None]) -> bytes:
    """A signature field over `data`. A tag that is None is left out; b= and bh= may be given."""
    head, _, body_form = (tags.get("c") or "simple/simple").partition("/")
    fields, body = split(data)
    body = canonical_body(body, body_form or "simple")
    length = tags.get("l")
    if length and length.isdigit() and int(length) <= len(body):
        body = body[: int(length)]
    hashing = sha1 if tags.get("a") == "rsa-sha1" else sha256
    hashed = base64.b64encode(hashing(body).digest()).decode()
    usual = {"a": key.algorithm, "d": key.domain, "s": key.selector, "bh": hashed}
    tags = tags | {tag: value for tag, value in usual.items() if tag not in tags}
    text = ";\r\n ".join(f"{tag}={value}" for tag, value in tags.items() if value is not None and tag != "b")
    field = f"{name}: {text};\r\n b=".encode()
    given = tags.get("b", "")
    signed = listed(fields, tags.get("h") or "", head) + canonical_field(field + b"\r\n", head).removesuffix(b"\r\n")
    return field + (given or made(key, signed, tags["a"])).encode() + b"\r\n"


def signature(key: Key, data: bytes, **tags: str | None) -> bytes:
    """A DKIM-Signature over `data`, with what is usual and these tags."""
    usual = {"v": "1", "c": "relaxed/relaxed", "h": "from:subject"}
    return field_of(key, data, "DKIM-Signature", usual | tags)


def sealed(key: Key, data: bytes, instance: int, chain: str = "", **tags: str | None) -> bytes:
    """`data` under the ARC set of that number, made with `key`; the tags are the message signature's."""
    results = f"ARC-Authentication-Results: i={instance}; {key.domain}; dkim=pass\r\n".encode()
    usual = {"i": str(instance), "c": "relaxed/relaxed", "h": "from:subject"}
    message = field_of(key, data, "ARC-Message-Signature", usual | tags)
    chain = chain or ("none" if instance == 1 else "pass")
    seal = f"ARC-Seal: i={instance}; a={key.algorithm}; cv={chain}; d={key.domain}; s={key.selector};\r\n b=".encode()
    before = split(data)[0]
    text = b""
    for i in range(1, instance):
        for name in (b"arc-authentication-results", b"arc-message-signature", b"arc-seal"):
            for field in before:
                if field.lower().startswith(name) and re.search(rb"[:;]\s*i=%d;" % i, field):
                    text += relaxed_field(field)
    text += relaxed_field(results) + relaxed_field(message) + relaxed_field(seal).removesuffix(b"\r\n")
    return seal + made(key, text).encode() + b"\r\n" + message + results + data
