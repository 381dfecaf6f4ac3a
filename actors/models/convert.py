"""Turns a GGUF file into an ordinary model directory: bfloat16 safetensors, tokenizer, chat template."""

import json
from pathlib import Path
from typing import Any

from actors.messages import PalError


def gguf_to_directory(gguf: Path, target: Path) -> None:
    """Unpack the weights of `gguf` and write model, tokenizer and generation settings into `target`.

    Takes about 1 GiB of memory for a model of 135 million parameters. Raises PalError if the file is not one
    that can be unpacked.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    unpack = GgufConfig(dequantize=True, gguf_file=gguf.name)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=unpack, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError) as error:
        raise PalError(f"{gguf.name} cannot be unpacked: {error}") from error
    model = model.to(torch.bfloat16)
    model.save_pretrained(target)
    _save_tokenizer(gguf, target, model.config.max_position_embeddings)
    _edit(target / "config.json", drop=("_model_name_or_path",))
    _edit(
        target / "generation_config.json",
        drop=("_from_model_config", "output_attentions", "output_hidden_states"),
    )
    (target / "model.safetensors").chmod(0o644)


def _save_tokenizer(gguf: Path, target: Path, context: int) -> None:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.model_max_length = context
    if _pre_tokenizer(gguf) == "smollm":
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.save_pretrained(target)
    _edit(target / "tokenizer_config.json", drop=("is_local", "local_files_only"))


def _pre_tokenizer(gguf: Path) -> str | None:
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field else None


def _edit(path: Path, drop: tuple[str, ...]) -> None:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key in drop:
        content.pop(key, None)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
