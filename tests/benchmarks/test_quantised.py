import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import quantised


class Uniform:
    """A model to which all 50 tokens are equally likely; it notes how many it was given at once."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.given: list[int] = []

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        self.given.append(input_ids.shape[1])
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 50))


def test_perplexity_of_a_uniform_guess_is_the_size_of_the_vocabulary() -> None:
    model = Uniform()
    assert quantised.perplexity(model, list(range(45)), 20) == pytest.approx(50)
    assert model.given == [20, 20, 5]


def test_text_is_a_files_own_or_its_articles(tmp_path: Path) -> None:
    plain, questions = tmp_path / "a.txt", tmp_path / "a.json"
    plain.write_text("Plain.")
    entry = {"title": "T", "context": "Of articles.", "questions": []}
    questions.write_text(json.dumps([entry]))
    assert quantised._text(plain) == "Plain."
    assert "Of articles." in quantised._text(questions)


def test_an_arm_is_a_model_with_the_weights_that_it_names(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(str(tmp_path))
    layers = {
        arm: quantised.weight_bytes(quantised.make(arm, tmp_path, torch.device("cpu")).get_decoder().layers)
        for arm in quantised.ARMS
    }
    assert layers["int4"] < layers["int8"] < layers["bfloat16"] < layers["float32"]
