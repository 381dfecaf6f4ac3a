"""The model's worded answer beside the extracted sentence, from gold and from retrieved text, paired."""

import asyncio
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.qa_data import Article, Asked
from serve.metrics import Metrics
from serve.qa import Asked as QaAsked
from serve.qa import Evidence, cite, is_borne_out, word
from serve.services import Services

if TYPE_CHECKING:
    from rich.table import Table

AT_ONCE = 8
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Reading:
    """A question with what was found for it and the article that answers it."""

    asked: Asked
    evidence: Evidence
    article: Article


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


async def read_answers(services: Services, readings: Sequence[Reading]) -> dict[str, dict[str, float]]:
    """Mean scores of each way to answer the same questions. Starts and closes the generator."""
    await services.generator.start()
    slots = asyncio.Semaphore(AT_ONCE)
    answered = await asyncio.gather(*(_answers(services, slots, reading) for reading in readings))
    await services.generator.close()
    report = {}
    for name in answered[0][0]:
        pairs = [
            (answers[name], one.asked.answers) for (answers, _), one in zip(answered, readings, strict=True)
        ]
        scores = [(exact(*pair), contains(*pair), f1(*pair)) for pair in pairs]
        report[name] = dict(zip(("exact", "contains", "f1"), _means(scores), strict=True))
    borne_out = sum(kept for _, kept in answered) / len(readings)
    return report | {"generated": {"questions": len(readings), "borne_out": borne_out}}


async def _answers(
    services: Services, slots: asyncio.Semaphore, reading: Reading
) -> tuple[dict[str, str], bool]:
    """Each way's answer to one question, and whether the words made from the quotes are borne out by them."""
    quotes = [one.quote for one in cite(reading.evidence.sentences)]
    start, end = reading.article.paragraphs[reading.asked.paragraph]
    asked = QaAsked(question=reading.asked.text, k=1, model="bench")

    async def worded(texts: Sequence[str]) -> str:
        async with slots:
            return (await word(services, Metrics("bench"), asked, texts))[0]

    from_quotes, from_best, from_gold = await asyncio.gather(
        worded(quotes),
        worded([one.text for one in reading.evidence.passages[:1]]),
        worded([reading.article.text[start:end]]),
    )
    kept = is_borne_out(reading.evidence.question, from_quotes, quotes)
    best = quotes[0] if quotes else ""
    return {
        "extracted: best sentence": best,
        "generated from cited sentences": from_quotes,
        "generated from best passage": from_best,
        "generated from gold paragraph": from_gold,
        "as served: generated if borne out, else sentence": from_quotes if kept else best,
    }, kept


def answers_table(report: dict[str, dict[str, float]]) -> "Table":
    """The scores as a table."""
    from rich.table import Table

    counts = report["generated"]
    title = f"Answers to the same {counts['questions']:.0f} questions ({counts['borne_out']:.2f} borne out)"
    table = Table("answer", "exact", "contains", "F1", title=title)
    for name, row in report.items():
        if name != "generated":
            table.add_row(name, *(f"{row[key]:.3f}" for key in ("exact", "contains", "f1")))
    return table


def _means(scores: Sequence[tuple[float, ...]]) -> list[Any]:
    return [round(sum(column) / len(column), 4) for column in zip(*scores, strict=True)]
