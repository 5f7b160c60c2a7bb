"""From figures to `RESULTS.md`: medians, ratios, targets, and beside a missed target what the profile says."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.row import Figure, Row, median
from bench.rows import ROWS

HERE = Path(__file__).parent
JSON, MARKDOWN, REMARKS, PROFILES = HERE / "results.json", HERE / "RESULTS.md", HERE / "remarks.toml", HERE / "profiles"
OURS = "mailctl"
HEAD = """# Beside Postfix and Dovecot

Written by `python -m bench`; do not edit (what a human has to say about a row is in `remarks.toml`). Each row was
measured in one run, the servers in turn, generator and servers on the same machine; durable on both sides, the
caches of password hashes warm on both sides. No filters, except in the rows `believed` and `filtered`, where both
sides check incoming mail and ask the same name server (unbound on loopback, counted to the side that asks). In the
rows `rules` every user has the same script (`sieving.py`), put by ManageSieve; `rules-share` compares our server with
itself, and `rules-50` is measured without a server. "Theirs" is the better of maildir and mdbox in each line. Figures
are medians over the rounds. Compare ratios, not figures, between rows.

The column "others" says how many processors were busy with work that is neither the bench nor the server it measured,
while ours and while the peers were measured (where it says load, that was not recorded, and it is the load average when
the row began): more than a few hundredths means that the machine was not free, and the
figures are worse and noisier than they would be alone. That weighs more on a server of one process than on one of many,
because the system divides the processors among processes; CPU per message suffers least.
"""


@dataclass(frozen=True)
class Line:
    """One figure of one row, compared."""

    row: Row
    figure: Figure
    ours: float | None
    theirs: float | None
    best: str

    @property
    def met(self) -> bool | None:
        if self.figure.target is None or self.ours is None:
            return None
        return self.figure.target.met(self.ours, self.theirs)

    @property
    def verdict(self) -> str:
        if self.figure.target is None:
            return ""
        if self.ours is None:
            return "**not measured**"
        return {True: "met", False: "**missed**", None: "nothing to compare"}[self.met]


def lines(row: Row, measured: dict[str, Any]) -> list[Line]:
    """`measured` is a row of `results.json`."""
    out = []
    for figure in row.figures:
        medians = {
            name: median([one[figure.key] for one in rounds])
            for name, rounds in measured["servers"].items()
            if rounds and all(figure.key in one for one in rounds)
        }
        ours = medians.pop(OURS, None)
        theirs = figure.better(list(medians.values()))
        best = next((name for name, value in medians.items() if value == theirs), "")
        out.append(Line(row, figure, ours, theirs, best))
    return out


def text_of(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _disturbance(measured: dict[str, Any]) -> str:
    """Processors busy with other work while we, and while the peers were measured."""
    ours = [one["others"] for one in measured["servers"].get(OURS, []) if "others" in one]
    theirs = [one["others"] for name, rounds in measured["servers"].items() if name != OURS for one in rounds
              if "others" in one]  # fmt: skip
    return ", ".join(f"{median(values):.2f}" for values in (ours, theirs) if values) or f"load {measured['load']:.1f}"


def table(measured: dict[str, Any]) -> str:
    """The rows of `results.json` as a Markdown table."""
    out = [
        "| row | figure | unit | ours | theirs | ratio | target | | others |",
        "|---|---|---|---:|---:|---:|---|---|---:|",
    ]
    for row in ROWS:
        if row.name not in measured:
            continue
        title, others = f"**{row.name}**: {row.title}", _disturbance(measured[row.name])
        for line in lines(row, measured[row.name]):
            figure = line.figure
            ratio = f"{line.ours / line.theirs:.2f}" if line.ours is not None and line.theirs else "–"
            theirs = text_of(line.theirs) + (f" ({line.best.removeprefix('pd-')})" if line.best else "")
            target = figure.target.text(figure.unit) if figure.target else ""
            out.append(
                f"| {title} | {figure.title} | {figure.unit} | {text_of(line.ours)} | {theirs} | {ratio} | {target}"
                f" | {line.verdict} | {others} |"
            )
            title = others = ""
    return "\n".join(out)


def _misses(measured: dict[str, Any], remarks: dict[str, str]) -> list[str]:
    out = []
    for row in ROWS:
        if row.name not in measured:
            continue
        missed = [line for line in lines(row, measured[row.name]) if line.figure.target and line.met is not True]
        errors = measured[row.name].get("errors", {})
        if not missed and not errors and row.name not in remarks:
            continue
        out.append(f"### {row.name}: {row.title}\n")
        out += [f"{line.figure.title}: {line.verdict.strip('*')}.\n" for line in missed]
        out += [f"{name} failed: {error}\n" for name, error in errors.items()]
        if row.name in remarks:
            out.append(remarks[row.name].strip() + "\n")
        profile = PROFILES / f"{row.name}.txt"
        if missed and profile.exists():
            out.append(f"```\n{profile.read_text().rstrip()}\n```\n")
    return out


def _started(measured: dict[str, Any]) -> str:
    """When our server and the peers were started: two cells."""
    started = dict(measured["started"])
    ours = started.pop(OURS, "?")
    return f"{ours} | {'; '.join(sorted(set(started.values())))}"


def _rounds(measured: dict[str, Any]) -> list[str]:
    out = ["| row | server | lasted s | count | all rounds |", "|---|---|---:|---:|---|"]
    for row in ROWS:
        for name, rounds in measured.get(row.name, {"servers": {}})["servers"].items():
            if not rounds:
                continue
            each = "; ".join(
                f"{figure.key} " + ", ".join(text_of(one[figure.key]) for one in rounds) for figure in row.figures
            )
            lasted, count = rounds[-1].get("seconds"), rounds[-1].get("count")
            out.append(f"| {row.name} | {name} | {text_of(lasted)} | {text_of(count)} | {each} |")
    return out


def write(results: dict[str, Any]) -> None:
    """Both files. `results` has `about` and `rows`."""
    JSON.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    remarks: dict[str, str] = tomllib.loads(REMARKS.read_text()) if REMARKS.exists() else {}
    rows = results["rows"]
    parts = [HEAD, "## Machine and versions\n", "| | |", "|---|---|"]
    parts += [f"| {name} | {value} |" for name, value in results["about"].items()]
    parts += ["", "The peers' configuration is in [peers.md](peers.md), ours in `subject.py`.\n", "## Figures\n"]
    parts += [table(rows), "", "## Missed, and remarks\n", *_misses(rows, remarks)]
    parts += ["## Every round\n", "When, how often, and what was measured (a + is a tree with more than the commit):\n"]
    parts += ["| row | when | rounds | our server: started, revision | the peers: started |", "|---|---|---:|---|---|"]
    parts += [
        f"| {row.name} | {rows[row.name]['when']} | {rows[row.name]['rounds']} | {_started(rows[row.name])} |"
        for row in ROWS
        if row.name in rows
    ]
    parts += ["", *_rounds(rows)]
    MARKDOWN.write_text("\n".join(parts).rstrip() + "\n")


def read() -> dict[str, Any]:
    """What was measured before."""
    known: dict[str, Any] = json.loads(JSON.read_text()) if JSON.exists() else {"about": {}, "rows": {}}
    return known
