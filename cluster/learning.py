"""Trains a ranker of memories on one's own conversations, and tries it on some it has not seen. No server."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from actors.memory.ranker import SHIPPED, Ranker, save
from actors.memory.recollection import recollect
from actors.memory.training import FEWEST, Embed, Lesson, Prepared, learn, prepare, read_examples
from actors.messages import InvalidRequest
from configs.schema import Settings

K = 10
HELD_OUT = 0.2
"""Share of the conversations that the trial ranker is not shown."""
Track = Callable[[Sequence[Lesson]], Iterable[Lesson]]
"""Passes lessons on, and shows how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What was written, and the share of the evidence among the first ten: in `held_out` unseen questions."""

    file: Path
    questions: int
    held_out: int
    recall: float
    """Of a ranker that learned from the other questions alone."""
    shipped: float
    """Of the shipped one."""


def train(settings: Settings, examples: Path, target: Path, *, vectors: bool, track: Track) -> Trained:
    """Learn from all conversations of a JSONL file, write the weights, and say how well a part is found.

    Raises InvalidRequest for a file that is wrong or has too few questions, NotReady without the embedder.
    """
    lessons = read_examples(examples)
    random.Random(0).shuffle(lessons)
    with _embedding(settings) if vectors else _no_embedding() as embed:
        asked = [prepare([lesson], embed) for lesson in track(lessons)]
    everything = [one for some in asked for one in some]
    if len(everything) < FEWEST:
        raise InvalidRequest(f"{examples} has {len(everything)} questions with evidence: {FEWEST} are needed")
    unseen, seen = _split(asked)
    trial = learn(seen)
    save(learn(everything), target)
    return Trained(
        file=target,
        questions=len(everything),
        held_out=len(unseen),
        recall=recall(trial, unseen),
        shipped=recall(SHIPPED, unseen),
    )


def recall(ranker: Ranker, asked: Sequence[Prepared]) -> float:
    """The mean share of a question's evidence among its first ten memories."""
    return fmean(len(one.evidence.intersection(_found(ranker, one))) / len(one.evidence) for one in asked)


def _found(ranker: Ranker, one: Prepared) -> list[str]:
    ranked = recollect(one.held, one.text, one.vector, K, ranker)
    return [one.held.turns[hit.row].id for hit in ranked]


def _split(asked: Sequence[list[Prepared]]) -> tuple[list[Prepared], list[Prepared]]:
    """Unseen and seen questions, apart by conversation where there are several."""
    filled = [some for some in asked if some]
    if len(filled) == 1:
        filled = [[one] for one in filled[0]]
    unseen = max(1, round(len(filled) * HELD_OUT))
    return [one for some in filled[:unseen] for one in some], [
        one for some in filled[unseen:] for one in some
    ]


@contextmanager
def _embedding(settings: Settings) -> Iterator[Embed]:
    """Embeds with the embedder that the server uses. Raises NotReady."""
    from actors.embedder import Embedder
    from serve.embedding import embed_all

    embedder = Embedder(settings)
    with asyncio.Runner() as runner:
        runner.run(embedder.start())
        try:
            yield lambda texts: runner.run(embed_all(embedder, texts))
        finally:
            runner.run(embedder.close())


@contextmanager
def _no_embedding() -> Iterator[None]:
    yield None
