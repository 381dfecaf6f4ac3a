"""What users said of themselves, as they ask for it and as the model says it to them. Knows no model."""

import re
from collections.abc import Sequence

from tune.examples import Example, Fact
from tune.teaching import BLANK, stem

ME = "user"
"""The subject of facts about whoever told them; `user's sister` is one of theirs."""
_ASKED = (
    "What is {my} {a}?",
    "Do you know {my} {a}?",
    "Tell me {my} {a}.",
    "Remind me: what is {my} {a}?",
    "{My} {a}?",
    "What was {my} {a} again?",
    "Please tell me what {my} {a} is.",
    "Help me remember {my} {a}.",
    "You know {my} {a}, don't you?",
    "Say what {my} {a} is.",
    "I need to know {my} {a}.",
    "What's {my} {a}?",
    "Do you remember {my} {a}?",
    "Could you remind me of {my} {a}?",
    "I can't think of {my} {a}.",
    "Can you tell me {my} {a}?",
    "Hi! Quick question: {my} {a}?",
    "Did I ever mention {my} {a}?",
    "Which {a} is it that I mean when I say {my} {a}?",
    "Someone asked me for {my} {a}. What do I say?",
    "Write down {my} {a}.",
    "What do you know about {my} {a}?",
    "Let's see if you know {my} {a}.",
    "It slipped my mind: {my} {a}?",
    "Fill in the form for me. {My} {a}:",
    "Was there something about {my} {a} that I said?",
    "{my} {a} please",
    "What would you say {my} {a} is?",
    "Have I told you {my} {a}?",
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
    words = words_of(fact)
    called = _CALLED if fact.value[:1].isupper() and fact.attribute not in _OF_SLOTS else ()
    begun = stem(fact)
    ended = (f"{begun} what?", f"Complete the sentence: {begun} {BLANK}") if begun else ()
    natural = [way.format(**words) for way in (*_OF_SLOTS.get(fact.attribute, ()), *called)]
    return list(dict.fromkeys((*natural, *ended, *(way.format(**words) for way in _ASKED))))


def words_of(fact: Fact) -> dict[str, str]:
    """What stands for the places of a question about a user's own fact."""
    theirs = fact.subject.removeprefix(f"{ME}'s ")
    mine = fact.subject == ME
    return {
        "my": "my" if mine else f"my {theirs}'s",
        "My": "My" if mine else f"My {theirs}'s",
        "I": "I" if mine else f"my {theirs}",
        "do": "do" if mine else "does",
        "am": "am" if mine else "is",
        "was": "was",
        "a": fact.attribute,
    }


def of_another(question: str, name: str) -> str:
    """A user's question about themselves, asked about somebody else; the same where it names no user."""
    turned = _OTHERS.sub(lambda found: _THEIRS[found.group().casefold()].format(s=name), question)
    return turned[:1].upper() + turned[1:]


def shortly(fact: Fact) -> str:
    """A user's own fact by the name of its matter; as it was told where that name is told too."""
    if (
        fact.attribute.casefold() in fact.statement.casefold()
        or not fact.attribute.replace(" ", "").isalpha()
    ):
        return to_you(fact.statement)
    return to_you("{My} {a} is ".format(**words_of(fact)) + f"{fact.value}.")


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


_THEIRS = {
    "my": "{s}'s", "do i": "does {s}", "am i": "is {s}", "was i": "was {s}", "i am": "{s} is",
    "i live": "{s} lives", "i work": "{s} works", "i play": "{s} plays", "i like": "{s} likes",
    "i have": "{s} has",
}  # fmt: skip
_FIRST = _any_of(list(_YOURS))
_OTHERS = _any_of(list(_THEIRS))
_SECOND = _any_of(list(_MINE))
