"""What a ranking recalls of the evidence in LoCoMo's conversations. Knows no ranking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tune.locomo import Asked, Conversation, session_of

K = 10
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open", 4: "single-hop", 5: "adversarial"}
Ranking = Callable[[Conversation, Asked], Sequence[str]]
"""The ids of turns, best first."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a ranking found of one question's evidence: shares of its turns and of its sessions.

    `turn`: among the first k turns. `session`: among the first k sessions, a session standing where its best
    turn does, so a ranking must be deep enough to name k. `beside`: among the sessions of the first k turns.
    """

    category: int
    turn: float
    session: float
    beside: float


def recalled(asked: Asked, ranked: Sequence[str], k: int = K) -> Recalled:
    """The shares for one question and its ranking."""
    sessions = list(dict.fromkeys(session_of(turn) for turn in ranked))
    beside = {session_of(turn) for turn in ranked[:k]}
    return Recalled(
        category=asked.category,
        turn=len(set(ranked[:k]).intersection(asked.evidence)) / len(asked.evidence),
        session=len(asked.sessions.intersection(sessions[:k])) / len(asked.sessions),
        beside=len(asked.sessions & beside) / len(asked.sessions),
    )


def measure(conversations: Sequence[Conversation], ranking: Ranking, k: int = K) -> list[Recalled]:
    """Every question of every conversation, in order."""
    return [recalled(asked, ranking(one, asked), k) for one in conversations for asked in one.asked]


def figures(found: Sequence[Recalled]) -> dict[str, float]:
    """Means over the questions: of all (turn, session, beside), of the turns by category."""
    report = {
        "questions": float(len(found)),
        "turn": mean([one.turn for one in found]),
        "session": mean([one.session for one in found]),
        "beside": mean([one.beside for one in found]),
    }
    for category, name in CATEGORIES.items():
        report[name] = mean([one.turn for one in found if one.category == category])
    return report


def mean(values: Sequence[float]) -> float:
    """The mean to four digits; 0 of nothing."""
    return round(sum(values) / len(values), 4) if values else 0.0
