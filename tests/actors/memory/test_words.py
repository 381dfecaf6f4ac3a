import pytest

from actors.memory.words import look_up, normal, stem, tokens


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


@pytest.mark.parametrize("written", ["1902", "1960s", "May", "century", "Monday"])
def test_dates_are_told(written: str) -> None:
    assert look_up(written).date


@pytest.mark.parametrize("written", ["may", "march", "350", "12", "Ann"])
def test_other_words_are_no_dates(written: str) -> None:
    assert not look_up(written).date


def test_numbers_capitals_and_stop_words_are_told() -> None:
    assert look_up("twelve").number
    assert look_up("3rd").number
    assert not look_up("boat").number
    assert look_up("Ann").capital
    assert look_up("The").stop
    assert look_up("may").stop
    assert not look_up("May").stop


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


def test_a_code_of_letters_and_digits_is_one_word() -> None:
    assert tokens("Flight BA117, gate 4b2, the 20th, 1,000 in 3.5") == [
        *("flight", "ba117", "gate", "4b2", "the", "20th", "1000", "in", "3.5"),
    ]
