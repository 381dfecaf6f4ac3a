"""Passages learned in turns, alone and as the last part of a round."""

import json
from pathlib import Path

from configs.learning import LearningSettings, PassageSettings
from tune.changes import changes
from tune.examples import Example, Passage
from tune.passages import plain
from tune.reciting import learn, settings_of
from tune.study import Order, Taught, _learn, _report, exam_of, gathered, taught_of

TEXT = "The cat of the user sat on the old mat in May 1832. It said hello to Robert Hume."
SMALL = PassageSettings(
    most=1, turns=2, ways=2, answers=3, held=4, texts=1, rank=4, depth=0.34, rate=0.02, batch=4
)


def passage(number: int) -> Passage:
    return Passage(
        id=f"p{number}",
        user="ann",
        filename="mat.txt",
        heading="",
        text=TEXT,
        start=0,
        end=len(TEXT),
        events=(f"file{number}",),
    )


def test_the_rate_falls_in_the_second_half_of_the_turns() -> None:
    rates = [settings_of(PassageSettings(turns=4, rate=1.0), 0, turn).rate for turn in range(4)]
    assert rates == [1.0, 1.0, 0.8, 0.4]


def test_turn_by_turn_it_knows_more(tiny_model: Path) -> None:
    told: list[str] = []
    settings = LearningSettings(passages=SMALL.model_copy(update={"turns": 3, "ways": 12}))
    student, figures = learn([passage(0)], settings, tiny_model, None, told.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in told if line.startswith("epoch")]
    assert len(losses) == 3
    assert losses[2] < losses[0]
    assert figures.steps > 2
    assert student.settings.rate < SMALL.rate


def test_a_round_learns_passages_on_top_and_asks_for_them_in_words_not_taught(
    tiny_model: Path, tmp_path: Path
) -> None:
    small = LearningSettings(
        method="gradient", rank=4, depth=0.34, general=2, texts=1, text_tokens=8, epochs=1, passages=SMALL
    )
    order = Order("ann", tiny_model, None, frozenset(), frozenset(), ("ann",), small, None)  # type: ignore[arg-type]
    said = ({"role": "user", "content": "the mat?"}, {"role": "assistant", "content": "the cat"})
    exchange = Example(id="x", kind="chat", messages=said, events=("ex",))
    taught = Taught((), (), (exchange,), (), (passage(0),))
    scores = _learn(tmp_path / "candidate", order, taught, lambda _: None)
    assert scores["steps"] > 2
    manifest = json.loads((tmp_path / "candidate" / "manifest.json").read_text())
    assert manifest["events"] == ["ex", "file0"]
    assert dict(changes(tmp_path / "learned")).keys() <= dict(changes(tmp_path / "candidate")).keys()
    assert not (tmp_path / "written").exists()
    upheld = [one for one in exam_of(taught, small).questions if one.slice == "upheld"]
    assert len(upheld) > 2
    assert all(one.expected[0] in TEXT for one in upheld[1:])
    assert len({plain(one.asked) for one in upheld}) == len(upheld)


def test_passages_of_earlier_rounds_are_learned_first_and_the_rest_counted_as_left() -> None:
    order = Order("ann", Path(), None, frozenset({"file1"}), frozenset(), ("ann",), LearningSettings(), None)  # type: ignore[arg-type]
    records = [
        {
            "user": "ann",
            "kind": "passage",
            "id": f"p{number}",
            "events": [f"file{number}"],
            "refused": None,
            "shared": False,
            "filename": "f.txt",
            "heading": "",
            "start": 0,
            "end": 9,
            "text": f"{TEXT} {number}",
        }
        for number in range(3)
    ]
    learnable = gathered(order, iter(records))
    taught = taught_of(learnable, 2)
    assert [one.id for one in taught.passages] == ["p1", "p0"]
    counts = _report(learnable, taught)["counts"]
    assert (counts["passages"], counts["passages left for later"]) == (2, 1)
    assert taught.events == ("file1", "file0")
    assert not taught_of(learnable).some
