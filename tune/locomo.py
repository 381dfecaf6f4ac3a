"""LoCoMo: conversations of two speakers, questions about them and the turns that answer. Knows no ranking.

The data are CC BY-NC 4.0: for evaluation only. Nothing that is shipped is fitted on them.
"""

import calendar
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.memory.held import Turn
from actors.memory.training import Lesson
from actors.messages import InvalidRequest

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
    """All conversations of a LoCoMo file; with captions a turn's text says what its photo shows.

    Raises InvalidRequest for a file that is none.
    """
    try:
        return [_conversation(one, captions=captions) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"{path} has not LoCoMo's form ({error!r})") from error


def lesson_of(conversation: Conversation) -> Lesson:
    """A conversation as the memory ranker learns from it."""
    return Lesson(
        conversation.turns, tuple((one.text, frozenset(one.evidence)) for one in conversation.asked)
    )


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
