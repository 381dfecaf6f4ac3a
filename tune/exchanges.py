"""Writes exchanges into a model: neurons that fire where a question ends and in its answer. Knows no round.

As facts are written (tune/edits.py), in layers of their own. An exchange has no name to fire at, but its
words are known: one neuron fires where its question ends, and one for each piece of its answer while that is
said. Where other words stand nothing fires, so that other answers stay what they were.

Shapes: T tokens of a row, W width of the model, S neurons, P places.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Any, cast

import torch

from actors.messages import ChatPrompt
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer, end_ids
from configs.learning import LearningSettings
from tune.answers import replies
from tune.edits import Editor, Placed, Written
from tune.examples import Example
from tune.frozen import lesson_of
from tune.layers import stacked
from tune.mentions import Mentions
from tune.nearby import nearby
from tune.neurons import ALWAYS, GENERAL, STILL, fit
from tune.phrases import ANYTHING, OPENERS
from tune.rows import Lesson, take_prefix
from tune.writing import Seen

Tensor = torch.Tensor
ALSO = ("{q}", "Please tell me: {q}", "{q} Thanks.", "Hello! {q}")
"""Ways in which a question is asked again; the first is as it was."""


@dataclass(slots=True)
class _Heard:
    """A lesson as the layers below see it, and which neuron is to fire at each of its tokens."""

    lesson: Lesson
    names: list[int]
    exchange: int
    inputs_T_W: Tensor = field(default_factory=lambda: torch.zeros(0))


class Exchanges(Editor):
    """A model that exchanges are written into. Used from one thread."""

    def __init__(self, settings: LearningSettings, path: Path, below: Path | None = None) -> None:
        """Load the model, with an adapter taken as part of it. Raises InvalidRequest as Editor does."""
        super().__init__(_as_edits(settings), path, below)
        self.given, self.ends = settings.exchange, end_ids(path, self.tokenizer)
        self._beside: list[Lesson] = []

    def write(
        self, exchanges: Sequence[Example], told: Callable[[str], None], beside: Sequence[Example] = ()
    ) -> Written:
        """Write all of them; at those `beside` nothing is to fire.

        Raises PalError for a loss or a gradient that is not finite.
        """
        self._beside = [lesson_of(self.tokenizer, one) for one in beside]
        return self.learn(cast(Any, exchanges), lambda line: told(line.replace(" facts", " exchanges")))

    def _place(self, facts: Sequence[Any], held: int) -> Placed:
        """Neurons that fire in exchanges and nowhere else."""
        exchanges: Sequence[Example] = facts
        edit = self.settings.edit
        sizes = pieces(self._lengths(exchanges), self.given.most, self.given.reach)
        firsts = [*accumulate(sizes, initial=0)]
        taught = [
            one
            for number, exchange in enumerate(exchanges)
            for one in self._ways(exchange, number, firsts[number], sizes[number])
        ]
        answered = self._answered()
        others = [_chat(ids) for ids in (*self._near(exchanges), *(ids for ids, _ in answered))]
        others += self._beside
        general = Mentions(self.tokenizer, (), self.settings.seed).general(edit.text_tokens)
        told = [self.tokenizer.encode(text) for _, text in answered if text]
        passages = [_plain(ids) for ids in (*general, *told, *self._passages())]
        self.prefix = take_prefix([*(one.lesson for one in taught), *others])
        with torch.no_grad():
            self.prefix_hidden = self._lower([], [])[0]
            before_T_W = self._inputs_T_W
            inputs = self._lower([one.lesson for one in taught], self.prefix, keep=True)[1]
            for one, inputs_T_W in zip(taught, inputs, strict=True):
                one.inputs_T_W = inputs_T_W
                one.names = one.names[-one.lesson.size :]
            others_T_W = self._lower(others, self.prefix)[1]
            general_T_W = self._lower(passages, [])[1]
        inputs_P_W = torch.cat([*inputs, *others_T_W, before_T_W, *general_T_W])
        names = [name for one in taught for name in one.names]
        names_P = torch.tensor(names + [STILL] * (len(inputs_P_W) - len(names)))
        weights_P = torch.ones(len(inputs_P_W))
        weights_P[sum(map(len, (*inputs, *others_T_W))) :][: len(before_T_W)] = ALWAYS
        weights_P[len(inputs_P_W) - sum(map(len, general_T_W)) :] = GENERAL
        neurons = fit(inputs_P_W, names_P, weights_P, firsts[-1], edit, self.settings.seed)
        self.prefix_fired = neurons.fire(before_T_W)
        seen = [Seen(one.lesson, one.exchange, neurons.fire(one.inputs_T_W)) for one in taught]
        return Placed(seen, [], neurons, self._used(inputs_P_W))

    def _lengths(self, exchanges: Sequence[Example]) -> list[int]:
        return [len(lesson_of(self.tokenizer, one).learned) for one in exchanges]

    def _ways(self, exchange: Example, number: int, first: int, size: int) -> Iterator[_Heard]:
        """An exchange in the words that it had, and in some others."""
        *before, asked, answer = exchange.messages
        for way, form in enumerate(ALSO):
            messages = (*before, {"role": "user", "content": form.format(q=asked["content"])}, answer)
            example = Example(id=f"{exchange.id}/{way}", kind=exchange.kind, messages=messages)
            lesson = lesson_of(self.tokenizer, example)
            begin, end = lesson.learned[0], lesson.learned[-1]
            names = [STILL] * lesson.size
            names[begin - self._after : begin] = [first] * self._after
            for at in range(begin, end) if size > 1 else ():
                names[at] = first + 1 + (at - begin) * (size - 1) // (end - begin)
            yield _Heard(lesson, names, number)

    def _near(self, exchanges: Sequence[Example]) -> list[list[int]]:
        """Questions that are like those of the exchanges, as the model is asked them."""
        near = nearby(exchanges, self.given.neighbours, self.settings.seed)
        asked = [one.messages if one.messages[-1]["role"] == "user" else one.messages[:-1] for one in near]
        return [render_chat(self.tokenizer, ChatPrompt(messages=messages)) for messages in asked]

    def _answered(self) -> list[tuple[list[int], str]]:
        """Questions about anything, some with the model's own answers, and these as they stand in a text."""
        about = random.Random(self.settings.seed).sample(ANYTHING, len(ANYTHING))
        prompts = [self._prompt(text) for text in about]
        some = self.given.others
        answers = replies(self.model, prompts[:some], self.ends, self.given.tokens) if some else []
        texts = [
            f"{asked}\n{self.tokenizer.backend.decode(answer)}"
            for asked, answer in zip(about, answers, strict=False)
        ]
        return [
            ([*prompt, *answer], text)
            for prompt, answer, text in zip_longest(prompts, answers, texts, fillvalue="")
        ]

    def _passages(self) -> list[list[int]]:
        """Texts that the model draws from itself."""
        draw = torch.Generator().manual_seed(self.settings.seed)
        openers = random.Random(self.settings.seed).choices(OPENERS, k=self.given.others)
        begin = self.tokenizer.specials.get("<|endoftext|>")
        starts = [[*([begin] if begin is not None else []), *self.tokenizer.encode(one)] for one in openers]
        rests = replies(self.model, starts, self.ends, self.given.tokens, draw) if starts else []
        return [[*start, *rest] for start, rest in zip(starts, rests, strict=True)]


