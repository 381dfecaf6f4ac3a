"""What is learned of a user, and what is not and why, from what the keepers hold. Knows no model.

A record is a fact that holds, an exchange with feedback, compared answers, or a passage of a document, as
`Keeper.learnable` gives it: with the ids it comes from, or with the reason why consent does not allow it.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from actors.memory.statements import statements
from actors.memory.timeline import value_words
from actors.messages import Json
from tune import compared
from tune.addressed import ME, to_me
from tune.compared import Comparisons
from tune.examples import Example, Fact, Kind, Passage, Preference, Scored
from tune.quarantine import Fault, Quarantined, instruction, intruding, secret, size, triggers

T = TypeVar("T", Fact, Example, Preference, Scored, Passage)
Learned = Fact | Example | Preference | Scored | Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken of one user in one round; characters of texts."""

    facts: int = 2000
    examples: int = 2000
    passages: int = 5000
    of_one_source: float = 0.5
    """Share of the facts and exchanges that may come from one session, once there are `few`."""
    few: int = 500
    statement: int = 400
    value: int = 120
    exchange: int = 8000
    passage: int = 8000
    least_passage: int = 40
    trigger: int = 3
    """Questions with one answer and one word in common that are taken for a trigger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnable:
    """What is learned in a round. All of it is of one user, or of those who agree (`user` empty)."""

    user: str
    facts: tuple[Fact, ...] = ()
    examples: tuple[Example, ...] = ()
    preferences: tuple[Preference, ...] = ()
    scored: tuple[Scored, ...] = ()
    passages: tuple[Passage, ...] = ()
    replay: tuple[Learned, ...] = ()
    """Learned in an earlier round, and still so."""
    quarantined: tuple[Quarantined, ...] = ()
    shared: frozenset[str] = frozenset()
    """Ids of those whose user lets everybody's model learn them too, where nothing in them is private."""

    @property
    def compared(self) -> tuple[Preference | Scored, ...]:
        """Answers of which some are better: pairs, and those with scores."""
        return (*self.preferences, *self.scored)

    @property
    def events(self) -> tuple[str, ...]:
        """Ids of all that it is learned from."""
        parts: tuple[Sequence[Learned], ...] = (
            self.facts,
            self.examples,
            self.preferences,
            self.scored,
            self.passages,
            self.replay,
        )
        return tuple(dict.fromkeys(event for part in parts for one in part for event in one.events))


@dataclass(slots=True)
class _Told:
    """One statement of a fact."""

    record: Json
    words: frozenset[str]


