"""Turns a GGUF file into an ordinary model directory: bfloat16 safetensors, tokenizer, chat template.

Knows one family, Llama-like models with byte-level BPE, and needs neither torch nor transformers for it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.messages import PalError

LAYER_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_PARTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL = 3
"""GGUF's token type of special tokens."""


def gguf_to_directory(gguf: Path, target: Path) -> None:
    """Unpack the weights of `gguf` and write model, tokenizer and settings into `target`.

    Raises PalError if the file is not of the family that this understands.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(gguf)
    except (ValueError, IndexError) as error:
        raise PalError(f"{gguf.name} is no readable GGUF file: {error}") from error
    fields = {name: field.contents() for name, field in reader.fields.items()}
    family = (fields.get("general.architecture"), fields.get("tokenizer.ggml.model"))
    if family != ("llama", "gpt2"):
        raise PalError(
            f"{gguf.name}: only Llama-like models with byte-level BPE can be unpacked, not {family}"
        )
    tensors = {hf_name(tensor.name): tensor for tensor in reader.tensors}
    config = model_config(fields, tied="lm_head.weight" not in tensors)
    write_weights(target / "model.safetensors", tensors, config)
    write_tokenizer(target, fields)
    special = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(target / "config.json", config)
    _write_json(target / "generation_config.json", special)


def hf_name(name: str) -> str:
    """The name that transformers gives a GGUF tensor. Raises PalError for one that Llama does not have."""
    layer = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if layer and layer[2] in LAYER_PARTS:
        return f"model.layers.{layer[1]}.{LAYER_PARTS[layer[2]]}.weight"
    top = name.removesuffix(".weight")
    if top not in TOP_PARTS:
        raise PalError(f"a Llama model has no tensor {name}")
    return f"{TOP_PARTS[top]}.weight"


def model_config(fields: Mapping[str, Any], tied: bool) -> dict[str, Any]:
    """The content of config.json."""
    heads = fields["llama.attention.head_count"]
    width = fields["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": width,
        "head_dim": fields.get("llama.rope.dimension_count", width // heads),
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": float(f"{fields['llama.attention.layer_norm_rms_epsilon']:.7g}"),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": fields.get("llama.rope.freq_base", 10000.0),
        },
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields.get("tokenizer.ggml.padding_token_id", fields["tokenizer.ggml.eos_token_id"]),
        "use_cache": True,
    }


def write_weights(path: Path, tensors: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write GGUF tensors as one bfloat16 safetensors file, unpacking one after the other."""
    from gguf.quants import dequantize

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        shape = [int(size) for size in reversed(tensors[name].shape)]
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in sorted(tensors):
            weights = dequantize(tensors[name].data, tensors[name].tensor_type)
            if "q_proj" in name:
                weights = halves_together(weights, config["num_attention_heads"])
            elif "k_proj" in name:
                weights = halves_together(weights, config["num_key_value_heads"])
            file.write(bfloat16_bits(weights).tobytes())


def halves_together(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of each head from GGUF's order, rotary pairs adjacent, to transformers', halves apart."""
    pairs = weights.reshape(heads, weights.shape[0] // heads // 2, 2, weights.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weights.shape)


def bfloat16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Each finite value's nearest bfloat16, ties to even, as its 16 bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_tokenizer(target: Path, fields: Mapping[str, Any]) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    words = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    single_digits = pre_tokenizers.Digits(individual_digits=True)
    pre = fields.get("tokenizer.ggml.pre")
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([single_digits, byte_level]) if pre == "smollm" else byte_level
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = zip(words, fields["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word, kind in types if kind == CONTROL]
    )
    tokenizer.save(str(target / "tokenizer.json"))
    named = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    settings: dict[str, Any] = {
        f"{name}_token": words[fields[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in named.items()
        if f"tokenizer.ggml.{key}_token_id" in fields
    }
    settings |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
    }
    _write_json(target / "tokenizer_config.json", settings)
    if template := fields.get("tokenizer.chat_template"):
        (target / "chat_template.jinja").write_text(template, encoding="utf-8")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
