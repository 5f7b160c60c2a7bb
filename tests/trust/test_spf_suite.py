"""The public test suite for RFC 7208, all of it. pyspf's source distribution carries it; pip brings it, once."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.trust import spf
from tests.trust.spf_zone import Zone

PACKAGE = "pyspf==2.0.14"
DIGEST = "sha256:57a7ef01bda090173aafb6af0106251686ed73f03db4e911fcd34c57fc347186"
SUITE = "pyspf-2.0.14/test/rfc7208-tests.yml"
CASES = 203


def _suite(pytestconfig: pytest.Config) -> list[dict[str, Any]]:
    """Its sections. A suite that cannot be had is a failure: nothing else shows what this test is to show."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("rfc7208-suite")
    archive = folder / "pyspf-2.0.14.tar.gz"
    if not archive.exists():
        _download(folder)
    with tarfile.open(archive) as tar:
        text = tar.extractfile(SUITE)
        assert text is not None
        return list(yaml.safe_load_all(text))


def _download(folder: Path) -> None:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash={DIGEST}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    command = [*pip, "--no-deps", "--no-binary", "pyspf", "--dest", str(folder), "--require-hashes", "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"pip cannot fetch {PACKAGE}:\n{done.stderr}"


async def test_the_public_suite_passes_whole(pytestconfig: pytest.Config) -> None:
    wrong, number = [], 0
    for section in _suite(pytestconfig):
        for name, case in section["tests"].items():
            number += 1
            got = await spf.check_host(
                _zone(section["zonedata"]), case["host"], case["helo"], case["mailfrom"], now=0, receiver="mx.test"
            )
            results = case["result"] if isinstance(case["result"], list) else [case["result"]]
            explanation = case.get("explanation", got.explanation).replace("DEFAULT", "")
            if got.result not in results or got.explanation != explanation:
                wrong.append(f"{section['description']}: {name}: {got}, not {results} {explanation!r}")
    assert wrong == []
    assert number == CASES


def _zone(data: dict[str, list[Any]]) -> Zone:
    """The suite's zone format. SPF records stand for TXT records where a name has no TXT of its own."""
    names: dict[str, dict[str, list[str]]] = {}
    trouble = {}
    for name, entries in data.items():
        has: dict[str, list[str]] = {}
        for entry in entries:
            if entry == "TIMEOUT":
                trouble[name.lower()] = "time-out"
                continue
            for kind, value in entry.items():
                has.setdefault(kind, []).append(_value(kind, value))
        published = has.pop("SPF", [])
        has.setdefault("TXT", published)
        names[name] = {kind: values for kind, values in has.items() if values and values != ["NONE"]}
    zone = Zone(names)
    zone.trouble = trouble
    return zone


def _value(kind: str, value: Any) -> str:
    if kind == "MX":
        return f"{value[0]} {value[1]}"
    return "".join(value) if isinstance(value, list) else str(value)
