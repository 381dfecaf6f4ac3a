"""Reads many rows at once: how likely what stands there is, and what a model would write at each place.

What the layers below the first that an adapter changes make of a row is the same with and without it, so that
it is computed once and kept.

Shapes: B rows read together, T tokens, W width of the model, N places that are foretold, V vocabulary.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import DynamicCache

Tensor = torch.Tensor
Row = tuple[int, ...]
TOGETHER = 1024
"""Tokens that are read at once."""
PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Kinds of model whose layers take what the one below made, and nothing else."""
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Span:
    """A row of tokens, and the first of them that is foretold."""

    ids: Row
    first: int
    kept: bool = True
    """It will be read again: what the layers below make of it is worth keeping."""

    @property
    def places(self) -> range:
        """Of the tokens that are foretold, and of the one that would come next."""
        return range(self.first, len(self.ids) + 1)


@dataclass(slots=True)
class Part:
    """Rows of about one length that were read together."""

    numbers: list[int]
    """Of its rows, among all that are read."""
    logits_N_V: Tensor
    """At the places of one row after those of another."""
    tokens_B_T: Tensor
    start: int
    """Tokens before these, which all rows have."""
    cache: Any
    """Keys and values, of the layers above only where `below` is not yet computed."""
    below: bool


@dataclass(slots=True)
class Below:
    """What the layers below layer `first` make of rows, without what all rows begin with: [T, W] each."""

    first: int
    made: dict[Row, Tensor] = field(default_factory=dict)


class Reader:
    """A model as it stands: whoever changes its weights makes a new one."""

    def __init__(self, model: Any, prefix: Sequence[int] = (), below: Below | None = None) -> None:
        """`prefix` is what many of the rows will begin with."""
        self._model, self._prefix = model, tuple(prefix)
        self._below = below if below and below.first and model.config.model_type in PLAIN else None
        self._begun: Any = None
        if prefix:
            with torch.inference_mode():
                out = model(torch.tensor([self._prefix]), past_key_values=DynamicCache(), logits_to_keep=1)
            self._begun = out.past_key_values

    def nats(self, spans: Sequence[Span]) -> list[float]:
        """How unlikely all that is foretold is, by row."""
        found = [0.0 for _ in spans]
        for part in self.read(spans):
            logits_N_V, at = part.logits_N_V.float(), 0
            whole_N = logits_N_V.logsumexp(-1)
            for number in part.numbers:
                foretold = torch.tensor(spans[number].ids[spans[number].first :])
                here = slice(at, at + len(foretold))
                told_N = logits_N_V[here].gather(-1, foretold[:, None])[:, 0]
                found[number] = float((whole_N[here] - told_N).sum())
                at += len(foretold) + 1
        return found

    def read(self, spans: Sequence[Span]) -> Iterator[Part]:
        """All rows, those of about one length together."""
        by_kind: dict[tuple[bool, bool], list[int]] = {}
        for number, one in enumerate(spans):
            goes_on = bool(self._prefix) and self._goes_on(one)
            known = self._below is not None and one.ids in self._below.made
            by_kind.setdefault((goes_on, known), []).append(number)
        with torch.inference_mode():
            for (goes_on, known), numbers in by_kind.items():
                numbers.sort(key=lambda number: len(spans[number].ids))
                while numbers:
                    start = len(self._prefix) if goes_on else 0
                    count = _fitting([len(spans[number].ids) - start for number in numbers])
                    group, numbers = numbers[:count], numbers[count:]
                    yield self._part(group, [spans[number] for number in group], start, known=known)

    def caught_up(self, part: Part, rows: Sequence[int], width: int) -> Any:
        """Keys and values of some rows of a part, in all layers, of so many tokens."""
        cache, at = part.cache, torch.tensor(rows)
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[at, :, :width], layer.values[at, :, :width]
        if part.below and self._below is not None:
            body = self._model.get_decoder()
            with torch.inference_mode(), _silent(body.layers[self._below.first :]):
                body(part.tokens_B_T[at, : width - part.start], past_key_values=cache)
        return cache

    def _goes_on(self, one: Span) -> bool:
        size = len(self._prefix)
        return one.first > size and one.ids[:size] == self._prefix

    def _part(self, numbers: list[int], spans: Sequence[Span], start: int, *, known: bool) -> Part:
        cache = copy.deepcopy(self._begun) if start else DynamicCache()
        if start:
            cache.batch_repeat_interleave(len(spans))
        tokens_B_T = _padded([torch.tensor(one.ids[start:]) for one in spans])
        rows = [row for row, one in enumerate(spans) for _ in one.places]
        places = [place - start - 1 for one in spans for place in one.places]
        with self._only(rows, places):
            out = self._forward(spans, tokens_B_T, start, cache, known=known)
        return Part(numbers, out.logits, tokens_B_T, start, cache, known)

    def _forward(
        self, spans: Sequence[Span], tokens_B_T: Tensor, start: int, cache: Any, *, known: bool
    ) -> Any:
        if self._below is None:
            return self._model(tokens_B_T, past_key_values=cache)
        layers, made = self._model.get_decoder().layers, self._below.made
        if known:
            hidden_B_T_W = _padded([made[one.ids] for one in spans])
            with _silent(layers[: self._below.first]):
                return self._model(inputs_embeds=hidden_B_T_W, past_key_values=cache)
        seen: list[Tensor] = []
        hook = layers[self._below.first].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            out = self._model(tokens_B_T, past_key_values=cache)
        finally:
            hook.remove()
        for one, hidden_T_W in zip(spans, seen[0], strict=True):
            if one.kept:
                made[one.ids] = hidden_T_W[: len(one.ids) - start].clone()
        return out

    @contextmanager
    def _only(self, rows: Sequence[int], places: Sequence[int]) -> Iterator[None]:
        """Logits of these places alone."""
        head = self._model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, given: (given[0][rows, places],))
        try:
            yield
        finally:
            hook.remove()


def first_changed(names: Iterable[str]) -> int:
    """The lowest layer that holds one of these weights; 0 where one is in none."""
    found = [_LAYER.search(name) for name in names]
    return min((int(one[1]) if one else 0 for one in found), default=0)


def _fitting(lengths: Sequence[int]) -> int:
    """How many of these rows, shortest first, are read at once: one at least."""
    count = 1
    while count < len(lengths) and (count + 1) * lengths[count] <= TOGETHER:
        count += 1
    return count


def _padded(rows: list[Tensor]) -> Tensor:
    """Rows of one length: what is added stands behind, where nothing sees it."""
    return pad_sequence(rows, batch_first=True)


@contextmanager
def _silent(layers: Iterable[Any]) -> Iterator[None]:
    """Layers that hand on what they are given."""
    silenced = list(layers)
    for layer in silenced:
        layer.forward = _handed_on
    try:
        yield
    finally:
        for layer in silenced:
            del layer.forward


def _handed_on(hidden: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden
