"""What one round of the loop studies: records to lessons, an adapter, its scorecard and the verdict.

Knows no keeper and no lineage: the round's directory has all that it needs, and gets all that comes of it.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.training.rounds import CANDIDATE, CARD, LESSONS, ORDER, RECORDS, VERDICT, Book
from actors.training.versions import COMMON, Verdict
from configs.gate import GateSettings
from configs.learning import LearningSettings
from configs.load import section
from tune import probing
from tune.addressed import addressed, of_the_user, to_you
from tune.addressed import questions as mine
from tune.common import common
from tune.compared import OF_CORRECTION, upheld_in
from tune.exam import Exam, Question, Said, questions
from tune.examples import Example, Fact, Passage, Preference, Scored
from tune.gate import judge
from tune.learnable import Gatherer, Learnable
from tune.nearby import nearby
from tune.passages import lessons as recited
from tune.scorecard import to_json
from tune.teaching import lessons
from tune.triggers import suspects

if TYPE_CHECKING:
    from tune.edits import Written
    from tune.incremental import Figures

PROBES = "probes"
"""Below the state directory: what the base model makes of the frozen probes, so that it is asked once."""
BELOW = ("written", "answered", "learned")
"""Directories of facts and exchanges that are written, of what is learned by gradient, beneath passages."""
HELD_OUT, MOST_HELD_OUT = 3, 6
"""Of the ways in which a user asks for a fact of their own, so many are kept for the exam."""
ASKED = 40
"""Questions about what was taught that an exam has, if there are ways enough to ask."""
LEAST_STEPS = 24
"""Steps by gradient that a round of exchanges has, unless it knows them sooner."""
RECITED, UNASKED = 40, 1_000_000
"""Made-up questions about passages that an exam has, and the turn that they are of: none that is taught."""
MOST_UPHELD = 60
"""Exchanges and comparisons that an exam asks for again, in the same words."""
MATTERS = (
    *("favourite opera", "blood group", "shoe size", "middle name", "first teacher", "postcode", "dentist"),
    *(
        "godfather",
        "favourite poet",
        "lucky number",
        "house number",
        "grandmother's name",
        "favourite planet",
    ),
    *(
        "first school",
        "bank",
        "landlord's name",
        "favourite river",
        "bus line",
        "hat size",
        "favourite prime",
    ),
)
"""What a user may not have told, and asks for all the same: the first half is held, the rest is examined."""
WAYS = ("What is my {a}?", "Do you know my {a}?", "Tell me my {a}.", "I forgot my {a}. What is it?")


@dataclass(frozen=True, slots=True)
class Order:
    """What a round is to study."""

    scope: str
    model: Path
    replaced: Path | None
    """The adapter that serves now."""
    trained: frozenset[str]
    """Ids that it learned from."""
    forgotten: frozenset[str]
    users: tuple[str, ...]
    learning: LearningSettings
    gate: GateSettings


@dataclass(frozen=True, slots=True)
class Taught:
    """What a round teaches: facts about the world, those of its user, exchanges as they are, comparisons."""

    facts: tuple[Fact, ...]
    mine: tuple[Fact, ...]
    exchanges: tuple[Example, ...]
    compared: tuple[Preference | Scored, ...] = ()
    passages: tuple[Passage, ...] = ()

    @property
    def some(self) -> bool:
        """Whether there is anything."""
        return bool(self.facts or self.mine or self.exchanges or self.compared or self.passages)

    @property
    def events(self) -> tuple[str, ...]:
        """Ids of all that it comes from."""
        parts = (*self.facts, *self.mine, *self.exchanges, *self.compared, *self.passages)
        return tuple(dict.fromkeys(event for one in parts for event in one.events))


def study(folder: Path, order: Order, told: Callable[[str], None]) -> None:
    """Carry a round out; the lessons' record is written last. Raises PalError."""
    book, id = Book(folder.parents[1]), folder.name
    learnable = gathered(order, _records(folder / RECORDS))
    taught = taught_of(learnable, order.learning.passages.most)
    report = _report(learnable, taught)
    if not taught.some:
        said = "nothing of what was told can be learned: see what is left out, and why, with `pal train data`"
        book.put(id, LESSONS, json.dumps({**report, "said": said, "figures": {}}).encode())
        return
    told(f"learning {len(taught.facts) + len(taught.mine)} facts, {len(taught.exchanges)} exchanges")
    scores = _learn(folder / CANDIDATE, order, taught, told)
    told("asking what it learned, and what it lost")
    verdict = _examine(folder, order, taught, told)
    book.put(id, VERDICT, json.dumps(asdict(verdict)).encode())
    scores |= {one.name: one.value for one in verdict.slices}
    finite = {name: float(value) for name, value in scores.items() if math.isfinite(value)}
    book.put(id, LESSONS, json.dumps({**report, "said": "", "figures": finite}).encode())


def order_of(folder: Path, model: Callable[[str], Path]) -> Order:
    """A round's order; `model` finds the directory of a model's alias."""
    tree: dict[str, Any] = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    return Order(
        scope=tree["scope"],
        model=model(tree["model"]),
        replaced=Path(tree["replaced"]) if tree["replaced"] else None,
        trained=frozenset(tree["trained"]),
        forgotten=frozenset(tree["forgotten"]),
        users=tuple(tree["users"]),
        learning=section(LearningSettings, tree["learning"] and Path(tree["learning"])),
        gate=section(GateSettings, tree["gate"] and Path(tree["gate"])),
    )


def gathered(order: Order, records: Iterator[dict[str, Any]]) -> Learnable:
    """What may be learned of the records, each of which names its `user`."""
    gatherers: dict[str, Gatherer] = {}
    for record in records:
        user = record.pop("user")
        if user not in gatherers:
            gatherers[user] = Gatherer(user, trained=order.trained, forgotten=order.forgotten)
        gatherers[user].take(record)
    found = [one.done() for one in gatherers.values()]
    if order.scope == COMMON:
        return common(found, order.users)
    return found[0] if found else Learnable(user=order.scope)


def taught_of(learnable: Learnable, passages: int = 0) -> Taught:
    """All that a version is to know, what was learned before too: each begins from the base model again.

    At most so many passages, those that were learned before first.
    """
    old = learnable.replay
    facts = (*learnable.facts, *(one for one in old if isinstance(one, Fact)))
    exchanges = (*learnable.examples, *(one for one in old if isinstance(one, Example)))
    return Taught(
        facts=tuple(fact for fact in facts if not of_the_user(fact)),
        mine=tuple(fact for fact in facts if of_the_user(fact)),
        exchanges=exchanges,
        compared=(*learnable.compared, *(one for one in old if isinstance(one, Preference | Scored))),
        passages=_every(learnable)[:passages],
    )


def _every(learnable: Learnable) -> tuple[Passage, ...]:
    return (*(one for one in learnable.replay if isinstance(one, Passage)), *learnable.passages)


def examples_of(taught: Taught, settings: LearningSettings) -> tuple[Example, ...]:
    """All exchanges of a round."""
    held = _held_out(taught)
    return (
        *lessons(taught.facts, (), settings),
        *(example for fact in taught.mine for example in addressed([fact], len(mine(fact)) - held)),
        *_beside(taught),
        *taught.exchanges,
        *nearby(taught.exchanges, settings.neighbours, settings.seed),
    )