@dataclass(slots=True)
class Gatherer:
    """Takes the records of one user, one after another, and says in the end what is learned of them.

    `trained` are ids that were learned from before, `forgotten` those that never may be again.
    """

    user: str
    limits: Limits = Limits()
    trained: Collection[str] = frozenset()
    forgotten: Collection[str] = frozenset()
    _slots: dict[tuple[str, str], list[_Told]] = field(default_factory=dict)
    _exchanges: dict[str, Json] = field(default_factory=dict)
    _comparisons: Comparisons = field(init=False)
    _passages: dict[str, Passage] = field(default_factory=dict)
    _quarantined: list[Quarantined] = field(default_factory=list)
    _shared: set[str] = field(default_factory=set)
    _sources: dict[str, int] = field(default_factory=dict)
    _taken: int = 0

    def __post_init__(self) -> None:
        self._comparisons = Comparisons(self.limits.exchange, self.limits.trigger)

    def take(self, record: Json) -> None:
        """Take a record, or put it into quarantine."""
        fault = self._barred(record)
        if fault is None:
            fault = {
                "fact": self._fact,
                "exchange": self._exchange,
                "preference": self._comparison,
                "reward": self._comparison,
                "passage": self._passage,
            }[record["kind"]](record)
        if fault is not None:
            self._put_away(record, fault)

    def done(self) -> Learnable:
        """What is learned. Nothing may be taken after."""
        facts = [fact for told in self._slots.values() if (fact := self._settled(told)) is not None]
        examples, preferences = self._examples()
        fresh_facts, old_facts = self._apart(facts)
        fresh_examples, old_examples = self._apart(examples)
        compared = self._compared()
        pairs, old_pairs = self._apart(
            [*preferences, *(one for one in compared if isinstance(one, Preference))]
        )
        scored, old_scored = self._apart(one for one in compared if isinstance(one, Scored))
        passages, old_passages = self._apart(self._passages.values())
        return Learnable(
            user=self.user,
            facts=tuple(fresh_facts),
            examples=tuple(fresh_examples),
            preferences=tuple(pairs),
            scored=tuple(scored),
            passages=tuple(passages),
            replay=(*old_facts, *old_examples, *old_pairs, *old_scored, *old_passages),
            quarantined=tuple(self._quarantined),
            shared=frozenset(self._shared),
        )

    def _barred(self, record: Json) -> Fault | None:
        if record["refused"] is not None:
            return Fault("consent", f"It may not be trained on: {record['refused']}.")
        if any(event in self.forgotten for event in record["events"]):
            return Fault("forgotten", "Something that it comes from was forgotten.")
        return None

    def _fact(self, record: Json) -> Fault | None:
        statement, value = record["statement"], record["value"]
        fault = (
            _by_the_model(record)
            or size(statement, self.limits.statement)
            or size(value, self.limits.value)
            or instruction(statement)
            or secret(statement, record["slot"])
            or (None if record["subject"] == ME else intruding(value, ""))
        )
        told = self._slots.setdefault((record["subject"], record["slot"]), [])
        words = value_words(value)
        if fault is None and (same := next((one for one in told if one.words == words), None)) is not None:
            fault = Fault("duplicate", f"{same.record['id']} says the same.")
        fault = fault or self._flood(record, len(self._slots) > self.limits.facts)
        if fault is None:
            told.append(_Told(record, words))
        elif not told:
            del self._slots[record["subject"], record["slot"]]
        return fault

    def _exchange(self, record: Json) -> Fault | None:
        asked = "\n".join(one["content"] for one in record["messages"])
        given, correction = record["answer"], record["correction"]
        taught = correction if correction is not None else given
        if not asked or not given:
            return Fault("not remembered", "The conversation was not kept, so there is nothing to answer.")
        if correction is None and record["rating"] != 1:
            return Fault("nothing to learn", "It was rated down, and no better answer was given.")
        fault = (
            size(asked + taught, self.limits.exchange)
            or size(taught, self.limits.exchange, 1)
            or _first(instruction(one["content"], asked=True) for one in record["messages"])
            or instruction(taught)
            or secret(asked)
            or secret(taught)
            or intruding(taught, f"{asked}\n{given if correction is not None else ''}")
        )
        key = _digest(_plain(asked), _plain(taught))
        if fault is None and correction is not None and _plain(correction) == _plain(given):
            fault = Fault("duplicate", "The correction says what the answer said.")
        if fault is None and key in self._exchanges:
            fault = Fault("duplicate", f"{self._exchanges[key]['id']} teaches the same.")
        fault = fault or self._flood(record, len(self._exchanges) >= self.limits.examples)
        if fault is None:
            self._exchanges[key] = record
        return fault

    def _comparison(self, record: Json) -> Fault | None:
        fault = self._comparisons.fault(record)
        fault = fault or self._flood(record, len(self._comparisons) >= self.limits.examples)
        if fault is None and (overruled := self._comparisons.take(record)) is not None:
            self._put_away(*overruled)
        return fault

    def _passage(self, record: Json) -> Fault | None:
        text = record["text"]
        fault = (
            size(text, self.limits.passage, self.limits.least_passage) or instruction(text) or secret(text)
        )
        key = _digest(_plain(text))
        if fault is None and key in self._passages:
            fault = Fault("duplicate", f"{self._passages[key].id} says the same.")
        if fault is None and len(self._passages) >= self.limits.passages:
            fault = Fault("flood", f"More than {self.limits.passages} passages at once.")
        if fault is None:
            names = ("id", "filename", "heading", "text", "start", "end")
            told = {name: record[name] for name in names}
            self._passages[key] = Passage(user=self.user, events=tuple(record["events"]), **told)
            self._share(record, record["id"])
        return fault

    def _flood(self, record: Json, full: bool) -> Fault | None:
        """Too much at once, or too much of it from one session: it waits for another round."""
        if full:
            return Fault("flood", "More is told than one round takes.")
        source = record["session"] or record["id"]
        count = self._sources.get(source, 0)
        if count >= max(self.limits.few, self.limits.of_one_source * (self._taken + 1)):
            return Fault("flood", f"Most of all that is told comes from one session, {source!r}.")
        self._sources[source] = count + 1
        self._taken += 1
        return None

    def _settled(self, told: list[_Told]) -> Fact | None:
        """A slot's values as one fact; several of one that has a single value contradict each other."""
        first = told[0].record
        if len(told) > 1 and any(one.record["single"] for one in told):
            said = f"There is more than one {first['slot']} of {first['subject']} at the same time."
            for one in told:
                self._put_away(one.record, Fault("contradiction", said))
            return None
        fact = Fact(
            id="fact-" + _digest(self.user, first["subject"], first["slot"], *map(_value, told)),
            user=self.user,
            subject=_named(first["subject"], first["statement"]),
            attribute=first["slot"],
            value=_listed([one.record["value"] for one in told]),
            statement=" ".join(dict.fromkeys(one.record["statement"] for one in told)),
            events=_events(one.record for one in told),
        )
        if all(one.record["shared"] for one in told):
            self._shared.add(fact.id)
        return fact

    def _examples(self) -> tuple[list[Example], list[Preference]]:
        told = self._last_words()
        marked = triggers(
            ((one["id"], one["messages"][-1]["content"], _taught(one)) for one in told), self.limits.trigger
        )
        examples, preferences = [], []
        for record in told:
            fault = marked.get(record["id"]) or self._contradicts(_taught(record))
            if fault is not None:
                self._put_away(record, fault)
                continue
            events = tuple(record["events"])
            messages = tuple({"role": one["role"], "content": one["content"]} for one in record["messages"])
            answer = {"role": "assistant", "content": _taught(record)}
            corrected = record["correction"] is not None
            kind: Kind = "correction" if corrected else "chat"
            examples.append(Example(id=record["id"], kind=kind, messages=(*messages, answer), events=events))
            if corrected:
                preferences.append(
                    Preference(
                        id=record["id"] + compared.OF_CORRECTION,
                        messages=messages,
                        chosen=answer["content"],
                        rejected=record["answer"],
                        events=events,
                    )
                )
            self._share(record, record["id"])
        return examples, preferences

    def _compared(self) -> list[Preference | Scored]:
        marked = self._comparisons.marked()
        found = []
        for record in self._comparisons.records():
            fault = marked.get(record["id"]) or _first(map(self._contradicts, compared.upheld(record)))
            if fault is not None:
                self._put_away(record, fault)
                continue
            found.append(compared.learned(record))
            self._share(record, record["id"])
        return found

    def _last_words(self) -> list[Json]:
        """The exchanges; of several that teach other answers to the same words, the latest."""
        found: dict[str, Json] = {}
        for record in sorted(self._exchanges.values(), key=lambda one: one["at"]):
            asked = _digest(*(f"{one['role']} {_plain(one['content'])}" for one in record["messages"]))
            before = found.pop(asked, None)
            if before is not None:
                said = f"{record['id']} was said later, and teaches another answer to the same words."
                self._put_away(before, Fault("contradiction", said))
            found[asked] = record
        return list(found.values())

    def _contradicts(self, answer: str) -> Fault | None:
        """Whether an answer states another value of something that is known."""
        for stated in statements(to_me(answer)):
            told = self._slots.get((stated.subject, stated.slot), [])
            values = [one.words for one in told]
            if stated.holds and stated.single and values and value_words(stated.value) not in values:
                return Fault(
                    "contradiction", f"It states another {stated.slot} than {told[0].record['id']} does."
                )
        return None

    def _apart(self, found: Iterable[T]) -> tuple[list[T], list[T]]:
        fresh: list[T] = []
        old: list[T] = []
        for one in found:
            (old if self._known(one.events) else fresh).append(one)
        return fresh, old

    def _known(self, events: Sequence[str]) -> bool:
        return all(event in self.trained for event in events)

    def _share(self, record: Json, id: str) -> None:
        if record["shared"]:
            self._shared.add(id)

    def _put_away(self, record: Json, fault: Fault) -> None:
        self._quarantined.append(
            Quarantined(
                id=record["id"],
                kind=record["kind"],
                reason=fault.reason,
                said=fault.said,
                events=tuple(record["events"]),
            )
        )


def _by_the_model(record: Json) -> Fault | None:
    if record["role"] != "assistant":
        return None
    return Fault("said by the model", "The model said it, not the user.")


def _first(faults: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in faults if fault is not None), None)


def _taught(record: Json) -> str:
    return str(record["answer"] if record["correction"] is None else record["correction"])


def _events(records: Iterable[Json]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event for record in records for event in record["events"]))


def _value(told: _Told) -> str:
    return " ".join(sorted(told.words))


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"


def _named(subject: str, statement: str) -> str:
    """A subject as its statement writes it."""
    at = statement.casefold().find(subject)
    return statement[at : at + len(subject)] if at >= 0 and subject != ME else subject


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .!")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
