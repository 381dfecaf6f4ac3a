"""A sentence and a group of its words to questions which that group answers, by rule. Knows no model.

No grammar is parsed: many forms, drawn by chance, share the words that an unseen question would share.
"""

import re
from collections.abc import Sequence
from random import Random

from actors.compression import lexicon
from tune.spans import PAST, Span, Token, is_verb

FORMS = ("front", "words", "place", "end")
WEIGHTS = (0.5, 0.25, 0.1, 0.15)
"""How often a question is asked in each form."""
REACH = (2, 3, 4, 6, 12)
"""Words of content from the answer, on each side, up to which a word is likely to be in a question; drawn."""
FAR = 0.2
"""Chance of a word of content farther away."""
_YEAR = re.compile(r"(?:1\d|20)\d\ds?")
_WHERE = frozenset(("in", "on", "at", "near", "from", "to", "into", "across", "outside", "within", "around"))
LONGEST = range(6, 15)
"""Words of a question at most, drawn."""
_STOPS = frozenset(",;:()[]–—") | {"-"}
_E_BEFORE_D = (
    "at",
    "iz",
    "is",
    "us",
    "ag",
    "ng",
    "rg",
    "v",
    "c",
    "ur",
    "ir",
    "id",
    "ud",
    "od",
    "nc",
    "am",
    "ib",
)
_CAPITAL = lexicon.CALENDAR | {"i"}


def question(tokens: Sequence[Token], span: Span, subject: str, draw: Random) -> str:
    """One question, drawn; `subject` is what the sentence is about, for where it does not say."""
    (form,) = draw.choices(FORMS, WEIGHTS)
    first, last = _clause(tokens, span) if draw.random() < 0.75 else (0, len(tokens))
    before, after = list(tokens[first : span.first]), list(tokens[span.last : last])
    asks = _wh(tokens, span, draw)
    if form == "words":
        words = _kept(before, after, draw, 0.8, 0.3)
        if draw.random() < 0.3:
            draw.shuffle(words)
        said = [asks, *words]
    elif form == "front":
        said = [asks, *_fronted(before, after, draw)]
    else:
        left, right = _kept(before, [], draw, 0.9, 0.9), _kept([], after, draw, 0.85, 0.85)
        said = [*left, asks, *right] if form == "place" else [*right, *left, asks]
    return _finished(said, asks, tokens, subject, draw)


def shortened(text: str, draw: Random) -> str:
    """A question without some of its words of grammar, as those that are made by rule often are."""
    words = text.rstrip("?.").split()
    kept = [one for one in words[1:] if one.lower() not in lexicon.STOP_WORDS or draw.random() < 0.4]
    return f"{' '.join((*words[:1], *kept))}?"


def _wh(tokens: Sequence[Token], span: Span, draw: Random) -> str:
    """The words that ask, with some of the answer's own where they say what kind of thing it is."""
    words = [one for one in tokens[span.first : span.last] if one.is_word]
    before = tokens[span.first - 1].plain if span.first else ""
    if any(_YEAR.fullmatch(one.text) or one.plain in lexicon.CALENDAR for one in words):
        return draw.choice(("when", "when", "in what year", "what year", "on what date", "what day"))
    number = words[0].text[0].isdigit() or words[0].plain in lexicon.NUMBER_WORDS
    rest = " ".join(one.text for one in words[1:])
    if (number and "%" in words[0].text) or rest.startswith("percent"):
        return draw.choice(("what percentage", "how much", "what percent"))
    if words[0].text[0] in "$€£":
        return draw.choice(("how much", "how much money"))
    if number:
        return draw.choice(
            (f"how many {rest}", f"how many {rest}", f"what number of {rest}", "how many")
        ).strip()
    kinds = [one.text for one in words if one.text.islower() and one.plain not in lexicon.STOP_WORDS]
    name = any(one.is_name for one in words)
    if name and not kinds and len(words) > 1 and draw.random() < 0.3:
        kinds = [words[-1].plain]
    if kinds and draw.random() < 0.35:
        kind = " ".join(kinds) if name else kinds[-1]
        return (
            draw.choice(("what", "which", "what", "what kind of", "what type of")[: 3 if name else 5])
            + f" {kind}"
        )
    if before in _WHERE and draw.random() < 0.5:
        return draw.choice(("where", "where", "in what place", "in which"))
    if name:
        return draw.choice(("who", "what", "which", "who", "what"))
    return draw.choice(("what", "what", "what", "which", "how"))


