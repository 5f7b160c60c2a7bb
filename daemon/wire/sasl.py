"""SASL: who the peer says it is, as octets (RFC 4422). Nothing here knows a user, a password hash or a socket.

The server's side of a mechanism is a generator, the same for SMTP, IMAP, POP3 and ManageSieve. It yields

* `Challenge(data)` - say it to the peer (in base64) and send back the peer's response (out of base64), or
* `WantKeys(login)` - send back the `ScramUser` of that name, a made-up one for a name that nobody has,

and returns a `Claim` (name and password, still to be checked) or a `Proof` (SCRAM: checked here). It raises `Refused`,
whose `reason` comes from a short list. The client's side, for smart hosts, stands at the end.

Standards: RFC 4616 (PLAIN), the expired draft-murchison-sasl-login (LOGIN), RFC 5802 and 7677 (SCRAM-SHA-256),
RFC 5929 §4 and RFC 9266 §3 (`tls-server-end-point`), RFC 4013 (SASLprep).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from daemon.limits import LIMITS

T = TypeVar("T")

BINDING = b"tls-server-end-point"  # the only one that Python's ssl can give on TLS 1.3


class Refused(Exception):
    """The exchange ends without a login. `reason`: cancelled, malformed, authzid, channel-binding, wrong-password."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class Challenge:
    """`last`: with it the server has proved itself. A protocol that can say so together with its OK asks nothing more,
    and sends back b"" (RFC 4422 §3.6)."""

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class WantKeys:
    login: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What is kept of a password for SCRAM: enough to check a proof, not enough to make one (RFC 5802 §3)."""

    stored: bytes
    server: bytes


@dataclass(frozen=True, slots=True)
class ScramUser:
    """Salt and iteration count of a user, shared by all of his passwords, and the keys of each."""

    salt: bytes
    iterations: int
    keys: tuple[Keys, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A name and a password, as the peer sent them."""

    login: str
    password: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A name whose password number `index` (of `ScramUser.keys`) the peer knows."""

    login: str
    index: int


Exchange = Generator[Challenge | WantKeys, "bytes | ScramUser", T]


# -- base64 as the three protocols carry it ----------------------------------------------------------------------------


def encode(data: bytes) -> bytes:
    return base64.b64encode(data)


def decode(line: bytes, limit: int = LIMITS.smtp_auth_line) -> bytes:
    """The octets of one response line; `Refused` for `*`, for what is not base64, and over `limit` octets."""
    line = line.strip()
    if line == b"*":  # RFC 4954 §4, RFC 3501 §6.2.2, RFC 5034 §4
        raise Refused("cancelled", "authentication cancelled")
    if len(line) > limit:
        raise Refused("malformed", "response too long")
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise Refused("malformed", "response is not base64") from None


def decode_initial(text: bytes | None, limit: int = LIMITS.smtp_auth_line) -> bytes | None:
    """The initial response on the command line: None without one, empty for `=` (RFC 4954 §4)."""
    text = text.strip() if text is not None else b""  # some clients put two spaces before it
    if not text:
        return None
    return b"" if text == b"=" else decode(text, limit)


# -- server ------------------------------------------------------------------------------------------------------------


def offered(end_point: bytes | None) -> tuple[str, ...]:
    """The mechanisms to announce, the strongest first; with a TLS end point the binding one too."""
    plus = ("SCRAM-SHA-256-PLUS",) if end_point is not None else ()
    return (*plus, "SCRAM-SHA-256", "PLAIN", "LOGIN")


def exchange(name: str, initial: bytes | None, nonce: str, end_point: bytes | None) -> Exchange[Claim | Proof] | None:
    """The server's side of mechanism `name` (any case); None if there is no such one.

    `nonce` is fresh and random, printable without commas. `end_point` is the hash of our certificate under TLS.
    """
    match name.upper():
        case "PLAIN":
            return plain(initial)
        case "LOGIN":
            return login(initial)
        case "SCRAM-SHA-256":
            return scram(initial, nonce, end_point, plus=False)
        case "SCRAM-SHA-256-PLUS" if end_point is not None:
            return scram(initial, nonce, end_point, plus=True)
    return None


def plain(initial: bytes | None) -> Exchange[Claim | Proof]:
    """RFC 4616: authorization identity NUL name NUL password."""
    message = initial if initial is not None else (yield from _ask(b""))
    parts = message.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Refused("malformed", "malformed PLAIN response")
    name = _text(parts[1], LIMITS.user_name)
    _same_identity(_text(parts[0], LIMITS.user_name), name)
    return Claim(name, _text(parts[2], LIMITS.smtp_auth_line))


def login(initial: bytes | None) -> Exchange[Claim | Proof]:
    """LOGIN, with the prompts that clients compare (traps A8), the name on the command line or asked for."""
    name = initial if initial else (yield from _ask(b"Username:"))
    password = yield from _ask(b"Password:")
    if not name or not password:
        raise Refused("malformed", "empty name or password")
    return Claim(_text(name, LIMITS.user_name), _text(password, LIMITS.smtp_auth_line))


def scram(initial: bytes | None, nonce: str, end_point: bytes | None, *, plus: bool) -> Exchange[Claim | Proof]:
    """RFC 5802 §5 with SHA-256. A proof is tried against each of the user's keys."""
    first = initial if initial is not None else (yield from _ask(b""))
    header, name, client_nonce, bare = _client_first(first)
    bound = _binding(header, end_point, plus)
    user = yield WantKeys(name)
    assert isinstance(user, ScramUser)
    whole_nonce = client_nonce + nonce.encode("ascii")
    server_first = b"r=%s,s=%s,i=%d" % (whole_nonce, encode(user.salt), user.iterations)
    final = yield from _ask(server_first)
    without_proof, _, proof_text = final.rpartition(b",p=")
    fields = without_proof.split(b",")
    if len(fields) < 2 or not fields[0].startswith(b"c="):
        raise Refused("malformed", "malformed SCRAM response")
    if fields[1] != b"r=" + whole_nonce:
        raise Refused("malformed", "SCRAM nonce does not match")
    if not hmac.compare_digest(decode(fields[0][2:]), bound):
        raise Refused("channel-binding", "channel binding does not match")
    proof = decode(proof_text)
    message = b",".join((bare, server_first, without_proof))
    index = _try_keys(user.keys, message, proof)
    if index < 0:
        raise Refused("wrong-password", "authentication failed")
    signature = _hmac(user.keys[index].server, message)
    yield Challenge(b"v=" + encode(signature), last=True)  # what the peer answers says nothing more
    return Proof(name, index)


