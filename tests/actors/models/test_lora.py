"""Adapters against peft, by rows of one step and merged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from actors.messages import InvalidRequest, NotFound, Piece, Span
from actors.models.decoder import Decoder
from actors.models.lora import Adapters
from actors.models.paged import Row

CPU = torch.device("cpu")
TOKENS = tuple(torch.randint(0, 320, (40,), generator=torch.Generator().manual_seed(1)).tolist())
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KINDS: dict[str, dict[str, Any]] = {
    "queries": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
    "everything": {"r": 8, "lora_alpha": 4, "target_modules": ALL, "use_rslora": True},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ALL,
        "rank_pattern": {"layers.1.self_attn.k_proj": 2, "down_proj": 6},
        "alpha_pattern": {"up_proj": 3},
        "layers_to_transform": [0, 1],
    },
}


@pytest.fixture(scope="module")
def adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """For each kind its directory and the logits that peft computes."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    made = {}
    for seed, (name, settings) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        whole = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
        adapted = get_peft_model(whole, LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_B" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.3)
        path = tmp_path_factory.mktemp(name)
        adapted.save_pretrained(str(path))
        with torch.inference_mode():
            made[name] = path, adapted(torch.tensor([TOKENS])).logits[0]
    return made


def load(path: Path, quantize: Any = "none") -> list[tuple[Decoder, Adapters]]:
    spans = (Span(0, 1, 3), Span(1, 3, 3))
    decoders = [Decoder(path, span, 256, CPU, torch.float32, quantize) for span in spans]
    return [(decoder, Adapters(decoder)) for decoder in decoders]


@torch.inference_mode()
def run(shards: list[tuple[Decoder, Adapters]], *adapters: str | None) -> list[torch.Tensor]:
    """Logits of the same tokens with each of these adapters, in one step."""
    pieces = [
        Piece(tokens=TOKENS, start=0, runs=((50 * n, 40),), adapter=name) for n, name in enumerate(adapters)
    ]
    row = Row(pieces, CPU)
    hidden = shards[0][0].embed([*TOKENS] * len(pieces))
    for decoder, held in shards:
        held.use(pieces)
        hidden = decoder(hidden, row)
    return list(shards[-1][0].logits(hidden).split(40))


def load_all(shards: list[tuple[Decoder, Adapters]], adapters: dict[str, tuple[Path, Any]]) -> None:
    for _, held in shards:
        for name, (path, _) in adapters.items():
            held.load(name, path)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, atol=2e-4, rtol=1e-4)


def test_different_adapters_in_one_step(tiny_model: Path, adapters: dict[str, tuple[Path, Any]]) -> None:
    shards = load(tiny_model)
    (plain,) = run(shards, None)
    load_all(shards, adapters)
    names = ["queries", None, "everything", "patterns", "queries"]
    for name, logits in zip(names, run(shards, *names), strict=True):
        assert close(logits, adapters[name][1] if name else plain)
    assert not close(plain, adapters["queries"][1])


def test_merging_and_taking_out_again(tiny_model: Path, adapters: dict[str, tuple[Path, Any]]) -> None:
    shards = load(tiny_model)
    (plain,) = run(shards, None)
    load_all(shards, adapters)
    for name in ("everything", "patterns"):
        for _, held in shards:
            held.merge(name)
        assert shards[0][1].merged == name
        assert close(run(shards, name)[0], adapters[name][1])
        with pytest.raises(InvalidRequest, match="merged"):
            run(shards, None)
    for _, held in shards:
        held.merge(None)
    assert torch.equal(run(shards, None)[0], plain)
    assert close(run(shards, "queries")[0], adapters["queries"][1])


def test_quantised_layers_compute_a_merged_adapter_beside_them(
    tmp_path: Path, adapters: dict[str, tuple[Path, Any]]
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3}
    whole = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2))
    whole.save_pretrained(str(tmp_path))
    get_peft_model(whole, LoraConfig(init_lora_weights=False, **KINDS["everything"])).save_pretrained(
        str(tmp_path / "adapter")
    )
    shards = load(tmp_path, "int8")
    for _, held in shards:
        held.load("a", tmp_path / "adapter")
    (beside,) = run(shards, "a")
    for _, held in shards:
        held.merge("a")
    assert torch.equal(run(shards, "a")[0], beside)


def test_unloading(tiny_model: Path, adapters: dict[str, tuple[Path, Any]]) -> None:
    shards = load(tiny_model)
    (plain,) = run(shards, None)
    load_all(shards, adapters)
    for _, held in shards:
        held.merge("queries")
        held.unload("queries")
        assert held.names == ("everything", "patterns")
        with pytest.raises(NotFound):
            held.unload("queries")
        with pytest.raises(NotFound):
            held.merge("queries")
    assert torch.equal(run(shards, None)[0], plain)
    with pytest.raises(NotFound):
        run(shards, "queries")


def test_a_name_gets_new_weights(tiny_model: Path, adapters: dict[str, tuple[Path, Any]]) -> None:
    shards = load(tiny_model)
    for path in (adapters["queries"][0], adapters["everything"][0]):
        for _, held in shards:
            held.load("a", path)
    assert close(run(shards, "a")[0], adapters["everything"][1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"r": 3}, "rank"),
    ],
)
def test_configs_that_are_refused(
    tiny_model: Path,
    adapters: dict[str, tuple[Path, Any]],
    tmp_path: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    source = adapters["queries"][0]
    config = json.loads((source / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | changes))
    (tmp_path / "adapter_model.safetensors").write_bytes((source / "adapter_model.safetensors").read_bytes())
    ((_, held), _) = load(tiny_model)
    with pytest.raises(InvalidRequest, match=message):
        held.load("a", tmp_path)
    assert held.names == ()


PREFIX = "base_model.model.model."


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (f"{PREFIX}layers.0.self_attn.q_proj.lora_A.weight", (4, 7), "shapes"),
        (f"{PREFIX}layers.0.self_attn.q_proj.lora_B.weight", (49, 4), "shapes"),
        (f"{PREFIX}layers.3.self_attn.q_proj.lora_A.weight", (4, 48), "layers.3"),
        (f"{PREFIX}layers.0.self_attn.w_proj.lora_A.weight", (4, 48), "w_proj"),
        (f"{PREFIX}embed_tokens.lora_embedding_A", (4, 320), "embed_tokens"),
        (f"{PREFIX}layers.0.mlp.up_proj.lora_A.weight", (4, 48), "incomplete"),
    ],
)
def test_weights_that_do_not_fit(
    tiny_model: Path,
    adapters: dict[str, tuple[Path, Any]],
    tmp_path: Path,
    name: str,
    shape: tuple[int, ...],
    message: str,
) -> None:
    source = adapters["queries"][0]
    (tmp_path / "adapter_config.json").write_bytes((source / "adapter_config.json").read_bytes())
    weights = load_file(source / "adapter_model.safetensors") | {name: torch.zeros(shape)}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    ((_, held), _) = load(tiny_model)
    with pytest.raises(InvalidRequest, match=message):
        held.load("a", tmp_path)


def test_what_is_no_adapter(tiny_model: Path, tmp_path: Path) -> None:
    ((_, held), _) = load(tiny_model)
    with pytest.raises(NotFound, match="no adapter_config"):
        held.load("a", tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        held.load("a", tmp_path)
