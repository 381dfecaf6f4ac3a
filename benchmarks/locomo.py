"""LoCoMo: conversations, questions and their evidence turns, and what a ranking recalls. Knows no ranking.

The data are CC BY-NC 4.0: for evaluation only. Nothing that is shipped is fitted on them.
"""

import calendar
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.memory.held import Turn as Turn

K = 10
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open", 4: "single-hop", 5: "adversarial"}
_SESSION = re.compile(r"session_(\d+)")
_TURN = re.compile(r"D\d+:\d+")
_DATE = "%I:%M %p on %d %B, %Y"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the ids of the turns that answer it, each once."""

    text: str
    evidence: tuple[str, ...]
    category: int

    @property
    def sessions(self) -> frozenset[int]:
        """The sessions of the evidence."""
        return frozenset(session_of(turn) for turn in self.evidence)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of two speakers in order, and the questions about them.

    `without_evidence` and `malformed` count questions left out: no evidence is given, or evidence that is no
    turn's id.
    """

    id: str
    speakers: tuple[str, str]
    turns: tuple[Turn, ...]
    asked: tuple[Asked, ...]
    without_evidence: int
    malformed: int


def load(path: Path, *, captions: bool) -> list[Conversation]:
    """All conversations of a LoCoMo file; with captions a turn's text says what its photo shows."""
    return [_conversation(one, captions=captions) for one in json.loads(path.read_text())]


def session_of(turn: str) -> int:
    """The session's number in a turn's id, `D<session>:<turn>`."""
    return int(turn[1 : turn.index(":")])


def _conversation(one: Mapping[str, Any], *, captions: bool) -> Conversation:
    spoken = one["conversation"]
    numbers = sorted(int(found[1]) for key in spoken if (found := _SESSION.fullmatch(key)))
    turns: list[Turn] = []
    for session in numbers:
        begins = _seconds(spoken[f"session_{session}_date_time"])
        for ordinal, said in enumerate(spoken[f"session_{session}"]):
            text = said["text"]
            if captions and said.get("blip_caption"):
                text = f"{text} [shares a photo: {said['blip_caption']}]"
            turns.append(Turn(said["dia_id"], session, ordinal, said["speaker"], text, begins + ordinal))
    known = {turn.id for turn in turns}
    given = [(row, row.get("evidence") or []) for row in one["qa"]]
    usable = [(row, ids) for row, ids in given if ids and all(_TURN.fullmatch(i) and i in known for i in ids)]
    return Conversation(
        id=one["sample_id"],
        speakers=(spoken["speaker_a"], spoken["speaker_b"]),
        turns=tuple(turns),
        asked=tuple(
            Asked(row["question"], tuple(dict.fromkeys(ids)), row["category"]) for row, ids in usable
        ),
        without_evidence=sum(not ids for _, ids in given),
        malformed=len(given) - len(usable) - sum(not ids for _, ids in given),
    )


def _seconds(date: str) -> float:
    return float(calendar.timegm(time.strptime(date.upper().replace(" ON ", " on "), _DATE)))


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
