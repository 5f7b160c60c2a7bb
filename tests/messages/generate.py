"""Mail to try a server with, the same at every run: 1,000 messages as people and programs send them, 200 as nobody
should, and a few that only APPEND can bring in, because their line ends are not SMTP's.

    python -m tests.messages.generate FOLDER      writes all of them as files, to look at
"""

from __future__ import annotations

import base64
import binascii
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ORDINARY, MALFORMED = 1000, 200

SENTENCES = {
    "us-ascii": ("The minutes are attached.", "See you on Thursday at ten.", "Please find the invoice below."),
    "iso-8859-1": ("Der Zug fährt über Köln nach Süden.", "À bientôt, et bon appétit !", "Señor Ibáñez llegó mañana."),
    "windows-1252": ("“Smart” quotes – and a price of €20…", "L’été sera chaud.", "It’s the naïve café’s menu."),
    "iso-8859-2": ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "Zażółć gęślą jaźń."),
    "iso-8859-15": ("Œuvre à 20 €.", "Cœur et sœur."),
    "koi8-r": ("Съешь же ещё этих мягких французских булок.", "До встречи в четверг."),
    "windows-1251": ("Пожалуйста, подтвердите получение.", "Счёт во вложении."),
    "iso-8859-7": ("Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",),
    "windows-1255": ("שלום לכולם", "דג סקרן שט בים"),
    "windows-1256": ("السلام عليكم ورحمة الله",),
    "windows-874": ("สวัสดีครับ",),
    "iso-2022-jp": ("会議の資料を送ります。", "よろしくお願いします。"),
    "shift_jis": ("請求書を添付します。", "東京駅で会いましょう。"),
    "euc-jp": ("日本語のメールです。",),
    "gb2312": ("请查收附件。", "明天上午十点开会。"),
    "gb18030": ("您好,合同已寄出。",),
    "big5": ("請查收附件。", "明天見。"),
    "euc-kr": ("안녕하세요, 첨부 파일을 확인하세요.",),
    "utf-7": ("Grüße aus Köln",),
    "utf-16": ("Text with a byte order mark: Ω≈ç√∫",),
    "utf-8": (
        "Ünïcödé ✓ and 🎉 emoji 👩‍👩‍👧‍👦.",
        "Ελληνικά, Русский, 中文, עברית, العربية, हिन्दी.",
        "Zwölf Boxkämpfer…",
    ),
}
NAMES = (
    "Alice Example",
    "Bob B. Builder",
    "Jürgen Groß",
    "María-José Ñandú",
    "山田太郎",
    "Иван Петров",
    "O'Neil, Pat",
    "",
)
WORDS = ("invoice", "minutes", "holiday", "Re: your order", "Fwd: Re: meeting", "[list] digest", "hello", "Aw: Termin")


@dataclass(frozen=True, slots=True)
class Specimen:
    """One message. `name` says of which kind it is, and is unique."""

    name: str
    data: bytes

    @property
    def whole_lines(self) -> bool:
        """Whether it ends with CRLF, as DATA makes every message do; others need BDAT."""
        return self.data.endswith(b"\r\n")


