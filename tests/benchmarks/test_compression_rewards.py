from pathlib import Path

import numpy as np

from actors.compression.chunks import cut
from actors.compression.features import WIDTH
from actors.compression.policy import Policy
from benchmarks.compression_rewards import FIGURES, RULES, figures, rewarded, show


def test_rewards_differ_in_their_weights_alone() -> None:
    made = [rewarded(name, [Path("there")], None, 3) for name in RULES]
    assert len({one.reward for one in made}) == len(RULES)
    assert len({one.model_copy(update={"reward": made[0].reward}) for one in made}) == 1


def test_figures_of_a_policy_that_keeps_capitals(capsys: object) -> None:
    chunks = cut(
        "1", "text", "it was said that the 12 old men Brown met in town was the son of Ann", [("Ann",)]
    )
    rows = np.zeros((1, WIDTH + 1), np.float32)
    rows[0, 0] = 1
    nothing = np.zeros(1, np.float32)
    weights = {
        "encode.weight": rows,
        "encode.bias": nothing,
        "keep.weight": np.ones((1, 1), np.float32),
        "keep.bias": nothing - 0.5,
    }
    found = figures(Policy(weights), chunks)
    assert set(found) == set(FIGURES)
    assert found["answers_kept"] == found["names_kept"] == 1.0
    assert found["share_sampled"] < 0.3
    show({"utility only": found})
