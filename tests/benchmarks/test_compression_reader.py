from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.compression.words import split
from benchmarks.compression_reader import ModelReader, Reading

TEMPLATE = "{% for one in messages %}<|im_start|>{{ one['content'] }}<|im_end|>{% endfor %}<|im_start|>"
CONTEXT = "The keeper of the lighthouse was Ann Lee."
ASKED = (("Who kept it?", "Ann Lee"), ("What did she keep?", "the lighthouse"), ("Who?", "Ann"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with a byte-level tokenizer and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        [CONTEXT], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special)
    )
    path = tmp_path_factory.mktemp("tiny")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(str(path))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        initializer_range=0.4,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(str(path))
    return path


def alone(reader: Any, context: str | None, question: str, answer: str) -> float:
    """Nats of an answer by one plain forward pass."""
    import torch

    prompt = reader._prompt(context, question)
    wanted = reader._tokenizer.encode_plain(answer)
    with torch.inference_mode():
        logits = reader._model(input_ids=torch.tensor([[*prompt, *wanted]])).logits[0, len(prompt) - 1 : -1]
    likely = logits.log_softmax(dim=-1).gather(1, torch.tensor(wanted)[:, None])
    return -float(likely.sum())


def test_answers_read_together_are_as_likely_as_one_by_one(tiny: Path, tmp_path: Path) -> None:
    reader = ModelReader(tiny, tmp_path)
    readings = [Reading(CONTEXT, ASKED), Reading(None, ASKED[:1])]
    found = reader.losses(readings)
    expected = [[alone(reader, one.context, *pair) for pair in one.asked] for one in readings]
    assert [len(row) for row in found] == [3, 1]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=2e-3)
    again = ModelReader(tiny, tmp_path)
    assert again.losses(readings) == found
    assert again._loaded is None


def test_bits_of_words_are_those_of_their_tokens(tiny: Path) -> None:
    import torch

    reader = ModelReader(tiny)
    words = split(CONTEXT)
    (bits,) = reader.bits([CONTEXT], [words])
    tokens = [reader._tokenizer.eos_id, *reader._tokenizer.encode_plain(CONTEXT)]
    with torch.inference_mode():
        logits = reader._model(input_ids=torch.tensor([tokens[:-1]])).logits[0].log_softmax(dim=-1)
    whole = -float(logits.gather(1, torch.tensor(tokens[1:])[:, None]).sum()) / np.log(2)
    assert len(bits) == len(words)
    assert float(bits.sum()) == pytest.approx(whole, rel=1e-3)
