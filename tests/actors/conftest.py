"""The tiny model's tokenizer."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tokenizer(tiny_tokenizer_dir: Path):  # type: ignore[no-untyped-def]
    from actors.models.tokenizer import ModelTokenizer

    return ModelTokenizer(tiny_tokenizer_dir)
