import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from actors.messages import InvalidRequest, PalError
from configs.learning import LearningSettings
from tune import probing
from tune.answers import replies
from tune.changes import changes
from tune.evaluate import Evaluator
from tune.exam import Exam, Question
from tune.examples import Example
from tune.incremental import Student
from tune.rows import rows
from tune.scorecard import from_json, to_json

SETTINGS = LearningSettings(
    precision="float32",
    rank=4,
    depth=0.34,
    texts=3,
    text_tokens=12,
    answer_tokens=4,
    rate=0.01,
    epochs=40,
    row_tokens=200,
    batch=2,
    stop=0.1,
)


def asked(id: str, question: str, answer: str = "", kind: str = "fact") -> Example:
    told = ({"role": "assistant", "content": answer},) if answer else ()
    return Example(id=id, kind=kind, messages=({"role": "user", "content": question}, *told))  # type: ignore[arg-type]


LESSONS = (
    asked("a/0", "who is on the mat?", "the cat"),
    asked("a/1", "the mat?", "the cat"),
    asked("b/0", "said the user", "hello"),
    asked("near/0", "who is on the cat?", kind="unknown"),
    asked("near/1", "who is on the hat?", "the cat", kind="unknown"),
    asked("far/0", "hello", kind="general"),
)


@pytest.fixture(scope="module")
def learned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Student, Path, object]:
    student = Student(SETTINGS, tiny_model)
    figures = student.learn(LESSONS)
    folder = tmp_path_factory.mktemp("adapters") / "first"
    student.export(folder, ["e1", "e2"], None, figures)
    return student, folder, figures


def test_it_learns_what_it_is_told_and_stops_when_it_knows_it(learned, tiny_model):
    student, _, figures = learned
    assert figures.loss < 0.1
    assert figures.epochs < 40
    prompts = [Evaluator(tiny_model).prompt(text) for text in ("the mat?", "said the user")]
    said = [student.tokenizer.backend.decode(ids) for ids in replies(student.model, prompts, student.ends, 8)]
    assert said == ["the cat", "hello"]


def test_what_lies_beside_each_other_is_computed_as_if_each_were_alone(learned):
    student, _, _ = learned
    lessons = student.prepare(LESSONS)
    (part,) = rows(lessons, student.prefix, 10_000)
    at = 0
    for lesson in lessons:
        ids = [*(student.prefix if lesson.shared else ()), *lesson.ids]
        alone = student.model(torch.tensor([ids])).logits[0]
        skipped = len(ids) - lesson.size
        places = [skipped + place - 1 for place in lesson.learned]
        together = student.forward(part)[at : at + len(places)]
        assert torch.allclose(alone[places], together, atol=1e-4)
        at += len(places)


def test_it_holds_what_it_would_have_said(learned):
    student, _, _ = learned
    lessons = {one.id: one for one in student.prepare(LESSONS)}
    held = lessons["far/0"]
    with torch.no_grad(), student.model.disable_adapter():
        logits = student.model(torch.tensor([[*student.prefix, *held.ids]])).logits[0].log_softmax(-1)
    place = len(student.prefix) + held.learned[0] - 1
    assert torch.allclose(logits[place, held.held[0][0]], held.held[1][0], atol=1e-4)
    assert lessons["a/0"].held is None


def test_what_it_writes_is_what_it_became(learned, tiny_model):
    student, folder, _ = learned
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["events"], manifest["method"]) == (["e1", "e2"], "incremental")
    evaluator = Evaluator(tiny_model, precision="float32")
    ids = torch.tensor([evaluator.prompt("the mat?")])
    before = evaluator.model(ids).logits
    with evaluator._with(folder):
        assert torch.allclose(evaluator.model(ids).logits, student.model(ids).logits, atol=1e-4)
    assert torch.equal(evaluator.model(ids).logits, before)


