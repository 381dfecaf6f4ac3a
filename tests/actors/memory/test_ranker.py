import json
from pathlib import Path

import numpy as np
import pytest

from actors.memory.ranker import SHIPPED, Ranker, load, save
from actors.memory.recollection import FIRST, SECOND
from actors.messages import InvalidRequest


def test_the_shipped_ranker_weighs_exactly_the_features_there_are() -> None:
    assert set(SHIPPED.first) == set(FIRST)
    assert set(SHIPPED.second) == {*FIRST, *SECOND}


def test_the_score_is_the_weighted_sum() -> None:
    ranker = Ranker(first={"own": 2.0, "time": -1.0}, second={})
    features = {"own": np.array([1, 2], np.float32), "time": np.array([1, 0], np.float32)}
    assert ranker.score(ranker.first, features).tolist() == [1.0, 4.0]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "ranker.json"
    save(SHIPPED, path)
    assert load(path) == SHIPPED


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no file"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"first": 1, "second": 2}', '{"first": {"own": NaN}, "second": {}}']
)
def test_what_is_no_rankers_weights_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ranker.json"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match="no ranker's weights"):
        load(path)


def test_other_features_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "ranker.json"
    path.write_text(json.dumps({"first": {**SHIPPED.first, "luck": 1.0}, "second": dict(SHIPPED.second)}))
    with pytest.raises(InvalidRequest, match=r"luck.*train-ranker"):
        load(path)
