"""Learns a ranker from conversations, questions and the turns that answer them. Knows no shipped weights."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actors.memory.fit import Floats, Group, fit
from actors.memory.held import Held, Turn
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.recollection import CANDIDATES, FIRST, SECOND, Candidates, candidates
from actors.memory.source import Vectors
from actors.messages import InvalidRequest

Embed = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, shape (len(texts), dimensions)."""
PLAIN = Ranker(first={"window": 4.0, "cosine_window": 8.0}, second={})
"""Orders candidates before anything is learned."""
NEAR_RIDGE = 1.0
"""How strongly weights are held near those that they start from."""
FEWEST = 20
"""Questions below which nothing worth using is learned."""
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Lesson:
    """One conversation's turns, and its questions, each with the ids of the turns that answer it."""

    turns: tuple[Turn, ...]
    questions: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question within its conversation, embedded."""

    held: Held
    text: str
    vector: Vectors | None
    evidence: frozenset[str]


def prepare(lessons: Iterable[Lesson], embed: Embed | None) -> list[Prepared]:
    """Every question of every lesson."""
    found: list[Prepared] = []
    for lesson in lessons:
        held = Held(lesson.turns, embed([turn.text for turn in lesson.turns]) if embed else None)
        vectors = embed([text for text, _ in lesson.questions]) if embed else None
        for place, (text, evidence) in enumerate(lesson.questions):
            found.append(Prepared(held, text, None if vectors is None else vectors[place], evidence))
    return found


def learn(asked: Sequence[Prepared], start: Ranker | None = SHIPPED) -> Ranker:
    """Weights of the second round, held near those of `start`.

    With None, first those of the first round from nothing, then the second's, held near the first's.

    Raises InvalidRequest where no question has both right and wrong memories to learn from.
    """
    names = (*FIRST, *SECOND)
    if start is None:
        first = _named(FIRST, fit([group(one, PLAIN, FIRST) for one in asked]))
        start = Ranker(first=first, second=dict.fromkeys(names, 0.0) | first)
    known = np.array([start.second[name] for name in names])
    groups = [group(one, start, names) for one in asked]
    return Ranker(first=start.first, second=_named(names, fit(groups, NEAR_RIDGE, known)))


def read_examples(path: Path) -> list[Lesson]:
    """The conversations of a JSONL file.

    Each line: {"turns": [{"id", "session", "speaker", "text", "said_at"}], "questions": [{"question",
    "evidence": [turn ids]}]}; `said_at` in Unix seconds. Raises InvalidRequest, naming the wrong line.
    """
    lessons: list[Lesson] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            lessons.append(_lesson(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRequest(
                f"{path}, line {number}: no conversation with questions ({error!r})"
            ) from error
    return lessons


def _lesson(record: dict[str, list[dict[str, object]]]) -> Lesson:
    sessions: dict[str, int] = {}
    counts: dict[int, int] = {}
    turns: list[Turn] = []
    for said in record["turns"]:
        session = sessions.setdefault(str(said["session"]), len(sessions))
        counts[session] = ordinal = counts.get(session, -1) + 1
        when = float(str(said["said_at"]))
        turns.append(Turn(str(said["id"]), session, ordinal, str(said["speaker"]), str(said["text"]), when))
    known = {turn.id for turn in turns}
    questions: list[tuple[str, frozenset[str]]] = []
    for one in record["questions"]:
        given = one["evidence"]
        if not isinstance(given, list) or not known.issuperset(given):
            raise ValueError(f"evidence {given!r} is not of its turns")
        if given:
            questions.append((str(one["question"]), frozenset(given)))
    return Lesson(tuple(turns), tuple(questions))


def group(one: Prepared, ranker: Ranker, names: Sequence[str]) -> Group:
    """A question's candidates with their features, the second round's seeded by the ranker's first."""
    found: Candidates
    found, _ = candidates(one.held, one.text, one.vector, CANDIDATES, ranker)
    ids = [one.held.turns[row].id for row in found.rows.tolist()]
    return Group(
        values=np.stack([found.features[name] for name in names], axis=1),
        right=np.array([turn in one.evidence for turn in ids]),
    )


def _named(names: Sequence[str], weights: Floats) -> dict[str, float]:
    return {name: round(float(weight), DIGITS) for name, weight in zip(names, weights, strict=True)}
