"""Trains the reconstructor: a LoRA on the served model that writes a text from its kept words.

Legend: T tokens of one prompt and its text, A of the text alone, V vocabulary.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from actors.compression.reconstructor import prompt_of
from actors.compression.shortening import Shortener
from actors.engines.adapter import CONFIG, WEIGHTS
from actors.messages import InvalidRequest
from actors.models.manifest import read_manifest
from actors.models.tokenizer import ModelTokenizer
from configs.reconstruction import ReconstructorTraining
from tune.prepare import sha256
from tune.reconstruct_data import Lesson, batches, lesson, texts
from tune.records import MANIFEST, TEST, TRAIN

CHECKPOINT = "checkpoint.safetensors"
SETTINGS = "settings.json"
ADAPTER = "adapter"
Watch = Callable[[int, float], None]
"""Told each step's number and loss in nats a token."""
Scores = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """What a training wrote, and what it is worth on held-out documents."""

    adapter: Path
    steps: int
    resumed_at: int
    scores: Scores


def train(
    settings: ReconstructorTraining,
    model: Path,
    shortener: Shortener,
    folder: Path,
    *,
    resume: bool = False,
    watch: Watch | None = None,
) -> Reconstructed:
    """Train in a folder; with `resume`, go on after its checkpoint, to the very same weights.

    Raises InvalidRequest if the folder holds another training, or there is nothing to train on.
    """
    pool = texts(settings.data, TRAIN, settings.words)
    if not pool:
        raise InvalidRequest("there is nothing to train on: name directories of `pal data prepare` as data")
    _opened(settings, folder, resume)
    writer = Writer(settings, model)
    start = writer.restore(folder / CHECKPOINT) if resume else 0
    given = batches(
        len(pool), settings.batch, settings.lowest_budget, settings.highest_budget, settings.seed, start
    )
    for step in range(start, settings.steps):
        lessons = [lesson(shortener, pool[number], budget) for number, budget in next(given)]
        loss = writer.learn(lessons, step)
        if watch is not None:
            watch(step, loss)
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            writer.save(folder / CHECKPOINT, step + 1)
    scores = judge(settings, writer, shortener) if settings.held_out else {}
    export(settings, writer, folder / ADAPTER, scores)
    return Reconstructed(folder / ADAPTER, settings.steps, start, scores)


