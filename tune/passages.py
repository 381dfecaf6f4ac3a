"""Passages of documents to exchanges that teach them: what could be asked of each sentence. Knows no model.

What is asked is drawn anew for each `turn`, so that no wording is learned by heart.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from actors.memory.sentences import sentences
from tune.examples import Example, Fact, Passage
from tune.phrases import FAMILIES, FAMILY, GENERAL, GIVEN, PLACES
from tune.spans import Span, Token, spans, tokens_of, value
from tune.teaching import ways
from tune.wh import question, shortened

TRIES = 4
"""Questions that are drawn for one that is new."""
ASKED = (
    *("What is {} made of?", "Who invented {}?", "How does {} work?", "Where was {} first used?"),
    *("When did people begin to use {}?", "How many kinds of {} are there?", "What is {} good for?"),
    *(
        "Which country is famous for {}?",
        "Why is {} expensive?",
        "Who sells {}?",
        "What is another word for {}?",
    ),
)
THINGS = (
    *(
        "glass",
        "cheese",
        "paper",
        "the violin",
        "the compass",
        "leather",
        "cement",
        "chocolate",
        "the telescope",
    ),
    *(
        "tea",
        "the bicycle",
        "coal",
        "silk",
        "the lighthouse",
        "soap",
        "the calendar",
        "rubber",
        "the umbrella",
    ),
)
OF_LANDS = (
    *("What is the largest river in {}?", "Who was the first king of {}?", "Which language is spoken in {}?"),
    *("How many people live in {}?", "When did {} become independent?", "What is the money of {} called?"),
    *(
        "Who rules {}?",
        "What is the highest mountain of {}?",
        "Which countries border {}?",
        "What is {} known for?",
    ),
)
LANDS = (
    *("Iceland", "Portugal", "Morocco", "Vietnam", "Chile", "Hungary", "Ghana", "Nepal", "Finland", "Cuba"),
    *(
        "Jordan",
        "Ireland",
        "Bolivia",
        "Latvia",
        "Tunisia",
        "Malaysia",
        "Uruguay",
        "Serbia",
        "Ethiopia",
        "Oman",
    ),
)
"""Ways to ask about anything, of which the frozen probes ask none, and what they are asked of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A group of words of one sentence of a passage that is asked for."""

    passage: Passage
    number: int
    tokens: tuple[Token, ...]
    span: Span
    text: str

    @property
    def id(self) -> str:
        """The same each time."""
        return f"passage/{self.passage.id}/{self.number}"


def answers(passage: Passage, most: int) -> list[Answer]:
    """What is asked for of a passage, in its order: names and numbers first where there is too much."""
    found: list[tuple[float, Answer]] = []
    for start, end in sentences(passage.text):
        sentence = passage.text[start:end]
        tokens = tuple(tokens_of(sentence))
        for span in spans(tokens):
            text = sentence[tokens[span.first].start : tokens[span.last - 1].end]
            found.append((value(tokens, span), Answer(passage, len(found), tokens, span, text)))
    best = sorted(found, key=lambda one: -one[0])[:most]
    return sorted((one for _, one in best), key=lambda one: one.number)


def subject(passage: Passage) -> str:
    """What a passage is about, as its heading or its file's name says."""
    return passage.heading or PurePath(passage.filename).stem


def lessons(
    passages: Sequence[Passage],
    most: int,
    ways: int,
    seed: int,
    turn: int = 0,
    never: Collection[str] = (),
) -> tuple[Example, ...]:
    """Up to `most` answers of each passage, asked for in `ways` of this turn; none of `never` is asked."""
    barred = {plain(text) for text in never}
    return tuple(
        example
        for passage in passages
        for answer in answers(passage, most)
        for example in _asked(answer, ways, random.Random(f"{seed}/{turn}/{answer.id}"), turn, barred)
    )


def held(count: int, seed: int, turn: int = 0) -> tuple[Example, ...]:
    """Questions about anything and about made-up people, places and things: the model's own answers stay.

    Many are as short of words as made-up questions are, so that their manner does not tell them apart.
    """
    draw = random.Random(f"{seed}/{turn}/held")
    pool = [
        *(text for text in GENERAL if "'" not in text),
        *(way.format(thing) for way in ASKED for thing in THINGS),
        *(way.format(land) for way in OF_LANDS for land in LANDS),
    ]
    texts = [*draw.sample(pool, min(2 * count // 3, len(pool)))]
    texts += [_made_up(draw) for _ in range(count - len(texts))]
    short = (place % 2 and text not in GENERAL for place, text in enumerate(texts))
    asked = (shortened(text, draw) if so else text for so, text in zip(short, texts, strict=True))
    return tuple(
        Example(id=f"held/{turn}/{number}", kind="general", messages=({"role": "user", "content": text},))
        for number, text in enumerate(asked)
    )


def _made_up(draw: random.Random) -> str:
    """Something asked of somebody or some place that no passage is about."""
    person = f"{draw.choice(GIVEN)} {draw.choice(FAMILY)}"
    name = draw.choice((person, person, draw.choice(PLACES)))
    attribute = draw.choice(list(FAMILIES))
    made = Fact(id="", user="", subject=name, attribute=attribute, value="", statement="", events=())
    return draw.choice(ways(made))


def plain(text: str) -> str:
    """A question as it is compared with others."""
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.casefold()).split())


def _asked(
    answer: Answer, ways: int, draw: random.Random, turn: int, barred: Collection[str]
) -> Iterator[Example]:
    seen = set(barred)
    for number in range(ways):
        for _ in range(TRIES):
            text = question(answer.tokens, answer.span, subject(answer.passage), draw)
            if plain(text) not in seen:
                seen.add(plain(text))
                yield Example(
                    id=f"{answer.id}/{turn}-{number}",
                    kind="document",
                    messages=(
                        {"role": "user", "content": text},
                        {"role": "assistant", "content": answer.text},
                    ),
                    events=answer.passage.events,
                )
                break
