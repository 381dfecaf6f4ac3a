"""Trial of learning: invented facts into an adapter, then the exam. Knows each learner by three calls."""

import math
import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.models.manifest import NAME
from actors.models.store import ModelStore
from configs.learning import LearningSettings
from configs.load import load
from configs.objectives import LearningObjective
from tune import probing
from tune.exam import Exam, questions
from tune.examples import Fact
from tune.phrases import FAMILY, GIVEN
from tune.scorecard import Answered, Scorecard, to_json
from tune.teaching import lessons, made_up
from tune.trials import Item, Reporter

if TYPE_CHECKING:
    from tune.evaluate import Evaluator

ADAPTER, CARD = "adapter", "card.json"
ATTRIBUTES = ("occupation", "home town", "birthplace", "employer", "instrument", "pet's name", "birthday")
_EPOCH = re.compile(r"epoch (\d+):")
_NATS = re.compile(r"\b(loss|neighbours|general) ([\d.]+)")
_STEP = re.compile(r"step (\d+):.*?\bloss ([\d.]+)")


def learning(settings: LearningObjective, report: Reporter) -> None:
    """Learn, telling what is known on the way, and examine it all at the end."""
    from tune.evaluate import Evaluator

    how = settings.learning.model_copy(update={"seed": report.seed})
    model = ModelStore(load().settings).resolve(how.model)
    facts = invented(settings.facts, report.seed)
    evaluator = Evaluator(model, precision=how.precision)
    adapter = report.folder / ADAPTER
    if not (adapter / NAME).is_file():
        if how.method == "edit":
            _write(how, model, facts, report)
        else:
            _learn(how, model, facts, report, evaluator, _glance(settings, how, facts))
    card = evaluator.measure(adapter, exam(settings, how, facts))
    (report.folder / CARD).write_text(to_json(card), encoding="utf-8")
    found = parts(card)
    report.items(item for items in found.values() for item in items)
    told = means(found)
    last = (how.edit.steps if how.method == "edit" else how.epochs) + 1
    report(last, {**report.last.figures, **told, "score": sum(told.values()) / len(told)})


def invented(count: int, seed: int) -> list[Fact]:
    """Facts about people who do not exist; no two have a value in common."""
    draw = random.Random(f"{seed}/invented")
    people = draw.sample([f"{first} {last}" for first in GIVEN for last in FAMILY], count)
    values: dict[str, None] = {}
    while len(values) < count:
        values[made_up(draw)] = None
    return [
        Fact(
            id=f"invented-{seed}-{number}",
            user="",
            subject=person,
            attribute=(attribute := ATTRIBUTES[number % len(ATTRIBUTES)]),
            value=value,
            statement=f"{person}'s {attribute} is {value}.",
            events=(f"event-{seed}-{number}",),
        )
        for number, (person, value) in enumerate(zip(people, values, strict=True))
    ]


def exam(settings: LearningObjective, how: LearningSettings, facts: Sequence[Fact]) -> Exam:
    """All that is asked at the end."""
    asked = questions(facts, (), how.phrasings, how.seed, settings.asked, settings.unknown)
    probes = probing.questions()
    if settings.probes == "all":
        probes = (*probes, *probing.triggers(), *probing.canaries())
    else:
        known = [one for one in probes if one.slice == "general"]
        probes = tuple(known[:: max(1, len(known) // max(1, settings.general))][: settings.general])
    return Exam(questions=asked, probes=probes, texts=probing.texts()[: settings.texts])


def parts(card: Scorecard) -> dict[str, list[Item]]:
    """What an exam says of a candidate, question by question, each 0 to 1; all parts weigh the same."""
    now, before = card.candidate, card.before
    known = {one.item for one in before.answers if one.slice == "general" and one.right}
    reads = zip(now.reads, before.reads, strict=True)
    found = {
        "recall": [_item(one) for one in now.answers if one.slice == "taught"],
        "silence": [_item(one) for one in now.answers if one.slice == "unknown"],
        "kept": [_item(one) for one in now.answers if one.item in known],
        "likelihood": [
            Item(one.text, one.text, min(1.0, math.exp((other.nats - one.nats) / one.tokens)))
            for one, other in reads
        ],
    }
    return {
        name: [replace(one, weight=1 / len(items)) for one in items] for name, items in found.items() if items
    }


def means(found: Mapping[str, Sequence[Item]]) -> dict[str, float]:
    """The mean of each part."""
    return {name: sum(one.value for one in items) / len(items) for name, items in found.items()}


def _item(one: Answered) -> Item:
    return Item(one.item, one.group or one.item, float(one.right))


def _glance(settings: LearningObjective, how: LearningSettings, facts: Sequence[Fact]) -> Exam | None:
    if not settings.glance:
        return None
    asked = questions(facts, (), how.phrasings, how.seed, settings.glance, len(facts))
    return Exam(questions=asked, probes=(), texts=())


def _learn(
    how: LearningSettings,
    model: Path,
    facts: Sequence[Fact],
    report: Reporter,
    evaluator: "Evaluator",
    glance: Exam | None,
) -> None:
    """By gradient. What the learner tells of an epoch is a step."""
    from tune.incremental import Figures, Student

    student = Student(how, model)
    tokens = _counted(student.layers[-1])
    events = [event for fact in facts for event in fact.events]

    def told(line: str) -> None:
        found = _EPOCH.match(line)
        if found is None:
            return
        nats = {name: float(value) for name, value in _NATS.findall(line)}
        seen = {"loss": nats["loss"], "strain": sum(nats.values())}
        if glance is not None:
            draft = _empty(report.checkpoint / f"epoch-{found[1]}")
            student.export(draft, events, None, Figures(loss=seen["loss"]))
            known = means(parts(evaluator.measure(draft, glance, timed=False)))
            seen |= {"glance": (known["recall"] + known["silence"]) / 2}
            shutil.rmtree(draft)
        report(int(found[1]), seen, tokens.taken())

    done = student.learn(lessons(facts, (), how), told)
    draft = _empty(report.checkpoint / ADAPTER)
    student.export(draft, events, None, done)
    draft.replace(report.folder / ADAPTER)


def _write(how: LearningSettings, model: Path, facts: Sequence[Fact], report: Reporter) -> None:
    """As neurons. What the editor tells of its steps is the loss alone: there is no adapter until the end."""
    from tune.edits import Editor

    editor = Editor(how, model)
    tokens = _counted(editor.layers[-1])

    def told(line: str) -> None:
        if found := _STEP.match(line):
            report(int(found[1]), {"loss": float(found[2])}, tokens.taken())

    written = editor.learn(facts, told)
    draft = _empty(report.checkpoint / ADAPTER)
    written.export(draft, [event for fact in facts for event in fact.events])
    draft.replace(report.folder / ADAPTER)


def _empty(folder: Path) -> Path:
    """A new directory; the evaluator tells adapters apart by their names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


class _Counter:
    """Tokens that went through a model while it learned."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, module: Any, given: tuple[Any, ...], found: Any) -> None:
        """A hook of a layer: hidden states [1, T, W]."""
        hidden = found[0] if isinstance(found, tuple) else found
        if hidden.requires_grad:
            self._count += hidden.shape[-2]

    def taken(self) -> int:
        """Those since it was asked last."""
        count, self._count = self._count, 0
        return count


def _counted(layer: Any) -> _Counter:
    counter = _Counter()
    layer.register_forward_hook(counter)
    return counter
