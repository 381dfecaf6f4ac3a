"""Puts what is remembered before a question, within a token budget. Knows no model, no table and no HTTP."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from actors.memory.asking import asked
from actors.memory.records import Fact, Memory, Recalled

Count = Callable[[str], int]
"""Tokens that a text takes, or an upper bound of it."""
MARGIN = 5.0
"""A memory this much less likely than the best one (log-odds) is left out."""
MARGIN_TOLD = 2.0
"""The same where a fact says what is asked: a small model is easily led astray by what lies near."""
MOST_FACTS = 3
SHARE_OF_TURNS = 0.5
"""Of the budget, at most, for the session's last turns."""
MESSAGE_TOKENS = 8
"""What a template puts around one message, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What is remembered that may bear on a question."""

    question: str
    facts: Sequence[Fact] = ()
    """Those of `slots` that hold now (long-term)."""
    episodes: Sequence[Recalled] = ()
    """Best first (episodic)."""
    turns: Sequence[Memory] = ()
    """The session's last, oldest first (short-term)."""
    conversation: Sequence[tuple[str, str]] = ()
    """Role and text of what the prompt holds already, the question last."""
    shorter: Mapping[str, str] = field(default_factory=dict)
    """What the model reads instead of a turn's or an episode's text, by that text."""

    def read(self, memory: Memory) -> str:
        """A memory's text as the model reads it."""
        return self.shorter.get(memory.text, memory.text)

    @property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """Subjects and slots whose facts bear on the question, the likeliest first."""
        return tuple((one.subject, one.slot) for one in asked(self.question) if not one.past)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A memory that could have been in the prompt, and why it is not."""

    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What goes into the prompt: `turns` (role, text) before the conversation, `text` before the question."""

    text: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    used: tuple[str, ...] = ()
    """Ids of the memories in it."""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True)
class _Choice:
    """What was taken so far, and what is left to spend."""

    left: int
    count: Count
    used: dict[str, None] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)

    def take(self, id: str, line: str) -> bool:
        """Spend a line's tokens; false and left out where they are more than is left."""
        cost = self.count(line)
        if cost > self.left:
            self.out.setdefault(id, "no room left in memory.context_tokens")
            return False
        self.left -= cost
        self.used[id] = None
        return True


def build(levels: Levels, budget: int, count: Count) -> Context:
    """The context of a question in at most `budget` tokens as `count` tells them.

    The likeliest come first into the budget: facts that are asked for, then the session's last turns (half of
    it at most), then episodes, best first. In the text episodes stand oldest first, neighbours together, and
    the facts asked for last, next to the question. The same levels always make the same text.
    """
    choice = _Choice(budget, count)
    facts = _facts(levels, choice)
    exchanges, loose = _exchanges(levels)
    turns = _turns(levels, exchanges, int(budget * SHARE_OF_TURNS), choice)
    shown = Counter((turn.role, _normal(turn.text)) for turn in turns) + _said(levels.conversation)
    episodes = _episodes(levels, loose, facts, shown, choice)
    blocks = [
        "\n".join(lines) for lines in (_dated(levels, episodes), [fact.statement for fact in facts]) if lines
    ]
    text = "\n\n".join(blocks)
    return Context(
        text=text,
        turns=_messages(levels, turns),
        used=tuple(choice.used),
        left_out=tuple(LeftOut(id, why) for id, why in choice.out.items() if id not in choice.used),
    )


def estimate(text: str) -> int:
    """Tokens that a text and its line's end take with a usual tokenizer; seldom too few."""
    return len(text.encode()) // 3 + 2


def _facts(levels: Levels, choice: _Choice) -> list[Fact]:
    """The facts of the likeliest slot that has any, the newest last."""
    by_slot = ([fact for fact in levels.facts if (fact.subject, fact.slot) == slot] for slot in levels.slots)
    newest = sorted(next(filter(None, by_slot), []), key=lambda fact: fact.valid_from, reverse=True)
    said = _said(levels.conversation)
    fresh = {
        fact.statement: fact for fact in newest[:MOST_FACTS] if not said["user", _normal(fact.statement)]
    }
    return [fact for fact in fresh.values() if choice.take(fact.memory_id, fact.statement)][::-1]