def crlf(data: bytes) -> bytes:
    """The same with SMTP's line ends only, and without NUL."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data).replace(b"\0", b"?")


class Author:
    """Writes messages; all chance comes from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pick = self.random.choice
        self.between = self.random.randint

    # -- fields --------------------------------------------------------------------------------------------------------

    def word(self, text: str) -> bytes:
        """A header text in one of the ways they are written: RFC 2047, raw UTF-8, or as it is."""
        if text.isascii():
            return text.encode()
        charset = self.pick(("utf-8", "utf-8", "iso-8859-1", "koi8-r", "iso-2022-jp", "gb18030"))
        try:
            octets = text.encode(charset)
        except UnicodeEncodeError:
            charset, octets = "utf-8", text.encode()
        match self.between(0, 4):
            case 0:
                return text.encode()
            case 1 | 2:
                return b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(octets))
            case _:
                q = b"".join(b"=%02X" % o if o in b'=?_ ,"()<>@;:' or not 33 <= o < 127 else b"%c" % o for o in octets)
                return b"=?%s?%c?%s?=" % (charset.encode(), self.pick(b"qQ"), q.replace(b"=20", b"_"))

    def address(self) -> bytes:
        name = self.pick(NAMES)
        box = b"%s%d@%s" % (
            self.pick((b"alice", b"bob.b", b"no-reply", b"user+tag", b'"quoted local"', b"o'neil")),
            self.between(1, 99),
            self.pick((b"example.org", b"mail.example.com", b"[192.0.2.7]", b"xn--bcher-kva.example")),
        )
        match self.between(0, 5):
            case 0:
                return box
            case 1:
                return b"<" + box + b">"
            case 2 if name:
                return box + b" (" + self.word(name) + b")"
            case _:
                word = self.word(name)
                return (b'"' + word + b'" <' if b"," in word or b"'" in word else word + b" <") + box + b">"

    def addresses(self, most: int) -> bytes:
        return self.pick((b", ", b",\r\n ", b",\r\n\t", b",")).join(
            self.address() for _ in range(self.between(1, most))
        )

    def id(self) -> bytes:
        return b"<%x.%d@%s>" % (
            self.between(0, 1 << 64),
            self.between(1, 9999),
            self.pick((b"example.org", b"mx.example")),
        )

    def date(self) -> bytes:
        day = self.pick(
            (b"Mon, 23 Nov 2026", b"Tue,  1 Dec 2026", b"1 Jan 70", b"Thu, 29 Feb 2024", b"Fri, 13 Mar 1998")
        )
        zone = self.pick((b"+0000", b"-0800", b"GMT", b"EST", b"+0530 (IST)", b"(no zone)", b""))
        return b"%s %02d:%02d:%02d %s" % (day, self.between(0, 23), self.between(0, 59), self.between(0, 59), zone)

    def header(self, token: str, subject: str | None = None) -> bytes:
        """Trace, originator and the usual fields, up to and without those of MIME."""
        sentence = self.pick(SENTENCES[self.pick(tuple(SENTENCES))])
        fields = [
            b"Received: from %s ([192.0.2.%d])\r\n\tby mx%d.example with ESMTPS id %x\r\n\tfor <bob@example.test>; %s"
            % (
                self.pick((b"a.example", b"unknown")),
                self.between(1, 254),
                number,
                self.between(0, 1 << 40),
                self.date(),
            )
            for number in range(self.between(0, 6))
        ]
        if self.between(0, 3) == 0:
            signature = base64.b64encode(self.random.randbytes(256))
            folded = b"\r\n\t ".join(signature[at : at + 70] for at in range(0, len(signature), 70))
            fields.append(
                b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\tb=" + folded
            )
        fields += [
            b"From: " + self.address(),
            self.pick((b"To", b"TO", b"to")) + b": " + self.addresses(12),
            b"Subject:"
            + self.pick((b" ", b"", b"\r\n "))
            + self.word(subject if subject is not None else self.pick((self.pick(WORDS), sentence, sentence * 3))),
            b"Date: " + self.date(),
            b"Message-ID: " + self.id(),
            b"X-Specimen: " + token.encode(),
        ]
        if self.between(0, 2) == 0:
            fields.append(b"Cc: " + self.addresses(30))
        if self.between(0, 2) == 0:
            ids = [self.id() for _ in range(self.between(1, 40))]
            fields += [b"References: " + b"\r\n ".join(ids), b"In-Reply-To: " + ids[-1]]
        if self.between(0, 4) == 0:
            fields.append(b"X-Long: " + b" ".join(self.id() for _ in range(self.between(1, 60))))
        if self.between(0, 3) == 0:
            self.random.shuffle(fields)
        return b"".join(field + b"\r\n" for field in fields)

    # -- parts: each is its MIME fields, a blank line and its body -----------------------------------------------------

    def text(self, subtype: bytes = b"plain", lines: int = 0) -> bytes:
        """A text part in some charset and encoding."""
        charset = self.pick(tuple(SENTENCES))
        kept = [self.pick(SENTENCES[charset]) for _ in range(lines or self.between(1, 40))]
        kept += self.random.sample(
            (".", "..", ".signature", "From the start", "", "-- ", "trailing  ", "\tindented"), 3
        )
        self.random.shuffle(kept)
        if subtype == b"html":
            kept = [
                "<html><head><style>p {color: red}</style></head><body>",
                *(f"<p>{line}</p>" for line in kept),
                "</body>",
            ]
        octets = "\r\n".join(kept).encode({"windows-874": "cp874"}.get(charset, charset), "replace")
        if charset != "utf-16":
            octets += b"\r\n"
        binary = charset == "utf-16" or (charset == "utf-7" and not octets.isascii())
        encoding = self.pick(
            (b"base64", b"quoted-printable") if binary else (b"8bit", b"7bit", b"quoted-printable", b"base64")
        )
        said = self.pick((charset.encode(), b'"%s"' % charset.encode(), charset.upper().encode()))
        extra = self.pick((b"", b"", b"; format=flowed", b";\r\n\tformat=flowed; delsp=yes"))
        return self.encoded(b"text/" + subtype + b"; charset=" + said + extra, encoding, octets)

    def encoded(self, kind: bytes, encoding: bytes, octets: bytes, *more: bytes) -> bytes:
        if encoding == b"base64":
            octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        elif encoding == b"quoted-printable":
            octets = crlf(binascii.b2a_qp(octets, istext=True)) + b"\r\n"
        fields = [b"Content-Type: " + kind, b"Content-Transfer-Encoding: " + encoding, *more]
        return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + octets

    def attachment(self, most: int = 30_000) -> bytes:
        octets = self.random.randbytes(self.between(0, most))
        name = self.pick(
            ("report.pdf", "Überweisung für März.pdf", "名簿.xlsx", "a very long name " * 6 + ".doc", 'qu"ote\\.txt')
        )
        plain = name.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        percent = b"".join(b"%c" % o if chr(o).isalnum() and o < 128 else b"%%%02X" % o for o in name.encode())
        told = self.pick(
            (
                b'filename="' + plain + b'"',
                b"filename*=utf-8''" + percent,
                b'filename="' + self.word(name) + b'"',
                b"".join(
                    b"filename*%d*=%s%s;\r\n\t" % (n, b"" if n else b"utf-8'de'", percent[at : at + 30])
                    for n, at in enumerate(range(0, len(percent), 30))
                ).rstrip(b";\r\n\t"),
            )
        )
        kind = self.pick(
            (b"application/octet-stream", b"application/pdf", b"image/png", b"audio/x-unknown", b"text/csv")
        )
        disposition = b"Content-Disposition: " + self.pick((b"attachment", b"inline")) + b";\r\n " + told
        return self.encoded(kind, b"base64", octets, disposition, b"Content-ID: " + self.id())

    def multipart(self, subtype: bytes, *parts: bytes) -> bytes:
        boundary = (
            b"=_%x" % self.between(0, 1 << 60)
            if self.between(0, 3)
            else b"----=_Next Part (%d)" % self.between(1, 9999)
        )
        said = self.pick(
            (b'Content-Type: multipart/%s; boundary="%s"', b'Content-type: MULTIPART/%s;\r\n\tBOUNDARY="%s"; x=y')
        )
        preamble = self.pick((b"", b"", b"This is a multi-part message in MIME format.\r\n", b"--not the boundary\r\n"))
        body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        epilogue = self.pick((b"", b"\r\n", b"epilogue\r\n"))
        return said % (subtype, boundary) + b"\r\n\r\n" + preamble + body + b"--" + boundary + b"--\r\n" + epilogue

    def inside(self, depth: int) -> bytes:
        """A message/rfc822 part, with more of them inside."""
        inner = self.header(f"inner-{depth}") + b"MIME-Version: 1.0\r\n"
        inner += self.multipart(b"mixed", self.text(), self.inside(depth - 1)) if depth else self.text()
        return b"Content-Type: message/rfc822\r\n\r\n" + inner

    # -- whole messages ------------------------------------------------------------------------------------------------

    def plain(self, token: str) -> bytes:
        return self.header(token) + b"MIME-Version: 1.0\r\n" + self.text()

    def old(self, token: str) -> bytes:
        """Without any MIME."""
        return self.header(token) + b"\r\n" + b"just text\r\n.\r\n..\r\n.dot\r\nFrom here\r\n" * self.between(1, 20)

    def alternative(self, token: str) -> bytes:
        both = self.multipart(b"alternative", self.text(), self.text(b"html"))
        return self.header(token) + b"MIME-Version: 1.0\r\n" + both

    def attachments(self, token: str) -> bytes:
        body = self.multipart(b"alternative", self.text(), self.text(b"html"))
        parts = [self.attachment() for _ in range(self.between(1, 4))]
        return self.header(token) + b"Mime-Version: 1.0\r\n" + self.multipart(b"mixed", body, *parts)

    def related(self, token: str) -> bytes:
        return self.header(token) + self.multipart(
            b'related; type="text/html"', self.text(b"html"), self.attachment(9000)
        )

    def forwarded(self, token: str) -> bytes:
        return self.header(token) + self.multipart(b"mixed", self.text(), self.inside(self.between(0, 4)))

    def digest(self, token: str) -> bytes:
        mails = [b"\r\n" + self.header(f"digest-{n}") + b"\r\nin a digest\r\n" for n in range(self.between(1, 12))]
        return self.header(token) + self.multipart(b"digest", *mails)

    def report(self, token: str) -> bytes:
        told = b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\nAction: failed\r\n"
        back = b"Content-Type: text/rfc822-headers\r\n\r\n" + self.header("returned")
        parts = (self.text(), told, back)
        return self.header(token) + self.multipart(b"report; report-type=delivery-status", *parts)

    def signed(self, token: str) -> bytes:
        key = b"Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n"
        return self.header(token) + self.multipart(b"signed; micalg=pgp-sha256", self.text(), key)

    def calendar(self, token: str) -> bytes:
        told = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
        invited = self.encoded(b"text/calendar; method=REQUEST; charset=utf-8", b"7bit", told)
        return self.header(token) + self.multipart(b"alternative", self.text(), invited)

    def unended(self, token: str) -> bytes:
        """The last line has no end."""
        return (
            self.header(token) + b"\r\n" + self.pick((b"no end", b"text\r\n.", b"a\r\n\r\nb", b"." * 50, b"x" * 5000))
        )

    def empty(self, token: str) -> bytes:
        return self.header(token) + self.pick((b"\r\n", b"\r\n\r\n", b"Content-Type: text/plain\r\n\r\n"))

    def header_only(self, token: str) -> bytes:
        """Not even the blank line."""
        return self.header(token)

    def long_lines(self, token: str) -> bytes:
        line = self.pick((b"x", b"word ", "ü".encode(), b"<td>&nbsp;</td>"))
        return self.header(token) + b"\r\n" + b"".join(line * self.between(400, 6000) + b"\r\n" for _ in range(4))

    def long_header(self, token: str) -> bytes:
        """One field of many kilobytes, folded or not."""
        fold = self.pick((b" ", b"\r\n ", b"\r\n\t"))
        return self.header(token) + b"X-Report:" + b"".join(fold + self.id() for _ in range(900)) + b"\r\n\r\nbody\r\n"

    def international(self, token: str) -> bytes:
        """SMTPUTF8 (RFC 6532): nothing in the header is encoded."""
        sentence = self.pick(SENTENCES["utf-8"]).encode()
        head = "From: Jürgen <jürgen@bücher.example>\r\nTo: 山田 <山田@例え.example>\r\n".encode()
        return head + b"Subject: " + sentence + b"\r\n" + self.header(token, "") + b"\r\n" + sentence + b"\r\n"

    def eightbit(self, token: str) -> bytes:
        """Octets without a declared charset, in header and body."""
        junk = bytes(self.pick(range(128, 256)) for _ in range(200))
        return self.header(token) + b"X-Raw: " + junk[:60] + b"\r\n\r\n" + junk + b"\r\n"

    def list_mail(self, token: str) -> bytes:
        listed = b"List-Id: <l.example>\r\nPrecedence: list\r\n"
        listed += b"List-Unsubscribe: <https://l.example/u>,\r\n <mailto:u@l.example>\r\n"
        return listed + self.header(token) + self.text(b"html", 60)

    def tree(self, token: str) -> bytes:
        """Multiparts in multiparts."""
        part = self.text()
        for _ in range(self.between(3, 12)):
            part = self.multipart(self.pick((b"mixed", b"alternative", b"parallel")), part, self.text(lines=2))
        return self.header(token) + b"MIME-Version: 1.0 (ours)\r\n" + part

    def large(self, token: str) -> bytes:
        return self.header(token) + self.multipart(
            b"mixed",
            self.text(),
            self.encoded(
                b"application/zip", b"base64", self.random.randbytes(self.pick((200_000, 800_000, 1_500_000)))
            ),
        )


