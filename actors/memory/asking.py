"""Which subject and slot a question asks about. Knows no memory, no index and no language model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A slot of a subject that is asked for; `past`: what it was before, not what it is."""

    subject: str
    slot: str
    past: bool = False


def asked(question: str, speaker: str = "") -> tuple[Asked, ...]:
    """What a question asks for, the likeliest first; empty where it asks for no slot that can be named.

    Example: asked("What's Alice's phone number?") == (Asked("alice", "phone"),)
    """
    return ()
