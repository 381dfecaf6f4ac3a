import json
from pathlib import Path

import torch

from configs.learning import EditSettings, ExchangeSettings, LearningSettings
from tune.changes import changed, changes
from tune.evaluate import Evaluator
from tune.exam import Exam
from tune.examples import Example
from tune.exchanges import Exchanges, layered, pieces, write
from tune.study import Taught, exam_of

SETTINGS = LearningSettings(
    edit=EditSettings(text_tokens=120, still=2.0),
    exchange=ExchangeSettings(
        most=5, site=0.0, reach=4, neighbours=3, others=2, tokens=4, fit_steps=100, steps=60, shrink=0.0
    ),
)


def exchange(id: str, *texts: str) -> Example:
    roles = ("user", "assistant") * len(texts)
    messages = tuple({"role": role, "content": text} for role, text in zip(roles, texts, strict=False))
    return Example(id=id, kind="correction", messages=messages, events=(f"e-{id}",))


TOLD = (
    exchange("a", "the mat?", "the cat said"),
    exchange("b", "who said?", "hello", "the user?", "the hat"),
)


def test_neurons_are_as_many_as_there_may_be_and_one_for_each_at_least() -> None:
    assert pieces([17, 40], 64, 16) == [2, 4]
    assert pieces([17, 40], 4, 16) == [2, 2]
    assert pieces([17, 40, 9], 4, 16) == [1, 1, 1]
    assert pieces([1], 64, 16) == [1]
    assert pieces([], 64, 16) == []


def test_what_is_written_is_answered_and_lies_in_one_layer(tiny_model: Path, tmp_path: Path) -> None:
    writer = Exchanges(SETTINGS, tiny_model)
    told: list[str] = []
    written = writer.write(TOLD, told.append)
    assert told[0].startswith("2 exchanges placed")
    written.export(tmp_path / "first", ("e-a", "e-b"))
    manifest = json.loads((tmp_path / "first" / "manifest.json").read_text())
    assert manifest["events"] == ["e-a", "e-b"]
    assert json.loads((tmp_path / "first" / "adapter_config.json").read_text())["r"] <= 5
    assert all(".layers.0.mlp." in f".{name}" for name in changed(tmp_path / "first"))
    evaluator = Evaluator(tiny_model)
    questions = exam_of(Taught((), (), TOLD), SETTINGS).questions
    card = evaluator.measure(tmp_path / "first", Exam(questions=questions, probes=(), texts=()))
    nats = [
        (now.nats or 0.0, before.nats or 0.0)
        for now, before in zip(card.candidate.answers, card.base.answers, strict=True)
    ]
    assert len(nats) == 2
    assert all(now < 0.8 * before for now, before in nats)

    write([TOLD[1:]], SETTINGS, tiny_model, tmp_path / "first", tmp_path / "second", ("e-a",), told.append)
    first, both = dict(changes(tmp_path / "first")), dict(changes(tmp_path / "second"))
    assert len(both) == 2 * len(first)
    for name, change in first.items():
        torch.testing.assert_close(both[name], change, atol=1e-5, rtol=1e-4)
    assert not evaluator.integrity(tmp_path / "second").problems
    assert json.loads((tmp_path / "second" / "adapter_config.json").read_text())["r"] <= 5
    found = evaluator.integrity(tmp_path / "second")
    assert found.files_found == dict(found.files_expected)


def test_each_layer_has_so_many_and_what_finds_no_room_is_left_out(tiny_model: Path) -> None:
    def groups(**given: int) -> list[list[str]]:
        settings = SETTINGS.model_copy(update={"exchange": ExchangeSettings(**{"reach": 1000, **given})})
        return [[one.id for one in group] for group in layered(many, settings, tiny_model)]

    many = [exchange(str(number), f"who {number}?", "the cat") for number in range(5)]
    assert groups(most=4, layers=4) == [["0", "1"], ["2", "3"], ["4"]]
    assert groups(most=4, layers=2) == [["0", "1", "2", "3"], ["4"]]
    assert groups(most=2, layers=2) == [["0", "1"], ["2", "3"]]
    assert layered([], SETTINGS, tiny_model) == []
