"""What parts weigh, by headers alone."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from actors.messages import NotReady
from actors.models.parts import cache_bytes_per_token, tensor_files, weights_by_part


@pytest.mark.parametrize("itemsize", [2, 4])
def test_parts_add_up(tiny_model: Path, itemsize: int) -> None:
    weights = load_file(tiny_model / "model.safetensors")
    parts = weights_by_part(tiny_model, itemsize)
    assert not parts.tied
    assert parts.embedding == 320 * 48 * itemsize
    assert parts.head == (320 * 48 + 48) * itemsize
    assert len(parts.layers) == 3
    total = parts.embedding + sum(parts.layers) + parts.head
    assert total == sum(one.numel() for one in weights.values()) * itemsize
    assert set(tensor_files(tiny_model)) == set(weights)


def test_a_tied_head_weighs_as_much_as_the_embedding(tiny_model: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    (tmp_path / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes())
    parts = weights_by_part(tmp_path, 4)
    assert parts.tied
    assert parts.head == parts.embedding + 48 * 4


def test_cache_of_a_token(tiny_model: Path) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    assert cache_bytes_per_token(config, 2) == 2 * 2 * 8 * 2
    plain = {"num_attention_heads": 4, "hidden_size": 64, "num_key_value_heads": None, "head_dim": None}
    assert cache_bytes_per_token(plain, 4) == 2 * 4 * 16 * 4


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"no model\.safetensors"):
        weights_by_part(tmp_path, 4)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(NotReady, match="not a safetensors file"):
        weights_by_part(tmp_path, 4)
