"""Counters and generated texts that the tests of compression share."""

from pathlib import Path

import pytest

from actors.compression.counting import ModelCounter, ScriptedCounter


@pytest.fixture(scope="session")
def scripted_counter() -> ScriptedCounter:
    return ScriptedCounter()


@pytest.fixture(scope="session")
def byte_counter(tmp_path_factory: pytest.TempPathFactory) -> ModelCounter:
    """A byte-level tokenizer with some merges, as the served model's kind is."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    lines = [line for path in Path(__file__).parents[3].glob("docs/*.md") for line in path.open()]
    backend.train_from_iterator(lines, trainer)
    directory = tmp_path_factory.mktemp("bytes")
    backend.save(str(directory / "tokenizer.json"))
    return ModelCounter(directory)
