"""What a block finds is what is there: nothing is lost, and what is sure is so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.mail import words
from daemon.mail.words import MARK
from daemon.store.inverted import Half, Postings, reader

_PART = 50  # octets: numbers lie across parts
_ALPHABETS = (
    "ab ",
    "abcdefgh0123456789-_@./' ",
    "aäßıiİſkKﬁſt\u0301\u0308σςΣ ",  # marks, folding that changes length, ligatures, Turkish, Kelvin, final sigma
    "日本語のテスト한국말ก็กำ ,。",
    "אבגשלום مرحبا नमस्ते привет",
    "日a本b語1 ",
    "\ud800\x00\n\r\tab",
    "\x00\x08\x0e01ab ",  # controls that come before or behind the mark
)
_TEXT = st.sampled_from(_ALPHABETS).flatmap(lambda letters: st.text(letters, max_size=80))
_ANY = st.one_of(_TEXT, st.text(max_size=40))


def half(postings: Postings) -> Half:
    packed = postings.pack()
    parts = {at // _PART: packed.numbers[at : at + _PART] for at in range(0, len(packed.numbers), _PART)}
    return Half(packed.vocabulary, packed.marked, packed.steps, packed.offsets, reader(parts.__getitem__, _PART))


def of(texts: list[str]) -> Postings:
    postings = Postings()
    for number, text in enumerate(texts):
        postings.add(number, words.terms(text))
    return postings


def search(block: Half, sought: str, total: int) -> tuple[set[int], set[int]]:
    pieces = words.pieces(sought)
    if not pieces:
        return set(range(total)), set()
    return block.search(pieces, len(pieces) == 1 and pieces[0].text == sought, total)


@given(st.lists(_ANY, min_size=1, max_size=8), st.data())
def test_no_text_is_lost_that_contains_what_is_sought(texts: list[str], data: st.DataObject) -> None:
    texts = [text.lower() for text in texts]
    block = half(of(texts))
    text = data.draw(st.sampled_from(texts))
    start = data.draw(st.integers(0, len(text)))
    sought = text[start : data.draw(st.integers(start, len(text)))]
    maybe, sure = search(block, sought, len(texts))
    there = {number for number, text in enumerate(texts) if sought in text}
    assert there <= maybe
    assert sure <= there


@given(st.lists(_ANY, min_size=1, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_blocks_that_are_joined_are_as_if_made_at_once(texts: list[str], kept: list[bool]) -> None:
    texts = [text.lower() for text in texts]
    cut = len(texts) // 2
    living = [text for text, lives in zip(texts[:cut], kept, strict=False) if lives]
    numbers = iter(range(len(living)))
    joined = Postings()
    joined.add_half(half(of(texts[:cut])), [next(numbers) if lives else None for lives in kept[:cut]])
    joined.add_behind(of(texts[cut:]), len(living))
    assert joined.pack() == of(living + texts[cut:]).pack()


def test_many_texts_far_apart() -> None:
    postings = Postings()
    for number in range(4096):
        terms = {f"n{number}", "each"} | ({"rare"} if number % 1000 == 0 else set())
        postings.add(number, terms)
    block = half(postings)
    assert search(block, "rar", 4096)[1] == {0, 1000, 2000, 3000, 4000}
    assert search(block, "eac", 4096)[0] == set(range(4096))
    assert search(block, "n409", 4096)[1] == {409, *range(4090, 4096)}


def test_a_text_with_too_many_terms_is_a_candidate_always() -> None:
    postings = Postings()
    postings.add(0, {"plain"})
    postings.add(1, None)
    block = half(postings)
    assert search(block, "nowhere", 2) == ({1}, set())
    assert search(block, "plain", 2) == ({0, 1}, {0})
    assert MARK not in (words.terms("plain a1b2c3d4e5") or ())  # which no text can have itself


def test_an_empty_block_has_nothing() -> None:
    assert search(half(Postings()), "a", 0) == (set(), set())
