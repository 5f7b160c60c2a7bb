"""The words of a message, judged by us, by bogofilter and by SpamAssassin that learnt from the same mail.

    MAILBENCH_CORPUS=DIR python -m bench.spam [--only split,folds,sources,speed] [--without spamassassin]

DIR holds `train` and `test`, each with `ham` and `spam` below it, or `*.tar.xz` of them. Every subject is a command of
its own that reads names of files, so that processor time and memory are told by the system for each alike. What a
subject learns from is never what it is asked about: our prior is made of the training messages of each round too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.trust.evaluation import area, recall_at

Mail = tuple[str, bool, str]
"""Name of the file, whether it is spam, the collection it is from."""

OURS = [sys.executable, "-m", "bench.spam_ours"]
ASSASSIN = ["perl", str(Path(__file__).with_name("spam_assassin.pl"))]
SUBJECTS = ("ours", "ours, no prior", "our prior alone", "bogofilter", "SpamAssassin")
HOW = {"ours": "both", "ours, no prior": "counts", "our prior alone": "prior"}
LEFT_OUT = (("easy-ham-1", "spam-1"), ("easy-ham-2", "spam-2"), ("hard-ham-1", "spam-1"))
TIMED = 200  # messages


def run(command: Sequence[str], names: Sequence[str]) -> tuple[str, float, int]:
    """What a command writes when it is given names, its processor seconds, and its largest memory in KiB."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write("".join(f"{name}\n" for name in names))
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1, 2):  # bogofilter's say what the last message was
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        said.seek(0)
        return said.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def teach(subject: str, folder: str, mail: Sequence[Mail]) -> None:
    """Have a subject learn from mail, in a folder of its own."""
    if subject in HOW:
        if HOW[subject] != "counts":
            run([*OURS, folder, "prior"], [name for name, _, _ in mail])
        if HOW[subject] == "prior":
            return
    for spam in (False, True):
        names = [name for name, is_spam, _ in mail if is_spam == spam]
        if subject == "bogofilter":
            run(["bogofilter", "-d", folder, "-s" if spam else "-n", "-b"], names)
        else:
            command = ASSASSIN if subject == "SpamAssassin" else OURS
            run([*command, folder, "learn-spam" if spam else "learn-ham"], names)


def asking(subject: str, folder: str) -> list[str]:
    """The command that scores."""
    if subject == "bogofilter":
        return ["bogofilter", "-d", folder, "-b", "-T", "-T"]
    if subject == "SpamAssassin":
        return [*ASSASSIN, folder, "score"]
    return [*OURS, folder, "score", HOW[subject]]


def scores(subject: str, learnt: Sequence[Mail], asked: Sequence[Mail]) -> list[tuple[float, bool]]:
    """The scores of mail by a subject that learnt from other mail."""
    assert not {name for name, _, _ in learnt} & {name for name, _, _ in asked}
    with tempfile.TemporaryDirectory() as folder:
        teach(subject, folder, learnt)
        said, _, _ = run(asking(subject, folder), [name for name, _, _ in asked])
    found = dict(line.rsplit(" ", 1) for line in said.splitlines())
    return [(float(found[name]), is_spam) for name, is_spam, _ in asked]


def rounds(kind: str, mail: Sequence[Mail]) -> Iterator[tuple[str, list[list[Mail]], list[list[Mail]]]]:
    """Of one kind of trial: what it is called, and what is learnt and asked in each of its rounds."""
    if kind == "split":
        test = [one for one in mail if "/test/" in one[0]]
        yield "as it is split", [[one for one in mail if "/train/" in one[0]]], [test]
    elif kind == "folds":
        folds: list[list[Mail]] = [[] for _ in range(5)]
        for one in mail:
            folds[zlib.crc32(Path(one[0]).name.encode()) % 5].append(one)
        others = [[one for fold in folds if fold is not asked for one in fold] for asked in folds]
        yield "5-fold cross-validation", others, folds
    else:
        for out in LEFT_OUT:
            learnt = [one for one in mail if one[2] not in out]
            yield f"{' and '.join(out)} not learnt from", [learnt], [[one for one in mail if one[2] in out]]


def quality(kind: str, mail: Sequence[Mail], subjects: Sequence[str]) -> None:
    for title, learnt, asked in rounds(kind, mail):
        told = [is_spam for part in asked for _, is_spam, _ in part]
        print(f"\n### {title}: {told.count(False)} ham, {told.count(True)} spam\n")
        print("| | area under ROC | recall at 0.1 % false positives | at 0 % |\n|---|---|---|---|")
        for subject in subjects:
            scored = [
                pair for ours, theirs in zip(learnt, asked, strict=True) for pair in scores(subject, ours, theirs)
            ]
            figures = f"{area(scored):.5f} | {recall_at(scored, 0.001):.2%} | {recall_at(scored, 0):.2%}"
            print(f"| {subject} | {figures} |", flush=True)


def speed(mail: Sequence[Mail], subjects: Sequence[str]) -> None:
    learnt = [one for one in mail if "/train/" in one[0]][::3]  # enough for SpamAssassin to use what it learnt
    names = [one[0] for one in mail if "/test/" in one[0]]
    names = names[:: len(names) // TIMED][:TIMED]
    size = sum(Path(name).stat().st_size for name in names) / len(names)
    print(f"\n### {len(names)} messages of {size:.0f} octets, having learnt {len(learnt)}\n")
    print("| | ms of CPU a message | largest memory, MiB |\n|---|---|---|")
    for subject in subjects:
        with tempfile.TemporaryDirectory() as folder:
            teach(subject, folder, learnt)
            _, start, _ = run(asking(subject, folder), names[:1])
            _, whole, memory = run(asking(subject, folder), names)
        print(f"| {subject} | {1000 * (whole - start) / (len(names) - 1):.2f} | {memory / 1024:.0f} |", flush=True)


def corpus(folder: Path) -> list[Mail]:
    """The labelled messages below a folder."""
    found = []
    for path in sorted(folder.rglob("*.eml")):
        source = re.sub(r"-[0-9]+\.eml$", "", path.name)
        found.append((str(path), path.parent.name == "spam", source))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.spam")
    parser.add_argument("--corpus", default=os.environ.get("MAILBENCH_CORPUS"))
    parser.add_argument("--only", default="split,folds,sources,speed")
    parser.add_argument("--without", default="", help="subjects to leave out, with commas between")
    options = parser.parse_args()
    if not options.corpus:
        raise SystemExit("--corpus DIR, or MAILBENCH_CORPUS, must name a folder of labelled mail")
    without = [name.strip().lower() for name in options.without.split(",")]
    subjects = [subject for subject in SUBJECTS if subject.lower() not in without]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(options.corpus)
        for packed in sorted(source.glob("*.tar.xz")):
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")
            source = Path(folder)
        mail = corpus(source)
        for kind in options.only.split(","):
            if kind == "speed":
                speed(mail, subjects)
            else:
                quality(kind, mail, subjects)


if __name__ == "__main__":
    main()
