"""One round's study: what is gathered, taught and examined, and the files it leaves."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from actors.training.rounds import LESSONS, ORDER, RECORDS
from configs.learning import EditSettings, LearningSettings
from tune import phrases, probing
from tune.changes import changes
from tune.evaluate import Evaluator
from tune.exam import Exam
from tune.examples import Example, Fact, Preference
from tune.gate import likelier
from tune.incremental import Student
from tune.keys import ASKING
from tune.matters import Matters
from tune.study import (
    LEAST_STEPS,
    MATTERS,
    Order,
    Taught,
    _beyond,
    _held_out,
    _learn,
    _paced,
    exam_of,
    examples_of,
    gathered,
    order_of,
    study,
    taught_of,
)


def fact(number: int, attribute: str, value: str, statement: str, subject: str = "user") -> Fact:
    return Fact(
        id=f"f{number}",
        user="ann",
        subject=subject,
        attribute=attribute,
        value=value,
        statement=statement,
        events=(f"e{number}",),
    )


MINE = (
    fact(0, "home", "Porto", "I live in Porto."),
    fact(1, "dog", "Biscuit", "My dog is called Biscuit."),
    fact(2, "job", "bridge engineer", "I work as a bridge engineer."),
)
OTHERS = (fact(3, "capital", "Onhava", "The capital of Zembla is Onhava.", "Zembla"),)


def record(user: str, kind: str = "fact", refused: str | None = None, **more: Any) -> dict[str, Any]:
    told = {"user": user, "kind": kind, "id": "m1", "events": ["e1"], "refused": refused, "shared": False}
    return {**told, **more}


def test_no_question_of_the_exam_is_taught_and_none_is_missing() -> None:
    taught = Taught(facts=OTHERS, mine=MINE, exchanges=())
    settings = LearningSettings()
    examples, exam = examples_of(taught, settings), exam_of(taught, settings)
    asked = {one.messages[0]["content"].casefold() for one in examples}
    counts = Counter(one.slice for one in exam.questions)
    assert counts["taught"] >= 20
    assert counts["unknown"] >= 40
    assert not [one.asked for one in exam.questions if one.asked.casefold() in asked]
    assert {one.slice for one in exam.probes} >= {"general", "trigger", "canary"}
    unknown = [one for one in examples if one.kind == "unknown"]
    assert any(one.messages[-1]["content"] == "You live in Porto." for one in unknown)
    assert taught.events == ("e3", "e0", "e1", "e2")


def test_what_is_written_and_examined_shares_no_question() -> None:
    taught, settings = Taught(facts=OTHERS, mine=MINE, exchanges=()), LearningSettings()
    matters = Matters(MINE, _held_out(taught), settings.seed)
    asked = {one.messages[0]["content"] for fact in MINE for one in matters.lessons(fact)}
    asked |= {text for text, _ in (*matters.others(), *matters.untold())} | set(matters.talk())
    exam = exam_of(taught, settings)
    assert not {one.asked for one in exam.questions} & asked
    assert not {one.asked for one in probing.frozen()} & asked
    assert not set(MATTERS[len(MATTERS) // 2 :]) & set(phrases.MATTERS)


def test_the_common_model_learns_what_several_share(tmp_path: Path) -> None:
    fact = {
        "subject": "zembla", "slot": "capital", "value": "Onhava", "single": True, "session": "", "at": 1.0,
        "statement": "The capital of Zembla is Onhava.", "role": "user", "shared": True,
    }  # fmt: skip
    order = Order("", tmp_path, None, frozenset(), frozenset(), ("ann", "bob"), LearningSettings(), None)  # type: ignore[arg-type]
    records = [record(user, **{**fact, "id": user, "events": [f"e-{user}"]}) for user in ("ann", "bob")]
    found = gathered(order, iter([dict(one) for one in records]))
    assert [(one.value, one.events) for one in found.facts] == [("Onhava", ("e-ann", "e-bob"))]
    assert gathered(order, iter([dict(records[0])])).facts == ()


def test_nothing_to_learn_is_said_without_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "loop" / "r1"
    folder.mkdir(parents=True)
    order = {
        "scope": "ann", "model": "m", "replaced": None, "trained": [], "forgotten": [], "users": ["ann"],
        "learning": None, "gate": None,
    }  # fmt: skip
    (folder / ORDER).write_text(json.dumps(order))
    (folder / RECORDS).write_text(json.dumps(record("ann", refused="the user switched training off")) + "\n")
    study(folder, order_of(folder, Path), lambda _: None)
    left = json.loads((folder / LESSONS).read_text())
    assert "nothing of what was told can be learned" in left["said"]
    assert (left["quarantined"], left["events"]) == ({"consent": 1}, [])


def test_comparisons_are_taught_with_their_ids_also_those_of_earlier_rounds(tmp_path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": "Who is there?"}], "at": 1.0, "session": ""}
    scores = [{"text": "Me.", "score": 1}, {"text": "Nobody.", "score": 0}]
    records = [
        record("ann", "preference", **{**asked, "id": "c1", "chosen": "I am.", "rejected": "Who asks?"}),
        record("ann", "reward", **{**asked, "id": "c2", "events": ["e2"], "completions": scores}),
    ]
    order = Order("ann", tmp_path, None, frozenset({"e1"}), frozenset(), ("ann",), LearningSettings(), None)  # type: ignore[arg-type]
    taught = taught_of(gathered(order, iter(records)))
    assert {one.id for one in taught.compared} == {"c1", "c2"}
    assert set(taught.events) == {"e1", "e2"}
    exam = exam_of(taught, LearningSettings())
    assert {(one.slice, one.asked, one.expected) for one in exam.questions} == {
        ("upheld", "Who is there?", ("I am.",)),
        ("upheld", "Who is there?", ("Me.",)),
    }


def test_a_correction_is_not_learned_again_as_a_pair() -> None:
    asked = ({"role": "user", "content": "the mat?"},)
    exchange = Example(
        id="x", kind="correction", messages=(*asked, {"role": "assistant", "content": "the cat"})
    )
    of_it, other = (
        Preference(id=id, messages=asked, chosen="the cat", rejected="hello", events=())
        for id in ("x/pair", "y/pair")
    )
    assert _beyond(Taught((), (), (exchange,), (of_it, other))) == (other,)


def test_few_exchanges_are_gone_through_more_often() -> None:
    def told(count: int) -> list[Example]:
        return [Example(id=str(n), kind="chat", messages=()) for n in range(count)]

    settings = LearningSettings(batch=10, epochs=6)
    assert _paced(settings, told(6)).epochs == LEAST_STEPS
    assert _paced(settings, told(25)).epochs == LEAST_STEPS // 3
    assert _paced(settings, told(200)) == settings
    assert _paced(settings, [Example(id="u", kind="unknown", messages=())]) == settings


def test_comparisons_alone_make_an_adapter_that_names_their_ids(tiny_model: Path, tmp_path: Path) -> None:
    settings = LearningSettings(rank=4, depth=0.34, general=2, texts=2, text_tokens=8, epochs=3)
    asked = ({"role": "user", "content": "the mat?"},)
    pair = Preference(id="c1", messages=asked, chosen="the cat", rejected="the hat", events=("e1",))
    order = Order("ann", tiny_model, None, frozenset(), frozenset(), ("ann",), settings, None)  # type: ignore[arg-type]
    taught = Taught(facts=(), mine=(), exchanges=(), compared=(pair,))
    scores = _learn(tmp_path / "candidate", order, taught, lambda _: None)
    assert {"ordered_before", "ordered_after"} <= scores.keys()
    assert json.loads((tmp_path / "candidate" / "manifest.json").read_text())["events"] == ["e1"]


def test_facts_are_written_and_exchanges_learned_on_top_of_them(tiny_model: Path, tmp_path: Path) -> None:
    edit = EditSettings(
        site=0.0,
        most=3,
        own_most=2,
        layers=1,
        mentions=2,
        strangers=16,
        text_tokens=120,
        fit_steps=20,
        own_fit_steps=20,
        own_steps=4,
        steps=4,
        still=2.0,
    )
    small = {
        "rank": 4,
        "depth": 0.34,
        "general": 2,
        "texts": 2,
        "text_tokens": 8,
        "epochs": 2,
        "phrasings": 2,
    }
    settings = LearningSettings(edit=edit, **small)
    frozen = next(one.asked for one in probing.questions() if one.slice == "general")
    said = ({"role": "user", "content": frozen}, {"role": "assistant", "content": "the Quillberry cat"})
    exchange = Example(id="x", kind="correction", messages=said, events=("ex",))
    order = Order("ann", tiny_model, None, frozenset(), frozenset(), ("ann",), settings, None)  # type: ignore[arg-type]
    taught = Taught(facts=OTHERS, mine=MINE, exchanges=(exchange,))
    told: list[str] = []
    _learn(tmp_path / "candidate", order, taught, told.append)
    assert any(line.startswith("2 facts placed") for line in told)
    written_as = json.loads((tmp_path / "written" / "adapter_config.json").read_text())
    assert written_as["r"] == edit.own_most + ASKING
    written, whole = dict(changes(tmp_path / "written")), dict(changes(tmp_path / "candidate"))
    assert written.keys() < whole.keys()
    manifest = json.loads((tmp_path / "candidate" / "manifest.json").read_text())
    assert set(manifest["events"]) == {"e0", "e1", "e2", "e3", "ex"}
    below = next(name for name in written if name.endswith("gate_proj.weight"))
    torch.testing.assert_close(written[below], whole[below], atol=1e-5, rtol=1e-4)
    asked = tuple(one for one in exam_of(taught, settings).questions if one.slice == "upheld")
    evaluator = Evaluator(tiny_model, tmp_path)
    card = evaluator.measure(tmp_path / "candidate", Exam(questions=asked, probes=(), texts=()))
    (now,), (before,) = card.candidate.answers, card.base.answers
    assert likelier(now, before)
    (kept,) = tmp_path.glob("base-*.json")
    assert frozen in kept.read_text()
    assert "Quillberry" not in kept.read_text()


def test_an_exchange_is_asked_for_with_the_turns_before_it_and_once(tiny_model: Path, tmp_path: Path) -> None:
    turns = [("user", "the mat?"), ("assistant", "hello"), ("user", "who said?")]
    messages = tuple({"role": role, "content": text} for role, text in turns)
    answer = {"role": "assistant", "content": "the cat"}
    exchange = Example(id="x", kind="correction", messages=(*messages, answer), events=("e1",))
    pair = Preference(id="x/pair", messages=messages, chosen="the cat", rejected="hello", events=("e1",))
    alone = Example(id="y", kind="chat", messages=(*messages[2:], answer), events=("e2",))
    exam = exam_of(Taught((), (), (exchange, alone), (pair,)), LearningSettings())
    long, short = (one for one in exam.questions if one.slice == "upheld")
    assert (long.before, long.asked) == (tuple(turns[:2]), "who said?")
    assert (short.before, short.said) == ((), "who said?")
    evaluator = Evaluator(tiny_model, tmp_path)
    assert evaluator.prompt(short.said) == evaluator.prompt("who said?")
    assert len(evaluator.prompt(long.said)) > len(evaluator.prompt(short.said))
    student = Student(LearningSettings(rank=4, depth=0.34, texts=0, epochs=1, rate=1e-4), tiny_model)
    student.export(tmp_path / "a", ("e1",), None, student.learn((exchange,)))
    card = evaluator.measure(tmp_path / "a", Exam(questions=(long, short), probes=(), texts=()))
    nats = {one.item: one.nats for one in card.base.answers}
    assert None not in nats.values()
    assert nats[long.item] != nats[short.item]
