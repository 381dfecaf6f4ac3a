"""Generates long conversations of two friends with questions and their evidence turns. Knows no ranking.

The templates beside it and what comes of them are the project's own: weights fitted on them may be shipped.
"""

import calendar
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from actors.memory.held import Turn
from actors.memory.questions import content_words
from tune.locomo import Asked, Conversation

TEMPLATES = Path(__file__).with_suffix(".yaml")
DAY_S = 86400.0
TURN_S = 30.0
START_S = 1_640_995_200.0
TRIES = 4
AGAIN = 0.35
"""How often one of one's own topics comes up once more, when it is drawn."""
SHARED = 0.1
"""How often a topic is taken that the other may have talked about."""
MIXED_UP = 0.22
"""How often a question names the wrong friend: people mix up who said what."""
NAMED = 0.25
"""How often a question about a detail names its topic."""
DATED = 0.15
"""How often a question about one moment names the time."""
LONG = 3
"""Letters of a word that is asked with must be more."""
SINGLE, TEMPORAL, MULTI, ADVERSARIAL = 4, 2, 1, 5
"""Kinds of questions, numbered as LoCoMo numbers them."""

Templates = Mapping[str, Any]


def templates(path: Path = TEMPLATES) -> Templates:
    """What is said and asked, by kind."""
    found: Templates = yaml.safe_load(path.read_text())
    return found


def generate(seed: int, count: int, questions: int, given: Templates | None = None) -> list[Conversation]:
    """`count` conversations with at most `questions` each; the same for the same seed and templates."""
    given = given or templates()
    chances = [random.Random(f"{seed}/{number}") for number in range(count)]
    return [_Talk(given, chance, number).told(questions) for number, chance in enumerate(chances)]


@dataclass
class _Story:
    """One speaker's topic: its slots, where it was told, and the details not yet told."""

    topic: Mapping[str, Any]
    teller: int
    slots: dict[str, str]
    turns: list[str] = field(default_factory=list)
    """Ids of the telling and of each detail, in order."""
    left: list[Sequence[Any]] = field(default_factory=list)