Kind = Callable[[Author, str], bytes]
COMMON: Sequence[Kind] = (
    Author.plain,
    Author.alternative,
    Author.attachments,
    Author.old,
    Author.related,
    Author.forwarded,
    Author.digest,
    Author.report,
    Author.signed,
    Author.calendar,
    Author.unended,
    Author.empty,
    Author.header_only,
    Author.long_lines,
    Author.international,
    Author.eightbit,
    Author.list_mail,
    Author.tree,
    Author.plain,
    Author.alternative,
)
RARE: Sequence[Kind] = (Author.large, Author.long_header)


def ordinary(count: int = ORDINARY) -> list[Specimen]:
    """As people and programs send them; every kind is among the first fifty."""
    author = Author(1)
    found = []
    for number in range(count):
        kind = RARE[number // 25 % len(RARE)] if number % 25 == 24 else COMMON[number % len(COMMON)]
        name = f"{number:04d}-{kind.__name__}"
        found.append(Specimen(name, kind(author, name)))
    return found


def for_append() -> list[Specimen]:
    """Line ends and octets that SMTP refuses, and that IMAP takes as they are."""
    lines = [b"From: a@example.org", b"Subject: line ends", b"Content-Type: text/plain", b"", b"one", b".", b"two", b""]
    mime = [
        b"Content-Type: multipart/mixed; boundary=b",
        b"",
        b"--b",
        b"",
        b"one",
        b"--b",
        b"X: y",
        b"",
        b"2",
        b"--b--",
        b"",
    ]
    found = {
        "lf": b"\n".join(lines),
        "lf-multipart": b"\n".join(mime),
        "lf-unended": b"\n".join(lines) + b"tail",
        "cr": b"\r".join(lines),
        "crcrlf": b"\r\r\n".join(lines),
        "mixed": b"A: b\r\nC: d\nE: f\r\n g\n\n\r\none\ntwo\r\nthree\rfour\n",
        "header-lf-body-crlf": b"A: b\nC: d\n\nbody\r\nlines\r\n",
        "header-crlf-body-lf": b"A: b\r\nC: d\r\n\r\nbody\nlines\n",
        "cr-at-the-end": b"A: b\r\n\r\nbody\r",
        "lf-at-the-start": b"\nbody\n",
        "smuggled": b"A: b\r\n\r\none\n.\nMAIL FROM:<x@example.org>\r\n.\rRCPT TO:<y@example.org>\n.\r\n",
        "lone-lf": b"\n",
        "lone-cr": b"\r",
        "nul": b"Subject: a\0b\r\nContent-Type: text/plain; name=\0\r\n\r\nx\0y\0\r\n",
        "lf-8bit": b"Subject: \xe9\xff\n\n\x80\x81\xfe\n",
    }
    return [Specimen(f"append-{name}", data) for name, data in found.items()]


def main(folder: Path) -> None:
    from tests.messages.malformed import malformed

    folder.mkdir(parents=True, exist_ok=True)
    for specimen in [*ordinary(), *malformed(), *for_append()]:
        (folder / f"{specimen.name}.eml").write_bytes(specimen.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
