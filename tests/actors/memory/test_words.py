import pytest

from actors.memory.words import normal, stem, token_spans, tokens


def test_tokens_are_lower_case_without_possessives_and_grouping() -> None:
    assert tokens("Tesla’s 1,000 kWh in the 1990s, 3.5%") == [
        "tesla",
        "1000",
        "kwh",
        "in",
        "the",
        "1990",
        "3.5",
    ]


def test_token_spans_point_into_the_text() -> None:
    text = "Émile's 24–10 win"
    assert [text[start:end] for start, end, _ in token_spans(text)] == ["Émile's", "24", "10", "win"]


@pytest.mark.parametrize(
    "forms",
    [
        ("found", "founded", "founder", "founding"),
        ("run", "runs", "running"),
        ("city", "cities", "city's"),
        ("use", "using", "used", "uses"),
        ("create", "creating", "creation", "creator"),
        ("economy", "economic", "economics"),
        ("invent", "invention", "inventor"),
    ],
)
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(normal(form)) for form in forms}) == 1


@pytest.mark.parametrize("word", ["king", "red", "bus", "gas", "invent", "1990", "x", "bring"])
def test_short_words_are_left_alone(word: str) -> None:
    assert stem(word) == word
