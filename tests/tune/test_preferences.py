"""Losses of compared answers, and a small model that learns from them."""

import json
import math
from pathlib import Path

import pytest
import torch

from actors.messages import InvalidRequest
from configs.learning import LearningSettings
from tune import dpo
from tune.examples import Preference, Scored
from tune.incremental import Student
from tune.preferences import Comparison, advantages, apart, comparison, gained, pair_loss, texts, units
from tune.rows import Lesson

SETTINGS = LearningSettings(
    precision="float32",
    rank=4,
    depth=0.34,
    texts=3,
    text_tokens=12,
    answer_tokens=4,
    rate=0.01,
    epochs=40,
    row_tokens=60,
    batch=2,
    preference_unseen=0,
    preference_rate=0.01,
    preference_hold=0.5,
    preference_texts=3,
    preference_stop=0.3,
)


def asked(question: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": question},)


COMPARED = (
    Preference(id="p1", messages=asked("the mat?"), chosen="the cat", rejected="the hat", events=("e1",)),
    Preference(id="p2", messages=asked("who said?"), chosen="the cat", rejected="hello", events=("e2",)),
    Scored(
        id="s1",
        messages=asked("said the user"),
        answers=(("hello", 1.0), ("the mat", 0.2), ("the hat", -1.0)),
        events=("e3",),
    ),
)


def lesson(size: int, before: float = -1.0) -> Lesson:
    ids = tuple(range(size))
    return Lesson(id="x", kind="compared", ids=ids, learned=ids, before=torch.full((size,), before))


def test_a_pairs_loss_is_that_of_dpo_with_the_better_answers_likelihood() -> None:
    now = (torch.tensor([-1.0, -1.0], requires_grad=True), torch.tensor([-2.0], requires_grad=True))
    before = (torch.tensor([-2.0, -1.5]), torch.tensor([-1.0]))
    loss, left = pair_loss(now, before, beta=0.5, nll=0.2)
    margin = (-2.0 + 3.5) - (-2.0 + 1.0)
    assert float(loss.detach()) == pytest.approx(-math.log(1 / (1 + math.exp(-0.5 * margin))) + 0.2)
    assert left == pytest.approx(math.log(1 + math.exp(-0.5 * margin)) / math.log(2))
    loss.backward()
    weight = 0.5 / (1 + math.exp(0.5 * margin))
    assert now[0].grad.tolist() == pytest.approx([-weight - 0.1] * 2)  # type: ignore[union-attr]
    assert now[1].grad.tolist() == pytest.approx([weight])  # type: ignore[union-attr]


def test_scores_become_advantages_and_what_they_push_ends() -> None:
    assert advantages([3, 1]) == (1.0, -1.0)
    assert sum(advantages([1, 5, 2, 9])) == pytest.approx(0)
    assert advantages([1, 5]) == advantages([-70, 10])
    with pytest.raises(ValueError, match="equal"):
        advantages([2, 2])
    before = torch.tensor([-1.0, -1.0])
    for advantage in (1.5, -1.5):
        now = before.clone().requires_grad_()
        gained(now, before, advantage, 0.5).backward()
        assert now.grad.tolist() == [advantage] * 2  # type: ignore[union-attr]
        now = (before + 1.01 * advantage / 0.5 / 2).requires_grad_()
        gained(now, before, advantage, 0.5).backward()
        assert now.grad.tolist() == [0, 0]  # type: ignore[union-attr]


def test_shares_of_a_comparison_add_up_from_one_to_nothing() -> None:
    scored = comparison(COMPARED[2], [lesson(2), lesson(3), lesson(1)])
    for moved, left in ((0.0, 1.0), (99.0, 0.0)):
        signs = [math.copysign(moved, one) for one in scored.advantages]
        now = [one.before + sign for one, sign in zip(scored.answers, signs, strict=True)]  # type: ignore[operator]
        told = [unit.loss([now[unit.places[0]]], SETTINGS)[1] for unit in scored.units]
        assert sum(told) == pytest.approx(left, abs=1e-5)
    pair = comparison(COMPARED[0], [lesson(2), lesson(2)])
    (unit,) = pair.units
    assert unit.loss([one.before for one in pair.answers], SETTINGS)[1] == pytest.approx(1)  # type: ignore[misc]
    assert [len(part) for part in units([scored, pair, pair], 6)] == [3, 1, 1]
    assert [[unit.size for unit in part] for part in units([pair, pair], 1)] == [[4], [4]]


def test_order_is_by_likelihood_and_some_are_kept_for_asking() -> None:
    scored = comparison(COMPARED[2], [lesson(1)] * 3)
    assert scored.ordered([-1, -2, -3]) == 1
    assert scored.ordered([-1, -3, -2]) == pytest.approx(2 / 3)
    many = [Comparison(str(n), (), (), True) for n in range(11)]
    learned, kept = apart(many, 5)
    assert ([one.id for one in kept], len(learned)) == (["4", "9"], 9)
    assert apart(many[:9], 5) == (many[:9], many[:9])


def test_a_model_learns_which_answers_are_better(tiny_model: Path, tmp_path: Path) -> None:
    student = Student(SETTINGS, tiny_model)
    lessons = student.prepare((), COMPARED)
    assert [one.kind for one in lessons].count("compared") == sum(len(texts(one)) for one in COMPARED)
    held = student.comparisons[0].answers[0]
    with torch.no_grad(), student.model.disable_adapter():
        logits = student.model(torch.tensor([[*student.prefix, *held.ids]])).logits[0].log_softmax(-1)
    place = len(student.prefix) + held.learned[0]
    token = held.ids[held.learned[0]]
    assert held.before is not None
    assert float(held.before[0]) == pytest.approx(float(logits[place - 1, token]), abs=1e-4)

    student = Student(SETTINGS, tiny_model)
    figures = student.learn((), compared=COMPARED)
    assert figures.comparisons == 3
    assert figures.ordered_before < 1
    assert figures.ordered_after == 1
    assert figures.compared <= SETTINGS.preference_stop
    assert figures.steps < 2 * SETTINGS.epochs
    student.export(tmp_path / "adapter", ["e1"], None, figures)
    assert '"ordered_after": 1' in (tmp_path / "adapter" / "manifest.json").read_text()


def test_a_job_on_a_file_of_pairs_leaves_an_adapter_and_its_figures(tiny_model: Path, tmp_path: Path) -> None:
    answers = {"preferred_output": "the cat", "non_preferred_output": "the hat"}
    row = {"input": {"messages": asked("the mat?")}} | {
        name: [{"role": "assistant", "content": text}] for name, text in answers.items()
    }
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    more = {"general": 0, "epochs": 3, "preference_stop": 0.0}
    config = {
        "method": "dpo",
        "model": "tiny",
        "learning": SETTINGS.model_copy(update=more).model_dump(mode="json"),
        "data": [{"kind": "chat", "path": str(tmp_path / "pairs.jsonl")}],
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    found = dpo.task(tmp_path / "config.yaml")
    for change, said in (
        ({"data": []}, "nothing to train on"),
        ({"data": [{"path": "none.jsonl"}]}, "no file"),
        ({"data": "none"}, "a list of files"),
        ({"learning": {"betta": 1}}, "learning: .*betta"),
    ):
        (tmp_path / "wrong.yaml").write_text(json.dumps({**config, **change}))
        with pytest.raises(InvalidRequest, match=said):
            dpo.task(tmp_path / "wrong.yaml")
    steps: list[float] = []
    adapter = dpo.train(found, tiny_model, tmp_path, lambda _: None, lambda one: steps.append(one["step"]))
    assert steps == [0, 1, 2]
    assert '"ordered_after"' in (adapter / "manifest.json").read_text()
    told = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert told[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert told[2]["loss"] < told[0]["loss"]
