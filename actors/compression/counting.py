"""Counts a text's tokens as the served model does, and tells where each begins. Knows no words."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.engines.scripted import ScriptedTokenizer
from actors.messages import NotReady

Places = NDArray[np.int64]

_WIDTH = 4
"""Bytes of a remembered number."""
_MOST_KNOWN = 100_000
_LONGEST_KNOWN = 64
_BORDER = re.compile(r"(?<=\S)(?= \S)")
"""A single space between two words is where every piece but the first begins."""


class TokenCounter(Protocol):
    """Tokens of plain text: no template, and the names of control tokens are ordinary text."""

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        ...

    def starts(self, text: str) -> Places:
        """The character that each token begins at, in order, of all tokens."""
        ...


class ModelCounter:
    """The tokenizer of a model directory, without the library that runs the model.

    Where a single space always begins a token, tokens are remembered by the pieces between such spaces: most
    of a text's words were seen before, and need no tokenizing.
    """

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
        self._in_pieces = _begins_at_spaces(json.loads(file.read_text()))
        self._known: dict[str, bytes] = {}

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        if not self._in_pieces:
            return len(self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])
        return sum(map(len, self._of_pieces(_pieces(text)))) // _WIDTH

    def starts(self, text: str) -> Places:
        """The character that each token begins at."""
        if not self._in_pieces:
            offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
            return np.array([start for start, _ in offsets], np.int64)
        pieces = _pieces(text)
        found = self._of_pieces(pieces)
        ends = np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))
        counts = np.fromiter(map(len, found), np.int64, len(found)) // _WIDTH
        begins = np.concatenate(([0], ends[:-1])) if pieces else ends
        places: Places = np.repeat(begins, counts) + np.frombuffer(b"".join(found), np.uint32)
        return places

    def _of_pieces(self, pieces: Sequence[str]) -> list[bytes]:
        """Where the tokens of each piece begin in it, as bytes of 32-bit numbers."""
        known = self._known
        fresh = [piece for piece in dict.fromkeys(pieces) if piece not in known]
        if fresh:
            encoded = self._tokenizer.encode_batch(fresh, add_special_tokens=False)
            starts = ([start for start, _ in one.offsets] for one in encoded)
            made = {
                piece: np.array(row, np.uint32).tobytes() for piece, row in zip(fresh, starts, strict=True)
            }
            self._remember(made)
            known = {piece: known[piece] for piece in set(pieces) - made.keys()} | made
        return [known[piece] for piece in pieces]

    def _remember(self, made: Mapping[str, bytes]) -> None:
        """Keep the short ones; where there are too many, begin again."""
        if len(self._known) > _MOST_KNOWN:
            self._known = {}
        self._known.update({piece: row for piece, row in made.items() if len(piece) <= _LONGEST_KNOWN})


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


def _pieces(text: str) -> list[str]:
    return _BORDER.split(text) if text else []


def _begins_at_spaces(tokenizer: Mapping[str, Any]) -> bool:
    """Whether no token of this tokenizer.json's can reach over a single space between two words.

    So it is where text is cut by GPT-2's rule, or by one of its kind, and then merged within the cuts.
    """
    cutters = tokenizer.get("pre_tokenizer") or {}
    parts = cutters.get("pretokenizers", [cutters])
    changes = tokenizer.get("normalizer") or {"type": "NFC"}
    added = [token for token in tokenizer.get("added_tokens", []) if not token["special"]]
    return (
        tokenizer["model"].get("type") == "BPE"
        and changes["type"] == "NFC"
        and any(part.get("type") == "ByteLevel" for part in parts)
        and all(part["type"] in ("ByteLevel", "Digits") for part in parts)
        and not any(part.get("add_prefix_space") for part in parts)
        and all(part.get("use_regex", True) for part in parts if part["type"] == "ByteLevel")
        and not any(token["lstrip"] or token["rstrip"] or " " in token["content"] for token in added)
    )