class _Talk:
    """One conversation as it grows."""

    def __init__(self, given: Templates, chance: random.Random, number: int) -> None:
        self.given = given
        self.chance = chance
        self.number = number
        self.names = chance.sample(given["names"], 2)
        self.turns: list[Turn] = []
        self.stories: list[_Story] = []
        self.asked: list[Asked] = []
        self._said: dict[str, str] = {}
        self._at: dict[str, float] = {}
        self.session = 0
        self.now = START_S + chance.random() * 300 * DAY_S

    def told(self, questions: int) -> Conversation:
        """The whole conversation, its questions drawn."""
        for _ in range(self.chance.randint(15, 27)):
            self._sit_down()
        self._ask()
        self.chance.shuffle(self.asked)
        return Conversation(
            id=f"talk-{self.number}",
            speakers=(self.names[0], self.names[1]),
            turns=tuple(self.turns),
            asked=tuple(self.asked[:questions]),
            without_evidence=0,
            malformed=0,
        )

    def _sit_down(self) -> None:
        self.session += 1
        self.now += self.chance.uniform(2, 20) * DAY_S
        opener = self.chance.randrange(2)
        if self.chance.random() < 0.6:
            self._new_story(opener, self._line("greetings", opener))
        else:
            self._say(opener, self._line("greetings", opener))
            self._say(1 - opener, self._line("replies", 1 - opener))
        for _ in range(self.chance.randint(1, 3)):
            self._small_talk()
            pending = [story for story in self.stories if story.left]
            if pending and self.chance.random() < 0.35:
                self._come_back(self.chance.choice(pending))
            else:
                self._new_story(self.chance.randrange(2), "")
        self._small_talk()
        self._say(opener, self._line("closings", opener))
        self._say(1 - opener, self._line("closings", 1 - opener))

    def _new_story(self, teller: int, before: str) -> None:
        topic = self._topic(teller)
        friend = self.chance.choice(self.given["friends"])
        slots = {name: str(self.chance.choice(values)) for name, values in topic.get("slots", {}).items()}
        slots |= {"friend": friend, "topic": topic["topic"]}
        known = self._same(topic["topic"], teller)
        story = _Story(topic, teller, slots, left=[] if known else list(topic["more"]))
        text = self._fill(self.chance.choice(topic["tell"]), story)
        text = _joined(before or self._maybe("thanks", teller, 0.2), text, self._maybe("afters", teller, 0.4))
        if "photo" in topic and self.chance.random() < 0.5:
            text += f" [shares a photo: {self._fill(topic['photo'], story)}]"
        story.turns.append(self._say(teller, text))
        self.stories.append(story)
        self._follow(story, 0.75)

    def _topic(self, teller: int) -> Mapping[str, Any]:
        """Mostly something that neither has talked about; friends seldom live through the same."""
        told = {(one.topic["topic"], one.teller) for one in self.stories}
        drawn: list[Mapping[str, Any]] = self.chance.sample(self.given["topics"], TRIES)
        unheard = [one for one in drawn if not {(one["topic"], 0), (one["topic"], 1)} & told]
        own = [one for one in drawn if (one["topic"], teller) in told]
        if own and self.chance.random() < AGAIN:
            return own[0]
        return unheard[0] if unheard and self.chance.random() > SHARED else drawn[0]

    def _come_back(self, story: _Story) -> None:
        self._say(1 - story.teller, self._fill(self._line("revisits", 1 - story.teller), story))
        self._follow(story, 1.0)

    def _follow(self, story: _Story, likely: float) -> None:
        """The listener reacts and asks on, the teller answers, until they stop."""
        listener = 1 - story.teller
        while True:
            cheer = self._line("cheers", listener)
            if not story.left or self.chance.random() > likely:
                echo = self._fill(self._line("echoes", listener), story)
                end = self._maybe("fillers", listener, 0.6), self._maybe("days", listener, 0.3)
                self._say(listener, _joined(cheer, echo if self.chance.random() < 0.6 else "", *end))
                return
            asked, told, questions = story.left.pop(0)
            heard = self._fill(self._line("echoes", listener), story) if self.chance.random() < 0.3 else cheer
            self._say(listener, _joined(heard, self._maybe("fillers", listener, 0.25), asked))
            answer = _joined(
                self._maybe("thanks", story.teller, 0.5),
                self._fill(told, story),
                self._maybe("afters", story.teller, 0.35),
            )
            turn = self._say(story.teller, answer)
            story.turns.append(turn)
            self._question(self._about(self.chance.choice(questions), story), story, (turn,), SINGLE)
            self._question(self._pointed(told, story), story, (turn,), SINGLE)
            likely *= 0.75

    def _about(self, question: str, story: _Story) -> str:
        """Sometimes the topic is named too."""
        if self.chance.random() > NAMED:
            return question
        return f"About {story.slots['topic']}: {question[:1].lower()}{question[1:]}"

    def _pointed(self, told: str, story: _Story) -> str:
        """A question in the words that were used, some of them, as people who remember a detail ask."""
        words = content_words(_filled(told, story.slots))
        long = [word for word in words if len(word) > LONG]
        long = [word for word in long if word not in {name.lower() for name in self.names}]
        some = [word for word in long if self.chance.random() < 0.5][:3] or long[:1] or words[:1]
        frame: str = self.chance.choice(self.given["pointed"])
        return frame.replace("{words}", " ".join(some))

    def _small_talk(self) -> None:
        speaker = self.chance.randrange(2)
        for _ in range(self.chance.randint(0, 3)):
            chat = self._line("fillers", speaker), self._maybe("fillers", speaker, 0.6)
            day = self._maybe("days", speaker, 0.3)
            self._say(speaker, _joined(self._maybe("thanks", speaker, 0.4), *chat, day))
            speaker = 1 - speaker

    def _ask(self) -> None:
        for story in self.stories:
            same = self._same(story.topic["topic"], story.teller)
            told = tuple(one.turns[0] for one in same)
            question = self._about(self.chance.choice(story.topic["ask"]), story)
            self._question(question, story, told, SINGLE)
            self._question(self._pointed(self._said[story.turns[0]], story), story, told[-1:], SINGLE)
            for kind, asked in ((TEMPORAL, "when_did"), (SINGLE, "how_did")):
                question = self.chance.choice(self.given[asked])
                question = question.replace("{did}", self.chance.choice(story.topic["did"]))
                self._question(question, story, told, kind)
            if len(story.turns) > 1 and self.chance.random() < 0.4:
                everything = tuple(turn for one in same for turn in one.turns)
                question = self.chance.choice(self.given["about"])
                self._question(question, story, everything, MULTI)
        for teller in (0, 1):
            self._ask_groups(teller)
        self._ask_both()

    def _ask_groups(self, teller: int) -> None:
        for group, questions in self.given["groups"].items():
            stories = [one for one in self.stories if one.teller == teller and group in one.topic["groups"]]
            if len(stories) > 1:
                told = tuple(one.turns[0] for one in stories)
                for question in questions:
                    self._question(question, stories[0], told, MULTI)

    def _ask_both(self) -> None:
        for topic in {one.topic["topic"]: None for one in self.stories}:
            stories = self._same(topic, 0) + self._same(topic, 1)
            if len({one.teller for one in stories}) == 2:
                told = tuple(one.turns[0] for one in stories)
                self._question(self.chance.choice(self.given["both_topic"]), stories[0], told, MULTI)

    def _same(self, topic: str, teller: int) -> list[_Story]:
        return [one for one in self.stories if one.teller == teller and one.topic["topic"] == topic]

    def _question(self, question: str, story: _Story, evidence: tuple[str, ...], category: int) -> None:
        """Sometimes the wrong friend is asked about: people mix up who said what."""
        mixed = category in (SINGLE, TEMPORAL) and self.chance.random() < MIXED_UP
        names = self.names[::-1] if mixed != bool(story.teller) else self.names
        text = _filled(question, story.slots | {"A": names[0], "B": names[1]})
        if len(set(evidence)) == 1 and category == SINGLE and self.chance.random() < DATED:
            text = f"{text.removesuffix('?')} {self._date(evidence[0])}?"
        asked = Asked(text, tuple(dict.fromkeys(evidence)), ADVERSARIAL if mixed else category)
        if asked.text not in {one.text for one in self.asked}:
            self.asked.append(asked)

    def _date(self, turn: str) -> str:
        """When it was about, as a question may put it: the day it was told or a few before, or the month."""
        at = time.gmtime(self._at[turn] - self.chance.randint(0, 3) * DAY_S)
        form: str = self.chance.choice(self.given["dates"])
        return form.format(day=at.tm_mday, month=calendar.month_name[at.tm_mon], year=at.tm_year)

    def _say(self, speaker: int, text: str) -> str:
        ordinal = self.turns[-1].ordinal + 1 if self.turns and self.turns[-1].session == self.session else 0
        turn = f"D{self.session}:{ordinal + 1}"
        self.now += TURN_S
        self.turns.append(Turn(turn, self.session, ordinal, self.names[speaker], text, self.now))
        self._said[turn] = text
        self._at[turn] = self.now
        return turn

    def _line(self, kind: str, speaker: int) -> str:
        line: str = self.chance.choice(self.given[kind])
        return line.replace("{B}", self.names[1 - speaker])

    def _maybe(self, kind: str, speaker: int, likely: float) -> str:
        return self._line(kind, speaker) if self.chance.random() < likely else ""

    def _fill(self, text: str, story: _Story) -> str:
        times = {name: self.chance.choice(self.given[name]) for name in ("when", "soon")}
        filled = _filled(text, story.slots | times)
        return filled[:1].upper() + filled[1:]


def _filled(text: str, slots: Mapping[str, str]) -> str:
    for name, value in slots.items():
        text = text.replace("{" + name + "}", value)
    return text


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
