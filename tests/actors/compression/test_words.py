from hypothesis import given
from hypothesis import strategies as st

from actors.compression.words import LONGEST, LONGEST_IDEOGRAPHIC, Word, split


def texts_of(text: str) -> list[str]:
    return [text[word.start : word.end] for word in split(text)]


@given(st.text())
def test_every_character_that_is_no_space_belongs_to_exactly_one_word(text: str) -> None:
    words = split(text)
    covered = [at for word in words for at in range(word.start, word.end)]
    assert covered == [at for at, character in enumerate(text) if not character.isspace()]


def test_a_word_is_a_run_between_spaces() -> None:
    assert split("a  bc\n\td.") == [Word(0, 1), Word(3, 5), Word(7, 9)]


def test_a_very_long_run_is_cut() -> None:
    assert [len(part) for part in texts_of("x" * (2 * LONGEST + 1))] == [LONGEST, LONGEST, 1]


def test_a_script_without_spaces_is_cut() -> None:
    assert texts_of("東京都は日本 is") == ["東京", "都は", "日本", "is"]
    assert all(len(part) <= LONGEST_IDEOGRAPHIC for part in texts_of("日本語" * 50))


def test_nothing_has_no_words() -> None:
    assert split("") == split(" \n\t") == []
