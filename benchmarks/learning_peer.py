"""Plain supervised LoRA by peft and transformers, as their guides do it: what ours is held against.

Shapes: B exchanges of a step, T tokens.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from actors.messages import ChatPrompt
from actors.models.template import render_lessons
from actors.models.tokenizer import ModelTokenizer
from configs.learning import LearningSettings
from tune.examples import Example
from tune.export import sign

IGNORED = -100


def learn(
    settings: LearningSettings, path: Path, examples: Sequence[Example], steps: int, folder: Path
) -> float:
    """So many steps on exchanges, rank, targets and rate as ours, on all layers. Returns CPU seconds."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    began = time.process_time()
    torch.manual_seed(settings.seed)
    tokenizer = ModelTokenizer(path)
    base = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32, local_files_only=True)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(settings.targets),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=settings.rate)
    pairs = [_pair(tokenizer, one) for one in examples]
    draw = random.Random(settings.seed)
    waiting: list[tuple[list[int], list[int]]] = []
    for step in range(steps):
        while len(waiting) < settings.batch:
            waiting += draw.sample(pairs, len(pairs))
        batch, waiting = waiting[: settings.batch], waiting[settings.batch :]
        model(**_padded(batch)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 - step / steps)
        optimiser.step()
        optimiser.zero_grad()
    spent = time.process_time() - began
    model.save_pretrained(str(folder))
    sign(folder, path, "peft", scores={"steps": steps, "cpu_seconds": spent}, more={})
    return spent


def _pair(tokenizer: ModelTokenizer, example: Example) -> tuple[list[int], list[int]]:
    """Token ids, and those to learn."""
    taught = {len(example.messages) - 1}
    ((ids, learned),) = render_lessons(tokenizer, ChatPrompt(messages=example.messages), taught)
    return ids, [token if one else IGNORED for token, one in zip(ids, learned, strict=True)]


def _padded(batch: Sequence[tuple[list[int], list[int]]]) -> dict[str, Any]:
    longest = max(len(ids) for ids, _ in batch)
    spare = [longest - len(ids) for ids, _ in batch]
    return {
        "input_ids": torch.tensor([ids + [0] * more for (ids, _), more in zip(batch, spare, strict=True)]),
        "labels": torch.tensor(
            [labels + [IGNORED] * more for (_, labels), more in zip(batch, spare, strict=True)]
        ),
        "attention_mask": torch.tensor(
            [[1] * len(ids) + [0] * more for (ids, _), more in zip(batch, spare, strict=True)]
        ),
    }