def judge(settings: ReconstructorTraining, writer: "Writer", shortener: Shortener) -> Scores:
    """Bits a word and token accuracy on held-out pieces: trained, untrained, and without any kept words."""
    pool = texts(settings.data, TEST, settings.words)
    apart = max(1, len(pool) // settings.held_out)
    lessons = [lesson(shortener, text, settings.judged_budget) for text in pool[::apart][: settings.held_out]]
    return {
        "trained": writer.judged(lessons),
        "untrained": writer.judged(lessons, trained=False),
        "no kept words": writer.judged([Lesson("", one.whole) for one in lessons], trained=False),
    }


class Writer:
    """The model with its adapter, and the optimiser's state."""

    def __init__(self, settings: ReconstructorTraining, model: Path) -> None:
        self._settings = settings
        self.path = model
        self._tokenizer = ModelTokenizer(model)
        torch.manual_seed(settings.seed)
        self._model = _adapted(settings, model)
        self._learned = {name: value for name, value in self._model.named_parameters() if value.requires_grad}
        self._optimiser = torch.optim.AdamW(self._learned.values(), lr=settings.rate, weight_decay=0.0)

    def learn(self, lessons: Sequence[Lesson], step: int) -> float:
        """One gradient step. Returns nats a token of the texts, before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.rate * pace(step, self._settings.steps)
        self._optimiser.zero_grad()
        tokens, nats = 0, 0.0
        pairs = [self._tokens(one) for one in lessons]
        total = sum(len(text) for _, text in pairs)
        for prompt, text in pairs:
            loss = cross_entropy(self._logits(prompt, text), torch.tensor(text), reduction="sum")
            (loss / total).backward()  # type: ignore[no-untyped-call]
            tokens, nats = tokens + len(text), nats + float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._learned.values(), 1.0)
        self._optimiser.step()
        return nats / tokens

    def judged(self, lessons: Sequence[Lesson], *, trained: bool = True) -> dict[str, float]:
        """Bits a word of the texts, and the share of their tokens that are the likeliest."""
        nats, right, tokens = 0.0, 0, 0
        with torch.inference_mode(), _switched(self._model, trained):
            for one in lessons:
                prompt, text = self._tokens(one)
                logits_A_V, wanted = self._logits(prompt, text), torch.tensor(text)
                nats += float(cross_entropy(logits_A_V, wanted, reduction="sum"))
                right += int((logits_A_V.argmax(dim=-1) == wanted).sum())
                tokens += len(text)
        words = sum(one.words for one in lessons)
        return {
            "bits_per_word": round(nats / math.log(2) / words, 4),
            "token_accuracy": round(right / tokens, 4),
            "words": words,
        }

    def save(self, path: Path, step: int) -> None:
        """Write weights and the optimiser's state after `step` steps; a crash leaves the last file whole."""
        from safetensors.torch import save_file

        tensors = {f"weight/{name}": value.detach() for name, value in self._learned.items()}
        for name, value in self._learned.items():
            held = self._optimiser.state[value]
            tensors |= {f"{key}/{name}": held[key] for key in ("exp_avg", "exp_avg_sq", "step")}
        written = path.with_suffix(".part")
        save_file(tensors, written, {"step": str(step)})
        written.replace(path)

    def restore(self, path: Path) -> int:
        """Take up what `save` wrote. Returns after how many steps; 0 where nothing was written."""
        from safetensors import safe_open

        if not path.exists():
            return 0
        with safe_open(path, framework="pt") as file, torch.no_grad():
            for name, value in self._learned.items():
                value.copy_(file.get_tensor(f"weight/{name}"))
                self._optimiser.state[value] = {
                    key: file.get_tensor(f"{key}/{name}") for key in ("exp_avg", "exp_avg_sq", "step")
                }
            return int(file.metadata()["step"])

    def export(self, folder: Path) -> None:
        """Write the adapter as PEFT does, its weights in bfloat16."""
        from safetensors.torch import load_file, save_file

        self._model.save_pretrained(str(folder))
        weights = load_file(folder / WEIGHTS)
        save_file({name: value.bfloat16() for name, value in weights.items()}, folder / WEIGHTS)
        (folder / "README.md").unlink(missing_ok=True)

    def _logits(self, prompt: Sequence[int], text: Sequence[int]) -> torch.Tensor:
        """What the model expects at each token of the text [A, V]."""
        inner = self._model.get_base_model()
        hidden = inner.model(input_ids=torch.tensor([[*prompt, *text[:-1]]])).last_hidden_state[0]
        logits: torch.Tensor = inner.lm_head(hidden[len(prompt) - 1 :])
        return logits.float()

    def _tokens(self, one: Lesson) -> tuple[list[int], list[int]]:
        """Prompt and text with its end; without kept words the prompt is the end of another text."""
        end = self._tokenizer.eos_id
        assert end is not None
        prompt = self._tokenizer.encode(prompt_of(one.kept), start=True) if one.kept else [end]
        return prompt, [*self._tokenizer.encode_plain(one.whole), end]


def pace(step: int, steps: int) -> float:
    """The learning rate's share at a step: up in a line, then down in a line to a tenth."""
    rising = max(1, steps // 10)
    return min(1.0, (step + 1) / rising) * (1 - 0.9 * step / steps)


def export(settings: ReconstructorTraining, writer: Writer, folder: Path, scores: Mapping[str, Any]) -> None:
    """Write the adapter directory with its manifest; what was there goes."""
    if folder.exists():
        shutil.rmtree(folder)
    writer.export(folder)
    base = read_manifest(writer.path)
    manifest: dict[str, Any] = {
        "version": f"reconstructor-{sha256(folder / WEIGHTS)[:12]}",
        "base_model": base.alias if base else writer.path.name,
        "base_model_hash": base.weights_sha256() if base else sha256(writer.path / "model.safetensors"),
        "parent": None,
        "created_at": time.time(),
        "method": "reconstructor",
        "events": [],
        "scores": dict(scores),
        "verdict": {},
        "settings": settings.model_dump(mode="json", exclude={"data"}),
        "data": {one.name: sha256(one / MANIFEST) for one in settings.data if (one / MANIFEST).is_file()},
        "files": {name: sha256(folder / name) for name in (CONFIG, WEIGHTS)},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _opened(settings: ReconstructorTraining, folder: Path, resume: bool) -> None:
    """Make the folder this training's. Raises InvalidRequest if it holds another, or one to go on with."""
    told = settings.model_dump(mode="json")
    path = folder / SETTINGS
    if path.exists() and not resume:
        raise InvalidRequest(f"{folder} holds a training already: go on with --resume, or give another --out")
    if path.exists() and json.loads(path.read_text()) != told:
        raise InvalidRequest(f"{folder} was begun with other settings: give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def _adapted(settings: ReconstructorTraining, model: Path) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32, local_files_only=True)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=4 * settings.rank,
        lora_dropout=0.0,
        target_modules=list(settings.modules),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _switched(model: Any, trained: bool) -> Any:
    """Within it, the model with its adapter or as it was."""
    from contextlib import nullcontext

    return nullcontext() if trained else model.disable_adapter()
