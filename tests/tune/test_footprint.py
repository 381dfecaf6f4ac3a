import json
from pathlib import Path
from typing import Any

import pytest

from actors.messages import InvalidRequest
from configs.training import LongContextTraining
from tune.footprint import MIB, PROCESS, Model, footprint, read_model, total, trained

CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 512,
}
REAL = Model(576, 30, 576, 192, 1536, 49152, True, 8192)


def settings(**told: Any) -> LongContextTraining:
    plain = {"method": "full", "checkpointing": False, "loss_chunk": 0}
    return LongContextTraining.model_validate({**plain, **told})


def peak(length: int = 4096, model: Model = REAL, **told: Any) -> int:
    return total(footprint(model, settings(**told), length))


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_as_the_library_makes_them(tmp_path: Path, tied: bool) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "tie_word_embeddings": tied}))
    model = read_model(tmp_path)
    with torch.device("meta"):
        real = LlamaForCausalLM(LlamaConfig(**CONFIG, tie_word_embeddings=tied))
    assert model.parameters == sum(value.numel() for value in real.parameters())
    told = settings(method="lora", lora={"rank": 4, "targets": ["q_proj", "down_proj"]})
    adapted = get_peft_model(real, LoraConfig(r=4, target_modules=list(told.lora.targets)))
    learned = [value for value in adapted.parameters() if value.requires_grad]
    assert trained(model, told) == sum(value.numel() for value in learned)
    assert read_model(tmp_path / "config.json") == model


def test_measured_peaks_are_foretold() -> None:
    """Peaks of real steps in a process of their own, in MiB, as `pal bench plan` takes them."""
    small = Model(384, 4, 384, 128, 1024, 4096, True, 65536)
    assert total(footprint(small, settings(), 2048)) == pytest.approx(921 * MIB, rel=0.05)
    broad = Model(128, 2, 128, 128, 384, 49152, True, 65536)
    assert total(footprint(broad, settings(loss_chunk=256), 2048)) == pytest.approx(776 * MIB, rel=0.05)


def test_each_way_to_save_memory_saves_some() -> None:
    assert peak() > peak(loss_chunk=256) > peak(loss_chunk=256, checkpointing=True)
    thrifty = {"loss_chunk": 256, "checkpointing": True}
    assert peak(**thrifty) > peak(**thrifty, method="lora")
    assert peak(65536, **thrifty) > peak(65536, **thrifty, ranks=2, sequence_parallel=2)
    zero = [peak(8, **thrifty, ranks=8, batch=8, zero=stage) for stage in (1, 2, 3)]
    assert zero == sorted(zero, reverse=True)
    assert len(set(zero)) == 3
    assert peak(**thrifty, batch=2) > peak(**thrifty)
    assert peak(**thrifty, device="cuda", zero=2, offload="optimizer") < peak(
        **thrifty, device="cuda", zero=2
    )


def test_what_does_not_grow_with_the_length_is_named() -> None:
    parts = footprint(REAL, settings(checkpointing=True, loss_chunk=256), 16)
    assert parts["process"] == PROCESS["cpu"]
    assert parts["weights"] == 4 * REAL.parameters
    assert parts["optimizer"] == 8 * REAL.parameters
    halves = footprint(REAL, settings(precision="bfloat16"), 16)
    assert halves["weights"] == 2 * REAL.parameters
    assert halves["masters"] == 4 * REAL.parameters


@pytest.mark.parametrize("text", ["{", "{}", '{"hidden_size": 8, "num_attention_heads": 2}', "[]"])
def test_other_models_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidRequest, match=r"config\.json"):
        read_model(tmp_path)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_model(tmp_path / "none.json")
