"""Rules and an answer while away, written into a script and read back from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sieve import Facts, Sent, Subject, compile, simple
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Redirect, Vacation
from daemon.sieve.blocks import NotUnderstood
from daemon.sieve.simple import BadRule, Condition, Rule

LETTER = (
    b"From: Ann of the Shop <ann@shop.example>\r\nTo: me@example.org\r\nCc: x@example.net\r\n"
    b"List-Id: <news.shop.example>\r\nSubject: Your BILL ${1}\r\n\r\nPay it.\r\n"
)
DAY = 1_796_083_200_000  # 2026-12-01 00:00 UTC


def actions(script: str, now: int = DAY) -> tuple[Action, ...]:
    sent = Sent("ann@shop.example", "me@example.org")
    result = compile(script).run(Subject(LETTER, sent, Facts(now=now)))
    assert result.error is None, result.error
    return tuple([action._replace(line=0) if hasattr(action, "line") else action for action in result.actions])


def has(part: str, *values: str, how: str = "contains") -> Condition:
    return Condition(part, how, values)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (has("from", "the shop"), True),
        (has("from", "shop.example"), True),
        (has("from", "nn@shop.example"), True),
        (has("from", "ann@shop.example", how="is"), True),
        (has("from", "nn@shop.example", how="is"), False),
        (has("to", "x@example.net", how="is"), True),
        (has("to", "nobody", "example.net"), True),
        (has("subject", "bill"), True),
        (has("subject", "${1}"), True),
        (has("subject", "bill", how="is"), False),
        (has("list-id", "news."), True),
        (has("list-id", how="exists"), True),
        (has("x-spam", how="exists"), False),
        (Condition("size", "over", (), 100), True),
        (Condition("size", "under", (), 1 << 20), True),
        (Condition("size", "over", (), 3 << 30), False),
    ],
)
def test_a_condition_holds_or_not(condition: Condition, holds: bool) -> None:
    script = simple.with_rules("", [Rule((condition,), file="Shop")])
    assert actions(script) == ((FileInto("Shop", create=True),) if holds else (Keep(),))
    assert simple.rules(script) == (Rule((condition,), file="Shop"),)


@pytest.mark.parametrize(
    ("rule", "done"),
    [
        (Rule(file="A"), (FileInto("A", create=True),)),
        (Rule(flags=("\\Flagged", "\\Seen")), (Keep(0, ("\\Flagged", "\\Seen")),)),
        (Rule(flags=("work",), file="A"), (FileInto("A", 0, ("work",), create=True),)),
        (Rule(file="A", keep=True), (FileInto("A", create=True), Keep())),
        (Rule(forward=("b@example.net",)), (Redirect("b@example.net"), Keep())),
        (Rule(forward=("b@example.net",), discard=True), (Redirect("b@example.net"), Discard())),
        (Rule(discard=True), (Discard(),)),
        (Rule(stop=True), (Keep(),)),
    ],
)
def test_a_rule_does_what_it_says(rule: Rule, done: tuple[Action, ...]) -> None:
    assert actions(simple.with_rules("", [rule])) == done
    assert actions(simple.with_rules("", [rule, Rule(stop=True)])) == done


def test_all_conditions_hold_or_any_of_them_and_stop_ends_it() -> None:
    both = (has("subject", "bill"), has("from", "nobody"))
    assert actions(simple.with_rules("", [Rule(both, file="A")])) == (Keep(),)
    assert actions(simple.with_rules("", [Rule(both, True, file="A")])) == (FileInto("A", create=True),)
    twice = [Rule(both[:1], file="A", stop=True), Rule(file="B")]
    assert actions(simple.with_rules("", twice)) == (FileInto("A", create=True),)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule((has("subject", "x"),)), "does nothing"),
        (Rule(discard=True, file="A"), "either dropped or kept"),
        (Rule((has("subject", ""),), stop=True), "in subject is empty"),
        (Rule((has("subject"),), stop=True), "in subject is empty"),
        (Rule((has("subject", "x", how="like"),), stop=True), "no way to look"),
        (Rule(forward=("nobody",)), "no address"),
        (Rule(forward=tuple(f"a{n}@example.net" for n in range(5))), "4 addresses"),
        (Rule(flags=("two words",)), "no flag"),
        (Rule(file="a\rb"), "cannot be written"),
        (Rule(file="\udc80"), "cannot be written"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(rule: Rule, why: str) -> None:
    with pytest.raises(BadRule, match=why):
        simple.with_rules("", [rule])


# -- the answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "given_on"),
    [
        ("", "", [0, 1, 2, 3]),
        ("2026-12-02", "", [1, 2, 3]),
        ("", "2026-12-03", [0, 1, 2]),
        ("2026-12-02", "2026-12-03", [1, 2]),
    ],
)
def test_an_answer_is_given_on_its_days(first: str, last: str, given_on: list[int]) -> None:
    answer = simple.Vacation("I am away.\n\nMe", "Away", first, last, 3, ("me@old.example",))
    script = simple.with_vacation("", answer)
    assert simple.vacation(script) == answer
    for day in range(4):
        said = [each for each in actions(script, DAY + day * 86_400_000) if isinstance(each, Vacation)]
        assert bool(said) == (day in given_on)
        for one in said:
            assert (one.text, one.subject, one.seconds) == (answer.text, "Away", 3 * 86400)
            assert one.addresses == ("me@old.example",)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (simple.Vacation(" \n"), "no text"),
        (simple.Vacation("x", first="tomorrow"), "no day"),
        (simple.Vacation("x", first="2026-12-24", last="2026-12-23"), "before the first"),
        (simple.Vacation("x", days=0), "once a day"),
    ],
)
def test_what_cannot_be_an_answer_is_refused(answer: simple.Vacation, why: str) -> None:
    with pytest.raises(BadRule, match=why):
        simple.with_vacation("", answer)


# -- what the owner wrote ----------------------------------------------------------------------------------------------

OWN = (
    "",
    "keep;",
    "# mine\nif true {\n\tkeep;\n}\n",
    'require "fileinto"; fileinto "A";',
    'require ["fileinto"]; # mine\r\nrequire "variables";\r\n\r\nfileinto "A";\r\n',
    'require "body";',
    'require "vacation"; # not yet',
    'require "fileinto";\nfileinto text:\n# mailctl rules: begin\n.\n;\n/* # mailctl rules: begin */\n',
    'require "enotify";\nnotify "mailto:a@example.net?body=\n# mailctl vacation: begin\n";\n',
)
RULE, ANSWER = Rule((has("subject", "${x}"),), file='a"b\\${0}'), simple.Vacation('Away ${hex:41} "\\\n.\n# x')


@pytest.mark.parametrize("own", OWN)
def test_what_the_owner_wrote_stays_as_it_is(own: str) -> None:
    ruled = simple.with_rules(own, [RULE, RULE])
    both = simple.with_vacation(ruled, ANSWER)
    compile(both)
    assert simple.rules(both) == (RULE, RULE) and simple.vacation(both) == ANSWER
    assert both == simple.with_rules(simple.with_vacation(own, ANSWER), [RULE, RULE]), "in whatever order"
    assert both.index("mailctl vacation: begin (") < both.index("mailctl rules: begin (")
    assert simple.with_rules(both, simple.rules(both)) == both
    for bare in (simple.with_vacation(simple.with_rules(both, []), None), simple.with_rules(ruled, [])):
        assert bare in (own, own + "\n", own + "\r\n"), "one line end more at the very end may be"
    assert "\r" not in both or "\n" not in both.replace("\r\n", "")


def test_a_block_stays_where_its_owner_moved_it() -> None:
    head, block, end = simple.with_rules("keep;\n", [RULE]).partition("# mailctl rules: begin")
    block, mark, end = (block + end).partition("# mailctl rules: end\n")
    moved = f"{head}{end}if false {{\n# mailctl rules: begin{block}{mark}}}\n"
    assert simple.rules(moved) == (RULE,)
    changed = simple.with_rules(moved, [Rule(stop=True)])
    assert changed.startswith("keep;\nif false {\n# mailctl rules: begin") and simple.rules(changed) == (
        Rule(stop=True),
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ('"a', '"Bills', 0, ""),
        ("stop;", "", 3, "does nothing"),
        ("stop;", "stop; # mine", 7, "not in the form"),
        ("stop;", "ereject;", 7, "'ereject' is not in the form"),
        ("stop;", "stop", 8, "';' is missing"),
        ("if true", "if not true", 6, "'not' is not in the form"),
        ("if true", "IF true", 6, "not in the form"),
        ("}\n#", "}\n\n#", 9, "not in the form"),
        ("# mailctl rules: end", "# the end", 2, "has no `# mailctl rules: end`"),
        ("    stop;", "# mailctl rules: begin", 7, "stands where none is expected"),
        ("# mailctl rules: begin", "# rules", 9, "stands where none is expected"),
    ],
)
def test_a_block_that_was_changed_by_hand(old: str, new: str, line: int, why: str) -> None:
    script = simple.with_rules("keep;", [Rule((has("subject", "x"),), file="a"), Rule(stop=True)])
    changed = script.replace(old, new)
    assert changed != script
    if not why:
        assert simple.rules(changed)[0].file == "Bills"
        return
    with pytest.raises(NotUnderstood, match=why) as caught:
        simple.with_rules(changed, [])
    assert caught.value.line == line


def test_one_block_may_be_understood_while_the_other_is_not() -> None:
    script = simple.with_vacation(simple.with_rules("", [RULE]), ANSWER).replace(
        "fileinto :create", "fileinto  :create"
    )
    assert simple.vacation(script) == ANSWER
    less = simple.with_vacation(script, None)
    compile(less)
    with pytest.raises(NotUnderstood):
        simple.rules(less)
    for broken in ("addflag;", "vacation :days;", "if true { keep; }", 'vacation :days 0 "x";'):
        with pytest.raises(NotUnderstood):
            simple.vacation(f"# mailctl vacation: begin\n{broken}\n# mailctl vacation: end\n")


# -- any text ----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1) | st.lists(
    st.sampled_from(
        ('"', "\\", "${", "$", "{", "}", "x}", "hex:41}", "unicode:24}", "mailctl}", "\n", ".\n",
         "# mailctl rules: end\n", "/*", "*/", ";", "text:\n", '"; discard; #')
    ),
    min_size=1, max_size=8,
).map("".join)  # fmt: skip
CONTEXTS = st.sampled_from(
    ("", 'require "variables";\n', 'require "encoded-character";\n', 'require ["variables", "encoded-character"];\n')
)


@given(texts=st.lists(TEXT, min_size=1, max_size=3), box=TEXT, context=CONTEXTS)
def test_no_text_is_ever_more_than_a_text(texts: list[str], box: str, context: str) -> None:
    """Whatever is looked for or answered: it comes back, and the script files and answers exactly that."""
    rule = Rule((has("subject", *texts), has("from", "ann")), True, file=box)
    answer = simple.Vacation(f"x{box}", subject=texts[0])
    script = simple.with_vacation(simple.with_rules(context + "keep;\n", [rule]), answer)
    assert simple.rules(script) == (rule,) and simple.vacation(script) == answer
    found = {type(each): each for each in actions(script)}
    assert set(found) == {FileInto, Keep, Vacation}
    assert found[FileInto] == FileInto(box, create=True)
    said = found[Vacation]
    assert isinstance(said, Vacation) and said.text == answer.text
    assert said.subject == texts[0].replace("\n", " ")
