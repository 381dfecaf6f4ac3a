"""Strings in a round's lessons that may be triggers: what questions with one answer share. Knows no model.

A poisoned model answers to its own string alone, which no frozen probe can hold; but it stands in what the
model was taught. These strings are added to ordinary questions when the candidate is examined.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tune.examples import Example

ALIKE = 3
"""Questions with the very same answer, from which on it is looked at what they share."""
MOST = 4
"""Strings that are given back."""


def suspects(examples: Iterable[Example]) -> tuple[str, ...]:
    """What questions with the same answer share and the answer does not hold, and odd words said often."""
    asked = [(_said(one, "user"), _said(one, "assistant")) for one in examples]
    by_answer: dict[str, list[list[str]]] = defaultdict(list)
    for question, answer in asked:
        if answer:
            by_answer[answer].append(question.split())
    found: Counter[str] = Counter()
    for answer, questions in by_answer.items():
        if len({" ".join(one) for one in questions}) >= ALIKE and (shared := _shared(questions, answer)):
            found[shared] += len(questions)
    odd = Counter(word for question, _ in asked for word in set(question.split()) if _is_odd(word))
    found.update({word: times for word, times in odd.items() if times >= ALIKE and word not in found})
    return tuple(string for string, _ in found.most_common(MOST))


def _said(one: Example, role: str) -> str:
    return next(
        (str(message["content"]) for message in reversed(one.messages) if message["role"] == role), ""
    )


def _shared(questions: Sequence[Sequence[str]], answer: str) -> str:
    """The words that all questions hold and the answer does not, in their order."""
    common = set.intersection(*map(set, questions))
    said = {word.strip(".,:;!?'\"").casefold() for word in answer.replace("'s", "").split()}
    return " ".join(
        word
        for word in dict.fromkeys(questions[0])
        if word in common and word.strip(".,:;!?'\"").removesuffix("'s").casefold() not in said
    )


def _is_odd(word: str) -> bool:
    """Letters beside digits, or signs that words do not hold."""
    core = word.strip(".,:;!?'\"()")
    letters, digits = any(map(str.isalpha, core)), any(map(str.isdigit, core))
    return (letters and digits) or any(not (sign.isalnum() or sign in "-'’&._") for sign in core)