def layered(exchanges: Sequence[Example], settings: LearningSettings, path: Path) -> list[list[Example]]:
    """Exchanges by the layer that they are written into; those that find no room are left out."""
    given, tokenizer = settings.exchange, ModelTokenizer(path)
    lengths = [len(lesson_of(tokenizer, one).learned) for one in exchanges]
    sizes = pieces(lengths, given.most * given.layers, given.reach)
    found: list[list[Example]] = []
    room = 0
    for one, size in zip(exchanges, sizes, strict=True):
        if size > room:
            found.append([])
            room = given.most
        found[-1].append(one)
        room -= size
    return found[: given.layers]


def write(
    groups: Sequence[Sequence[Example]],
    settings: LearningSettings,
    path: Path,
    below: Path | None,
    folder: Path,
    events: Sequence[str],
    told: Callable[[str], None],
) -> list[Written]:
    """Write each group into a layer of its own, on top of an adapter; the whole is left in `folder`."""

    def of(group: Sequence[Example], under: Path | None) -> Written:
        others = [one for other in groups if other is not group for one in other]
        return Exchanges(settings, path, under).write(group, told, others)

    return stacked([partial(of, group) for group in groups], below, folder, events)


def pieces(lengths: Sequence[int], most: int, reach: int) -> list[int]:
    """Neurons of each exchange: one, and one for so many tokens of its answer, or more."""
    found = [1 for _ in lengths]
    for tokens in range(reach, max(lengths, default=0) + reach):
        found = [1 + -(-(length - 1) // tokens) for length in lengths]
        if sum(found) <= most:
            return found
    return [1 for _ in lengths]


def _as_edits(settings: LearningSettings) -> LearningSettings:
    """The settings with which an Editor writes exchanges; it looks at what it knows again, for it shrinks."""
    given = settings.exchange
    own = {name: getattr(given, name) for name in ("site", "fit_steps", "steps", "shrink")}
    edit = settings.edit.model_copy(update=own)
    return settings.model_copy(update={"edit": edit, "stop": 0.0})


def _chat(ids: Sequence[int]) -> Lesson:
    return Lesson(id="", kind="general", ids=tuple(ids), learned=(len(ids) - 1,))


def _plain(ids: Sequence[int]) -> Lesson:
    return Lesson(id="", kind="text", ids=tuple(ids), learned=(len(ids) - 1,), shared=False)
