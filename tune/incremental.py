"""Learns facts into a LoRA adapter and holds the rest of the model where it was. Knows no round and no gate.

Shapes: T tokens of a row, W width of the model, N learned places, K likeliest tokens, V vocabulary.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from actors.learner import SCHEDULES, check_finite
from actors.messages import ChatPrompt, InvalidRequest, PalError
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer, end_ids
from configs.learning import LearningSettings
from tune.answers import replies
from tune.changes import stack
from tune.examples import Example, Kind
from tune.export import sign
from tune.frozen import frozen, lesson_of, through
from tune.phrases import OPENERS
from tune.preferences import Compared, Comparison, apart, comparison, texts, units
from tune.rows import Lesson, Row, row, rows, take_prefix

Tensor = torch.Tensor
TAUGHT = frozenset({"fact", "implication", "chat", "correction", "document", "replay"})
EXCHANGED = frozenset({"chat", "correction"})
COMPARED: Kind = "compared"


@dataclass(slots=True)
class Figures:
    """What one round cost and came to."""

    steps: int = 0
    epochs: int = 0
    tokens: int = 0
    loss: float = math.inf
    held_neighbours: float = 0.0
    held_general: float = 0.0
    comparisons: int = 0
    """Answers to one conversation that were compared, learned from or kept for asking."""
    compared: float = 0.0
    """Share of the loss of comparisons that is left."""
    ordered_before: float = 0.0
    ordered_after: float = 0.0
    """Share of the compared answers, of those kept for asking, of which the better one is the likelier."""
    prepare_seconds: float = 0.0
    cpu_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @property
    def ordered(self) -> dict[str, float]:
        """How compared answers are ordered, before and after; nothing where none were."""
        told = {"ordered_before": self.ordered_before, "ordered_after": self.ordered_after}
        return told if self.comparisons else {}


class Student:
    """A model with an adapter that learns. Used from one thread."""

    def __init__(
        self,
        settings: LearningSettings,
        path: Path,
        adapter: Path | None = None,
        below: Path | None = None,
    ) -> None:
        """Load the model, and an adapter to go on from, or one to take as part of the model.

        Raises InvalidRequest where they do not fit.
        """
        self.settings = settings
        self.path = path
        self.tokenizer = ModelTokenizer(path)
        self.ends = frozenset(end_ids(path, self.tokenizer))
        torch.manual_seed(settings.seed)
        self.below = below
        self.model = _adapted(settings, path, adapter, below)
        causal = self.model.get_base_model()
        self.layers = causal.model.layers
        self.first = int(settings.depth * len(self.layers))
        self.body, self.head = causal.model, causal.get_output_embeddings()
        self.trained = [value for value in self.model.parameters() if value.requires_grad]

    def learn(
        self,
        examples: Sequence[Example],
        told: Callable[[str], None] = lambda _: None,
        compared: Sequence[Compared] = (),
        watch: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> Figures:
        """One round; `watch` hears of each step.

        Raises PalError for a loss or a gradient that is not finite or explodes.
        """
        if not compared and not any(one.kind in TAUGHT for one in examples):
            raise InvalidRequest("there is nothing to teach", code="nothing_to_learn")
        figures, began = Figures(), time.process_time()
        lessons = self.prepare(examples, compared)
        figures.comparisons = len(compared)
        learned, asked = apart(self.comparisons, self.settings.preference_unseen)
        figures.ordered_before = _mean(
            one.ordered([_nats(answer) for answer in one.answers]) for one in asked
        )
        figures.prepare_seconds = time.process_time() - began
        told(f"{len(lessons)} lessons prepared in {figures.prepare_seconds:.0f} CPU-s")
        _Round(self, lessons, learned, figures, began, told, watch).run()
        figures.ordered_after = self._ordered(asked)
        figures.cpu_seconds = time.process_time() - began
        return figures

    def export(self, folder: Path, events: Sequence[str], parent: str | None, figures: Figures) -> None:
        """Write the adapter as PEFT lays it out, with a manifest; `folder` is new or empty."""
        self.model.save_pretrained(str(folder))
        if self.below is not None:
            stack(self.below, folder)
        scores = {"loss": figures.loss, "steps": figures.steps, "cpu_seconds": figures.cpu_seconds}
        scores |= figures.ordered
        sign(
            folder,
            self.path,
            "incremental",
            events=events,
            parent=parent,
            scores=scores,
            more={"settings": self.settings.model_dump(mode="json")},
        )

    def prepare(self, examples: Sequence[Example], compared: Sequence[Compared] = ()) -> list[Lesson]:
        """Examples as tokens, with the model's own answers and what the layers below make of them.

        Answers that are compared are among them, and together in `comparisons`.
        """
        with self.model.disable_adapter():
            whole = self._answered(examples)
            lessons = [self._lesson(example) for example in whole]
            self.comparisons = [self._comparison(one) for one in compared]
            gentle = len(compared) + sum(one.kind in EXCHANGED for one in lessons)
            self.share = gentle / max(1, len(compared) + sum(one.kind in TAUGHT for one in lessons))
            lessons += [answer for one in self.comparisons for answer in one.answers]
            lessons += self._passages()
            self.prefix = take_prefix(lessons)
            self._look_up(lessons)
        return lessons

    def between(self, taught: float, gentle: float) -> float:
        """What a setting is for so much of either, from what it is for facts, and for all else."""
        return taught + self.share * (gentle - taught)

    def forward(self, part: Row) -> Tensor:
        """Logits of a row's learned places, [N, V], of the layers that learn upwards."""
        hidden_T_W = torch.cat(
            [self.prefix_hidden, *(one.hidden for one in part.lessons if one.hidden is not None)]
        )
        hidden = self._through(hidden_T_W[None], part, self.first, len(self.layers))
        logits_N_V: Tensor = self.head(self.body.norm(hidden[0, part.writes_N]))
        return logits_N_V.float()

    def _through(self, hidden: Tensor, part: Row, first: int, last: int) -> Tensor:
        return through(self.body, self.layers[first:last], hidden, part)

    def _answered(self, examples: Sequence[Example]) -> list[Example]:
        """Those that end with a question get the model's own answer."""
        open_ones = [one for one in examples if one.messages[-1]["role"] != "assistant"]
        prompts = [render_chat(self.tokenizer, ChatPrompt(messages=one.messages)) for one in open_ones]
        answers = replies(self.model, prompts, self.ends, self.settings.answer_tokens) if prompts else []
        given = {
            one.id: self.tokenizer.backend.decode(answer)
            for one, answer in zip(open_ones, answers, strict=True)
        }
        return [_with_answer(one, given[one.id]) if one.id in given else one for one in examples]

    def _lesson(self, example: Example) -> Lesson:
        most = None if example.kind in TAUGHT else self.settings.answer_tokens
        return lesson_of(self.tokenizer, example, most)

    def _comparison(self, one: Compared) -> Comparison:
        asked = Example(id=one.id, kind=COMPARED, messages=one.messages)
        return comparison(one, [lesson_of(self.tokenizer, _with_answer(asked, text)) for text in texts(one)])

    def _ordered(self, comparisons: Sequence[Comparison]) -> float:
        """Share of compared answers that are in the right order by now."""
        answers = [answer for one in comparisons for answer in one.answers]
        with torch.no_grad():
            found = [
                float(nats_N.sum())
                for part in rows(answers, self.prefix, self.settings.row_tokens)
                for nats_N in each(-unlikeliness(self.forward(part), part), part.lessons)
            ]
        likely = iter(found)
        return _mean(one.ordered([next(likely) for _ in one.answers]) for one in comparisons)

    def _passages(self) -> list[Lesson]:
        """Texts that the model draws from itself."""
        settings = self.settings
        count = round(self.between(settings.texts, settings.preference_texts))
        if not count:
            return []
        draw = torch.Generator().manual_seed(settings.seed)
        begin = self.tokenizer.specials.get("<|endoftext|>")
        openers = random.Random(settings.seed).choices(OPENERS, k=count)
        starts = [[*([begin] if begin is not None else []), *self.tokenizer.encode(one)] for one in openers]
        rests = replies(self.model, starts, self.ends, settings.text_tokens, draw)
        return [
            Lesson(
                id=f"text/{number}",
                kind="text",
                ids=(*start, *rest),
                learned=tuple(range(1, len(start) + len(rest))),
                shared=False,
            )
            for number, (start, rest) in enumerate(zip(starts, rests, strict=True))
        ]

    def _look_up(self, lessons: Sequence[Lesson]) -> None:
        """What the frozen layers make of all lessons, and what the model as it was would write."""
        with torch.no_grad():
            alone = row([], self.prefix)
            self.prefix_hidden = self._lower(alone)
            for part in rows(lessons, self.prefix, self.settings.row_tokens):
                hidden_T_W = self._lower(part)
                for lesson, start in zip(part.lessons, part.starts, strict=True):
                    lesson.hidden = hidden_T_W[start : start + lesson.size].clone()
            compared = [one for one in lessons if one.kind == COMPARED]
            for part in rows(compared, self.prefix, self.settings.row_tokens):
                told_N = -unlikeliness(self.forward(part), part)
                for lesson, likely_N in zip(part.lessons, each(told_N, part.lessons), strict=True):
                    lesson.before = likely_N.clone()
            kept = [one for one in lessons if one.kind not in TAUGHT and one.kind != COMPARED]
            for part in rows(kept, self.prefix, self.settings.row_tokens):
                likely = self.forward(part).log_softmax(-1).topk(self.settings.top, -1)
                at = 0
                for lesson in part.lessons:
                    here = slice(at, at + len(lesson.learned))
                    lesson.held = (likely.indices[here].clone(), likely.values[here].clone())
                    at += len(lesson.learned)

    def _lower(self, part: Row) -> Tensor:
        hidden = self.body.embed_tokens(part.tokens_T[None])
        return self._through(hidden, part, 0, self.first)[0]


