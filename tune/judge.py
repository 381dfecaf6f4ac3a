"""Reads long texts with a model: how well each token was foreseen, and whether facts in them are found again.

A text is read once; what is asked after so many tokens goes on from the keys and values of these alone.
Shapes: T tokens of a text, Q tokens that are asked, W width of the model.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from actors.learner import with_adapter
from actors.messages import InvalidRequest
from actors.models.manifest import NAME
from actors.models.rope import extend
from configs.training import LongContextTraining
from tune.checkpoints import Checkpoint
from tune.haystack import Asked, Haystack, asked, room

Tensor = torch.Tensor
CHUNK = 512
"""Tokens whose logits are held at once."""
QUESTIONS = 6
"""Facts that are asked for after so many tokens."""
CHOICES = 5
"""Answers that are compared: the right one and others that stand in the text."""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens of a text's own from position `begin` to `end`, and how many nats they cost."""

    begin: int
    end: int
    tokens: int
    nats: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for one fact."""

    length: int
    """Tokens of the whole, question and answer too."""
    depth: float
    """Where the fact stood, from 0 at the beginning to 1 at the question."""
    distance: int
    """Tokens from there to the question."""
    choices: int
    """Answers that were compared, each of which stood in the text."""
    rank: int
    """Place of the right one by likelihood, from 1."""
    exact: bool
    """Whether it is what the model writes, greedily."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One text as one model read it."""

    name: str
    spans: tuple[Span, ...]
    answers: tuple[Answer, ...]


def load(
    settings: LongContextTraining,
    path: Path,
    device: torch.device,
    *,
    adapter: Path | None = None,
    checkpoint: Checkpoint | None = None,
    extended: bool = True,
) -> Any:
    """A transformers model to read with: that of a directory, with what a training made of it.

    Its context is the adapter's own where there is one, else extended as the settings say, or not at all.
    Raises InvalidRequest for what is no model or no adapter of it.
    """
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    told = {}
    if adapter is not None and (adapter / NAME).is_file():
        told = json.loads((adapter / NAME).read_text(encoding="utf-8"))
    if "rope_parameters" in told:
        config.rope_parameters = told["rope_parameters"]
        config.max_position_embeddings = told["max_position_embeddings"]
    elif extended:
        extend(config, settings.rope, settings.farthest)
    model = AutoModelForCausalLM.from_pretrained(
        str(path),
        config=config,
        dtype=getattr(torch, settings.precision),
        attn_implementation="sdpa",
        local_files_only=True,
    )
    if adapter is not None:
        try:
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        except (ValueError, RuntimeError) as error:
            raise InvalidRequest(f"{adapter} is no adapter of {path.name}: {error}") from error
    elif checkpoint is not None:
        model = _restored(model, settings, checkpoint)
    return model.to(device).eval()


def _restored(model: Any, settings: LongContextTraining, checkpoint: Checkpoint) -> Any:
    """The model with the weights of a checkpoint."""
    if settings.method == "lora":
        model = with_adapter(model, settings)
    with checkpoint.reader() as read, torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.copy_(read(f"weight/{name}"))
    return model.merge_and_unload() if settings.method == "lora" else model


def read(model: Any, text: Haystack, bounds: Sequence[int], lengths: Sequence[int], seed: int = 0) -> Reading:
    """Read a text once: nats between `bounds`, and what it is asked after each of `lengths` tokens."""
    from transformers import DynamicCache

    cache = DynamicCache()
    with torch.inference_mode():
        tokens_T = torch.tensor(text.tokens, device=model.device)
        hidden_T_W = model.base_model(
            input_ids=tokens_T[None], past_key_values=cache, use_cache=True
        ).last_hidden_state[0]
        nats_T = _nats(model, hidden_T_W, tokens_T)
        del hidden_T_W
        answers: list[Answer] = []
        for length in sorted((one for one in lengths if one <= len(text.tokens)), reverse=True):
            end = length - room(text)
            _forget(cache, end)
            for one in asked(text, end, QUESTIONS, CHOICES, seed):
                answers.append(_ask(model, cache, one, length))
                _forget(cache, end)
    return Reading(text.name, tuple(_spans(text, nats_T, bounds)), tuple(answers))


def _forget(cache: Any, end: int) -> None:
    """Keep the keys and values of the first `end` tokens."""
    if cache.get_seq_length() > end:
        cache.crop(end - cache.get_seq_length())


def _nats(model: Any, hidden_T_W: Tensor, tokens_T: Tensor) -> list[float]:
    """What each token cost, given those before it; the first one nothing."""
    head, found = model.get_output_embeddings(), [0.0]
    pairs = zip(torch.split(hidden_T_W[:-1], CHUNK), torch.split(tokens_T[1:], CHUNK), strict=True)
    for hidden, targets in pairs:
        found += cross_entropy(head(hidden).float(), targets, reduction="none").tolist()
    return found


def _spans(text: Haystack, nats_T: Sequence[float], bounds: Sequence[int]) -> Iterator[Span]:
    """Of each two bounds, as far as the text goes."""
    for begin, end in pairwise(bounds):
        costs = [nats_T[at] for at in range(begin, min(end, len(nats_T))) if text.counted[at] and at]
        if costs:
            yield Span(begin, end, len(costs), math.fsum(costs))


def _ask(model: Any, cache: Any, one: Asked, length: int) -> Answer:
    """Ask for a fact, comparing all candidates in one call: each sees the question and itself alone."""
    known, question = cache.get_seq_length(), list(one.needle.question)
    tokens, positions = list(question), list(range(known, known + len(question)))
    owners = [0] * len(question)
    for number, candidate in enumerate(one.candidates, start=1):
        tokens += candidate[:-1]
        after = known + len(question)
        positions += range(after, after + len(candidate) - 1)
        owners += [number] * (len(candidate) - 1)
    owner_Q = torch.tensor(owners)
    sees_Q_Q = ((owner_Q[:, None] == owner_Q) | (owner_Q == 0)).tril()
    mask = torch.cat([torch.ones(len(tokens), known, dtype=torch.bool), sees_Q_Q], dim=1)
    hidden_Q_W = model.base_model(
        input_ids=torch.tensor([tokens], device=model.device),
        position_ids=torch.tensor([positions], device=model.device),
        attention_mask=mask[None, None].to(model.device),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[0]
    logits_Q_V = model.get_output_embeddings()(hidden_Q_W[len(question) - 1 :]).float().log_softmax(-1).cpu()
    scores, at = [], 1
    for candidate in one.candidates:
        rows_V = torch.cat([logits_Q_V[:1], logits_Q_V[at : at + len(candidate) - 1]])
        at += len(candidate) - 1
        wanted = torch.tensor(candidate)
        scores.append(float(rows_V.gather(1, wanted[:, None]).sum()))
        if len(scores) == 1:
            exact = bool((rows_V.argmax(-1) == wanted).all())
    return Answer(
        length=length,
        depth=round(one.needle.begin / known, 4),
        distance=known - one.needle.begin,
        choices=len(scores),
        rank=1 + sum(score > scores[0] for score in scores[1:]),
        exact=exact,
    )
