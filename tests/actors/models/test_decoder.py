"""Layers of tiny random models against transformers' own forward pass."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from actors.messages import NotReady, Piece, Run, Span
from actors.models.decoder import Decoder
from actors.models.paged import Row, turn_
from actors.models.parts import cache_bytes_per_token, weights_by_part

CPU = torch.device("cpu")
SIZES = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "llama-biased": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama3-rope": ("Llama", {"rope_parameters": LLAMA3}),
    "yarn-rope": ("Llama", {"rope_parameters": YARN}),
    "qwen2": ("Qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": 20}),
}
SPLITS = ((3,), (1, 3), (1, 2, 3))
TOKENS = torch.randint(0, 320, (90,), generator=torch.Generator().manual_seed(1)).tolist()


def make(name: str, path: Path) -> Any:
    import transformers

    family, changes = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**(SIZES | changes))
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.5)
    model.save_pretrained(str(path))
    return model


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp(request.param)
    return path, make(request.param, path)


def reloaded(path: Path, dtype: torch.dtype = torch.float32) -> Any:
    """By transformers itself, which keeps its rotary frequencies in float32 where `.to` would not."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(path), dtype=dtype).eval()


def load(path: Path, ends: Sequence[int], dtype: torch.dtype = torch.float32) -> list[Decoder]:
    firsts = (0, *ends[:-1])
    return [
        Decoder(path, Span(first, end, 3), 256, CPU, dtype) for first, end in zip(firsts, ends, strict=True)
    ]


@torch.inference_mode()
def run(decoders: Sequence[Decoder], *pieces: Piece) -> torch.Tensor:
    """Logits of all rows."""
    row = Row(pieces, CPU)
    hidden = decoders[0].embed([token for piece in pieces for token in piece.tokens])
    for decoder in decoders:
        hidden = decoder(hidden, row)
    return decoders[-1].logits(hidden)


@torch.inference_mode()
def reference(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([list(tokens)])).logits[0].float()
    return logits


def first_places(runs: Sequence[Run], count: int) -> tuple[Run, ...]:
    kept = []
    for place, size in runs:
        kept.append((place, min(size, count)))
        count -= kept[-1][1]
        if not count:
            break
    return tuple(kept)


@pytest.mark.parametrize("ends", SPLITS)
def test_logits_are_those_of_transformers(model: tuple[Path, Any], ends: tuple[int, ...]) -> None:
    path, whole = model
    logits = run(load(path, ends), Piece(tokens=tuple(TOKENS), start=0, runs=((7, 90),)))
    assert torch.allclose(logits, reference(whole, TOKENS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("ends", SPLITS)
@pytest.mark.parametrize(
    "runs", [((5, 90),), ((100, 16), (0, 74)), tuple((16 * (9 - n), 16) for n in range(6))]
)
def test_in_chunks_beside_another_sequence(
    model: tuple[Path, Any], ends: tuple[int, ...], runs: tuple[Run, ...]
) -> None:
    path, whole = model
    decoders = load(path, ends)
    got, other, start = [], [], 0
    for size in (33, 20, 1, 1, 35):
        end = start + size
        logits = run(
            decoders,
            Piece(tokens=tuple(TOKENS[start : start + 1]), start=len(other), runs=((200, len(other) + 1),)),
            Piece(tokens=tuple(TOKENS[start:end]), start=start, runs=first_places(runs, end)),
        )
        other.append(TOKENS[start])
        assert torch.allclose(logits[0], reference(whole, other)[-1], atol=1e-4, rtol=0)
        got.append(logits[1:])
        start = end
    assert torch.allclose(torch.cat(got), reference(whole, TOKENS), atol=1e-4, rtol=0)


def test_shards_hold_their_own_part_only(model: tuple[Path, Any]) -> None:
    path, whole = model
    weights = sum(one.nbytes for one in whole.parameters())
    parts = weights_by_part(path, 4)
    for count, ends in enumerate(SPLITS, 1):
        held = [decoder.weight_bytes for decoder in load(path, ends)]
        assert len(held) == count
    slack = 2048  # the norms of heads, once for each head
    assert load(path, (3,))[0].weight_bytes <= weights + slack
    assert held[0] <= parts.embedding + parts.layers[0] + slack
    assert held[1] <= parts.layers[1] + slack
    assert held[2] <= parts.layers[2] + parts.head + slack


def test_cache_takes_what_is_planned(model: tuple[Path, Any]) -> None:
    path, _ = model
    config = json.loads((path / "config.json").read_text())
    decoder = load(path, (1, 3))[1]
    assert decoder.pool.bytes == 2 * 256 * cache_bytes_per_token(config, 4)


def test_narrow_embedding_stays_narrow(tmp_path: Path) -> None:
    whole = make("llama-tied", tmp_path).to(torch.bfloat16)
    whole.save_pretrained(str(tmp_path))
    (decoder,) = load(tmp_path, (3,))
    assert decoder.embedding is not None
    assert decoder.embedding.dtype == torch.bfloat16
    logits = run([decoder], Piece(tokens=tuple(TOKENS), start=0, runs=((0, 90),)))
    assert torch.allclose(logits, reference(reloaded(tmp_path), TOKENS), atol=1e-4, rtol=0)


def test_bfloat16_is_close(tmp_path: Path) -> None:
    make("qwen2", tmp_path)
    decoders = load(tmp_path, (1, 3), torch.bfloat16)
    logits = run(decoders, Piece(tokens=tuple(TOKENS), start=0, runs=((0, 90),)))
    expected = reference(reloaded(tmp_path, torch.bfloat16), TOKENS)
    assert (logits - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_shifted_keys_are_those_of_the_positions_moved_to(model: tuple[Path, Any]) -> None:
    (decoder,) = load(model[0], (3,))
    row = Row([Piece(tokens=tuple(TOKENS[:8]), start=20, runs=((0, 28),))], CPU)
    moved = Row([Piece(tokens=tuple(TOKENS[:8]), start=4, runs=((100, 12),))], CPU)
    keys = torch.randn(8, 2, decoder.shape.head_width)
    pool = decoder.pool.layers[0].both
    pool[0, :, 20:28] = turn_(keys.clone(), *decoder.rotary.at(row.positions, torch.float32)).transpose(0, 1)
    decoder.shift(((20, 5), (25, 3)), 16)
    expected = turn_(keys.clone(), *decoder.rotary.at(moved.positions, torch.float32)).transpose(0, 1)
    assert torch.allclose(pool[0, :, 20:28], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "runs llama"),
        ({"layer_types": ["full_attention", "chunked_attention", "full_attention"]}, "chunked_attention"),
        ({"quantization_config": {"quant_method": "gptq"}}, "plain weights"),
        ({"hidden_size": 32}, "shape"),
        ({"num_hidden_layers": 4}, "not this model's"),
    ],
)
def test_models_that_it_cannot_run(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    make("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(NotReady, match=message):
        load(tmp_path, (3,))


def test_missing_and_strange_tensors_are_told(tmp_path: Path) -> None:
    make("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    missing = {name: one for name, one in weights.items() if "layers.1.mlp.up" not in name}
    save_file(missing, tmp_path / "model.safetensors")
    load(tmp_path, (1,))
    with pytest.raises(NotReady, match=r"layers\.1\.mlp\.up_proj"):
        load(tmp_path, (1, 3))
    save_file(weights | {"model.layers.1.extra.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(NotReady, match=r"extra\.weight"):
        load(tmp_path, (1, 3))


def test_model_in_several_files(tmp_path: Path) -> None:
    whole = make("llama", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(NotReady, match=r"no model\.safetensors"):
        load(tmp_path, (3,))
    whole.save_pretrained(str(tmp_path), max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    logits = run(load(tmp_path, (1, 3)), Piece(tokens=tuple(TOKENS), start=0, runs=((0, 90),)))
    assert torch.allclose(logits, reference(whole, TOKENS), atol=1e-4, rtol=0)
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(NotReady, match="pull the model again"):
        load(tmp_path, (3,))


@pytest.mark.parametrize(("kind", "off"), [("int8", 0.05), ("int4", 0.8)])
def test_quantised_layers_are_close(tmp_path: Path, kind: Any, off: float) -> None:
    whole = make("llama", tmp_path)
    decoder = Decoder(tmp_path, Span(0, 3, 3), 256, CPU, torch.float32, kind)
    logits = run([decoder], Piece(tokens=tuple(TOKENS), start=0, runs=((0, 90),)))
    expected = reference(whole, TOKENS)
    assert (logits - expected).abs().mean() < off * expected.abs().mean()
    assert decoder.weight_bytes < 0.6 * sum(one.nbytes for one in whole.parameters())


@pytest.mark.model
def test_real_model_over_two_shards(model_dir: Path) -> None:
    whole = reloaded(model_dir)
    tokens = torch.randint(0, 49152, (600,), generator=torch.Generator().manual_seed(2)).tolist()
    decoders = [
        Decoder(model_dir, span, 1024, CPU, torch.float32) for span in (Span(0, 16, 30), Span(16, 30, 30))
    ]
    first = run(decoders, Piece(tokens=tuple(tokens[:512]), start=0, runs=((0, 512),)))
    rest = run(decoders, Piece(tokens=tuple(tokens[512:]), start=512, runs=((0, 512), (900, 88))))
    assert torch.allclose(torch.cat((first, rest)), reference(whole, tokens), atol=1e-3, rtol=0)
    weights = sum(one.nbytes for one in whole.parameters())
    assert all(decoder.weight_bytes <= 0.65 * weights for decoder in decoders)
    assert Decoder(model_dir, Span(0, 30, 30), 16, CPU, torch.float32).weight_bytes <= 1.15 * weights