class _Round:
    """The steps of one round."""

    def __init__(
        self,
        student: Student,
        lessons: Sequence[Lesson],
        comparisons: Sequence[Comparison],
        figures: Figures,
        began: float,
        told: Callable[[str], None],
        watch: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> None:
        self.student, self.figures, self.began = student, figures, began
        self.told, self.watch = told, watch
        self.settings = student.settings
        self.taught = [one for one in lessons if one.kind in TAUGHT]
        self.comparisons = comparisons
        self.all: list[Lesson | Comparison] = [*self.taught, *comparisons]
        self.rate = student.between(self.settings.rate, self.settings.preference_rate)
        self.hold = student.between(self.settings.hold_general, self.settings.preference_hold)
        self.near = [one for one in lessons if one.kind == "unknown"]
        self.far = [one for one in lessons if one.kind in ("general", "text")]
        self.last: dict[str, float] = {}
        self.draw = random.Random(self.settings.seed)
        self.optimiser = torch.optim.AdamW(student.trained, weight_decay=self.settings.weight_decay)
        self.pool: list[Lesson] = []

    def run(self) -> None:
        """Until it knows, or its time or epochs are over."""
        steps = self.settings.epochs * len(self._batches(self.all))
        for epoch in range(self.settings.epochs):
            order = self._mixed([one for one in self.all if self._due(one, epoch)])
            for batch in self._batches(order):
                self._step(batch, self.figures.steps / steps)
                if time.process_time() - self.began > self.settings.cpu_seconds:
                    return
            self.figures.epochs = epoch + 1
            self.figures.loss = _mean(self.last[one.id] for one in self.taught)
            self.figures.compared = _mean(self.last[one.id] for one in self.comparisons)
            self.figures.losses.append(self.figures.loss)
            self.told(
                f"epoch {epoch + 1}: {len(order)} lessons, loss {self.figures.loss:.3f}, "
                f"comparisons {self.figures.compared:.3f}, neighbours "
                f"{self.figures.held_neighbours:.3f}, general {self.figures.held_general:.3f}, "
                f"{time.process_time() - self.began:.0f} CPU-s"
            )
            if (
                self.figures.loss <= self.settings.stop
                and self.figures.compared <= self.settings.preference_stop
            ):
                return

    def _batches(self, order: Sequence[Lesson | Comparison]) -> list[list[Lesson | Comparison]]:
        """What the steps of an epoch learn: so many answers each, or one comparison of more."""
        found: list[list[Lesson | Comparison]] = []
        room = 0
        for one in order:
            size = 1 if isinstance(one, Lesson) else len(one.answers)
            if not found or size > room:
                found.append([])
                room = self.settings.batch
            found[-1].append(one)
            room -= size
        return found

    def _mixed(self, lessons: Sequence[Lesson | Comparison]) -> list[Lesson | Comparison]:
        """In such an order that what teaches the same fact is as far apart as can be."""
        by_fact: dict[str, list[Lesson | Comparison]] = {}
        for lesson in self.draw.sample(lessons, len(lessons)):
            by_fact.setdefault(lesson.id.rpartition("/")[0], []).append(lesson)
        turns = zip_longest(*by_fact.values())
        return [one for turn in turns for one in turn if one is not None]

    def _due(self, one: Lesson | Comparison, epoch: int) -> bool:
        """What is known well is looked at every third time only."""
        known = self.settings.stop if isinstance(one, Lesson) else self.settings.preference_stop
        return self.last.get(one.id, math.inf) > known or epoch % 3 == 0

    def _step(self, batch: Sequence[Lesson | Comparison], at: float) -> None:
        share = len(batch) / len(self.all)
        taught = [one for one in batch if isinstance(one, Lesson)]
        near = self._farthest(math.ceil(self.settings.beside * len(taught)))
        far = self._next(math.ceil(share * len(self.far)))
        counts = {"taught": _places(taught), "near": _places(near), "far": _places(far)}
        sums = {"taught": 0.0, "near": 0.0, "far": 0.0}
        mixed = [*taught, *near, *far]
        for part in rows(mixed, self.student.prefix, self.settings.row_tokens):
            self._backward(part, counts, sums)
        self._compare([one for one in batch if isinstance(one, Comparison)])
        self._change(at)
        means = {name: value / max(1, counts[name]) for name, value in sums.items()}
        check_finite(means["taught"], "loss")
        self.figures.held_neighbours += 0.2 * (means["near"] - self.figures.held_neighbours)
        self.figures.held_general += 0.2 * (means["far"] - self.figures.held_general)
        compared = _mean(self.last[one.id] for one in batch if isinstance(one, Comparison))
        self.watch({"step": self.figures.steps, "loss": means["taught"] + math.log(2) * compared})
        self.figures.steps += 1

    def _backward(self, part: Row, counts: Mapping[str, int], sums: dict[str, float]) -> None:
        logits_N_V = self.student.forward(part)
        nats_N = unlikeliness(logits_N_V, part)
        weights, at = [], 0
        for lesson in part.lessons:
            size = len(lesson.learned)
            nats = float(nats_N[at : at + size].detach().sum())
            at += size
            group, weight = self._group(lesson)
            self.last[lesson.id] = nats / size
            sums[group] += nats
            weights += [weight / counts[group]] * size
        (nats_N * torch.tensor(weights)).sum().backward()  # type: ignore[no-untyped-call]
        self.figures.tokens += len(part.tokens_T)

    def _compare(self, comparisons: Sequence[Comparison]) -> None:
        """Go backward from what compared answers teach, those of one unit at once."""
        left = {one.id: 0.0 for one in comparisons}
        for together in units(comparisons, self.settings.row_tokens):
            part = row([answer for unit in together for answer in unit.answers], self.student.prefix)
            likely = iter(each(-unlikeliness(self.student.forward(part), part), part.lessons))
            losses = []
            for unit in together:
                loss, share = unit.loss([next(likely) for _ in unit.places], self.settings)
                check_finite(share, "loss")
                left[unit.of.id] += share
                losses.append(loss)
            whole = self.settings.preference_weight * torch.stack(losses).sum() / len(comparisons)
            whole.backward()  # type: ignore[no-untyped-call]
            self.figures.tokens += len(part.tokens_T)
        self.last |= left

    def _group(self, lesson: Lesson) -> tuple[str, float]:
        """What a lesson's loss is counted with, and its weight."""
        if lesson.held is None:
            return "taught", lesson.weight
        if lesson.kind == "unknown":
            return "near", self.settings.hold_neighbours
        return "far", self.hold

    def _change(self, at: float) -> None:
        settings, steps = self.settings, self.figures.steps
        norm = float(torch.nn.utils.clip_grad_norm_(self.student.trained, settings.clip))
        check_finite(norm, "gradient's length")
        if norm > settings.explodes:
            raise PalError(
                f"the gradient is {norm:.0f} long in step {steps}: lower rate, or look at the data",
                code="exploded",
            )
        warm = min(1.0, (steps + 1) / max(1, settings.warmup))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * warm * SCHEDULES[settings.schedule](min(1.0, at))
        self.optimiser.step()
        self.optimiser.zero_grad()

    def _farthest(self, count: int) -> list[Lesson]:
        """The near misses whose answers have moved most, those that were never looked at first."""
        order = self.draw.sample(self.near, len(self.near))
        return sorted(order, key=lambda one: -self.last.get(one.id, math.inf))[:count]

    def _next(self, count: int) -> list[Lesson]:
        """The next ones of an endless shuffled sequence of what is about anything."""
        while self.far and len(self.pool) < count:
            self.pool.extend(self.draw.sample(self.far, len(self.far)))
        taken, self.pool = self.pool[:count], self.pool[count:]
        return taken


def unlikeliness(logits_N_V: Tensor, part: Row) -> Tensor:
    """Nats at each learned place [N]: of the token that is taught, or from what was likely to what is now.

    All but the K tokens of what was likely count as one.
    """
    whole_N = logits_N_V.logsumexp(-1)
    told_N = whole_N - logits_N_V.gather(-1, part.targets_N[:, None])[:, 0]
    if not len(part.held_M):
        return told_N
    now_M_K = (
        logits_N_V.view(-1)[part.held_M[:, None] * logits_N_V.shape[1] + part.tokens_M_K]
        - whole_N[part.held_M, None]
    )
    known_M_K = part.known_M_K
    rest_M = (1 - known_M_K.exp().sum(-1)).clamp(min=1e-6)
    rest_now_M = (1 - now_M_K.exp().sum(-1)).clamp(min=1e-6)
    apart_M = (known_M_K.exp() * (known_M_K - now_M_K)).sum(-1) + rest_M * (rest_M / rest_now_M).log()
    return told_N.index_copy(0, part.held_M, apart_M)


def each(values_N: Tensor, lessons: Iterable[Lesson]) -> tuple[Tensor, ...]:
    """What belongs to each lesson of values at all learned places of a row."""
    sizes = [len(one.learned) for one in lessons]
    return torch.split(values_N, sizes)


def _adapted(settings: LearningSettings, path: Path, adapter: Path | None, below: Path | None) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model

    model = frozen(path, below, settings.precision)
    if adapter is not None:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    count = model.config.num_hidden_layers
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=list(settings.targets),
        layers_to_transform=list(range(int(settings.depth * count), count)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InvalidRequest(f"targets do not fit the model: {error}") from error


def _with_answer(example: Example, answer: str) -> Example:
    return replace(example, messages=(*example.messages, {"role": "assistant", "content": answer}))


def _nats(answer: Lesson) -> float:
    """How likely the model as it was found an answer."""
    return 0.0 if answer.before is None else float(answer.before.sum())


def _mean(values: Iterable[float]) -> float:
    """Of nothing it is 0."""
    held = list(values)
    return sum(held) / max(1, len(held))


def _places(lessons: Iterable[Lesson]) -> int:
    return sum(len(one.learned) for one in lessons)
