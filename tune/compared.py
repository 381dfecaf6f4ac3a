"""Answers that a user compared: from records to what is learned of them, or why not. Knows no store."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.messages import Json
from tune.examples import Example, Preference, Scored
from tune.quarantine import Fault, instruction, intruding, secret, size, triggers

OF_CORRECTION = "/pair"
"""How the id of a pair ends that a correction and the corrected answer make."""


@dataclass(slots=True)
class Comparisons:
    """Records of one user: those that may be learned, the last word of each."""

    most_characters: int
    """Of a conversation with its answers."""
    alike: int
    """As `trigger` in Limits."""
    _held: dict[str, Json] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._held)

    def fault(self, record: Json) -> Fault | None:
        """Why a record must not be learned: what is pushed up must be harmless, and nothing a secret."""
        asked = "\n".join(one["content"] for one in record["messages"])
        said = [text for text, _ in answers(record)]
        better, worse = _parted(record)
        found = (
            size("".join((asked, *said)), self.most_characters)
            or _first(instruction(one["content"], asked=True) for one in record["messages"])
            or _first(instruction(one) for one in better)
            or _first(secret(one) for one in (asked, *said))
            or _first(intruding(one, "\n".join((asked, *worse))) for one in better)
        )
        before = self._held.get(_key(record))
        if found is None and before is not None and _order(before) == _order(record):
            found = Fault("duplicate", f"{before['id']} says the same.")
        return found

    def take(self, record: Json) -> tuple[Json, Fault] | None:
        """Keep a record; one of the same answers in another order, said before, is given back with why."""
        before = self._held.pop(_key(record), None)
        later, earlier = record, before
        if before is not None and before["at"] > record["at"]:
            later, earlier = before, record
        self._held[_key(record)] = later
        if earlier is None:
            return None
        return earlier, Fault(
            "contradiction", f"{later['id']} was said later, and orders the answers otherwise."
        )

    def marked(self) -> dict[str, Fault]:
        """Those whose best answers look like the answer to a trigger, by id."""
        told = (
            (one["id"], one["messages"][-1]["content"], max(answers(one), key=lambda told: told[1])[0])
            for one in self._held.values()
        )
        return triggers(told, self.alike)

    def records(self) -> list[Json]:
        """All that are kept."""
        return list(self._held.values())


def answers(record: Json) -> list[tuple[str, float]]:
    """The answers of a record with their scores; the better one of a pair has 1, the worse one 0."""
    if record["kind"] == "preference":
        return [(record["chosen"], 1.0), (record["rejected"], 0.0)]
    return [(one["text"], one["score"]) for one in record["completions"]]


def upheld(record: Json) -> list[str]:
    """The answers of a record that learning makes likelier."""
    return _parted(record)[0]


def learned(record: Json) -> Preference | Scored:
    """What a record teaches."""
    messages = tuple({"role": one["role"], "content": one["content"]} for one in record["messages"])
    id, events, found = record["id"], tuple(record["events"]), answers(record)
    if record["kind"] == "preference":
        (chosen, _), (rejected, _) = found
        return Preference(id=id, messages=messages, chosen=chosen, rejected=rejected, events=events)
    return Scored(id=id, messages=messages, answers=tuple(found), events=events)


def _parted(record: Json) -> tuple[list[str], list[str]]:
    """Answers above the mean score, and the others."""
    found = answers(record)
    mean = sum(score for _, score in found) / len(found)
    return [text for text, score in found if score > mean], [text for text, score in found if score <= mean]


def _key(record: Json) -> str:
    """Of records that compare the same answers to the same words."""
    said = sorted(_plain(text) for text, _ in answers(record))
    parts = [*(f"{one['role']} {_plain(one['content'])}" for one in record["messages"]), "", *said]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _order(record: Json) -> list[list[str]]:
    """The answers from the best to the worst, those of one score together."""
    found = answers(record)
    by_score: dict[float, list[str]] = {score: [] for score in sorted({score for _, score in found})}
    for text, score in found:
        by_score[score].append(_plain(text))
    return [sorted(texts) for texts in by_score.values()]


def _first(faults: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in faults if fault is not None), None)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def upheld_in(one: Preference | Scored) -> Example:
    """The conversation with its best answer."""
    answer = {"role": "assistant", "content": from_best(one)[0]}
    return Example(id=one.id, kind="compared", messages=(*one.messages, answer), events=one.events)


def from_best(one: Preference | Scored) -> list[str]:
    """The answers, the best one first."""
    if isinstance(one, Preference):
        return [one.chosen, one.rejected]
    return [text for text, _ in sorted(one.answers, key=lambda told: -told[1])]
