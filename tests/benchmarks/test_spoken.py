import numpy as np

from actors.memory.words import STOP_WORDS
from benchmarks.spoken import FACT_EVERY, LONGEST, SHORTEST, VOCABULARY, Speaker, vocabulary


def test_the_same_seed_says_the_same_and_another_something_else() -> None:
    one, again, other = (list(Speaker(seed).texts(60)) for seed in (1, 1, 2))
    assert one == again != other
    assert one[FACT_EVERY - 1].startswith(("I ", "My "))
    lengths = [len(text.split()) for number, text in enumerate(one) if number != FACT_EVERY - 1]
    assert SHORTEST <= min(lengths) <= max(lengths) <= LONGEST


def test_a_question_asks_for_words_that_are_looked_up() -> None:
    asked = Speaker(1).question().rstrip("?").split()[5:]
    assert len(asked) == 5
    assert not STOP_WORDS.intersection(asked)


def test_words_are_many_and_each_is_there_once() -> None:
    words = vocabulary()
    assert len(set(words)) == len(words) == VOCABULARY


def test_vectors_have_length_one() -> None:
    assert np.allclose(np.linalg.norm(Speaker(1).vectors(3, 8), axis=1), 1)
