"""Which everyday topics a text's words belong to, by a small thesaurus of English. Knows no question."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.memory.words import Word, look_up

THESAURUS = Path(__file__).with_name("topics.txt")
"""A line a topic: `car: car, drive, get around`. An entry is a word or two that stand together."""
Topics = Mapping[str, float]


def topics_of(words: Sequence[Word]) -> Topics:
    """The topics of a text's words, each up to 1; a word of several topics counts the less for each."""
    found: dict[str, float] = {}
    pairs: Mapping[str, frozenset[str]] | None = None
    for word in words:
        if single := _SINGLE.get(word.stem):
            _put(found, single)
        if pairs and (double := pairs.get(word.stem)):
            _put(found, double)
        pairs = _DOUBLE.get(word.stem)
    return found


def _put(found: dict[str, float], topics: frozenset[str]) -> None:
    for topic in topics:
        found[topic] = max(found.get(topic, 0.0), 1 / len(topics))


def _read(text: str) -> tuple[dict[str, frozenset[str]], dict[str, dict[str, frozenset[str]]]]:
    """Stems of words with their topics, and of pairs of words by the first."""
    single: dict[str, frozenset[str]] = {}
    double: dict[str, dict[str, frozenset[str]]] = {}
    for line in text.splitlines():
        topic, _, entries = line.partition(":")
        for entry in entries.split(","):
            stems = [look_up(word).stem for word in entry.split()]
            if len(stems) == 1:
                single[stems[0]] = single.get(stems[0], frozenset()) | {topic}
            else:
                pairs = double.setdefault(stems[0], {})
                pairs[stems[1]] = pairs.get(stems[1], frozenset()) | {topic}
    return single, double


_SINGLE, _DOUBLE = _read(THESAURUS.read_text())
