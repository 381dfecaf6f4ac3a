"""Computes sentence vectors from texts: an ONNX model, or hashed words. Knows no queue."""

import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.messages import NotReady
from actors.models.store import ModelStore
from configs.schema import Settings

Vectors = NDArray[np.float32]
Tokens = list[int]

WINDOW = 256
"""Tokens of a text that are read; the model was trained on no more."""
THREADS = min(2, os.cpu_count() or 1)
"""That compute one batch, where two are free: a text is there a third sooner, and its vector is the same."""
HASH = "hash"
"""The embedder's name that stands for hashed words."""
HASH_DIMENSIONS = 384


class Encoder(Protocol):
    """Texts to tokens, and a batch of tokens to vectors. Called from threads."""

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The token ids of each text, uncut; at least one for each."""
        ...

    def vectors(self, batch: Sequence[Tokens]) -> Vectors:
        """Unit-length vectors, shape (len(batch), dimensions)."""
        ...


def load_encoder(settings: Settings) -> Encoder:
    """The encoder that `models.embedder` names. Raises NotFound, NotReady."""
    if settings.models.embedder == HASH:
        return HashEncoder()
    return OnnxEncoder(ModelStore(settings).resolve(settings.models.embedder))


class OnnxEncoder:
    """A BERT-like ONNX model with mean pooling over the mask.

    The model keeps its weights in 8 bits and computes in float32, so that a text's vector does not depend on
    what else is in the batch.
    """

    def __init__(self, directory: Path, threads: int = THREADS) -> None:
        """Raises NotReady if a file is missing. A thread that waits sleeps, and leaves its core to others."""
        import onnxruntime
        from tokenizers import Tokenizer

        for name in ("model.onnx", "tokenizer.json"):
            if not (directory / name).is_file():
                raise NotReady(f"{directory} is no embedding model: {name} is not in it")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.dynamic_block_base", "4")
        self._session = onnxruntime.InferenceSession(
            directory / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._tokenizer: Any = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Ids of each text with the model's first and last special token, uncut."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def vectors(self, batch: Sequence[Tokens]) -> Vectors:
        """Mean of the last hidden states over each text's first 256 tokens, unit length."""
        cut = [ids if len(ids) <= WINDOW else [*ids[: WINDOW - 1], ids[-1]] for ids in batch]
        ids_N_T = np.zeros((len(cut), max(map(len, cut))), np.int64)
        mask_N_T = np.zeros_like(ids_N_T)
        for row, ids in enumerate(cut):
            ids_N_T[row, : len(ids)] = ids
            mask_N_T[row, : len(ids)] = 1
        feed = {"input_ids": ids_N_T, "attention_mask": mask_N_T, "token_type_ids": np.zeros_like(ids_N_T)}
        given = {name: value for name, value in feed.items() if name in self._inputs}
        hidden_N_T_D = self._session.run(None, given)[0]
        summed_N_D = (hidden_N_T_D * mask_N_T[:, :, None]).sum(axis=1)
        return _unit(summed_N_D)


class HashEncoder:
    """Words hashed to signed dimensions: texts that share words are near each other. No model, no files."""

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """One id for each word, case folded; a text without words has the id 0."""
        return [[_hash(word) for word in re.findall(r"\w+", text.casefold())] or [0] for text in texts]

    def vectors(self, batch: Sequence[Tokens]) -> Vectors:
        """The sum of +-1 at each word's dimension, unit length."""
        summed_N_D = np.zeros((len(batch), HASH_DIMENSIONS), np.float32)
        for row, ids in enumerate(batch):
            for word in ids:
                summed_N_D[row, (word >> 1) % HASH_DIMENSIONS] += 1 if word & 1 else -1
            if not summed_N_D[row].any():
                summed_N_D[row, 0] = 1
        return _unit(summed_N_D)


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")


def _unit(vectors_N_D: NDArray[Any]) -> Vectors:
    norms_N_1 = np.linalg.norm(vectors_N_D, axis=1, keepdims=True)
    return np.asarray(vectors_N_D / norms_N_1, np.float32)
