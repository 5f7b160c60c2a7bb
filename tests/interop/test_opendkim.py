"""A second opinion on signatures: opendkim (Debian) on five hundred of ours, and we on hundreds of opendkim's.

Each kind of message below is either judged alike by both, or named in `DIFFERENCES` with both verdicts and why. Keys
are given to opendkim in a file; it runs in its test mode, without sockets.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon.trust import dkim
from daemon.trust.sign import Canonicalization, Key, generate, public_record, sign
from tests.interop.conftest import run
from tests.trust.crafting import Keyring, signature

COUNT = 500
FORMS: tuple[Canonicalization, ...] = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
NOW = int(time.time())
WORDS = "the lost game dinner ready? hungry Grüße 日本 = -- . .. % <a@b> \\".split()

Tags = dict[str, str | None]


def keys() -> dict[str, Key]:
    """The usual keys, and keys whose records say unusual things."""
    rsa, ed = generate("rsa-sha256"), generate("ed25519-sha256")
    short = run("openssl", "genrsa", "768")
    return {name: Key("example.org", name, "rsa-sha256", rsa) for name in ("rsa", "revoked", "exact", "other")} | {
        "ed": Key("example.org", "ed", "ed25519-sha256", ed),
        "short": Key("example.org", "short", "rsa-sha256", short[short.index("-----BEGIN") :]),
    }


def records(of: dict[str, Key]) -> Keyring:
    keyring = Keyring(*of.values())
    keyring.put(of["revoked"], "v=DKIM1; k=rsa; p=")
    keyring.put(of["exact"], public_record(of["exact"]).replace("k=rsa", "t=s"))
    keyring.put(of["other"], public_record(of["other"]).replace("k=rsa", "h=sha1"))
    return keyring


def message(chance: random.Random) -> bytes:
    """One of many shapes: folds, odd blanks, 8-bit, fields twice, no body, blank lines and blanks at the end."""

    def words(count: int) -> str:
        return "".join(chance.choice(WORDS) + chance.choice([" ", "  ", "\t", " \t "]) for _ in range(count))

    def folded(count: int) -> str:
        return "\r\n".join(chance.choice([" ", "\t", "      "]) + words(3).rstrip() for _ in range(count)).lstrip()

    fields = [
        chance.choice(["From: a@example.org", "From: A <a@example.org>", "From: A B\r\n <a@example.org>"]),
        f"Subject:{chance.choice(['', ' ', '  '])}{folded(chance.randint(1, 3))}",
        f"To: {','.join(f'r{n}@example.net' for n in range(chance.randint(1, 60)))}"[:900],
        "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)",
        f"Message-ID: <{chance.random()}@example.org>",
        *(f"X-Twice: {words(2)}" for _ in range(chance.randint(0, 3))),
        *(f"References: <{n}@x>\r\n\t<{n}@y>" for n in range(chance.randint(0, 2))),
    ]
    chance.shuffle(fields)
    body = "".join(
        chance.choice(["", words(chance.randint(1, 12)), " ", "\t", "."]) + "\r\n" for _ in range(chance.randint(0, 12))
    )
    body += chance.choice(["", "", "\r\n\r\n", " \r\n\r\n", "\t \r\n"])
    return ("\r\n".join(fields) + "\r\n\r\n" + body).encode()


Maker = Callable[[random.Random, dict[str, Key]], bytes]


def as_we_sign(change: Callable[[bytes], bytes] = lambda data: data) -> Maker:
    """Signed as our mail is, with every form in turn and both kinds of keys; changed on the way."""
    forms = cycle(FORMS)

    def make(chance: random.Random, of: dict[str, Key]) -> bytes:
        data = message(chance)
        return change(sign(data, [of["rsa"], of["ed"]], now=NOW - 60, canonicalization=next(forms)) + data)

    return make


def tagged(key: str = "rsa", change: Callable[[bytes], bytes] = lambda data: data, **tags: str | None) -> Maker:
    """Signed with unusual tags or keys."""
    forms = cycle(FORMS)

    def make(chance: random.Random, of: dict[str, Key]) -> bytes:
        data = message(chance)
        made = signature(of[key], data, **({"c": next(forms), "h": "from:subject:to:date:x-twice"} | tags))
        return change(made + data)

    return make


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


KINDS: dict[str, Maker] = {
    "as it was": as_we_sign(),
    "as it was ": as_we_sign(),
    "blank lines at the end": as_we_sign(lambda data: data + b"\r\n\r\n"),
    "a footer": as_we_sign(lambda data: data + b"-- \r\nlist footer\r\n"),
    "a tag in the subject": as_we_sign(replaced(b"Subject:", b"Subject: [list]")),
    "a subject in other case": as_we_sign(replaced(b"Subject:", b"SUBJECT:")),
    "a blank before the colon": as_we_sign(replaced(b"Date:", b"Date :")),
    "folded anew": as_we_sign(replaced(b"Jul 2003", b"Jul\r\n\t2003")),
    "one blank more": as_we_sign(replaced(b"Jul 2003", b"Jul  2003")),
    "a second From on top": as_we_sign(lambda data: b"From: evil@example.com\r\n" + data),
    "a second To below": as_we_sign(replaced(b"\r\n\r\n", b"\r\nTo: evil@example.com\r\n\r\n")),
    "an unsigned field": as_we_sign(lambda data: b"Received: from x by y; now\r\nX-New: 1\r\n" + data),
    "another Date": as_we_sign(replaced(b"21:00:37", b"21:00:38")),
    "a broken hash": as_we_sign(replaced(b"\tbh=", b"\tbh=A")),
    "a broken signature": as_we_sign(replaced(b"\tb=", b"\tb=AAAA")),
    "of fields with one name, all": tagged(h="from:x-twice:x-twice:x-twice:x-twice"),
    "of fields with one name, one": tagged(h="from:x-twice"),
    "of fields with one name, one more": tagged(
        h="from:x-twice:x-twice:x-twice:x-twice", change=lambda data: b"X-Twice: 0\r\n" + data
    ),
    "many blanks in tags": tagged(h="from :\r\n\tsubject : to ", i=" @example.org "),
    "tags nobody knows": tagged(foo="bar", z="From:x|To:y", q="dns/txt"),
    "an identity below": tagged(i="joe=20q@sub.example.org"),
    "an identity elsewhere": tagged(i="joe@example.com"),
    "an identity below, where it must be exact": tagged("exact", i="joe@sub.example.org"),
    "an exact identity": tagged("exact", i="joe@example.org"),
    "a revoked key": tagged("revoked"),
    "a short key": tagged("short"),
    "rsa-sha1": tagged(a="rsa-sha1"),
    "a key for another hash": tagged("other"),
    "no key": tagged(s="nowhere"),
    "expired": tagged(t=str(NOW - 90_000), x=str(NOW - 80_000)),
    "not yet expired": tagged(t=str(NOW - 90_000), x=str(NOW + 80_000)),
    "expired before it was made": tagged(t=str(NOW - 900), x=str(NOW - 1000)),
    "from the future": tagged(t=str(NOW + 90_000)),
    "From is not signed": tagged(h="subject:to"),
    "no version": tagged(v=None),
    "another version": tagged(v="2"),
    "no hash": tagged(bh=None),
    "an unknown algorithm": tagged(a="rsa-sha512"),
    "an unknown form": tagged(c="nowsp/simple"),
    "a tag twice": tagged(change=replaced(b" v=1;", b" v=1; s=rsa;")),
    "an empty tag": tagged(change=replaced(b" v=1;", b" v=1;;")),
    "l= beyond the body": tagged(l="100000"),
    "l= of a part": tagged(l="0", change=lambda data: data + b"more\r\n"),
    "a second From, the signed one below": tagged(change=lambda data: b"From: evil@example.com\r\n" + data),
}

DIFFERENCES: dict[str, tuple[str, str, str]] = {
    "rsa-sha1": ("permerror", "pass", "this opendkim was built to verify it still, RFC 8301 §3.1 forbids that"),
    "l= of a part": ("policy", "pass", "opendkim leaves it to the reader that anybody may have written the rest"),
    "a second From, the signed one below": ("policy", "pass", "opendkim proves the lower one; people see the upper"),
}
"""Kind: our word, opendkim's word, and why they differ."""


