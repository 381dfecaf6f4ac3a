"""What a memory's sentences state: a value of a slot of a subject. Knows no language model and no SQL."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence's claim that a slot of a subject has a value, or (`holds` false) no longer has it.

    Example: "I moved to Porto." is Statement(subject="user", slot="home", value="Porto", start=0, end=17).
    An empty value with `holds` false retracts whatever the slot held.
    """

    subject: str
    slot: str
    value: str
    start: int
    end: int
    """The sentence is text[start:end]."""
    holds: bool = True
    single: bool = True
    """One value at a time: a new one takes the old one's place."""


def statements(text: str, speaker: str = "", role: str = "user") -> list[Statement]:
    """What a text states, in order. `speaker` is who says "I"; without a name it is the user.

    Questions, wishes and suppositions state nothing; an assistant's "I" states nothing about the user.
    """
    return []
