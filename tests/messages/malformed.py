"""Mail as nobody should send it: what broke other servers (traps S17, D14), and ordinary mail damaged on the road.

All of it may come over SMTP: line ends are CRLF, and there is no NUL. Each is to be stored as it is, described in the
strict grammar, and must cost no more time or memory than its size explains.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.messages.generate import MALFORMED, Specimen, crlf, ordinary

HEAD = b"From: a@example.org\r\nSubject: malformed\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary="


def malformed(count: int = MALFORMED) -> list[Specimen]:
    """Those with a name, and damaged ordinary ones up to `count`."""
    named = [*_headers(), *_addresses(), *_types(), *_trees(), *_bodies()]
    found = [Specimen(f"bad-{number:03d}-{name}", data) for number, (name, data) in enumerate(named)]
    dice = random.Random(3)
    whole = [specimen for specimen in ordinary(60) if len(specimen.data) < 100_000]
    while len(found) < count:
        specimen = dice.choice(whole)
        found.append(Specimen(f"bad-{len(found):03d}-damaged-{specimen.name}", _damaged(dice, specimen.data)))
    return found[:count]


def _damaged(dice: random.Random, data: bytes) -> bytes:
    """Cut, doubled, moved or overwritten in a few places."""
    octets = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at, end = sorted((dice.randrange(len(octets) + 1), dice.randrange(len(octets) + 1)))
        match dice.randint(0, 5):
            case 0:
                del octets[at : min(end, at + 200)]
            case 1:
                octets[at:at] = octets[at : min(end, at + 500)]
            case 2:
                octets[at:at] = dice.choice(
                    (b"\r\n", b"\r\n\r\n", b"--", b'"', b"(", b";", b"=?", b"\x00", b"\xff", b":")
                )
            case 3:
                octets[at : at + 4] = dice.randbytes(4)
            case 4:
                octets[at:at] = dice.randbytes(dice.randint(1, 50))
            case _:
                del octets[max(end, 40) :]
    return crlf(bytes(octets)) or b"\r\n"


def _headers() -> Iterator[tuple[str, bytes]]:
    yield "one-octet", b"x"
    yield "no-header", b"\r\nbody without a header\r\n"
    yield "only-a-line-end", b"\r\n"
    yield "only-a-dot", b".\r\n"
    yield "dots", b".\r\n..\r\n...\r\n.\r\n"
    yield "begins-with-a-fold", b" folded\r\n\tfolded\r\nSubject: x\r\n\r\nbody\r\n"
    yield "mbox-from", b"From someone@example.org Mon Nov 23 10:00:00 2026\r\nSubject: x\r\n\r\nbody\r\n"
    yield "no-colon", b"this is no field\r\nneither is this\r\nSubject: x\r\n\r\nbody\r\n"
    yield "colon-alone", b":\r\n: x\r\n:::\r\n\r\nbody\r\n"
    yield "space-before-colon", b"Subject : x\r\nFrom\t: a@b\r\nContent-Type : text/html\r\n\r\n<p>\r\n"
    yield "blank-in-the-header", b"Subject: x\r\n \r\nX-After: y\r\n\t\r\n\r\nbody\r\n"
    yield "8-bit-names", b"S\xfcbject: x\r\n\xff\xfe: y\r\n\r\nbody\r\n"
    yield "no-blank-line", b"Subject: x\r\nX-Y: z"
    yield "empty-fields", b"From:\r\nTo:\r\nSubject:\r\nDate:\r\nMessage-ID:\r\nContent-Type:\r\n\r\nbody\r\n"
    yield "header-of-1-mb", HEAD + b"X-Big: " + b"x" * (1 << 20) + b"\r\n\r\nbody\r\n"
    yield "folded-header-of-1-mb", HEAD + b"X-Big: x" + b"\r\n y" * (1 << 18) + b"\r\n\r\nbody\r\n"
    yield "header-of-2-mb-of-fields", b"X-Field: value\r\n" * (1 << 17) + b"\r\nbody\r\n"
    yield "folds-of-nothing", HEAD + b"X-Folded:" + b"\r\n " * 100_000 + b"\r\n\r\nbody\r\n"
    yield "20,000-encoded-words", b"Subject:" + b" =?utf-8?q?a?=" * 20_000 + b"\r\n\r\nbody\r\n"
    yield "20,000-open-words", b"Subject: " + b"=?a?q?" * 20_000 + b"\r\n\r\nbody\r\n"
    yield "word-of-1-mb", b"Subject: =?utf-8?B?" + b"QUJD" * (1 << 18) + b"?=\r\n\r\nbody\r\n"
    yield "words-of-nonsense", b"Subject: =?utf-8?B?????= =?x-no?Q?=ZZ?= =??q??= =?utf-8?b?/w==?=\r\n\r\nbody\r\n"
    yield (
        "word-with-line-end",
        b"Subject: =?utf-8?Q?a=0D=0ABcc:_b@example.org?=\r\nFrom: =?utf-8?q?=00=22=5C?= <a@b>\r\n\r\n\r\n",
    )
    yield (
        "ids-of-angles",
        b"Message-ID: <<<<\r\nIn-Reply-To: >>>>\r\nReferences: " + b"<" * 10_000 + b"\r\n\r\nbody\r\n",
    )
    yield "id-of-100-kb", b"Message-ID: <" + b"a" * 100_000 + b"@b>\r\n\r\nbody\r\n"
    yield "10,000-references", b"References:" + b"\r\n <a@b>" * 10_000 + b"\r\n\r\nbody\r\n"
    yield "ids-with-8-bit", b"Message-ID: <\xff\xfe@\x80>\r\nReferences: <\xc3\xa4@b> <\x01@c>\r\n\r\nbody\r\n"
    for number, date in enumerate(
        (
            b"tomorrow",
            b"32 Foo 99999 99:99:99 +9999",
            b"1 Jan 0000 00:00:00 -9999",
            b"(" * 9999,
            b"Mon, 29 Feb 2023 25:61:61 +0000",
            b"1 Jan 9999 00:00:00 +0000",
            b"\xff" * 99,
        )
    ):
        yield f"date-{number}", b"Date: " + date + b"\r\n\r\nbody\r\n"
    yield (
        "two-of-all",
        (
            b"From: a@b\r\nSubject: 1\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n"
            b"From: c@d\r\nSubject: 2\r\nMessage-ID: <1@a>\r\nMessage-ID: <2@a>\r\n\r\n<p>\r\n"
        ),
    )
    yield "controls", b"Subject: " + bytes(o for o in range(1, 32) if o not in (10, 13)) + b"\x7f\r\n\r\n\x1b[2J\r\n"
    yield (
        "surrogates",
        b"Subject: \xed\xa0\x80 \xf8\x88\x80\x80\x80 \xc0\xaf\r\nFrom: \xed\xbf\xbf <a@b>\r\n\r\nbody\r\n",
    )


def _addresses() -> Iterator[tuple[str, bytes]]:
    for name, value in {
        "parentheses": b"((((",
        "many-parentheses": b"(" * 50_000,
        "angles": b"<<<<>>>>",
        "many-angles": b"<" * 50_000,
        "quote": b'"',
        "many-quotes": b'"' * 50_001,
        "backslashes": b'"' + b"\\" * 9999 + b'" <a@b>',
        "commas": b"," * 20_000,
        "group-open": b"friends: a@b, c@d",
        "groups-in-groups": b"a: b: c: d@e;;;",
        "group-marks": b":;" * 20_000,
        "ats": b"@" * 20_000,
        "routes": b"<" + b"@a," * 9000 + b":b@c>",
        "brackets": b"a@[" * 9000,
        "spaces": b"a" + b" " * 50_000,
        "10,000-addresses": b", ".join(b"user%d@example.org" % n for n in range(10_000)),
        "10,000-named": b",\r\n ".join(b'"U %d" <u%d@example.org>' % (n, n) for n in range(10_000)),
        "10,000-words": b"word " * 10_000,
        "not-utf-8": b"\xff\xfe <\x80@\x81>",
        "no-host": b"<local>, other",
        "empty": b"<>",
        "encoded-line-end": b"=?utf-8?q?=0D=0A?= <a@b>",
        "literal": b"a@[IPv6:::::::::::], b@[999.1.1.1]",
        "idn": b"a@" + b"\xc3\xbc." * 200 + b"example",
        "xn": b"a@xn--" + b"9" * 2000 + b".example",
    }.items():
        yield (
            f"addresses-{name}",
            b"From: " + value + b"\r\nTo: " + value + b"\r\nReply-To: " + value + b"\r\n\r\nbody\r\n",
        )


def _types() -> Iterator[tuple[str, bytes]]:
    kind = HEAD + b"Content-Type: "
    for name, value in {
        "nothing": b"",
        "slash": b"/",
        "no-subtype": b"text/",
        "one-word": b"text",
        "stars": b"*/*",
        "quotes": b'text/plain; a="',
        "unknown-charset": b"text/plain; charset=x-klingon",
        "charset-of-idna": b"text/plain; charset=idna",
        "charset-of-100-kb": b"text/plain; charset=" + b"a" * 100_000,
        "charset-with-quotes": b'text/plain; charset="\\"\\\\"',
        "10,000-parameters": b"text/plain" + b"".join(b"; a%d=b" % n for n in range(10_000)),
        "10,000-pieces": b"text/plain" + b"".join(b"; name*%d*=%%41" % n for n in range(10_000)),
        "pieces-with-gaps": b"text/plain; name*0*=utf-8''a; name*2*=c; name*999*=d; name*00*=e; name*-1=f",
        "one-name-10,000-times": b"text/plain" + b"; name=a" * 10_000,
        "percents": b"text/plain; name*=utf-8''%%%%ZZ%4",
        "8-bit-parameter": b"text/plain; name=\xe9\xff; \xff=x",
        "semicolons": b"text/plain" + b";" * 50_000,
        "equals": b"text/plain; " + b"=" * 50_000,
        "comments": b"text/(a)plain(b); (c) charset (d) = (e) utf-8",
        "message-partial": b"message/partial; id=x; number=1; total=1000000000",
        "external": b"message/external-body; access-type=x",
        "message-global": b"message/global",
        "text-of-1000": b"text/" + b"x" * 1000,
    }.items():
        yield f"type-{name}", kind + value + b"\r\n\r\nbody\r\n"
    for value in (b"base64", b"quoted-printable", b"x-uuencode", b"base64; x", b'"base64"', b"", b"8bit" * 5000):
        name = value.decode("latin-1").strip('"')[:12].replace(" ", "") or "nothing"
        data = HEAD + b"Content-Transfer-Encoding: " + value + b"\r\n\r\n====QUJ=D\xff=ZZ=\r\n=4\r\n=\r\n"
        yield f"encoding-{name}", data
    yield (
        "encoded-message",
        HEAD + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDog\r\n",
    )
    yield (
        "two-encodings",
        HEAD + b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\nQUJD\r\n",
    )
    yield (
        "disposition",
        HEAD + b'Content-Disposition: "; filename=a; filename*=b\r\nContent-Language: a,,;\xff\r\n\r\nbody\r\n',
    )
    yield (
        "languages",
        HEAD + b"Content-Language: " + b"en, " * 5000 + b'\r\nContent-Location: \xff"\\\r\nContent-ID: <\r\n\r\nb\r\n',
    )


def _trees() -> Iterator[tuple[str, bytes]]:
    yield "no-boundary", HEAD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"
    yield "empty-boundary", MIXED + b'""\r\n\r\n--\r\n\r\none\r\n----\r\n'
    yield "boundary-that-never-comes", MIXED + b"never\r\n\r\nbody\r\n"
    yield "boundary-of-spaces", MIXED + b'"   "\r\n\r\n--   \r\n\r\none\r\n--   --\r\n'
    yield "boundary-of-60-kb", MIXED + b"b" * 60_000 + b"\r\n\r\n--" + b"b" * 60_000 + b"\r\n\r\none\r\n"
    yield "boundary-8-bit", MIXED + b'"\xff\xe9"\r\n\r\n--\xff\xe9\r\n\r\none\r\n--\xff\xe9--\r\n'
    yield "unterminated", MIXED + b"b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two"
    yield "ends-in-a-boundary", MIXED + b"b\r\n\r\n--b\r\n\r\none\r\n--b"
    yield "only-the-end", MIXED + b"b\r\n\r\n--b--\r\n"
    yield "end-first", MIXED + b"b\r\n\r\n--b--\r\n--b\r\n\r\none\r\n--b--\r\n"
    yield "empty-parts", MIXED + b"b\r\n\r\n" + b"--b\r\n" * 50 + b"--b--\r\n"
    yield "part-without-blank-line", MIXED + b"b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b\r\nno header\r\n--b--\r\n"
    yield (
        "boundary-prefix-of-another",
        (
            MIXED
            + b"b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
            + b"--bb\r\n\r\none\r\n--bb--\r\n--b--\r\n"
        ),
    )
    yield (
        "same-boundary-inside",
        (
            MIXED
            + b"b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n--b--\r\n"
        ),
    )
    yield (
        "outer-boundary-ends-inner",
        (
            MIXED
            + b"o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
            + b"--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--\r\n"
        ),
    )
    yield "two-boundaries", MIXED + b"a; boundary=b\r\n\r\n--a\r\n\r\none\r\n--a--\r\n--b\r\n\r\ntwo\r\n--b--\r\n"
    yield "two-types", MIXED + b"b\r\nContent-Type: text/plain\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"
    yield "5,000-parts", MIXED + b"b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000 + b"--b--\r\n"
    yield "300,000-boundaries", MIXED + b"b\r\n\r\n" + b"--b\r\n" * 300_000
    yield "almost-boundaries", MIXED + b"b\r\n\r\n" + b"--b-\r\n" * 200_000
    for depth in (60, 2000):
        opened = b"".join(
            b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (n, n + 1) for n in range(depth)
        )
        yield f"{depth}-deep", MIXED + b"0\r\n\r\n" + opened + b"--%d\r\n\r\nthe heart\r\n" % depth
        yield (
            f"{depth}-deep-messages",
            HEAD + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: x\r\n\r\nheart\r\n",
        )
    yield (
        "cyclic",
        MIXED + b"b\r\n\r\n" + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 2000 + b"--b--\r\n",
    )
    yield "digest-of-nothing", HEAD + b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--\r\n"
    yield (
        "fields-in-900-parts",
        MIXED + b"b\r\n\r\n" + (b"--b\r\n" + b"X: y\r\n" * 300 + b"\r\nx\r\n") * 900 + b"--b--\r\n",
    )


def _bodies() -> Iterator[tuple[str, bytes]]:
    html = HEAD + b"Content-Type: text/html\r\n\r\n"
    yield "line-of-3-mb", HEAD + b"\r\n" + b"x" * (3 << 20) + b"\r\n"
    yield "line-ends-of-1-mb", HEAD + b"\r\n" + b"\r\n" * (1 << 19)
    yield "dot-lines", HEAD + b"\r\n" + b".\r\n" * 50_000
    yield "dots-stuffed-already", HEAD + b"\r\n" + b"..\r\n...\r\n" * 1000 + b"."
    yield "imap-words", HEAD + b"\r\n)\r\n{4294967295+}\r\n* BYE\r\na1 OK done\r\n+OK\r\n-ERR\r\n250 ok\r\n"
    yield "html-tags", html + b"<" * (1 << 20) + b"\r\n"
    yield "html-comments", html + b"<!--" * 100_000 + b"\r\n"
    yield "html-entities", html + b"&amp" * 100_000 + b"&#99999999999;\r\n"
    yield "base64-of-equals", HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * (1 << 20) + b"\r\n"
    yield "utf-7-of-plus", HEAD + b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+" * (1 << 20) + b"\r\n"
    yield "escapes", HEAD + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B" * 100_000 + b"\r\n"
    yield (
        "cut-in-a-character",
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "ü".encode() * 9000 + b"\xc3",
    )