def hidden(data: bytes) -> bool:
    """Whether opendkim does not see what was signed: a milter is not given the blanks after a colon.

    It takes them for one, which matters where a field is signed as it stands (c=simple).
    """
    return b"c=simple" in data and bool(re.search(rb"(?m)^Subject:(?! \S)", data))


def opendkim(at: Path, names: list[str], *options: str, codes: tuple[int, ...] = (0,)) -> str:
    """What opendkim says on its standard output about these files."""
    command = ["opendkim", "-x", "conf", "-v", "-v", *options, "-t", ",".join(names)]
    done = subprocess.run(command, cwd=at, capture_output=True, timeout=60, check=False)
    assert done.returncode in codes, done.stderr[-2000:]
    return done.stdout.decode()


def verdicts(names: list[str], at: Path) -> list[list[str]]:
    """opendkim's words for the signatures of each message, out of the Authentication-Results that it would add.

    It stops at the first message with a signature that it cannot read, where a milter would say 5xx: that message gets
    the word `stopped`, and it is started again for the rest.
    """
    found = list[list[str]]()
    while len(found) < len(names):
        left = names[len(found) :]
        headers = re.findall(r"'Authentication-Results' hvalue='(.*?)'\n", opendkim(at, left, codes=(0, 70)), re.DOTALL)
        found += [re.findall(r"dkim=(\w+)", header) for header in headers]
        if len(headers) < len(left):
            found.append(["stopped"])
    return found


