"""The promises of a selection, on generated texts and on this repository's own."""

import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.compression.counting import ModelCounter, ScriptedCounter, TokenCounter
from actors.compression.protect import merged, protect
from actors.compression.selection import TOLERANCE, Floats, Selection, select
from actors.compression.words import Word, split

ROOT = Path(__file__).parents[3]
FACTS = (
    *("12.5 kg", "$1,200.50", "3 to 5 km", "-5 °C", "22 November 2026", "12:30 p.m. UTC", "1 200 000 people"),
    *(
        "snake_case_name",
        "camelCaseName",
        "os.path.join()",
        "BA117",
        "3f2a9bc01d",
        "--dry-run=yes",
        "@handle",
    ),
    *(
        "ann.b@example.com",
        "https://a.example/b?c=d#e",
        "src/main/app.py",
        "`x  = y`",
        '"we may  go"',
        "“so be it”",
    ),
    *("not allowed", "no longer works", "never been seen", "doesn't work", "without any warning"),
    *("\n| a | 1 |\n|---|---|\n| b | 2 |\n", "\n```py\nx  =  [1]\n\n  y\n```\n", "\n\n    make  install\n\n"),
    *("\nName    Age\nAnn      31\n", "\n1\t2\t3\n"),
)
LETTERS = "abcdefghijklmnoprstuvw"
PLAIN = st.text(LETTERS, min_size=1, max_size=11)
STRANGE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
GAPS = st.sampled_from([" ", " ", " ", " ", "\n", "\n\n", ", ", ". ", "  "])


def cases(number: int) -> settings:
    return settings(
        max_examples=number, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )


def scores_of(words: list[Word], text: str) -> Floats:
    """Made up, but the same for the same word."""
    return np.array([zlib.crc32(text[w.start : w.end].encode()) % 997 / 100 for w in words], np.float32)


def shortened(text: str, budget: float, counter: TokenCounter) -> Selection:
    words = split(text)
    return select(text, words, scores_of(words, text), merged(protect(text)), budget, counter)


def check(text: str, budget: float, counter: TokenCounter) -> int:
    """All that is promised of any text; returns how many protected places were found whole."""
    found = shortened(text, budget, counter)
    assert found.tokens_before == counter.count(text)
    assert found.tokens_after == counter.count(found.text)
    if found.tokens_before > 50 and not found.over_budget:
        off = abs(found.tokens_after / found.tokens_before - budget)
        assert off <= TOLERANCE, (off, found.tokens_before, found.tokens_after)
    spans = protect(text)
    for span in spans:
        assert text[span.start : span.end] in found.text, span
        assert any(start <= span.start and span.end <= end for start, end in found.kept), span
    if found.over_budget:
        assert found.mask.sum() <= sum(1 for word in split(text) if _touches(word, merged(spans)))
    place = 0
    for start, end in found.kept:
        place = found.text.index(text[start:end], place) + end - start
    return len(spans)


