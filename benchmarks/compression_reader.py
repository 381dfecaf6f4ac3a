"""The small model reads: how likely it finds an answer given a context, and how hard each word is to guess.

Legend: B questions read together, P tokens of what their prompts share, S tokens of the rest, V vocabulary.
"""

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.compression.words import Word
from actors.messages import ChatPrompt
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer
from benchmarks.compression_cache import Cache

INSTRUCTION = "Answer the question with a few words."
TOGETHER = 8
"""Questions about one text that are read at once."""
EVERY = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """A context, or None where there is none, and the (question, answer) pairs to be read with it."""

    context: str | None
    asked: tuple[tuple[str, str], ...]


class Reader(Protocol):
    """What the measurement asks of a language model."""

    def losses(self, readings: Sequence[Reading]) -> list[list[float]]:
        """Nats of each answer, summed over its tokens, given its prompt."""
        ...

    def bits(self, texts: Sequence[str], words: Sequence[Sequence[Word]]) -> list[NDArray[np.float32]]:
        """Bits of each word of each text, summed over its tokens."""
        ...


class ModelReader:
    """The real model in float32, with its own chat template."""

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self._path = path
        self._tokenizer = ModelTokenizer(path)
        self._losses = Cache(cache / "losses.jsonl" if cache else None)
        self._bits = Cache(cache / "bits.jsonl" if cache else None)
        self._loaded: Any = None
        self._opening: tuple[list[int], Any] | None = None

    def losses(self, readings: Sequence[Reading]) -> list[list[float]]:
        """As Reader.losses; every answer is computed once."""
        keys = [
            f"{self._path.name}\0{INSTRUCTION}\0{one.context}\0{question}\0{answer}"
            for one in readings
            for question, answer in one.asked
        ]
        owners = [number for number, one in enumerate(readings) for _ in one.asked]
        firsts = {number: place for place, number in reversed(list(enumerate(owners)))}

        def compute(places: Sequence[int]) -> list[list[float]]:
            found: dict[int, float] = {}
            for number in dict.fromkeys(owners[place] for place in places):
                mine = [place for place in places if owners[place] == number]
                asked = [readings[number].asked[place - firsts[number]] for place in mine]
                found |= dict(zip(mine, self._read(readings[number].context, asked), strict=True))
            if places[0] // EVERY != places[-1] // EVERY:
                print(f"read {places[-1]} of {len(keys)} answers", file=sys.stderr, flush=True)
            return [[found[place]] for place in places]

        rows = [row[0] for row in self._losses.many(keys, compute, at_once=16)]
        ends = np.cumsum([len(one.asked) for one in readings])
        return [rows[end - len(one.asked) : end] for one, end in zip(readings, ends, strict=True)]

    def bits(self, texts: Sequence[str], words: Sequence[Sequence[Word]]) -> list[NDArray[np.float32]]:
        """As Reader.bits; every text is computed once."""

        def compute(places: Sequence[int]) -> list[list[float]]:
            return [self._word_bits(texts[place], words[place]).tolist() for place in places]

        keys = [f"{self._path.name}\0{text}" for text in texts]
        return [np.array(row, np.float32) for row in self._bits.many(keys, compute)]

    def _word_bits(self, text: str, words: Sequence[Word]) -> NDArray[np.float32]:
        import torch

        encoding = self._tokenizer.backend.encode(text, add_special_tokens=False)
        start = self._tokenizer.eos_id if self._tokenizer.eos_id is not None else 0
        ids = torch.tensor([[start, *encoding.ids]])
        with torch.inference_mode():
            logits_V = self._model(input_ids=ids[:, :-1]).logits[0].float().log_softmax(dim=-1)
        bits = -logits_V.gather(1, ids[0, 1:, None])[:, 0].numpy() / np.log(2)
        owners = _owners(encoding.offsets, words)
        inside = owners >= 0
        return np.bincount(owners[inside], bits[inside], minlength=len(words)).astype(np.float32)

    def _read(self, context: str | None, asked: Sequence[tuple[str, str]]) -> list[float]:
        """Nats of the answers to questions about one context, what their prompts share being read once."""
        import torch

        prompts = [self._prompt(context, question) for question, _ in asked]
        answers = [self._tokenizer.encode_plain(answer.strip()) for _, answer in asked]
        shared = _shared(prompts)
        with torch.inference_mode():
            prefix = self._begun(prompts[0][:shared])
            nats: list[float] = []
            for first in range(0, len(asked), TOGETHER):
                some = slice(first, first + TOGETHER)
                rests = [prompt[shared:] for prompt in prompts[some]]
                nats += self._continue(prefix, rests, answers[some])
        return nats

    def _begun(self, ids: Sequence[int]) -> Any:
        """Keys and values of a prompt's beginning; what stands before any context was read before."""
        import torch

        if self._opening is None:
            opening = self._prompt("A", "B")
            opening = opening[: _shared([opening, self._prompt("C", "D")])]
            self._opening = opening, self._body(torch.tensor([opening])).past_key_values
        opening, past = self._opening
        known = _shared([opening, ids])
        past = copy.deepcopy(past)
        past.crop(known - len(opening))
        return self._body(torch.tensor([ids[known:]]), past).past_key_values

    def _body(self, ids: Any, past: Any = None) -> Any:
        """The model without its head, which is needed for the answers' tokens alone."""
        return self._model.model(input_ids=ids, past_key_values=past, use_cache=True)

    def _continue(
        self, prefix: Any, rests: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
    ) -> list[float]:
        """Nats of each answer after the prefix and its own rest."""
        import torch

        rows = [[*rest, *answer[:-1]] for rest, answer in zip(rests, answers, strict=True)]
        longest = max(map(len, rows))
        ids_B_S = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        past = copy.deepcopy(prefix)
        past.batch_repeat_interleave(len(rows))
        hidden = self._body(ids_B_S, past).last_hidden_state
        nats = []
        for row, (rest, answer) in enumerate(zip(rests, answers, strict=True)):
            logits_V = self._model.lm_head(hidden[row, len(rest) - 1 : len(rest) - 1 + len(answer)])
            likely = logits_V.float().log_softmax(dim=-1).gather(1, torch.tensor(answer)[:, None])
            nats.append(-float(likely.sum()))
        return nats

    def _prompt(self, context: str | None, question: str) -> list[int]:
        given = f"{context}\n\n" if context is not None else ""
        content = f"{given}{INSTRUCTION}\nQuestion: {question}"
        return render_chat(self._tokenizer, ChatPrompt(messages=({"role": "user", "content": content},)))

    @property
    def _model(self) -> Any:
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM

            self._loaded = AutoModelForCausalLM.from_pretrained(
                str(self._path), dtype=torch.float32, local_files_only=True
            ).eval()
        return self._loaded


def _owners(offsets: Sequence[tuple[int, int]], words: Sequence[Word]) -> NDArray[np.int64]:
    """The word that each token's last character lies in; -1 for white space."""
    last = np.array([max(start, end - 1) for start, end in offsets], np.int64)
    starts = np.array([word.start for word in words], np.int64)
    ends = np.array([word.end for word in words], np.int64)
    owners = np.searchsorted(starts, last, side="right") - 1
    inside = (owners >= 0) & (last < ends[np.maximum(owners, 0)])
    return np.where(inside, owners, -1)


def _shared(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all begin with; at least one is left to each."""
    least = min(map(len, prompts)) - 1
    same = takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False))
    return max(1, min(least, sum(1 for _ in same)))
