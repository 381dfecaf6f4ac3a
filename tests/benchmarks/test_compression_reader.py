from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.compression.words import split
from benchmarks.compression_reader import ModelReader, Reading

CONTEXT = "The keeper of the lighthouse was Ann Lee."
ASKED = (("Who kept it?", "Ann Lee"), ("What did she keep?", "the lighthouse"), ("Who?", "Ann"))


def alone(reader: Any, context: str | None, question: str, answer: str) -> float:
    """Nats of an answer by one plain forward pass."""
    import torch

    prompt = reader._prompt(context, question)
    wanted = reader._tokenizer.encode_plain(answer)
    with torch.inference_mode():
        logits = reader._model(input_ids=torch.tensor([[*prompt, *wanted]])).logits[0, len(prompt) - 1 : -1]
    likely = logits.log_softmax(dim=-1).gather(1, torch.tensor(wanted)[:, None])
    return -float(likely.sum())


def test_answers_read_together_are_as_likely_as_one_by_one(tiny_model: Path, tmp_path: Path) -> None:
    reader = ModelReader(tiny_model, tmp_path)
    readings = [Reading(CONTEXT, ASKED), Reading(None, ASKED[:1])]
    found = reader.losses(readings)
    expected = [[alone(reader, one.context, *pair) for pair in one.asked] for one in readings]
    assert [len(row) for row in found] == [3, 1]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=2e-3)
    again = ModelReader(tiny_model, tmp_path)
    assert again.losses(readings) == found
    assert again._loaded is None


def test_bits_of_words_are_those_of_their_tokens(tiny_model: Path) -> None:
    import torch

    reader = ModelReader(tiny_model)
    text = "the cat sat on the mat"
    words = split(text)
    (bits,) = reader.bits([text], [words])
    tokens = [reader._tokenizer.eos_id, *reader._tokenizer.encode_plain(text)]
    with torch.inference_mode():
        logits = reader._model(input_ids=torch.tensor([tokens[:-1]])).logits[0].log_softmax(dim=-1)
    whole = -float(logits.gather(1, torch.tensor(tokens[1:])[:, None]).sum()) / np.log(2)
    assert len(bits) == len(words)
    assert float(bits.sum()) == pytest.approx(whole, rel=1e-3)
