"""A second opinion on verdicts: libopendmarc, which follows RFC 7489, about 500 generated messages and zones.

Both ask the same name server. Where they differ, something must be in the case that RFC 9989 changed or libopendmarc
does otherwise than both RFCs; each has its name in `EXPLANATIONS`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from daemon.resolver import DNS
from daemon.trust import dmarc, dmarc_record
from daemon.trust.results import DMARC, SPF, Signature
from tests.instruments.dns_server import DNSServer
from tests.interop import opendmarc as second

CASES = 500
BATCH = 100  # cases in one zone
EXPLANATIONS = {
    "t": "test mode lowers the policy by one step; RFC 7489 has no such tag",
    "np": "names that do not exist have a policy of their own; RFC 7489 knows sp only",
    "no p": "a record without a valid policy but with rua counts as p=none; libopendmarc drops it",
    "strict": "strict alignment is identity (RFC 7489 §3.1 too); libopendmarc takes subdomains and neighbours for it",
    "several": "several records at a name are none; libopendmarc takes the first",
    "signatures": "any aligned signature is enough; libopendmarc remembers one of several, at times the failed one",
    "walk": "the organization is where the highest record stands, or where psd says; RFC 7489 takes it from a list",
    "open": "a proof that could not be checked leaves the result open; libopendmarc counts it as failed",
}
CODES = {"none": second.NONE, "quarantine": second.QUARANTINE, "reject": second.REJECT}


class Case(NamedTuple):
    author: str
    spf: tuple[str, str]
    dkim: list[tuple[str, str]]
    records: dict[str, list[str]]
    exists: bool
    features: frozenset[str]


def record(chance: random.Random, org: str, features: set[str]) -> str:
    tags = [f"p={chance.choice(['none', 'quarantine', 'reject'])}"]
    rare = chance.random()
    if rare < 0.06:
        tags = [] if chance.random() < 0.5 else ["p=everything"]
        features.add("no p")
    elif rare < 0.12:
        tags.append(chance.choice(["adkim=x", "unknown=1", "pct=100"]))
    elif rare < 0.18:
        tags.append("t=y")
        features.add("t")
    elif rare < 0.25:
        tags.append(f"np={chance.choice(['none', 'quarantine', 'reject'])}")
        features.add("np")
    for tag in ("adkim", "aspf"):
        mode = chance.choice("-----rrrrs")
        if mode != "-" and f"{tag}=" not in " ".join(tags):
            tags.append(f"{tag}={mode}")
            features.update({"strict"} if mode == "s" else ())
    if chance.random() < 0.4:
        tags.append(f"sp={chance.choice(['none', 'quarantine', 'reject'])}")
    if chance.random() < 0.5:
        tags.append(f"rua=mailto:reports@{org}")
    return chance.choice(["; ", ";", " ; "]).join(["v=DMARC1", *tags]) + chance.choice(["", ";"])


def case(chance: random.Random, number: int) -> Case:
    org = f"d{number}.test"
    features: set[str] = set()
    names = [org, f"mail.{org}", f"a.mail.{org}", f"news.{org}", f"other{number}.test"]
    author = chance.choice(names[:3])
    records: dict[str, list[str]] = {}
    if chance.random() < 0.85:
        records[org] = [record(chance, org, features)]
    if chance.random() < 0.25:
        records[f"mail.{org}"] = [record(chance, org, features)]
        features.add("walk")
    if records and chance.random() < 0.05:
        next(iter(records.values())).append("v=DMARC1; p=none")
        features.add("several")
    if records and chance.random() < 0.06:
        name = chance.choice(list(records))
        records[name] = [f"{text}; psd={chance.choice('yn')}" for text in records[name]]
        features.add("walk")
    words = ["pass", "pass", "fail", "none"] + ["temperror"] * (chance.random() < 0.1)
    spf = (chance.choice(names), chance.choice(words))
    dkim = [(chance.choice(names), chance.choice(words)) for _ in range(chance.randrange(3))]
    if len({result for _, result in dkim}) > 1:
        features.add("signatures")
    if "temperror" in {spf[1], *(result for _, result in dkim)}:
        features.add("open")
    return Case(author, spf, dkim, records, chance.random() < 0.8, frozenset(features))


def zone(cases: list[Case]) -> str:
    lines = []
    for each in cases:
        lines += [f'_dmarc.{name}. TXT "{text}"' for name, texts in each.records.items() for text in texts]
        if each.exists:
            lines.append(f"{each.author}. A 192.0.2.1")
    return "\n".join(lines)


async def ours(resolver: DNS, each: Case) -> DMARC:
    signatures = tuple(Signature(result, domain, "s") for domain, result in each.dkim)  # type: ignore[arg-type]
    spf = SPF(each.spf[1], each.spf[0])  # type: ignore[arg-type]
    return await dmarc.check(resolver, await dmarc.find(resolver, each.author), spf, signatures)


async def both(cases: list[Case], folder: Path) -> list[tuple[Case, DMARC, list[Any]]]:
    """Each case, our result, and what libopendmarc says."""
    suffixes = folder / "suffixes"
    suffixes.write_text("test\n")
    found = []
    for start in range(0, len(cases), BATCH):
        some = cases[start : start + BATCH]
        async with DNSServer(zone(some)) as server:
            resolver = DNS([server.server])
            mine = [await ours(resolver, each) for each in some]
            found += zip(some, mine, await theirs(server.port, suffixes, some), strict=True)
    return found


async def theirs(port: int, suffixes: Path, cases: list[Case]) -> list[list[Any]]:
    asked = [{"author": c.author, "spf": c.spf, "dkim": c.dkim} for c in cases]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.interop.opendmarc", str(port), str(suffixes),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate(json.dumps(asked).encode())
    assert process.returncode == 0
    answers: list[list[Any]] = json.loads(out)
    return answers


def code(found: DMARC) -> int:
    """Our result in their words. An error is no policy to them."""
    if found.result == "pass":
        return second.PASS
    return CODES[found.policy] if found.result == "fail" else second.ABSENT


async def test_opendmarc_agrees_on_verdicts_or_the_new_rfc_says_why_not(tmp_path: Path) -> None:
    chance = random.Random(9989)
    differing = Counter[str]()
    plain = agreed = 0
    opinions = await both([case(chance, number) for number in range(CASES)], tmp_path)
    for each, found, (status, enforce, by_dkim, by_spf) in opinions:
        told = f"{each}\n ours: {found}\n theirs: {(status, enforce, by_dkim, by_spf)}"
        same = code(found) == enforce
        if found.result in ("pass", "fail") and enforce != second.ABSENT:
            same = same and (found.dkim_aligned, found.spf_aligned) == (by_dkim, by_spf)
        plain += not each.features
        agreed += same
        if not same:
            assert each.features, f"a difference that nothing explains: {told}"
            differing.update(each.features)
    assert plain > CASES / 3, "most cases have nothing in them that the RFCs see differently"
    assert agreed > CASES * 0.75
    assert set(differing) <= set(EXPLANATIONS)
    assert {found.result for _, found, _ in opinions} >= {"pass", "fail", "none", "permerror", "temperror"}


async def test_each_explanation_makes_a_difference_alone(tmp_path: Path) -> None:
    """The list holds nothing that would excuse a fault of ours: each of them is shown in a case of its own."""
    reject = "v=DMARC1; p=reject"
    several = [("news.k.test", "pass"), ("k.test", "fail")]
    shown = [
        ("t", "t.test", ("x.other.test", "fail"), [reject + "; t=y"], second.QUARANTINE),
        ("np", "x.np.test", ("x.other.test", "fail"), [reject + "; np=none"], second.NONE),
        ("no p", "p.test", ("x.other.test", "fail"), ["v=DMARC1; rua=mailto:a@p.test"], second.NONE),
        ("strict", "s.test", ("sub.s.test", "pass"), [reject + "; aspf=s"], second.REJECT),
        ("several", "m.test", ("x.other.test", "fail"), [reject, reject + ";"], second.ABSENT),
        ("signatures", "x.k.test", ("x.other.test", "fail"), [reject], second.PASS),
        ("walk", "mail.w.test", ("w.test", "pass"), [reject], second.REJECT),
        ("open", "o.test", ("o.test", "temperror"), [reject], second.ABSENT),
    ]
    assert [name for name, *_ in shown] == list(EXPLANATIONS)
    cases = [
        Case(
            author,
            spf,
            several if name == "signatures" else [],
            {author.removeprefix("x."): texts},
            author != "x.np.test",
            frozenset(),
        )
        for name, author, spf, texts, _ in shown
    ]
    for (name, *_, want), (_, found, (_, enforce, *_)) in zip(shown, await both(cases, tmp_path), strict=True):
        assert code(found) == want != enforce, name


def test_both_read_the_records_of_the_cases() -> None:
    chance = random.Random(1)
    for number in range(100):
        for texts in case(chance, number).records.values():
            assert dmarc_record.parse(texts[0].encode()) is not None