def _exchanges(levels: Levels) -> tuple[list[Memory], list[Memory]]:
    """The session's turns that the conversation does not hold, and those of them that were never answered.

    A conversation that holds its own past says where the missing part ends. A question that is asked again is
    not shown with its old answer.
    """
    turns = list(levels.turns)
    past = _said(levels.conversation[:-1])
    held = [place for place, turn in enumerate(turns) if past[turn.role, _normal(turn.text)]]
    if held:
        turns = turns[: held[0]]
    elif len(turns) > 1 and turns[-1].role == "assistant" and _is(turns[-2], levels.conversation[-1:]):
        turns = turns[:-2]
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    return turns[: last + 1], turns[last + 1 :]


def _turns(levels: Levels, exchanges: Sequence[Memory], budget: int, choice: _Choice) -> list[Memory]:
    """As many of the last turns as fit, beginning with the user's."""
    taken: list[Memory] = []
    for turn in reversed(exchanges):
        cost = choice.count(levels.read(turn)) + MESSAGE_TOKENS
        if cost > min(budget, choice.left):
            break
        budget -= cost
        choice.left -= cost
        taken.append(turn)
    while taken and taken[-1].role != "user":
        choice.left += choice.count(levels.read(taken[-1])) + MESSAGE_TOKENS
        taken.pop()
    choice.used.update((turn.id, None) for turn in reversed(taken))
    for turn in exchanges[: len(exchanges) - len(taken)]:
        choice.out.setdefault(turn.id, "an earlier turn of the session; no room left")
    return taken[::-1]


def _episodes(
    levels: Levels,
    loose: Sequence[Memory],
    facts: Sequence[Fact],
    shown: Counter[tuple[str, str]],
    choice: _Choice,
) -> list[Memory]:
    """The recalled memories that say something more and fit, by time."""
    past = any(question.past for question in asked(levels.question))
    least = max((hit.score for hit in levels.episodes), default=0.0)
    least -= MARGIN_TOLD if facts else MARGIN
    candidates = [(turn, "") for turn in loose]
    candidates += [
        (hit.memory, "" if hit.score >= least else "too far from the question") for hit in levels.episodes
    ]
    told = {_normal(fact.statement) for fact in facts}
    taken: list[Memory] = []
    seen: set[tuple[str, str]] = set()
    for memory, why in candidates:
        key = (memory.role, _normal(memory.text))
        if shown[key]:
            why = "in the conversation already"
        elif memory.superseded_by and not past:
            why = f"superseded by {memory.superseded_by}"
        elif key in seen or key[1] in told:
            why = "said by another one"
        if why:
            choice.out.setdefault(memory.id, why)
        elif choice.take(memory.id, _dated_line(levels, memory)):
            taken.append(memory)
            seen.add(key)
    return sorted(taken, key=lambda memory: (memory.valid_from, memory.session, memory.ordinal))


def _dated_line(levels: Levels, memory: Memory) -> str:
    return f"{_day(memory.valid_from)}\n{_line(_who(memory), levels.read(memory))}"


def _dated(levels: Levels, episodes: Sequence[Memory]) -> list[str]:
    """A line each, under the day that they were said on."""
    days = groupby(episodes, key=lambda memory: _day(memory.valid_from))
    return [
        line
        for day, said in days
        for line in (day, *(_line(_who(memory), levels.read(memory)) for memory in said))
    ]


def _who(memory: Memory) -> str:
    """Who says "I" in it, as the user would call them; nobody for the user."""
    if memory.speaker:
        return memory.speaker
    return "You" if memory.role == "assistant" else ""


def _line(who: str, text: str) -> str:
    return f"{who}: {text}" if who else text


def _day(at: float) -> str:
    """As in 2026-03-07, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _messages(levels: Levels, turns: Sequence[Memory]) -> tuple[tuple[str, str], ...]:
    """Turns as messages of changing roles, because some templates refuse two of one role."""
    merged: list[tuple[str, str]] = []
    for turn in turns:
        if merged and merged[-1][0] == turn.role:
            merged[-1] = (turn.role, f"{merged[-1][1]}\n\n{levels.read(turn)}")
        else:
            merged.append((turn.role, levels.read(turn)))
    return tuple(merged)


def _said(conversation: Sequence[tuple[str, str]]) -> Counter[tuple[str, str]]:
    return Counter((role, _normal(text)) for role, text in conversation)


def _is(turn: Memory, messages: Sequence[tuple[str, str]]) -> bool:
    return any((role, _normal(text)) == (turn.role, _normal(turn.text)) for role, text in messages)


def _normal(text: str) -> str:
    return " ".join(text.split())
