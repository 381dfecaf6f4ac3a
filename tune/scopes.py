"""Whom something may be taught to: the model of the user who said it, or the one that serves everybody.

It is personal unless it concerns nobody in particular, its user shares, and others say the same.
"""

import re
from collections.abc import Iterable

from tune.quarantine import Fault

AGREEING = 2
"""Users who have to say the same before everybody's model is taught it."""
LEAST_NAME = 3
"""Characters of a user's name that is looked for in texts; a shorter one is in too many words."""


class Names:
    """The names of all users, by which one cannot teach everybody about another."""

    def __init__(self, names: Iterable[str]) -> None:
        held = sorted({one.casefold() for one in names if len(one) >= LEAST_NAME}, key=len, reverse=True)
        joined = "|".join(map(re.escape, held))
        self._pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)") if held else None

    def within(self, text: str) -> bool:
        """Whether a text names a user."""
        return self._pattern is not None and self._pattern.search(text.casefold()) is not None


def personal(text: str, names: Names, subject: str = "", attribute: str = "") -> Fault | None:
    """Why a text may be taught to its own user's model alone; None: it is nobody's in particular."""
    if subject == "user" or subject.startswith("user's") or _SPEAKS.search(text):
        return Fault("private", "It speaks of the user who said it.")
    if attribute and attribute.casefold() in _OF_PERSONS:
        return Fault("private", f"A {attribute} is a matter of somebody's life.")
    if names.within(text) or names.within(subject):
        return Fault("private", "It names another user.")
    if _REACHES.search(text):
        return Fault("private", "It holds an address or a number by which somebody is reached.")
    return None


_SPEAKS = re.compile(
    r"\b(?:I|I'm|I’m|I've|I’ve|[Mm]y|[Mm]e|[Mm]ine|[Mm]yself|[Ww]e|[Oo]ur|[Oo]urs|[Uu]s"
    r"|[Yy]our?|[Yy]ours|[Yy]ou're|[Yy]ou’re|[Yy]ourself)\b"
)
_REACHES = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.\w|(?<!\w)\+?\d[\d ()/.-]{7,}\d(?!\w)|(?<!\w)@\w{3,}"
    r"|\b\d+\s+\w+(?:\s\w+)?\s(?:street|road|avenue|lane|drive|strasse|straße)\b",
    re.IGNORECASE,
)
_OF_PERSONS_WORDS = """
    home, address, phone, email, employer, job, birthday, birthplace, hometown, name, last name, nickname,
    age, spouse, partner, mother, father, grandmother, grandfather, kid, son, daughter, brother, sister,
    cousin, uncle, aunt, manager, doctor, roommate, friend, best friend, neighbor, colleague, car, school,
    major, diet, allergy, nationality, native language, blood type, wifi, wifi password, salary, religion,
    gender, orientation, weight, height, illness, disease, diagnosis, medication, condition, debt, income,
    party, likes, dislikes, hobby, pet, dog, cat, favorite food, favorite color, plan, appointment,
    relationship
"""
_OF_PERSONS = frozenset(" ".join(one.split()) for one in _OF_PERSONS_WORDS.split(","))
