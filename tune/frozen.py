"""A causal model that stays as it is, its layers run over rows of lessons. Knows no adapter and no optimiser.

Shapes: T tokens of a row, W width of the model, N learned places, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from actors.engines.device import pick_dtype
from actors.messages import ChatPrompt
from actors.models.template import render_lessons
from actors.models.tokenizer import ModelTokenizer
from tune.changes import changes
from tune.examples import Example
from tune.rows import Lesson, Row

Tensor = torch.Tensor


def frozen(path: Path, below: Path | None = None, precision: str = "float32") -> Any:
    """The model of a directory, with an adapter taken as part of it; nothing of it learns.

    `precision` is that of the settings; what is added is added in float32.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        str(path), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    for value in model.parameters():
        value.requires_grad_(False)
    with torch.no_grad():
        for name, change_O_I in changes(below) if below else ():
            model.get_parameter(name).add_(change_O_I)
    return model.to(pick_dtype(precision, torch.device("cpu")))


def through(body: Any, layers: Sequence[Any], hidden_1_T_W: Tensor, part: Row) -> Tensor:
    """What some layers of a model's body make of a row, [1, T, W]."""
    positions = part.positions_T[None]
    angles = body.rotary_emb(hidden_1_T_W, position_ids=positions)
    mask = part.sees_T_T[None, None]
    for layer in layers:
        hidden_1_T_W = layer(
            hidden_1_T_W,
            attention_mask=mask,
            position_ids=positions,
            position_embeddings=angles,
            use_cache=False,
        )
    return hidden_1_T_W


def lesson_of(tokenizer: ModelTokenizer, example: Example, most: int | None = None) -> Lesson:
    """An exchange as tokens, its last message learned, or the first tokens of that."""
    taught = {len(example.messages) - 1}
    ((ids, learned),) = render_lessons(tokenizer, ChatPrompt(messages=example.messages), taught)
    places = [place for place, one in enumerate(learned) if one][:most]
    return Lesson(
        id=example.id,
        kind=example.kind,
        ids=tuple(ids[: places[-1] + 1]),
        learned=tuple(places),
        weight=example.weight,
    )
