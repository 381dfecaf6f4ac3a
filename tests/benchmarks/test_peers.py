import io
import json
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.peers import Vectors, _encoded, answer


class Kept:
    """A store that finds what was added last."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.vectors: list[list[float]] = []

    def add(self, user: str, text: str, vector: list[float]) -> str:
        self.texts.append(f"{user}/{text}")
        self.vectors.append(vector)
        return str(len(self.texts) - 1)

    def fill(self, user: str, texts: Sequence[str], vectors: Vectors) -> list[str]:
        return [self.add(user, text, vector.tolist()) for text, vector in zip(texts, vectors, strict=True)]

    def search(self, user: str, query: str, vector: list[float], limit: int) -> list[str]:
        return [str(number) for number in range(len(self.texts))][::-1][:limit]


def test_a_store_answers_each_text_and_tells_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = np.array([[1.0, 0.5], [0.0, 2.0]], np.float32)
    calls = [
        {"call": "add", "texts": ["a", "b"], "vectors": _encoded(vectors)},
        {"call": "fill", "texts": ["c", "d"], "vectors": _encoded(vectors)},
        {"call": "search", "texts": ["?"], "vectors": _encoded(vectors[:1])},
    ]
    lines = [json.dumps({"user": "u", "limit": 3} | call) for call in calls]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    store = Kept()
    answer(store, {"version": "1"})
    ready, added, filled, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready == {"version": "1"}
    assert (added["answers"], filled["answers"], found["answers"]) == (
        ["0", "1"],
        [["2", "3"]],
        [["3", "2", "1"]],
    )
    for name in ("seconds", "busy"):
        assert [len(said[name]) for said in (added, filled, found)] == [2, 1, 1]
    assert store.texts == ["u/a", "u/b", "u/c", "u/d"]
    assert store.vectors[0] == [1.0, 0.5]
