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
    before = ""
    for word in words:
        for topics in (_SINGLE.get(word.stem, ()), _DOUBLE.get((before, word.stem), ())):
            for topic in topics:
                found[topic] = max(found.get(topic, 0.0), 1 / len(topics))
        before = word.stem
    return found


def _read(text: str) -> tuple[dict[str, frozenset[str]], dict[tuple[str, str], frozenset[str]]]:
    """Stems of words, and of pairs of words, with their topics."""
    single: dict[str, frozenset[str]] = {}
    double: dict[tuple[str, str], frozenset[str]] = {}
    for line in text.splitlines():
        topic, _, entries = line.partition(":")
        for entry in entries.split(","):
            stems = [look_up(word).stem for word in entry.split()]
            if len(stems) == 1:
                single[stems[0]] = single.get(stems[0], frozenset()) | {topic}
            else:
                double[stems[0], stems[1]] = double.get((stems[0], stems[1]), frozenset()) | {topic}
    return single, double


_SINGLE, _DOUBLE = _read(THESAURUS.read_text())
