"""Questions with known answers over a set of articles, from a SQuAD-like file. Knows no ranking."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

JOINT = "\n\n"


@dataclass(frozen=True, slots=True)
class Article:
    """One document: its paragraphs joined by blank lines; `paragraphs` are (start, end) in `text`."""

    filename: str
    text: str
    paragraphs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the article and paragraph that answer it, and the accepted answers."""

    text: str
    article: int
    paragraph: int
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Something retrieved: a stretch of a document's text."""

    filename: str
    start: int
    end: int


def load(path: Path) -> tuple[list[Article], list[Asked]]:
    """Articles and all their questions. The file is a list of {"title", "context", "questions"}."""
    grouped: dict[str, list[dict[str, object]]] = {}
    for entry in json.loads(path.read_text()):
        grouped.setdefault(entry["title"], []).append(entry)
    articles: list[Article] = []
    asked: list[Asked] = []
    for number, (title, entries) in enumerate(grouped.items()):
        spans: list[tuple[int, int]] = []
        for position, entry in enumerate(entries):
            context, questions = entry["context"], entry["questions"]
            assert isinstance(context, str)
            assert isinstance(questions, list)
            start = spans[-1][1] + len(JOINT) if spans else 0
            spans.append((start, start + len(context)))
            asked += [Asked(one["question"], number, position, tuple(one["answers"])) for one in questions]
        text = JOINT.join(str(entry["context"]) for entry in entries)
        articles.append(Article(f"{title.replace('/', ' ')}.txt", text, tuple(spans)))
    return articles, asked


def sample(asked: Sequence[Asked], count: int, seed: int) -> list[Asked]:
    """`count` questions drawn without replacement, in the order of the file."""
    chosen = random.Random(seed).sample(range(len(asked)), min(count, len(asked)))
    return [asked[index] for index in sorted(chosen)]


def holds_answer(articles: Sequence[Article], question: Asked, place: Place) -> bool:
    """Whether a place lies over the right paragraph where an answer stands, whole."""
    article = articles[question.article]
    if place.filename != article.filename:
        return False
    start, end = article.paragraphs[question.paragraph]
    common = article.text[max(start, place.start) : max(0, min(end, place.end))]
    return any(answer in common for answer in question.answers)


def rank_of_answer(articles: Sequence[Article], question: Asked, places: Iterable[Place]) -> int | None:
    """Position from 0 of the first place that holds the answer."""
    for rank, place in enumerate(places):
        if holds_answer(articles, question, place):
            return rank
    return None
