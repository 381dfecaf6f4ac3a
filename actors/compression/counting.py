"""Counts a text's tokens as the served model does, and tells where each begins. Knows no words."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.engines.scripted import ScriptedTokenizer
from actors.messages import NotReady

Places = NDArray[np.int64]


class TokenCounter(Protocol):
    """Tokens of plain text: no template, and the names of control tokens are ordinary text."""

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        ...

    def starts(self, text: str) -> Places:
        """The character that each token begins at, in order, of all tokens."""
        ...


class ModelCounter:
    """The tokenizer of a model directory, without the library that runs the model."""

    def __init__(self, directory: Path) -> None:
        """Raises NotReady if there is no tokenizer.json."""
        from tokenizers import Tokenizer

        file = directory / "tokenizer.json"
        if not file.is_file():
            raise NotReady(
                f"{directory} has no tokenizer.json; only models with a fast tokenizer can be served"
            )
        self._tokenizer: Any = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        return len(self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])

    def starts(self, text: str) -> Places:
        """The character that each token begins at."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return np.array([start for start, _ in offsets], np.int64)


class ScriptedCounter:
    """The tokenizer of the engine that plays a script."""

    def __init__(self) -> None:
        self._tokenizer = ScriptedTokenizer()

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        return len(self._tokenizer.encode_plain(text))

    def starts(self, text: str) -> Places:
        """The character that each token begins at, or that its first byte is part of."""
        lengths = [len(self._tokenizer.token_bytes(token)) for token in self._tokenizer.encode_plain(text)]
        first_bytes = np.cumsum([0, *lengths[:-1]]) if lengths else np.zeros(0, np.int64)
        codes = np.frombuffer(text.encode(), np.uint8)
        character_of_byte = np.cumsum((codes & 0xC0) != 0x80) - 1
        places: Places = character_of_byte[first_bytes].astype(np.int64)
        return places