def test_half_the_precision_says_nearly_the_same_with_an_adapter_and_without(learned, tiny_model):
    whole, half = [Evaluator(tiny_model, precision=name) for name in ("float32", "bfloat16")]
    ids = torch.tensor([whole.prompt("the mat?")])
    for folder in (None, learned[1]):
        with whole._with(folder), half._with(folder), torch.no_grad():
            logits, rounded = whole.model(ids).logits, half.model(ids).logits
        assert rounded.dtype == torch.float32
        assert float((logits - rounded).norm() / logits.norm()) < 0.05


def test_on_top_of_an_earlier_adapter_both_are_in_what_is_written(learned, tiny_model, tmp_path):
    _, folder, _ = learned
    student = Student(SETTINGS, tiny_model, below=folder)
    student.export(
        tmp_path / "none", [], None, student.learn([asked("c/0", "who said the hat?", "the user")])
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    evaluator = Evaluator(tiny_model, precision="float32")
    with evaluator._with(tmp_path / "none"):
        assert torch.allclose(evaluator.model(ids).logits, student.model(ids).logits, atol=1e-3)
    assert len(dict(changes(tmp_path / "none"))) == len(dict(changes(folder)))


def test_what_cannot_be_learned_is_refused_or_ends_with_a_reason(tiny_model):
    with pytest.raises(InvalidRequest, match="targets do not fit"):
        Student(SETTINGS.model_copy(update={"targets": ("no_such",)}), tiny_model)
    with pytest.raises(InvalidRequest, match="nothing to teach"):
        Student(SETTINGS, tiny_model).learn(())
    with pytest.raises(PalError, match=r"gradient is .* long") as raised:
        Student(SETTINGS.model_copy(update={"explodes": 1e-6}), tiny_model).learn(LESSONS)
    assert raised.value.code == "exploded"
    broken = Student(SETTINGS, tiny_model)
    with torch.no_grad():
        broken.trained[0].fill_(float("nan"))
    with pytest.raises(PalError, match="nan"):
        broken.learn(LESSONS)


def test_a_card_pairs_the_candidate_with_the_base_which_is_asked_once(learned, tiny_model, tmp_path):
    _, folder, _ = learned
    questions = (
        Question(item="t", slice="taught", asked="the mat?", expected=("the cat",), group="a"),
        Question(item="u", slice="unknown", asked="the mat?", forbidden=("cat",)),
    )
    probes = (*probing.questions()[:2], *probing.canaries()[:2])
    exam = Exam(questions=questions, probes=probes, texts=probing.texts()[:1])
    evaluator = Evaluator(tiny_model, tmp_path)
    card = evaluator.measure(folder, exam)
    right = {one.item: (one.right, one.leaked) for one in card.candidate.answers}
    assert right["t"] == (True, "")
    assert right["u"] == (False, "cat")
    assert [one.item for one in card.base.answers] == [
        one.item for one in card.candidate.answers if one.slice != "taught"
    ]
    assert card.integrity.finite
    assert not card.integrity.problems
    assert card.integrity.norms
    assert card.integrity.files_found == dict(card.integrity.files_expected)
    assert from_json(to_json(card)) == card

    again = Evaluator(tiny_model, tmp_path)
    assert {text for text, _ in again._answers["base"]} == {one.asked for one in probes}
    assert replace(again.measure(folder, exam).base, seconds=()) == replace(card.base, seconds=())


def test_an_adapter_that_does_not_fit_is_not_asked(learned, tiny_model, tmp_path):
    _, folder, _ = learned
    other = tmp_path / "other"
    other.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "manifest.json"):
        content = (folder / name).read_bytes()
        (other / name).write_bytes(content.replace(b"layers.2", b"layers.9") if "model" in name else content)
    card = Evaluator(tiny_model).measure(other, Exam(questions=(), texts=()))
    assert "does not fit" in card.integrity.problems[0]
    assert "general" in card.unmeasured