def _ask(data: bytes) -> Generator[Challenge, bytes | ScramUser, bytes]:
    response = yield Challenge(data)
    assert isinstance(response, bytes)
    return response


def _text(data: bytes, limit: int) -> str:
    """UTF-8, or else Latin-1 as old clients send it: a wrong guess is only a wrong name or password."""
    if len(data) > limit:
        raise Refused("malformed", "name or password too long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _same_identity(authzid: str, name: str) -> None:
    """Nobody acts for somebody else here: an authorization identity is absent or the name itself."""
    if authzid and authzid.casefold() != name.casefold():
        raise Refused("authzid", "authorization identity differs from the name")


def _client_first(message: bytes) -> tuple[bytes, str, bytes, bytes]:
    """GS2 header, name, nonce and the bare message of `client-first-message` (RFC 5802 §7)."""
    parts = message.split(b",", 2)
    if len(parts) != 3 or len(message) > 4 * LIMITS.user_name:
        raise Refused("malformed", "malformed SCRAM message")
    flag, authzid, bare = parts
    fields = bare.split(b",")  # an extension after the nonce is ignored; `m=` before the name may not be
    if len(fields) < 2 or not fields[0].startswith(b"n=") or not fields[1].startswith(b"r=") or len(fields[1]) < 10:
        raise Refused("malformed", "malformed SCRAM message")
    name = _saslname(fields[0][2:])
    if authzid:
        if not authzid.startswith(b"a="):
            raise Refused("malformed", "malformed SCRAM message")
        _same_identity(_saslname(authzid[2:]), name)
    return flag + b"," + authzid + b",", name, fields[1][2:], bare


def _saslname(data: bytes) -> str:
    """`=2C` and `=3D` stand for comma and equals sign; any other `=` is an error (RFC 5802 §5.1)."""
    if not data or data.count(b"=") != data.count(b"=2C") + data.count(b"=3D"):
        raise Refused("malformed", "malformed name")
    return prepare(_text(data.replace(b"=2C", b",").replace(b"=3D", b"="), LIMITS.user_name))


def _binding(header: bytes, end_point: bytes | None, plus: bool) -> bytes:
    """What `c=` must hold. The peer's flag has to fit what we offered, or somebody in between changed the offer."""
    flag = header.partition(b",")[0]
    if plus:
        if flag != b"p=" + BINDING or end_point is None:
            raise Refused("channel-binding", "channel binding type not supported")
        return header + end_point
    if flag == b"y" and end_point is not None:  # RFC 5802 §6: it can bind, and did not see that we can
        raise Refused("channel-binding", "channel binding was offered: somebody removed it")
    if flag not in (b"n", b"y"):
        raise Refused("channel-binding", "channel binding needs SCRAM-SHA-256-PLUS")
    return header


# -- the arithmetic of RFC 5802 §3 -------------------------------------------------------------------------------------


def salted(password: str, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword. Takes some hundredths of a second: not for the event loop."""
    return hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), salt, iterations)


def scram_keys(password: str, salt: bytes, iterations: int) -> Keys:
    """What to keep of a password."""
    return keys_of(salted(password, salt, iterations))


def keys_of(salted_password: bytes) -> Keys:
    client_key = _hmac(salted_password, b"Client Key")
    return Keys(hashlib.sha256(client_key).digest(), _hmac(salted_password, b"Server Key"))


def made_up(secret: bytes, login: str, iterations: int) -> ScramUser:
    """The salt of a user who does not exist: the same each time, so that nobody learns that he does not."""
    return ScramUser(_hmac(secret, b"salt" + login.encode())[:16], iterations, ())


def prepare(text: str) -> str:
    """SASLprep (RFC 4013); what it prohibits stays as it is, and then only matches itself."""
    if text.isascii():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )  # RFC 4013 §2.1
    normal = unicodedata.normalize("NFKC", mapped)
    return text if any(table(c) for c in normal for table in _PROHIBITED) else normal


_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


def _try_keys(keys: Sequence[Keys], message: bytes, proof: bytes) -> int:
    """Which key the proof fits, or -1; takes as long for the first as for the last."""
    found = -1
    for index, key in enumerate(keys):
        client_key = _xor(proof, _hmac(key.stored, message))
        if hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored):
            found = index
    return found


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=False))


# -- client ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Derive:
    """Slow arithmetic that the driver may do elsewhere: send back `salted(password, salt, iterations)`."""

    password: str
    salt: bytes
    iterations: int


ClientExchange = Generator["bytes | Derive | None", bytes, None]
"""Yields what to answer (first the initial response, None for none) and is sent the server's challenges."""

CLIENT_ITERATIONS = 1_000_000  # a server that asks for more wants our time, not our password


def client(mechanisms: Sequence[str], login: str, password: str, nonce: str) -> tuple[str, ClientExchange] | None:
    """The best mechanism both sides know, and its client side; None if there is none.

    The exchange raises `Refused` when the server does not keep to the rules or cannot prove that it knows the
    password. When the server says that all is well, the driver asks `finish` whether it may.
    """
    theirs = {name.upper() for name in mechanisms}
    if "SCRAM-SHA-256" in theirs:
        return "SCRAM-SHA-256", client_scram(login, password, nonce)
    if "PLAIN" in theirs:
        return "PLAIN", client_plain(login, password)
    if "LOGIN" in theirs:
        return "LOGIN", client_login(login, password)
    return None


def client_plain(login: str, password: str) -> ClientExchange:
    yield b"\0" + login.encode() + b"\0" + password.encode()


def client_login(login: str, password: str) -> ClientExchange:
    """The name at the first prompt, the password at the second, whatever their words."""
    yield None
    yield login.encode()
    yield password.encode()


def client_scram(login: str, password: str, nonce: str) -> ClientExchange:
    """RFC 5802 §5; ends only when the server has proved itself. Without channel binding."""
    name = prepare(login).encode().replace(b"=", b"=3D").replace(b",", b"=2C")
    bare = b"n=" + name + b",r=" + nonce.encode("ascii")
    server_first = yield b"n,," + bare
    fields = dict(field.split(b"=", 1) for field in server_first.split(b",") if b"=" in field)
    whole_nonce, count = fields.get(b"r", b""), fields.get(b"i", b"")
    if not whole_nonce.startswith(nonce.encode("ascii")) or len(whole_nonce) <= len(nonce) or b"m" in fields:
        raise Refused("malformed", "malformed SCRAM challenge")
    if not count.isdigit() or len(count) > 8 or not 4096 <= int(count) <= CLIENT_ITERATIONS:
        raise Refused("malformed", "SCRAM iteration count out of bounds")
    salted_password = yield Derive(password, decode(fields.get(b"s", b"")), int(count))
    without_proof = b"c=biws,r=" + whole_nonce  # biws is "n,,"
    message = b",".join((bare, server_first, without_proof))
    client_key = _hmac(salted_password, b"Client Key")
    proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), message))
    server_final = yield without_proof + b",p=" + encode(proof)
    signature = _hmac(_hmac(salted_password, b"Server Key"), message)
    if not hmac.compare_digest(server_final, b"v=" + encode(signature)):
        raise Refused("wrong-password", "the server could not prove that it knows the password")
    yield b""


def finish(exchange: ClientExchange) -> None:
    """The server said success: raises `Refused` if the mechanism was not at its end."""
    try:
        exchange.send(b"")
    except StopIteration:
        return
    raise Refused("malformed", "the server ended the exchange too early")
