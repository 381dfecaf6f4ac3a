"""Picks the sentences of a session that say most about it, as they were said. Knows no row and no model."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from actors.memory.sentences import sentences
from actors.memory.statements import statements
from actors.memory.words import Word, words_of

SENTENCES = 3
FEWEST_TURNS = 4
"""Turns that a session needs to be worth a summary."""
SHORTEST, LONGEST = 4, 40
"""Words of a sentence that can stand alone."""
FACT = 2.0
"""What a statement of fact is worth, in units of one average sentence's words."""
REPEATED = 0.5
"""Share of a sentence's words that were picked before, from which on it is passed over."""


class Turn(NamedTuple):
    """What somebody said."""

    id: str
    text: str
    speaker: str
    role: str


class Summary(NamedTuple):
    """Sentences in the order in which they were said, a line each, and the turns they are from."""

    text: str
    sources: tuple[str, ...]


class _Candidate(NamedTuple):
    place: int
    turn: Turn
    sentence: str
    words: frozenset[str]
    facts: int


def summary(turns: Sequence[Turn]) -> Summary | None:
    """Two or three sentences of a session, by rarity of words and what they state; None: too short."""
    if len(turns) < FEWEST_TURNS:
        return None
    candidates = [candidate for place, turn in enumerate(turns) for candidate in _candidates(place, turn)]
    rarity = _rarity(candidates)
    ranked = sorted(candidates, key=lambda one: (-_score(one, rarity), one.place))
    picked: list[_Candidate] = []
    said: set[str] = set()
    for candidate in ranked:
        if len(candidate.words & said) < REPEATED * len(candidate.words):
            picked.append(candidate)
            said |= candidate.words
        if len(picked) == SENTENCES:
            break
    if len(picked) < 2:
        return None
    picked.sort(key=lambda one: one.place)
    lines = [f"{one.turn.speaker}: {one.sentence}" if one.turn.speaker else one.sentence for one in picked]
    return Summary("\n".join(lines), tuple(dict.fromkeys(one.turn.id for one in picked)))


def _candidates(place: int, turn: Turn) -> list[_Candidate]:
    stated = statements(turn.text, turn.speaker, turn.role)
    found = []
    for start, end in sentences(turn.text):
        sentence = turn.text[start:end]
        words = [word for word in words_of(sentence) if not word.stop]
        if SHORTEST <= len(sentence.split()) <= LONGEST and words and not sentence.endswith("?"):
            facts = sum(start <= one.start < end for one in stated)
            found.append(_Candidate(place, turn, sentence, frozenset(map(_stem, words)), facts))
    return found


def _stem(word: Word) -> str:
    return word.stem


def _rarity(candidates: Sequence[_Candidate]) -> dict[str, float]:
    counts = Counter(word for candidate in candidates for word in candidate.words)
    return {word: math.log(1 + len(candidates) / count) for word, count in counts.items()}


def _score(candidate: _Candidate, rarity: dict[str, float]) -> float:
    """Mean rarity, a little for length, more for facts; an assistant's words count half."""
    average = sum(rarity[word] for word in candidate.words) / len(candidate.words)
    weight = average * (1 + FACT * min(candidate.facts, 2) / 2) * math.log(2 + len(candidate.words))
    return weight if candidate.turn.role != "assistant" else weight / 2
