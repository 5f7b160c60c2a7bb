"""Makes a prior out of labelled mail: `python -m daemon.trust.learn FOLDER [FILE]`.

FOLDER holds `ham` and `spam`, each with one message a file, as deep as you like (`train/ham/…` too). Where several
collections lie side by side their files begin with a name (`lists-0001.eml`): each collection of a kind then counts as
much as another, so that no large one tells what ham is. What would only tell these collections' owners, dates and
hosts from others is left out (`PRIVATE`): a prior has to hold for strangers' mail.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.mail.tokens import tokenize
from daemon.trust import prior

LEAST = 4  # messages a token must have been in
MOST = 60_000  # tokens kept, those met most often
# Whose mail it is, who writes to him, what lists he reads, the way mail takes to him; and that HTML was for spam once.
PRIVATE = re.compile(
    rb"[ar]:|i:@|f:@|f:[^ ]*@|f:reply|b:|o:|u:(?!/|\.|count |port|query|address|user|encoded)|x:list-id|x:organization"
    rb"|h:received|h:(?i:list-|x-|errors-to|sender|precedence|resent-|old-|mail-|delivery|received-|content-class)"
    rb"|t:(?!hidden|split)|m:|x:content-|x:mime-|h:(?i:mime|content|x-mime)|h:to|h:cc"
    rb"|x:(?:precedence|user-agent|x-mailer|x-mimeole)[ :]|d:"
)
_NUMBER = re.compile(r"[-_.]?[0-9]+$")


def labelled(folder: Path) -> Iterator[tuple[Path, bool, str]]:
    """The messages below a folder: file, whether it is spam, and the name of the collection it is from."""
    for path in sorted(folder.rglob("*")):
        kinds = [part for part in path.relative_to(folder).parts[:-1] if part in ("ham", "spam")]
        if kinds and path.is_file():
            yield path, kinds[-1] == "spam", source(path)


def source(path: str | Path) -> str:
    """The collection a file is from: what its name begins with, up to a number at its end."""
    return _NUMBER.sub("", Path(path).stem)


def learn(messages: Iterable[tuple[Iterable[bytes], bool, str]]) -> bytes:
    """The table's octets from tokens, label and collection of each message."""
    sizes: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    met: dict[bytes, Counter[tuple[bool, str]]] = defaultdict(Counter)
    for tokens, spam, source in messages:
        sizes[spam][source] += 1
        for token in tokens:
            if not PRIVATE.match(token):
                met[token][spam, source] += 1
    often = {token: counter for token, counter in met.items() if counter.total() >= LEAST}
    kept = sorted(often, key=lambda token: -often[token].total())[:MOST]
    return prior.build({token: (_rate(often[token], sizes, False), _rate(often[token], sizes, True)) for token in kept})


def _rate(met: Counter[tuple[bool, str]], sizes: dict[bool, Counter[str]], spam: bool) -> float:
    """The share of messages of one kind that a token was in, each collection counting alike."""
    sources = sizes[spam]
    return sum(met[spam, source] / size for source, size in sources.items()) / (len(sources) or 1)


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2 or not Path(arguments[0]).is_dir():
        print("usage: python -m daemon.trust.learn FOLDER [FILE]", file=sys.stderr)
        return 2
    out = Path(arguments[1]) if len(arguments) > 1 else prior.SHIPPED
    table = learn((tokenize(path.read_bytes()), spam, source) for path, spam, source in labelled(Path(arguments[0])))
    out.write_bytes(table)
    print(f"{out}: {prior.SLOTS - prior.load(out).checks.count(0)} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
