import json
from pathlib import Path

import pytest
import torch

from actors.messages import InvalidRequest
from configs.learning import EditSettings, LearningSettings
from tune.changes import changed, changes
from tune.edits import Editor
from tune.evaluate import Evaluator
from tune.examples import Fact
from tune.keys import ASKING
from tune.layers import layered, write

EDIT = EditSettings(
    site=0.0,
    most=2,
    mentions=2,
    strangers=16,
    text_tokens=120,
    fit_steps=20,
    own_fit_steps=20,
    own_steps=5,
    steps=4,
    still=2.0,
)
SETTINGS = LearningSettings(phrasings=2, edit=EDIT)


def named(id: str, subject: str) -> Fact:
    statement = f"{subject} works as a cook."
    return Fact(
        id=id, user="ann", subject=subject, attribute="job", value="cook", statement=statement, events=(id,)
    )


def own(id: str) -> Fact:
    statement = f"My {id} is Biscuit."
    return Fact(
        id=id, user="ann", subject="user", attribute=id, value="Biscuit", statement=statement, events=(id,)
    )


NAMED = tuple(named(letter, f"{letter.upper()}da Moss") for letter in "abcdefg")


def ids(facts: tuple[Fact, ...], **edit: int) -> list[list[str]]:
    settings = LearningSettings(edit=EditSettings(**edit))
    return [[fact.id for fact in group] for group in layered(facts, settings)]


def test_few_facts_lie_in_one_layer_and_more_are_spread_evenly() -> None:
    assert ids(NAMED) == [list("abcdefg")]
    assert ids(NAMED, most=6) == [list("abc"), list("defg")]
    assert ids(NAMED, most=2, layers=3) == [list("ab"), list("cd"), list("ef")]
    assert ids(()) == []


def test_facts_of_one_subject_stay_together_and_count_once() -> None:
    again = named("h", "ADA MOSS")
    assert ids((*NAMED[:3], again), most=2) == [["a", "h"], ["b", "c"]]


def test_users_own_have_layers_of_their_own() -> None:
    mine = (own("dog"), own("cat"), own("fish"))
    assert ids((*NAMED[:2], *mine), most=3, own_most=2, layers=3) == [["dog"], ["cat", "fish"], ["a", "b"]]
    assert ids((*NAMED[:2], *mine), most=3, own_most=2, layers=2) == [["dog"], ["cat", "fish"]]


def test_what_no_question_shows_is_left_out() -> None:
    assert ids((named("z", "the old mill"), NAMED[0])) == [["a"]]


def test_each_group_has_a_layer_and_the_whole_is_one_adapter(tiny_model: Path, tmp_path: Path) -> None:
    told: list[str] = []
    groups = layered((*NAMED[:2], own("dog")), SETTINGS)
    done = write(groups, SETTINGS, tiny_model, tmp_path / "whole", ("a", "b", "dog"), told.append)
    assert [one.site for one in done] == [0, 1]
    assert [one.settings.edit.steps for one in done] == [EDIT.own_steps, EDIT.steps]
    first, whole = dict(changes(tmp_path / "whole-1")), dict(changes(tmp_path / "whole"))
    for name, change in first.items():
        torch.testing.assert_close(whole[name], change, atol=1e-5, rtol=1e-4)
    assert len(whole) == 2 * len(first)
    assert json.loads((tmp_path / "whole" / "adapter_config.json").read_text())["r"] == 1 + ASKING
    found = Evaluator(tiny_model).integrity(tmp_path / "whole")
    assert not found.problems
    assert found.files_found == dict(found.files_expected)


def test_a_model_with_no_layer_left_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    count = json.loads((tiny_model / "config.json").read_text())["num_hidden_layers"]
    settings = SETTINGS.model_copy(update={"edit": EDIT.model_copy(update={"site": (count - 1) / count})})
    write([NAMED[:1]], settings, tiny_model, tmp_path / "last", ("a",), lambda _: None)
    assert all(f".layers.{count - 1}." in f".{name}" for name in changed(tmp_path / "last"))
    with pytest.raises(InvalidRequest, match="no layer is left"):
        Editor(settings, tiny_model, tmp_path / "last")
