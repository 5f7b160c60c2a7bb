"""`python -m bench.ruling`: what a user's rules cost for one message, in CPU time, in one process.

The plan of a delivery is made as the server makes it (`planning.prepare` over a store), for a user with so many rules
and for one without: the difference is all that rules cost before the write, the look-up of the script, the header read,
the run, and what was decided put into the plan. The script was compiled for the message before. All rules are asked,
the last one files.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.row import Field, Figures, Row
from bench.suite import Server
from daemon.config import Config, DataDir
from daemon.flow import planning
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.mail.address import Address, parse_address
from daemon.mail.summary import summarize
from daemon.sieve import Sent, Subject, compile
from daemon.store import accounts, domains, mailboxes, sieve
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx

SIZES = (1, 10, 50, 200)  # rules
BATCH = 20  # messages between two looks at the clock
_ORIGIN = Origin("smtp", peer="192.0.2.1", helo="mx.example.org")
_SENDER = parse_address("ann@example.org")
_DECIDING = 'if header :contains "subject" "the budget" { fileinto :flags "\\\\Flagged" "Filed"; stop; }\n'
_RULES = (  # of the kinds that people have, in turn
    'if header :contains "list-id" "<list{0}.lists.example.org>" {{ fileinto "Filed"; stop; }}\n',
    'if address :is "from" ["carl{0}@far.example", "dora{0}@far.example"] {{ addflag "\\\\Flagged"; keep; stop; }}\n',
    'if header :contains "subject" ["invoice {0}", "order {0}"] {{ fileinto "Filed"; stop; }}\n',
    'if address :domain :is ["to", "cc"] ["shop{0}.example", "books{0}.example"] {{ fileinto "Filed"; stop; }}\n',
    'if allof (address "from" "ann@example.org", header :matches "subject" "Re: *plan {0}*") {{ discard; stop; }}\n',
    'if anyof (header "precedence" "bulk", exists "x-campaign-{0}", size :over {0}M) {{ fileinto "Filed"; stop; }}\n',
)
_LINES = "The quick brown message server delivers mail to many people every day while nobody is watching.\r\n" * 86
MAIL = (
    "".join(
        f"Received: from hop{hop}.example.org (hop{hop}.example.org [192.0.2.{hop}])\r\n\tby mx{hop}.example.org with "
        f"ESMTPS id 4f{hop}a1b2c3;\r\n\tSat, 28 Nov 2026 10:00:0{hop} +0000\r\n"
        for hop in range(1, 4)
    )
    + "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\th=from:to:cc:subject:date"
    f";\r\n\tbh={'A' * 43}=;\r\n\tb={'B' * 340}==\r\n"
    "Authentication-Results: mx.example.org; dkim=pass header.d=example.org; spf=pass; dmarc=pass\r\n"
    "From: =?utf-8?q?Ann_Sm=C3=ADth?= <ann@example.org>\r\nTo: Bob <bob@bench.test>, carl@far.example\r\n"
    "Cc: Dora <dora@far.example>\r\nReply-To: ann@example.org\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n"
    "Subject: =?utf-8?q?Re:_J=C3=BCrgen's_notes_on_the_budget?=\r\nMessage-ID: <1.2@example.org>\r\n"
    "In-Reply-To: <0.2@bench.test>\r\nReferences: <0.0@example.org> <0.1@bench.test> <0.2@bench.test>\r\n"
    "User-Agent: Mail/1.0\r\nX-Mailer: Mail/1.0\r\nX-Priority: 3\r\nImportance: normal\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Language: en\r\n\r\n"
    + _LINES
).encode()


def script(rules: int) -> str:
    """So many rules, of which the last one files the message."""
    asked = [_RULES[number % len(_RULES)].format(number + 1) for number in range(rules - 1)]
    return 'require ["fileinto", "imap4flags"];\n' + "".join(asked) + _DECIDING


def costing(rules: int) -> Callable[[Field, Server, Row], Figures]:
    """The row: no server takes part."""

    def measure(field: Field, _: Server, __: Row) -> Figures:
        with tempfile.TemporaryDirectory(prefix="bench-rules-") as folder:
            return costs(Path(folder), rules, field.seconds)

    return measure


def costs(folder: Path, rules: int, seconds: float) -> Figures:
    """Milliseconds of CPU: medians over batches, of users with and without rules in turn for so many seconds."""
    text = script(rules)
    store = _house(folder, text)
    config = Config([("hostname", "mx.bench.test")])
    body, summary = Body.of(MAIL), summarize(MAIL)

    def plan(user: str, inline: bool = True) -> None:
        envelope = Envelope(_SENDER, [Recipient(Address(user, "bench.test"))])
        made, _ = store.peek(planning.prepare, _ORIGIN, envelope, body, summary, config, 0, b"", None, inline)
        if [copy.mailbox for copy in made.copies] != ["Filed" if user == "bob" else mailboxes.INBOX]:
            raise RuntimeError(f"this measures nothing: {made.copies}")

    plan("bob", inline=False)  # now it is compiled
    program = compile(text)
    works: dict[str, Callable[[], object]] = {
        "with": functools.partial(plan, "bob"),
        "without": functools.partial(plan, "ann"),
        "run": lambda: program.run(Subject(MAIL, Sent(str(_SENDER), "bob@bench.test"))),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    end = 0.0
    try:
        while time.monotonic() < end or not end or len(took["run"]) < 5:
            for name, work in works.items():
                took[name].append(_cpu(work))
            if not end:  # the first ones made caches warm
                took, end = {name: [] for name in works}, time.monotonic() + seconds
    finally:
        store.close()
    median = {name: statistics.median(values) for name, values in took.items()}
    compiling = statistics.median(_cpu(lambda: compile(text), 1) for _ in range(5))
    return {"cpu": median["with"] - median["without"], "run": median["run"], "compile": compiling} | {
        "with": median["with"],
        "without": median["without"],
        "count": float(len(took["run"]) * BATCH),
        "seconds": seconds,
    }


def _cpu(work: Callable[[], object], times: int = BATCH) -> float:
    """Milliseconds of one."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) * 1000 / times


def _house(folder: Path, text: str) -> Store:
    """Bob has the rules, Ann has none."""
    store = Store.open(DataDir(folder / "data"))

    def fill(tx: Tx) -> None:
        domains.add(tx, "bench.test")
        for name in ("ann", "bob"):
            accounts.add(tx, Address(name, "bench.test"), None)
        bob = accounts.get(tx, Address("bob", "bench.test")).id
        mailboxes.create(tx, bob, "Filed")
        sieve.put(tx, bob, "rules", text)
        sieve.activate(tx, bob, "rules")

    store.write_now(fill)
    return store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ruling", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="what a row lasts (3)")
    given = parser.parse_args()
    print("| rules | plan with | without | rules cost | header and run | compiling | ms of CPU")
    print("|------:|----------:|--------:|-----------:|---------------:|----------:|")
    for rules in SIZES:
        with tempfile.TemporaryDirectory(prefix="bench-rules-") as folder:
            f = costs(Path(folder), rules, given.seconds)
        print(
            f"| {rules:5d} | {f['with']:9.3f} | {f['without']:7.3f} | {f['cpu']:10.3f} | {f['run']:14.3f} "
            f"| {f['compile']:9.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
