"""The model's worded answer beside the extracted sentence, from gold and from retrieved text, paired."""

import asyncio
import re
import string
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.memory.evidence import sentences_of, shortlist, with_cosines
from actors.memory.recall import LEAD_CHARACTERS
from actors.messages import Passage
from benchmarks.qa_data import Article, Asked
from serve.metrics import Metrics
from serve.qa import Asked as QaAsked
from serve.qa import Evidence, cite, is_borne_out, word
from serve.services import Services

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

Floats = NDArray[np.float64]
AT_ONCE = 8
LIMIT_S = 720.0
"""Seconds that wording all answers may take."""
MOST_TOKENS = 32
"""An answer's length: SQuAD's are a few words."""
SCORES = ("exact", "contains", "F1", "words")
COMPARED = ("contains", "F1")
WAYS = (
    "extracted, gold",
    "extracted, retrieved",
    "generated, gold",
    "generated, retrieved",
    "generated, three quotes",
    "served",
)
"""Extracted: the best sentence of the gold paragraph, or of all that was retrieved. Generated: from the gold
paragraph, the best passage, or the cited quotes. Served: the last where its quotes bear it out, else the
best sentence."""
PAIRS = (
    ("extracted, gold", "generated, gold"),
    ("extracted, retrieved", "generated, retrieved"),
    ("extracted, gold", "extracted, retrieved"),
    ("generated, gold", "generated, retrieved"),
    ("served", "extracted, retrieved"),
)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Reading:
    """A question with what was found for it and the article that answers it."""

    asked: Asked
    evidence: Evidence
    article: Article


@dataclass(frozen=True, slots=True)
class Answered:
    """One question's answer by each way, and whether the words made from the quotes are borne out by them."""

    texts: dict[str, str]
    borne_out: bool


def normal(text: str) -> list[str]:
    """Words as SQuAD compares them: lower case, no punctuation, no articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def exact(answer: str, accepted: Sequence[str]) -> float:
    """1 where the answer is one of the accepted ones."""
    return float(any(normal(answer) == normal(one) for one in accepted))


def contains(answer: str, accepted: Sequence[str]) -> float:
    """1 where an accepted answer's words stand in the answer."""
    held = f" {' '.join(normal(answer))} "
    return float(any(f" {' '.join(normal(one))} " in held for one in accepted))


def f1(answer: str, accepted: Sequence[str]) -> float:
    """Best overlap of words with an accepted answer, harmonic mean of precision and recall."""
    return max(_f1(normal(answer), normal(one)) for one in accepted)


def _f1(answer: list[str], accepted: list[str]) -> float:
    common = sum((Counter(answer) & Counter(accepted)).values())
    return 2 * common / (len(answer) + len(accepted)) if common else 0.0


async def read_answers(services: Services, readings: Sequence[Reading]) -> dict[str, Any]:
    """Mean scores of each way to answer the same questions, and the paired differences between ways.

    Starts and closes the generator. Questions not done within LIMIT_S seconds are left out; raises
    TimeoutError where none is.
    """
    await services.generator.start()
    started = time.perf_counter()
    try:
        answered = await _answered(services, readings)
    finally:
        await services.generator.close()
    if not answered:
        raise TimeoutError(f"no question was answered within {LIMIT_S:.0f} s")
    seconds = time.perf_counter() - started
    accepted = [readings[number].asked.answers for number in answered]
    scores = {
        way: np.array(
            [_scores(one.texts[way], right) for one, right in zip(answered.values(), accepted, strict=True)]
        )
        for way in WAYS
    }
    return {
        "questions": len(answered),
        "left_out": len(readings) - len(answered),
        "seconds": round(seconds, 1),
        "borne_out": _rounded(np.mean([one.borne_out for one in answered.values()])),
        "ways": {
            way: dict(zip(SCORES, map(_rounded, values.mean(axis=0)), strict=True))
            for way, values in scores.items()
        },
        "paired": {
            f"{one} minus {other}": {
                name: paired(scores[one][:, column], scores[other][:, column])
                for column, name in enumerate(SCORES)
                if name in COMPARED
            }
            for one, other in PAIRS
        },
    }


