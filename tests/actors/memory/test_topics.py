"""The thesaurus."""

from actors.memory.topics import THESAURUS, topics_of
from actors.memory.words import words_of


def test_words_and_pairs_of_words_have_topics() -> None:
    assert topics_of(words_of("I get around in a Honda"))["car"] == 1
    assert "gym" in topics_of(words_of("Where do I work out?"))
    assert not topics_of(words_of("It is so."))


def test_a_word_of_several_topics_counts_the_less_for_each() -> None:
    found = topics_of(words_of("I take lessons"))
    assert len(found) > 1
    assert all(weight < 1 for weight in found.values())


def test_each_line_of_the_thesaurus_is_a_topic_with_entries_of_one_or_two_words() -> None:
    lines = [line.partition(":") for line in THESAURUS.read_text().splitlines()]
    assert len({topic for topic, _, _ in lines}) == len(lines)
    for _, colon, entries in lines:
        assert colon
        assert all(1 <= len(entry.split()) <= 2 for entry in entries.split(","))
