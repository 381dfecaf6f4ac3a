from typing import Any

import pytest
import torch

from actors.messages import InvalidRequest
from actors.models.rope import extend
from configs.training import RopeSettings


def config(**rope: object) -> Any:
    from transformers import LlamaConfig

    parameters = {"rope_type": "default", "rope_theta": 10000.0} | rope
    return LlamaConfig(
        hidden_size=32, num_attention_heads=4, max_position_embeddings=64, rope_parameters=parameters
    )


def frequencies(given: Any) -> torch.Tensor:
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    return LlamaRotaryEmbedding(given).inv_freq


def test_nothing_changes_for_lengths_that_the_model_knows() -> None:
    given = config()
    before = frequencies(given)
    assert extend(given, RopeSettings(method="yarn", factor=4), 64) == 1.0
    assert torch.equal(frequencies(given), before)


@pytest.mark.parametrize("method", ["linear", "ntk", "yarn"])
def test_longer_ones_turn_slower_and_the_config_says_so(method: str) -> None:
    given = config()
    before = frequencies(given)
    assert extend(given, RopeSettings(method=method), 256) == 4.0
    after = frequencies(given)
    assert float(after[-1]) == pytest.approx(float(before[-1]) / 4, rel=1e-5)
    assert float(after[0]) == pytest.approx(float(before[0]) / (4 if method == "linear" else 1), rel=1e-5)
    assert given.max_position_embeddings == 256


@pytest.mark.parametrize(
    ("rope", "extended", "said"),
    [
        (RopeSettings(), {}, "trained on 64 tokens"),
        (RopeSettings(method="yarn", factor=2), {}, "reaches 128"),
        (RopeSettings(method="ntk"), {"rope_type": "linear", "factor": 2.0}, "extended already"),
    ],
)
def test_what_would_be_out_of_its_depth_is_refused(
    rope: RopeSettings, extended: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        extend(config(**extended), rope, 256)
