"""The model's worded answer beside the extracted sentence, from gold and from retrieved text, paired."""

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
    metrics = Metrics("bench")
    await services.generator.start()
    rows: dict[str, list[tuple[float, float, float]]] = {}
    borne_out = 0
    for reading in readings:
        quotes = [one.quote for one in cite(reading.evidence.sentences)]
        start, end = reading.article.paragraphs[reading.asked.paragraph]
        gold = [reading.article.text[start:end]]
        asked = QaAsked(question=reading.asked.text, k=1, model="bench")
        from_quotes, _ = await word(services, metrics, asked, quotes)
        from_best, _ = await word(
            services, metrics, asked, [one.text for one in reading.evidence.passages[:1]]
        )
        from_gold, _ = await word(services, metrics, asked, gold)
        kept = is_borne_out(reading.evidence.question, from_quotes, quotes)
        borne_out += kept
        best = quotes[0] if quotes else ""
        answers = {
            "extracted: best sentence": best,
            "generated from cited sentences": from_quotes,
            "generated from best passage": from_best,
            "generated from gold paragraph": from_gold,
            "answer as served (generated if borne out, else sentence)": from_quotes if kept else best,
        }
        for name, answer in answers.items():
            accepted = reading.asked.answers
            rows.setdefault(name, []).append(
                (exact(answer, accepted), contains(answer, accepted), f1(answer, accepted))
            )
    await services.generator.close()
    report = {
        name: dict(zip(("exact", "contains", "f1"), _means(scores), strict=True))
        for name, scores in rows.items()
    }
    return report | {"generated": {"questions": len(readings), "borne_out": borne_out / len(readings)}}


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