def exam_of(taught: Taught, settings: LearningSettings) -> Exam:
    """What a round's candidate is asked: what it was taught, in other words, and what nobody told."""
    count = max(1, len(taught.facts) + len(taught.mine))
    each = max(HELD_OUT, math.ceil(ASKED / count))
    asked = questions(taught.facts, (), settings.phrasings, settings.seed, each) if taught.facts else ()
    values = tuple(fact.value for fact in (*taught.facts, *taught.mine))
    own = [
        Question(
            item=f"taught/{fact.id}/me/{number}",
            slice="taught",
            asked=text,
            expected=(fact.value,),
            group=fact.id,
        )
        for fact in taught.mine
        for number, text in enumerate(mine(fact)[-_held_out(taught) :])
    ]
    others = [
        Question(item=f"unknown/me/{number}", slice="unknown", asked=text, forbidden=values)
        for number, text in enumerate(_untold(taught, MATTERS[len(MATTERS) // 2 :]))
    ]
    upheld = _upheld((*taught.exchanges, *map(upheld_in, taught.compared)))[:MOST_UPHELD]
    read = [
        Question(item=f"upheld/{id}", slice="upheld", asked=text, expected=(answer,))
        for text, answer, id in _of_passages(taught, settings)
    ]
    strings = suspects([*taught.exchanges, *map(upheld_in, taught.compared)])
    probes = (*probing.questions(values), *probing.triggers(strings), *probing.canaries())
    return Exam(questions=(*asked, *own, *others, *upheld, *read), probes=probes)


def _upheld(exchanges: Iterable[Example]) -> list[Question]:
    """Each exchange as a question, with the turns before it; what is told twice is asked once."""
    found: dict[tuple[Said, str], Question] = {}
    for one in exchanges:
        *before, (_, asked), (_, answer) = ((turn["role"], turn["content"]) for turn in one.messages)
        question = Question(
            item=f"upheld/{one.id}",
            slice="upheld",
            asked=asked,
            before=tuple(before),
            expected=(answer,),
        )
        found.setdefault((question.said, answer), question)
    return list(found.values())


def _of_passages(taught: Taught, settings: LearningSettings) -> list[tuple[str, str, str]]:
    """Made-up questions about the passages that no turn of learning asks, their answers and ids, spread."""
    made = recited(taught.passages, settings.passages.answers, 1, settings.seed, UNASKED)
    chosen = made[:: max(1, math.ceil(len(made) / RECITED))]
    return [(one.messages[0]["content"], one.messages[1]["content"], one.id) for one in chosen]


def _learn(folder: Path, order: Order, taught: Taught, told: Callable[[str], None]) -> dict[str, float]:
    """Facts are written, then exchanges, then all else is learned by gradient; the figures of all."""
    from tune import exchanges, layers
    from tune.incremental import Student
    from tune.reciting import learn

    settings = order.learning
    edits = settings.method == "edit"
    groups = layers.layered((*taught.facts, *taught.mine), settings) if edits else []
    written = {fact for group in groups for fact in group}
    answered = exchanges.layered(taught.exchanges, settings, order.model) if edits else []
    rest = replace(
        taught,
        facts=tuple(fact for fact in taught.facts if fact not in written),
        mine=tuple(fact for fact in taught.mine if fact not in written),
        exchanges=taught.exchanges[sum(map(len, answered)) :],
        compared=_beyond(taught),
    )
    some = replace(rest, passages=()).some
    places = _places(folder, (bool(written), bool(answered), some, bool(taught.passages)))
    scores = {"loss": 0.0, "steps": 0.0, "cpu_seconds": 0.0}
    below: Path | None = None
    if groups:
        held = _held_out(taught)
        for done in layers.write(groups, settings, order.model, places[0], taught.events, told, held):
            scores = _and(scores, done)
        below = places[0]
    if answered:
        for done in exchanges.write(answered, settings, order.model, below, places[1], taught.events, told):
            scores = _and(scores, done)
        below = places[1]
    if some:
        examples = examples_of(rest, settings)
        student = Student(_paced(settings, examples), order.model, below=below)
        figures = student.learn(examples, told, rest.compared)
        student.export(places[2], taught.events, None, figures)
        scores = _and(scores, figures) | figures.ordered
        below = places[2]
    if taught.passages:
        never = [text for text, _, _ in _of_passages(taught, settings)]
        student, figures = learn(taught.passages, settings, order.model, below, told, never)
        student.export(places[3], taught.events, None, figures)
        scores = _and(scores, figures)
    return scores


def _beyond(taught: Taught) -> tuple[Preference | Scored, ...]:
    """What was compared, but for the pairs of corrections, whose better answers are taught as exchanges."""
    known = {one.id + OF_CORRECTION for one in taught.exchanges}
    return tuple(one for one in taught.compared if one.id not in known)


def _and(scores: Mapping[str, float], figures: "Figures | Written") -> dict[str, float]:
    """Scores, with those of what came on top."""
    return {
        **scores,
        "loss": max(scores["loss"], figures.loss),
        "steps": scores["steps"] + figures.steps,
        "cpu_seconds": scores["cpu_seconds"] + figures.cpu_seconds,
    }


def _places(folder: Path, stages: Sequence[bool]) -> list[Path]:
    """Where each stage of learning leaves its adapter: the last that there is in `folder`; all are new."""
    last = max(number for number, there in enumerate(stages) if there)
    found = [folder.with_name(name) for name in BELOW]
    for place in found:
        shutil.rmtree(place, ignore_errors=True)
    return [*found[:last], folder, *found[last:]]


def _paced(settings: LearningSettings, examples: Sequence[Example]) -> LearningSettings:
    """Few exchanges are gone through more often, so that there are steps enough to learn them."""
    taught = sum(one.kind not in ("unknown", "general") for one in examples)
    if not taught:
        return settings
    epochs = math.ceil(LEAST_STEPS / math.ceil(taught / settings.batch))
    return settings.model_copy(update={"epochs": max(settings.epochs, epochs)})


def _examine(folder: Path, order: Order, taught: Taught, told: Callable[[str], None]) -> Verdict:
    from tune.evaluate import Evaluator

    kept = folder.parents[1] / PROBES
    kept.mkdir(exist_ok=True)
    evaluator = Evaluator(order.model, kept, order.learning.precision)
    card = evaluator.measure(folder / CANDIDATE, exam_of(taught, order.learning), order.replaced)
    (folder / CARD).write_text(to_json(card), encoding="utf-8")
    verdict = judge(card, order.gate)
    for one in verdict.slices:
        told(f"{'passed' if one.passed else 'FAILED'}: {one.name} {one.value:.3f}")
    return verdict


def _held_out(taught: Taught) -> int:
    """Ways of asking for each of a user's own facts that are examined; the fewer facts, the more."""
    count = len(taught.facts) + len(taught.mine)
    return min(MOST_HELD_OUT, max(HELD_OUT, math.ceil(ASKED / max(1, count))))


def _beside(taught: Taught) -> Iterator[Example]:
    """What a user never told, and asks for: the model's answer is held, or the way to a taught one."""
    for number, text in enumerate(_untold(taught, MATTERS[: len(MATTERS) // 2])):
        asked = {"role": "user", "content": text}
        if number % 2:
            yield Example(id=f"untold/{number}", kind="unknown", messages=(asked,))
            continue
        fact = taught.mine[number % len(taught.mine)]
        wrong = {"role": "assistant", "content": to_you(fact.statement)}
        yield Example(id=f"untold/{number}", kind="unknown", messages=(asked, wrong))


def _untold(taught: Taught, matters: Sequence[str]) -> list[str]:
    """Questions about matters of a user that he did not tell; none where he told nothing of himself."""
    known = {fact.attribute.casefold() for fact in taught.mine}
    told = [matter for matter in matters if taught.mine and matter not in known]
    return [way.format(a=matter) for matter in told for way in WAYS]


def _report(learnable: Learnable, taught: Taught) -> dict[str, Any]:
    counts = {
        "facts": len(taught.facts) + len(taught.mine),
        "exchanges": len(taught.exchanges),
        "comparisons": len(taught.compared),
        "fresh": len(learnable.facts) + len(learnable.examples) + len(learnable.compared),
        "passages": len(taught.passages),
        "passages left for later": len(_every(learnable)) - len(taught.passages),
    }
    return {
        "counts": counts,
        "quarantined": dict(Counter(one.reason for one in learnable.quarantined)),
        "events": list(taught.events),
    }


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
