import json
from itertools import pairwise
from pathlib import Path

import pytest

from actors.messages import InvalidRequest
from actors.models.tokenizer import ModelTokenizer
from tune import sources
from tune.longfacts import SEEN
from tune.longtexts import KINDS, long_text, longest_answer, prompt
from tune.synthetic import fact

LENGTH = 6000


@pytest.fixture(scope="module")
def reader(tiny_model: Path) -> ModelTokenizer:
    return ModelTokenizer(tiny_model)


def test_a_text_is_a_function_of_its_seed_and_holds_what_is_asked(reader: ModelTokenizer) -> None:
    kinds = KINDS[:6]
    made = long_text(kinds, LENGTH, "0/0", reader, needles=3)
    assert made == long_text(kinds, LENGTH, "0/0", reader, needles=3)
    assert made.text != long_text(kinds, LENGTH, "1/0", reader, needles=3).text
    sizes = [len(prompt(reader, made.text, one)) + longest_answer(reader, one) for one in made.questions]
    assert LENGTH - 200 < max(sizes) <= LENGTH
    by_kind = {one.kind: one for one in made.questions}
    assert set(by_kind) == set(kinds)
    needles = [one for one in made.questions if one.kind == "needle"]
    assert [round(one.depth, 1) for one in needles] == [0.0, 0.5, 1.0]
    for one in needles:
        assert f"{one.opening} {one.answer}" in made.text
    assert len({one.opening.split()[-1] for one in needles}) == 3
    thing = by_kind["values"].opening.removeprefix("On the ").removesuffix(" the numbers")
    assert all(fact(thing, forms[0]) in made.text for forms in by_kind["values"].wanted)
    names = [forms[0] for forms in by_kind["variables"].wanted]
    assert all(f"Let {after} be what {name} is." in made.text for name, after in pairwise(names))
    seen = {name: made.text.count(f"{name} was seen.") for name in ("otter", "fox", "deer", "hare", "crow")}
    common = [forms[0] for forms in by_kind["common"].wanted]
    least = min(made.text.count(f"{name} was seen.") for name in common)
    assert len(common) == SEEN
    assert all(times < least for name, times in seen.items() if name not in common)
    counted = by_kind["count"].text.split()[5]
    assert made.text.count(f" {counted} was seen.") == int(by_kind["count"].answer)


def test_an_answer_is_worth_the_share_of_what_it_holds(reader: ModelTokenizer) -> None:
    made = long_text(("values",), LENGTH, "0/0", reader)
    (one,) = made.questions
    assert one.worth(f" {one.answer}.") == 1.0
    assert one.worth(f" {one.wanted[0][0]} is written") == 0.25
    assert one.worth(" 7") == 0.0
    with pytest.raises(InvalidRequest, match="too few for questions of values"):
        long_text(("values",), 100, "0/0", reader)


def test_passages_of_files_stand_between_and_are_asked_about(reader: ModelTokenizer, tmp_path: Path) -> None:
    entries = [
        {
            "title": f"T{number}",
            "context": f"Ship {number} sailed from Porto. It came to harbour {number} at dusk.",
            "questions": [{"question": f"Where did ship {number} come?", "answers": [f"harbour {number}"]}],
        }
        for number in range(5)
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(entries))
    made = long_text(("needle", "passages"), 2000, "0/0", reader, 2, sources.read(str(path), "filler"))
    asked = [one for one in made.questions if one.kind == "passages"]
    assert len(asked) == 2
    assert all(one.wanted[0][0] in made.text for one in asked)
    assert [one.depth for one in asked] == sorted(one.depth for one in asked)
    assert "carpenter" not in made.text
    assert (
        len(long_text(("passages",), 1000, "0/0", reader, 2, sources.read(str(path), "filler")).questions)
        == 2
    )
    (tmp_path / "bare.txt").write_text("Nothing is asked here.")
    with pytest.raises(InvalidRequest, match="brings no questions"):
        long_text(("passages",), 1000, "0/0", reader, 2, sources.read(str(tmp_path / "bare.txt"), "filler"))
