"""Parts of a message (RFC 5703): tests of their headers, and the loop over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from daemon.limits import LIMITS
from daemon.mail.decode import parameter_texts
from daemon.mail.header import content_type, disposition
from daemon.mail.message import Part
from daemon.sieve.run import Run
from daemon.sieve.subject import Head
from daemon.sieve.words import STRING, STRINGS, Call, Do, Flow, Option, command

HEADS = (Option("mime", needs="mime"), Option("anychild", needs="mime"))
FACETS = (
    Option("type", needs="mime", group="facet"),
    Option("subtype", needs="mime", group="facet"),
    Option("contenttype", needs="mime", group="facet"),
    Option("param", STRINGS, needs="mime", group="facet"),
)
_LOOP = (Option("name", STRING),)


def heads(call: Call) -> Callable[[Run], Sequence[Head]]:
    """Whose header a test looks at: the message's, or with `:mime` that of the part at hand, and those inside it."""
    if not call.has("mime"):
        if any(call.has(option.name) for option in (HEADS[1], *FACETS)):
            call.fault(":anychild, :type and their like need :mime")
        return lambda run: (run.subject.head,)
    children = call.has("anychild")

    def found(run: Run) -> Sequence[Head]:
        if run.part is None or run.looped is None:
            subject, part = run.subject, run.subject.message.root
        else:
            subject, part = run.looped, run.part
        parts = list(part.walk()) if children else [part]
        run.spend(len(parts))
        if part is subject.message.root:  # whose header may have changed since the loop began
            return [run.subject.head, *[subject.head_of(each) for each in parts[1:]]]
        return [subject.head_of(each) for each in parts]

    return found


def facet(call: Call) -> Callable[[str, bytes], Iterator[str]] | None:
    """What of a Content-Type or Content-Disposition is compared, by the field's name in lower case and its value; None:
    the whole field. Other fields have parameters alone (section 4.1)."""
    names = call.option_texts("param")
    if names is not None:
        wanted = names.constant
        if wanted is None:
            call.fault(":param takes constants")
        lower = [name.lower() for name in wanted]

        def parameters(_: str, value: bytes) -> Iterator[str]:
            known = parameter_texts(disposition(value)[1])
            yield from (known[name] for name in lower if name in known)

        return parameters
    name = call.one_of(("type", "subtype", "contenttype"), "")
    return {"type": _type, "subtype": _subtype, "contenttype": _whole}.get(name)


def _type(name: str, value: bytes) -> Iterator[str]:
    yield _words(name, value)[0]


def _subtype(name: str, value: bytes) -> Iterator[str]:
    yield _words(name, value)[1]


def _whole(name: str, value: bytes) -> Iterator[str]:
    yield "/".join(filter(None, _words(name, value)))


def _words(name: str, value: bytes) -> tuple[str, str]:
    """Type and subtype; of a Content-Disposition the disposition alone."""
    if name == "content-type":
        kind = content_type(value)
        return (kind[0], kind[1]) if kind else ("", "")
    return (disposition(value)[0] if name == "content-disposition" else ""), ""


@command("foreverypart", needs="foreverypart", options=_LOOP, block=True)
def foreverypart(call: Call) -> Do:
    label, block = call.label, call.block or ()

    def do(run: Run) -> Flow:
        outer, run.depth = run.part, run.depth + 1
        if run.looped is None:
            run.looped = run.subject
        if run.depth > LIMITS.sieve_loops:
            raise run.fault(f"loops over parts may be nested {LIMITS.sieve_loops} deep")
        flow: Flow = None
        try:
            for part in _inside(outer or run.looped.message.root, outer is None):
                run.spend(5 + len(run.patches) // 10)
                if run.over:
                    break
                if run.replaced(part):
                    continue
                run.part = part
                flow = run.block(block)
                if flow == "break" and run.leaving in ("", label):
                    flow = None
                    break
                if flow:
                    break
        finally:
            run.part, run.depth = outer, run.depth - 1
        if outer is None:
            run.rewrite()
            run.looped, run.over = None, False
        return flow

    return do


def _inside(part: Part, itself: bool) -> Iterator[Part]:
    """The parts of a loop: all of the message, or those inside the part of the loop around it."""
    walk = part.walk()
    if not itself:
        next(walk)
    return walk


@command("break", needs="foreverypart", options=_LOOP)
def break_(call: Call) -> Do:
    label = call.label
    if not call.script.loops:
        call.fault("break stands only in a loop over parts")
    if label and label not in call.script.loops:
        call.fault(f"there is no loop {label!r} around this break")

    def do(run: Run) -> Flow:
        run.leaving = label
        return "break"

    return do
