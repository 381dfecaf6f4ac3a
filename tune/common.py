"""What several users agree on, for the model that serves everybody. Knows no model and no store.

What one user alone says never reaches it; nor what is private, however many say it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from actors.memory.timeline import value_words
from tune.compared import OF_CORRECTION, from_best
from tune.examples import Example, Fact, Passage, Preference, Scored
from tune.learnable import Learnable, Learned
from tune.quarantine import Fault, Quarantined, Reason, triggers
from tune.scopes import AGREEING, Names, personal

OF_ONE = 500
"""Matters on which one user is heard in a round."""
_FLOOD = Fault("flood", "Its user is heard on enough other matters.")
T = TypeVar("T", Fact, Example, Preference, Scored, Passage)


@dataclass(frozen=True, slots=True)
class _Voice:
    """Something that one user says: `about` is the matter, `says` what is said of it."""

    user: str
    about: str
    says: str
    item: Learned


def common(
    told: Iterable[Learnable],
    users: Iterable[str],
    agreeing: int = AGREEING,
    of_one: int = OF_ONE,
    trigger: int = 3,
) -> Learnable:
    """What at least `agreeing` users who share say alike, and no other of them otherwise.

    `users` are the names of all, sharing or not. Ids of all who agree stand behind each. No user is heard
    about more than `of_one` matters; `trigger` is as in Limits.
    """
    parts = list(told)
    names = Names(users)
    quarantined: list[Quarantined] = []
    voices: list[_Voice] = []
    for part in parts:
        heard = 0
        for voice in _voices(part):
            fault = _private(voice.item, names) or (_FLOOD if heard >= of_one else None)
            if fault is None:
                voices.append(voice)
                heard += 1
            else:
                quarantined.append(_put_away(voice.item, fault.reason, fault.said))
    agreed, alone = _agreed(voices, agreeing)
    examples, ordered = _of(agreed, Example), [one for one in agreed if isinstance(one, Preference | Scored)]
    given = [one for one in ordered if not one.id.endswith(OF_CORRECTION)]
    asked = [
        *((one.id, one.messages[-2]["content"], one.messages[-1]["content"]) for one in examples),
        *((one.id, one.messages[-1]["content"], from_best(one)[0]) for one in given),
    ]
    marked = triggers(asked, trigger)
    quarantined += [
        _put_away(one, marked[one.id].reason, marked[one.id].said)
        for one in (*examples, *given)
        if one.id in marked
    ]
    ordered = [one for one in ordered if one.id.removesuffix(OF_CORRECTION) not in marked]
    return Learnable(
        user="",
        facts=_of(agreed, Fact),
        examples=tuple(one for one in examples if one.id not in marked),
        preferences=_of(ordered, Preference),
        scored=_of(ordered, Scored),
        passages=_of(agreed, Passage),
        quarantined=(*quarantined, *alone),
    )


def _voices(part: Learnable) -> Iterable[_Voice]:
    old = [one for one in part.replay if one.id in part.shared]
    for fact in (*part.facts, *(one for one in old if isinstance(one, Fact))):
        if fact.id in part.shared:
            about = f"{fact.subject.casefold()} / {fact.attribute}"
            yield _Voice(part.user, about, " ".join(sorted(value_words(fact.value))), fact)
    for example in (*part.examples, *(one for one in old if isinstance(one, Example))):
        if example.id in part.shared:
            asked = _plain(" / ".join(one["content"] for one in example.messages[:-1]))
            yield _Voice(part.user, asked, _plain(example.messages[-1]["content"]), example)
    for one in (*part.preferences, *part.scored, *part.replay):
        if isinstance(one, Preference | Scored) and one.id.removesuffix(OF_CORRECTION) in part.shared:
            yield _Voice(part.user, *_ordering(one), one)
    for passage in (*part.passages, *(one for one in old if isinstance(one, Passage))):
        if passage.id in part.shared:
            yield _Voice(part.user, f"passage: {_plain(passage.text)}", "", passage)


def _ordering(one: Preference | Scored) -> tuple[str, str]:
    """Which answers to what are compared, and how; the worse one of a correction is the model's own."""
    asked = _plain(" / ".join(message["content"] for message in one.messages))
    order = [_plain(text) for text in from_best(one)]
    if one.id.endswith(OF_CORRECTION):
        return f"pair: {asked}", order[0]
    return f"compared: {asked} / {' / '.join(sorted(order))}", " > ".join(order)


def _private(item: Learned, names: Names) -> Fault | None:
    if isinstance(item, Fact):
        return personal(item.statement, names, item.subject.casefold(), item.attribute)
    if isinstance(item, Passage):
        return personal(item.text, names)
    said = [one["content"] for one in item.messages]
    if not isinstance(item, Example):
        said += from_best(item)
    return next((fault for one in said if (fault := personal(_unasked(one), names)) is not None), None)


def _unasked(text: str) -> str:
    """A text without the words by which a question is put to a model: they are about nobody."""
    for opening in _OPENINGS:
        if text.casefold().startswith(opening):
            return text[len(opening) :]
    return text


def _agreed(voices: Sequence[_Voice], agreeing: int) -> tuple[list[Learned], list[Quarantined]]:
    matters: dict[str, dict[str, list[_Voice]]] = {}
    for voice in voices:
        matters.setdefault(voice.about, {}).setdefault(voice.says, []).append(voice)
    found: list[Learned] = []
    alone: list[Quarantined] = []
    for sayings in matters.values():
        for said in sayings.values():
            users = {voice.user for voice in said}
            if len(sayings) > 1:
                reason, why = "contradiction", "Users who share say different things of it."
            elif len(users) < agreeing:
                reason, why = "one voice", f"{len(users)} of the {agreeing} users it needs says so."
            else:
                found.append(_together([voice.item for voice in said]))
                continue
            alone += [_put_away(voice.item, reason, why) for voice in said]  # type: ignore[arg-type]
    return found, alone


def _together(items: Sequence[Learned]) -> Learned:
    events = tuple(dict.fromkeys(event for item in items for event in item.events))
    first = items[0]
    if isinstance(first, Fact | Passage):
        return replace(first, user="", events=events)
    return replace(first, events=events)


def _of(items: Sequence[object], kind: type[T]) -> tuple[T, ...]:
    return tuple(item for item in items if isinstance(item, kind))


def _put_away(item: Learned, reason: Reason, said: str) -> Quarantined:
    kind = type(item).__name__.lower()
    return Quarantined(id=item.id, kind=kind, reason=reason, said=said, events=item.events)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .!?")


_OPENINGS = (
    "can you tell me", "could you tell me", "do you know", "please tell me", "tell me", "can you explain",
    "could you explain", "can you", "could you", "would you", "give me", "remind me",
)  # fmt: skip
