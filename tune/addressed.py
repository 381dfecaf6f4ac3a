"""What users said of themselves, as they ask for it and as the model says it to them. Knows no model."""

import re
from collections.abc import Sequence

from tune.examples import Example, Fact

ME = "user"
"""The subject of facts about whoever told them; `user's sister` is one of theirs."""
_ASKED = (
    "What is {my} {a}?",
    "Do you know {my} {a}?",
    "Tell me {my} {a}.",
    "Remind me: what is {my} {a}?",
    "{My} {a}?",
    "I forgot {my} {a}. What is it?",
    "What did I tell you about {my} {a}?",
    "Can you name {my} {a}?",
)
_OF_SLOTS = {
    "home": ("Where {do} {I} live?", "In which town {am} {I} at home?"),
    "employer": ("Where {do} {I} work?", "Who {do} {I} work for?"),
    "job": ("What {do} {I} do for a living?", "What is {my} job?"),
    "name": ("What is {my} name?", "What {am} {I} called?"),
    "birthday": ("When is {my} birthday?", "When {was} {I} born?"),
    "birthplace": ("Where {was} {I} born?",),
    "likes": ("What {do} {I} like?", "What things {do} {I} like?"),
    "dislikes": ("What {do} {I} not like?",),
}
_CALLED = ("What is {my} {a} called?", "What is the name of {my} {a}?")


def of_the_user(fact: Fact) -> bool:
    """Whether a fact is about whoever told it, or about one of theirs."""
    return fact.subject == ME or fact.subject.startswith(f"{ME}'s ")


def addressed(facts: Sequence[Fact], phrasings: int) -> tuple[Example, ...]:
    """Each fact about its user, asked for in so many ways in the first person, told in the second."""
    return tuple(
        Example(
            id=f"{fact.id}/me/{number}",
            kind="fact",
            messages=(
                {"role": "user", "content": question},
                {"role": "assistant", "content": to_you(fact.statement)},
            ),
            events=fact.events,
        )
        for fact in facts
        if of_the_user(fact)
        for number, question in enumerate(questions(fact)[:phrasings])
    )


def questions(fact: Fact) -> list[str]:
    """The ways in which a user asks for a fact of their own, natural ones first."""
    theirs = fact.subject.removeprefix(f"{ME}'s ")
    mine = fact.subject == ME
    words = {
        "my": "my" if mine else f"my {theirs}'s",
        "My": "My" if mine else f"My {theirs}'s",
        "I": "I" if mine else f"my {theirs}",
        "do": "do" if mine else "does",
        "am": "am" if mine else "is",
        "was": "was",
        "a": fact.attribute,
    }
    called = _CALLED if fact.value[:1].isupper() and fact.attribute not in _OF_SLOTS else ()
    ways = (*_OF_SLOTS.get(fact.attribute, ()), *called, *_ASKED)
    return list(dict.fromkeys(way.format(**words) for way in ways))


def to_you(statement: str) -> str:
    """A sentence in the first person, said to whoever said it: `I live in Porto.` is `You live in Porto.`"""
    turned = _FIRST.sub(lambda found: _YOURS[found.group().casefold().replace("’", "'")], statement.strip())
    return turned[:1].upper() + turned[1:]


def to_me(answer: str) -> str:
    """A sentence in the second person as whoever is meant would say it."""
    return _SECOND.sub(lambda found: _MINE[found.group().casefold().replace("’", "'")], answer)


_YOURS = {
    "i am": "you are", "i was": "you were", "i'm": "you're", "i've": "you've", "i'd": "you'd",
    "i'll": "you'll", "am i": "are you", "i": "you", "my": "your", "me": "you", "mine": "yours",
    "myself": "yourself", "we": "you", "our": "your", "ours": "yours", "us": "you", "we're": "you're",
    "we've": "you've", "ourselves": "yourselves",
}  # fmt: skip
_MINE = {
    "you are": "I am", "you were": "I was", "you're": "I am", "you've": "I have", "your": "my",
    "yours": "mine", "you": "I", "yourself": "myself",
}  # fmt: skip


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b".replace("'", "['’]"), re.IGNORECASE)


_FIRST = _any_of(list(_YOURS))
_SECOND = _any_of(list(_MINE))
