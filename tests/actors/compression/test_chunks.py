import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.compression.chunks import bits_of, cut, estimate, frequencies, select
from actors.compression.features import WIDTH
from actors.compression.policy import CHUNK


def test_a_text_is_cut_and_a_question_belongs_where_its_answer_stands() -> None:
    text = " ".join(f"w{number}" for number in range(CHUNK + 10))
    first, second = cut("t", "kind", text, [["w3"], [f"w{CHUNK + 1}"], ["none"]])
    assert (len(first.words), len(second.words)) == (CHUNK, 10)
    assert first.rows.shape == (CHUNK, WIDTH)
    assert (first.places.questions, second.places.questions) == (1, 1)
    assert (first.places.start[0], second.places.start[0]) == (3, 1)


def test_what_is_protected_is_locked_and_kept_within_the_budget() -> None:
    text = "They paid $1,200.50 for it"
    (chunk,) = cut("t", "kind", text, [], protected=True)
    assert chunk.locked.tolist() == [False, False, True, False, False]
    assert not cut("t", "kind", text, [])[0].locked.any()
    scores, costs = np.array([5, 4, 0, 3, 2], np.float32), np.array([1, 1, 2, 1, 1])
    assert select(scores, costs, 0.5, chunk.locked).tolist() == [True, False, True, False, False]
    assert select(scores, costs, 0.1, chunk.locked).tolist() == chunk.locked.tolist()


def test_tokens_are_counted_by_what_is_given() -> None:
    (chunk,) = cut("t", "kind", "a considerably", [], count=len)
    assert chunk.costs.tolist() == [1, 12]
    assert estimate("a") == 1
    assert estimate("considerably") == 2


@given(
    st.lists(st.tuples(st.floats(-5, 5, width=32), st.integers(1, 9)), min_size=1, max_size=50),
    st.floats(0, 1),
)
def test_the_best_words_within_the_budget_are_taken(words: list[tuple[float, int]], budget: float) -> None:
    scores = np.array([score for score, _ in words], np.float32)
    costs = np.array([cost for _, cost in words], np.int64)
    kept = select(scores, costs, budget)
    assert costs[kept].sum() <= budget * costs.sum()
    if kept.any() and not kept.all():
        assert scores[kept].min() >= scores[~kept].max()


def test_rare_words_take_more_bits() -> None:
    chunks = cut("t", "kind", "the the The cat", [])
    table = frequencies(chunks)
    bits = bits_of(cut("u", "kind", "the cat dog", [])[0], table)
    assert bits[0] < bits[1] <= bits[2] == np.float32(table[""])
