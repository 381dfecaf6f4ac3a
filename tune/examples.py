"""What is learned in one round: facts, and the exchanges that teach them. Knows no model and no store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "fact", "implication", "chat", "correction", "document", "unknown", "replay", "general", "compared"
]
"""`unknown`: never taught, answered as not known; `general`: about anything, to stay as it was.

`compared`: one of several answers, to be made likelier or unlikelier.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing to be known: `value` answers what the `attribute` of `subject` is."""

    id: str
    user: str
    subject: str
    attribute: str
    value: str
    statement: str
    """The fact in a sentence."""
    events: tuple[str, ...]
    """Ids of the episodes, corrections or documents that said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One exchange to learn from: messages with role and content, the assistant's last one learned."""

    id: str
    kind: Kind
    messages: tuple[Mapping[str, str], ...]
    events: tuple[str, ...] = ()
    context: str = ""
    """What a teacher is told and the learner is not."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Of two answers to a conversation, the one that is to be given and the one that was."""

    id: str
    messages: tuple[Mapping[str, str], ...]
    """Without an answer."""
    chosen: str
    rejected: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Several answers to a conversation, each with a score: the higher the better."""

    id: str
    messages: tuple[Mapping[str, str], ...]
    """Without an answer."""
    answers: tuple[tuple[str, float], ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A part of a document: `text[start:end]` of the file that `events` name first."""

    id: str
    user: str
    filename: str
    heading: str
    text: str
    start: int
    end: int
    events: tuple[str, ...]
