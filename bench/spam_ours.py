"""Our classifier as a command, like its peers: `python -m bench.spam_ours DIR learn-ham|learn-spam|prior|score [HOW]`.

Names of files come on standard input. `score` writes a line for each: the name and the logit. HOW: `counts` (what was
learnt, no prior), `both` (with the prior that `prior` made of labelled names), `prior` (that alone).
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from daemon.mail.tokens import ids, tokenize
from daemon.trust import bayes, learn, prior


def main(folder: str, action: str, how: str = "both") -> None:
    state = Path(folder)
    names = sys.stdin.read().splitlines()
    if action == "prior":
        known = ((tokenize(Path(name).read_bytes()), "/spam/" in name, learn.source(name)) for name in names)
        (state / "prior").write_bytes(learn.learn(known))
        return
    kept = state / "counts"
    counts = pickle.loads(kept.read_bytes()) if kept.exists() else bayes.NOTHING
    if action == "score":
        table = prior.EMPTY if how == "counts" else prior.load(state / "prior")
        for name in names:
            found = bayes.judge(tokenize(Path(name).read_bytes()), None if how == "prior" else counts, table)
            print(name, found.logit)
        return
    spam = action == "learn-spam"
    tokens = dict(counts.tokens)
    for name in names:
        for number in ids(tokenize(Path(name).read_bytes())):
            in_ham, in_spam = tokens.get(number, (0, 0))
            tokens[number] = (in_ham + (not spam), in_spam + spam)
    learnt = bayes.Counts(counts.ham + len(names) * (not spam), counts.spam + len(names) * spam, tokens)
    kept.write_bytes(pickle.dumps(learnt))


if __name__ == "__main__":
    main(*sys.argv[1:])