@pytest.fixture
def of() -> dict[str, Key]:
    return keys()


async def test_five_hundred_of_our_messages_are_judged_alike(of: dict[str, Key], tmp_path: Path) -> None:
    chance, keyring = random.Random(6376), records(of)
    verifying(tmp_path, keyring)
    cases = list(zip((f"{number}.eml" for number in range(COUNT)), cycle(KINDS), strict=False))
    ours = dict[str, list[str]]()
    for name, kind in cases:
        data = KINDS[kind](chance, of)
        (tmp_path / name).write_bytes(data)
        ours[name] = [found.result for found in await dkim.verify(keyring, data, now=NOW)]
    theirs = dict(zip(ours, verdicts(list(ours), tmp_path), strict=True))
    differences, unseen = dict[str, set[tuple[str, str]]](), 0
    for name, kind in cases:
        if passed(ours[name]) == passed(theirs[name]):
            continue
        if hidden((tmp_path / name).read_bytes()):
            unseen += 1
            assert "pass" not in theirs[name]
        else:
            differences.setdefault(kind, set()).add((ours[name][0], theirs[name][0]))
    assert differences == {kind: {(we, they)} for kind, (we, they, _) in DIFFERENCES.items()}
    assert 0 < unseen < COUNT / 5
    assert sum("pass" in words for words in ours.values()) > COUNT / 3, "most kinds are broken, many messages are not"


def passed(words: list[str]) -> list[bool]:
    return [word == "pass" for word in words]


async def test_what_opendkim_signs_we_verify_if_opendkim_does(of: dict[str, Key], tmp_path: Path) -> None:
    """It does not verify its own Ed25519 signatures where the header is signed as it stands; nor do we."""
    chance, keyring, passes = random.Random(8463), records(of), 0
    for form, key in ((form, of[name]) for form in FORMS for name in ("rsa", "ed")):
        messages = {f"{number}.eml": message(chance) for number in range(25)}
        signing(tmp_path, key, form, messages)
        fields = re.findall(r"'DKIM-Signature' hvalue='(.*?)'\n", opendkim(tmp_path, list(messages)), re.DOTALL)
        for name, field in zip(messages, fields, strict=True):
            messages[name] = b"DKIM-Signature: " + field.replace("\n", "\r\n").encode() + b"\r\n" + messages[name]
            (tmp_path / name).write_bytes(messages[name])
        verifying(tmp_path, keyring)
        theirs = verdicts(list(messages), tmp_path)
        for data, words in zip(messages.values(), theirs, strict=True):
            (whole,) = await dkim.verify(keyring, data, now=int(time.time()))
            (changed,) = await dkim.verify(keyring, data + b"more\r\n", now=int(time.time()))
            passes += whole.result == "pass"
            assert words == [whole.result] or (hidden(data) and words == ["pass"]), data
            assert (whole.algorithm, changed.result) == (key.algorithm, "fail")
            assert whole.result == "pass" or hidden(data) or (form.startswith("simple") and key is of["ed"])
    assert passes > 100


def verifying(at: Path, keyring: Keyring) -> None:
    """Settings with which opendkim verifies, and the key records it finds."""
    (at / "keys").write_text("".join(f"{name} {found[0].decode()}\n" for name, found in keyring.records.items()))
    (at / "conf").write_text(
        "Mode v\nTestPublicKeys keys\nAlwaysAddARHeader yes\nAuthservID second.test\nOn-Default accept\n"
        "RequireSafeKeys no\n"
    )


def signing(at: Path, key: Key, form: Canonicalization, messages: dict[str, bytes]) -> None:
    """Settings with which opendkim signs with `key`, and the messages it is to sign."""
    assert isinstance(key.private, RSAPrivateKey | Ed25519PrivateKey)
    (at / "key").write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (at / "conf").write_text(
        f"Mode s\nDomain {key.domain}\nSelector {key.selector}\nKeyFile key\nRequireSafeKeys no\n"
        f"Canonicalization {form}\nSignatureAlgorithm {key.algorithm}\nOversignHeaders From\n"
    )
    for name, data in messages.items():
        (at / name).write_bytes(data)