def _clause(tokens: Sequence[Token], span: Span) -> tuple[int, int]:
    """From the sign before a group of words to the one after."""
    first, last = span.first, span.last
    while first and tokens[first - 1].text not in _STOPS:
        first -= 1
    while last < len(tokens) and tokens[last].text not in _STOPS:
        last += 1
    return (first, last) if last - first - (span.last - span.first) >= 3 else (0, len(tokens))


def _kept(
    before: Sequence[Token], after: Sequence[Token], draw: Random, content: float, grammar: float
) -> list[str]:
    """Words on both sides: most of those near the answer, some of the others."""
    chosen: list[str] = []
    for side, order in ((before, -1), (after, 1)):
        passed, found, reach = 0, [], draw.choice(REACH)
        for one in side[::order]:
            passed += one.is_content
            chance = content if one.is_content else grammar
            if passed > reach:
                chance = FAR if one.is_content else 0.0
            if one.is_word and draw.random() < chance:
                found.append(_varied(one, draw))
        chosen += found[::order]
    return chosen or [one.text for one in (*before, *after) if one.is_content]


def _fronted(before: list[Token], after: list[Token], draw: Random) -> list[str]:
    """What follows the asking words: the verb, who or what does it, the rest."""
    if before and not before[-1].is_content and draw.random() < 0.6:
        before = before[:-1]
    side = [one for one in before if one.is_word]
    helps = [place for place, one in enumerate(side) if one.plain in lexicon.AUXILIARIES]
    verbs = [place for place in range(len(side)) if is_verb(side, place)]
    drop = draw.choice((0.0, 0.0, 0.2))

    def some(words: Sequence[Token]) -> list[str]:
        return [one.text for one in words if one.is_word and draw.random() >= drop]

    rest = _kept([], after, draw, 0.85, 0.85) if after else []
    if helps:
        at = helps[-1]
        return [side[at].text, *some(side[:at]), *some(side[at + 1 :]), *rest]
    if verbs:
        at = verbs[-1]
        return ["did", *some(side[:at]), stem(side[at].plain), *some(side[at + 1 :]), *rest]
    return [*rest, *some(side)]


def stem(verb: str) -> str:
    """A verb in the past as it stands after "did"."""
    if verb in PAST:
        return PAST[verb]
    if verb.endswith("ied"):
        return verb[:-3] + "y"
    if not verb.endswith("ed"):
        return verb
    bare = verb[:-2]
    if bare.endswith(_E_BEFORE_D) and not bare.endswith("eat"):
        return bare + "e"
    return bare[:-1] if bare[-1:] == bare[-2:-1] and bare[-1:] not in "sl" else bare


def _varied(one: Token, draw: Random) -> str:
    """A word, at times in another form of it."""
    if one.text.islower() and one.is_content and draw.random() < 0.2:
        if one.plain in PAST or one.plain.endswith("ed"):
            return stem(one.plain)
        return one.text[:-1] if one.text.endswith("s") and not one.text.endswith("ss") else one.text + "s"
    return one.text


def _cut(words: list[str], asks: str, longest: int, draw: Random) -> list[str]:
    """At most so many words: without some of grammar, or of content from anywhere."""
    while len(words) > longest:
        grammar = [place for place, word in enumerate(words) if word.lower() in lexicon.STOP_WORDS]
        grammar = [place for place in grammar if words[place] != asks]
        if grammar and draw.random() < 0.5:
            words.pop(draw.choice(grammar))
        else:
            words.pop(draw.choice([place for place, word in enumerate(words) if word != asks]))
    return words


def _finished(said: Sequence[str], asks: str, tokens: Sequence[Token], subject: str, draw: Random) -> str:
    """A question's words as a sentence, with the subject where the sentence lacks it, at times."""
    opening = tokens[0].text
    small = opening.lower() in lexicon.STOP_WORDS and opening.lower() not in _CAPITAL
    words = [word.lower() if word == opening and small else word for word in said if word]
    words = _cut(words, asks, draw.choice(LONGEST), draw)
    stated = {one.plain for one in tokens}
    if subject and not set(subject.casefold().split()) <= stated:
        pronouns = [place for place, word in enumerate(words) if word.lower() in ("he", "she", "it", "they")]
        if pronouns and draw.random() < 0.7:
            words[pronouns[0]] = subject
        elif draw.random() < 0.4:
            words = [*words, draw.choice(("in", "of", "for", "at")), subject]
    text = " ".join(words).strip()
    return f"{text[:1].upper()}{text[1:]}?"