def _touches(word: Word, places: list[tuple[int, int]]) -> bool:
    return any(start < word.end and word.start < end for start, end in places)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Prose with facts in it: most places are far enough apart for a budget of a third."""
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        for word in draw(st.lists(PLAIN, min_size=20, max_size=60)):
            parts += [word, draw(GAPS)]
        parts += [draw(st.sampled_from(FACTS)), draw(GAPS)]
    return "".join(parts)


@cases(40)
@given(text=texts(), budget=st.floats(0.05, 0.99))
def test_budget_and_facts_hold_on_generated_prose(
    byte_counter: ModelCounter, text: str, budget: float
) -> None:
    check(text, budget, byte_counter)


@cases(25)
@given(text=texts(), budget=st.floats(0.05, 0.99))
def test_they_hold_with_a_tokenizer_of_another_kind(
    scripted_counter: ScriptedCounter, text: str, budget: float
) -> None:
    check(text, budget, scripted_counter)


@cases(60)
@given(parts=st.lists(STRANGE | PLAIN, min_size=5, max_size=40), gap=GAPS, budget=st.floats(0.05, 0.95))
def test_they_hold_on_strange_text(
    byte_counter: ModelCounter, parts: list[str], gap: str, budget: float
) -> None:
    check(gap.join(parts), budget, byte_counter)


def test_two_thousand_generated_facts_stay_whole(byte_counter: ModelCounter) -> None:
    whole = 0
    for seed in range(2000 // len(FACTS) + 1):
        chance = np.random.default_rng(seed)
        parts = []
        for fact in FACTS:
            parts += [" ".join("".join(chance.choice(list(LETTERS), 6)) for _ in range(12)), fact]
        whole += check(" ".join(parts), float(chance.choice([0.3, 0.5, 0.7])), byte_counter)
    assert whole >= 2000


@pytest.mark.parametrize("budget", [0.3, 0.5, 0.7])
def test_all_holds_on_this_repositorys_texts(byte_counter: ModelCounter, budget: float) -> None:
    files = [*sorted(ROOT.glob("docs/*.md"))[:3], ROOT / "README.md", *sorted(ROOT.glob("serve/*.py"))[:3]]
    whole = 0
    for file in files:
        text = file.read_text()
        for start in range(0, len(text), 3000):
            whole += check(text[start : start + 3000], budget, byte_counter)
    assert whole > 300


def test_words_stand_or_fall_whole_in_prose(byte_counter: ModelCounter) -> None:
    text = "The committee unanimously reconsidered extraordinary recommendations of the organisation. " * 10
    words = set(text.split())
    for budget in np.linspace(0.1, 0.9, 17):
        assert set(shortened(text, float(budget), byte_counter).text.split()) <= words


def test_one_word_is_cut_where_no_whole_words_fit(byte_counter: ModelCounter) -> None:
    text = "qzxjkwvqzxjkwvqzxjkw vjwkqxzvjwkqxzvjwkqx kqjxzvwkqjxzvwkqjxzv zzzqqqxxxjjjkkkwwwvv"
    assert byte_counter.count(text) > 50
    found = shortened(text, 0.37, byte_counter)
    assert abs(found.tokens_after / found.tokens_before - 0.37) <= TOLERANCE
    assert sum(word not in text.split() for word in found.text.split()) == 1


def test_lines_and_paragraphs_stay_apart(byte_counter: ModelCounter) -> None:
    text = (
        "\n".join(f"line{'abcdefgh'[i]} with several words" for i in range(8)) + "\n\n\nlast words of it all"
    )
    found = shortened(text, 0.8, byte_counter)
    lines = found.text.split("\n")
    assert Counter(lines)[""] == 1
    assert all(
        set(line.split()) <= set(other.split())
        for line, other in zip(lines[:8], text.split("\n"), strict=False)
    )


def test_what_is_protected_beats_the_budget(byte_counter: ModelCounter) -> None:
    text = "only 12.5 kg and 7 km and 3.25 m and 1999 and 2001 and 44 s were ever found there by us all " * 2
    found = shortened(text, 0.1, byte_counter)
    assert found.over_budget
    assert found.tokens_after > 0.12 * found.tokens_before
    assert "only" not in found.text


def test_a_budget_of_one_changes_nothing(byte_counter: ModelCounter) -> None:
    text = "  some   text\n\n\n with  space "
    assert shortened(text, 1, byte_counter).text == text


def test_space_alone_is_left_as_it_is(byte_counter: ModelCounter) -> None:
    assert shortened(" \n" * 100, 0.5, byte_counter).text == " \n" * 100


def test_the_same_text_gives_the_same_result(byte_counter: ModelCounter) -> None:
    text = (ROOT / "README.md").read_text()
    assert shortened(text, 0.5, byte_counter).text == shortened(text, 0.5, byte_counter).text