async def _answered(services: Services, readings: Sequence[Reading]) -> dict[int, Answered]:
    done: dict[int, Answered] = {}
    waiting = iter(enumerate(readings))
    with _progress() as progress:
        bar = progress.add_task("wording answers", total=len(readings))

        async def work() -> None:
            for number, reading in waiting:
                done[number] = await _answers(services, reading)
                progress.advance(bar)

        try:
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work())
        except TimeoutError:
            progress.console.print(f"out of time: {len(done)} of {len(readings)} questions answered")
    return dict(sorted(done.items()))


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


async def _answers(services: Services, reading: Reading) -> Answered:
    """Each way's answer to one question; a text is worded once, however many ways read it."""
    quotes = [one.quote for one in cite(reading.evidence.sentences)]
    gold = _gold(reading)
    asked = QaAsked(question=reading.asked.text, k=1, max_tokens=MOST_TOKENS, model="bench")
    known: dict[tuple[str, ...], str] = {}

    async def worded(*texts: str) -> str:
        if texts not in known:
            known[texts] = (await word(services, Metrics("bench"), asked, texts))[0]
        return known[texts]

    from_quotes = await worded(*quotes)
    kept = is_borne_out(reading.evidence.question, from_quotes, quotes)
    best = quotes[0] if quotes else ""
    chosen = shortlist(sentences_of(reading.evidence.question, [gold]))
    vector, *vectors = await services.embedder.embed([reading.asked.text, *(one.text for one in chosen)])
    from_gold = with_cosines(chosen, [float(one @ vector) for one in vectors])
    texts = (
        from_gold[0].text if from_gold else "",
        best,
        await worded(gold.text),
        await worded(*(one.text for one in reading.evidence.passages[:1])),
        from_quotes,
        from_quotes if kept else best,
    )
    return Answered(dict(zip(WAYS, texts, strict=True)), kept)


def _gold(reading: Reading) -> Passage:
    """The right paragraph as if it had been found, first and alone."""
    start, end = reading.article.paragraphs[reading.asked.paragraph]
    return Passage(
        document_id="",
        filename=reading.article.filename,
        start=start,
        end=end,
        text=reading.article.text[start:end],
        heading="",
        lead=reading.article.text[:LEAD_CHARACTERS],
        score=0.0,
        parts={},
    )


def paired(one: Floats, other: Floats, draws: int = 10_000) -> dict[str, float]:
    """Mean difference of the same questions' scores with its 95 % interval (bootstrap over questions)."""
    difference = one - other
    drawn = np.random.default_rng(0).integers(0, len(difference), (draws, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975))
    return {"difference": _rounded(difference.mean()), "low": _rounded(low), "high": _rounded(high)}


def answers_tables(report: dict[str, Any]) -> "list[Table]":
    """The scores, and the paired differences, as tables."""
    from rich.table import Table

    title = (
        f"Answers to the same {report['questions']} questions, at most {MOST_TOKENS} tokens "
        f"({report['borne_out']:.2f} borne out, {report['left_out']} left out, {report['seconds']:.0f} s)"
    )
    ways = Table("answer", *SCORES, title=title)
    for name, row in report["ways"].items():
        ways.add_row(name, *(f"{row[score]:.3f}" for score in SCORES))
    pairs = Table("paired difference", *COMPARED, title="95 % intervals, bootstrap over questions")
    for name, row in report["paired"].items():
        pairs.add_row(name, *(_interval(row[score]) for score in COMPARED))
    return [ways, pairs]


def _interval(found: dict[str, float]) -> str:
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _scores(answer: str, accepted: Sequence[str]) -> tuple[float, ...]:
    length = float(len(answer.split()))
    return exact(answer, accepted), contains(answer, accepted), f1(answer, accepted), length


def _rounded(value: Any) -> float:
    return round(float(value), 4)
