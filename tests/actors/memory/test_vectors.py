import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.keeper import Keeper
from actors.memory import vectors
from actors.memory.vectors import Matrices

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=30)


@given(SCORES, st.integers(1, 40))
def test_best_is_a_sort_cut_off(scores: list[float], limit: int) -> None:
    ids = np.arange(len(scores), dtype=np.int64) + 7
    expected = sorted(((i + 7, s) for i, s in enumerate(scores)), key=lambda pair: (-pair[1], pair[0]))[
        :limit
    ]
    assert vectors.best(ids, np.array(scores, dtype=np.float32), limit) == expected


async def test_a_matrix_follows_the_database(keeper: Keeper, add) -> None:
    matrices = Matrices(1 << 20)
    for text in ("one\ntwo", "one\nthree\nfour"):
        for name in ("a.txt", "b.txt"):
            await add(name, text)
            held = await keeper._workers.read(matrices.of, 1)
            assert await keeper._workers.read(matrices.of, 1) is held
            fresh = await keeper._workers.read(Matrices(1 << 20).of, 1)
            assert held.ids.tolist() == fresh.ids.tolist()
            assert np.array_equal(held.vectors, fresh.vectors)
            assert np.array_equal(held.files, fresh.files)


async def test_the_budget_keeps_whoever_asked_last(keeper: Keeper, add) -> None:
    await add("a.txt", "one", user="a")
    await add("a.txt", "one", user="b")
    matrices = Matrices(100)
    for user in (1, 2, 1):
        await keeper._workers.read(matrices.of, user)
        assert list(matrices._held) == [("passages", user)]


async def test_streamed_and_held_agree(keeper: Keeper, add, vectors_of, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "BLOCK", 7)
    await add("a.txt", "\n".join(f"line {number}" for number in range(40)))
    (query,) = vectors_of(1, 99)
    matrix = await keeper._workers.read(Matrices(1 << 20).of, 1)
    held = vectors.nearest(matrix, query, None, 5)
    streamed = await keeper._workers.read(vectors.nearest_streamed, 1, query, None, 5)
    assert [chunk for chunk, _ in streamed] == [chunk for chunk, _ in held]
    assert np.allclose([cosine for _, cosine in streamed], [cosine for _, cosine in held], atol=1e-6)
    assert vectors.nearest(matrix, query, [999], 5) == []


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_products_are_the_same_in_two_threads(rows: int, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "SPLIT_BYTES", 1)
    some = np.random.default_rng(0).standard_normal((rows, 5), dtype=np.float32)
    assert vectors.products(some, np.ones(5, np.float32)) == pytest.approx(some.sum(axis=1), abs=1e-5)
