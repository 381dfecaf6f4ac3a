import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from actors.compression.chunks import cut
from actors.compression.environment import REACH, ChunkEnvironment, Task, WordEnvironment
from actors.compression.reward import Weights


def task(choices: int = 1, **weights: float) -> Task:
    chunks = [
        *cut("a", "kind", "Anna lives in Paris near the river", [["Paris"], ["Anna"]]),
        *cut("b", "kind", "The price is 40 euros", [["40 euros"]]),
    ]
    bits = [np.ones(len(chunk.words), np.float32) for chunk in chunks]
    return Task(chunks, bits, Weights(**weights), choices=choices)


@pytest.mark.parametrize("environment", [ChunkEnvironment(task(3)), WordEnvironment(task())])
def test_it_is_a_proper_environment(environment: ChunkEnvironment) -> None:
    check_env(environment, skip_render_check=True, skip_close_check=True)


def test_one_step_shows_a_chunk_and_judges_every_choice() -> None:
    environment = ChunkEnvironment(task(2))
    environment.deal(0, 0.3)
    seen, _ = environment.reset(seed=1)
    assert seen["mask"].sum() == 7
    assert seen["budget"][0] == np.float32(0.3)
    action = np.zeros(environment.action_space.shape, np.int8)
    action[0, 3] = action[1, 0] = action[1, 3] = 1
    _, value, ended, cut_short, info = environment.step(action)
    assert (ended, cut_short) == (True, False)
    assert info["worth"].tolist() == [0.5, 1.0]
    assert value == info["utility"] == 0.75
    assert 0 < info["ratio"] < 0.5


def test_locked_words_are_kept_whatever_is_chosen() -> None:
    (chunk,) = cut("a", "kind", "The price is $1,200.50", [["$1,200.50"]], protected=True)
    environment = ChunkEnvironment(Task([chunk], [np.ones(4, np.float32)], choices=2))
    seen, _ = environment.reset(seed=1)
    assert seen["free"].tolist() == [1, 1, 1, 0]
    *_, info = environment.step(np.zeros(environment.action_space.shape, np.int8))
    assert info["worth"].tolist() == [1, 1]
    assert info["ratio"] > 0


def test_without_a_deal_chunks_and_budgets_are_drawn_by_the_seed() -> None:
    environment = ChunkEnvironment(task())
    budgets = [float(environment.reset(seed=seed)[0]["budget"][0]) for seed in (1, 2, 1)]
    assert budgets[0] == budgets[2] != budgets[1]
    assert all(0.2 <= budget <= 0.8 for budget in budgets)


def test_word_by_word_the_reward_comes_at_the_end_and_is_the_same() -> None:
    environment = WordEnvironment(task())
    environment.deal(1, 0.5)
    seen, _ = environment.reset(seed=1)
    keep = np.zeros((1, REACH), np.int8)
    keep[0, REACH // 2] = 1
    left = [float(seen["budget"][0])]
    for decided, action in enumerate([keep * 0, keep * 0, keep * 0, keep, keep]):
        assert seen["mask"][REACH // 2] == 1
        assert seen["rows"][REACH // 2].tolist() == environment.task.chunks[1].rows[decided].tolist()
        seen, value, ended, _, info = environment.step(action)
        left.append(float(seen["budget"][0]))
    assert ended
    assert value == info["utility"] == 1
    assert left[3] > left[0], "what was not spent is left for the rest"
