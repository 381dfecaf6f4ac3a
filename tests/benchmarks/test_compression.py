import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.compression.counting import ScriptedCounter
from actors.compression.policy import Policy
from actors.compression.words import Word
from benchmarks import compression
from benchmarks.compression import Options, measure
from benchmarks.compression_arms import ASKED, OURS, RANDOM, SURPRISAL
from benchmarks.compression_data import Case, Question
from benchmarks.compression_reader import Reading
from benchmarks.compression_show import show

TOWNS = ("Harrow", "Dunmere", "Oxley", "Tarn", "Withy", "Polder", "Quill", "Rusk")


class CountingReader:
    """Every word has one bit; an answer costs as many nats as characters of it are not in the context."""

    def losses(self, readings: Sequence[Reading]) -> list[list[float]]:
        return [
            [0.0 if one.context and answer in one.context else float(len(answer)) for _, answer in one.asked]
            for one in readings
        ]

    def bits(self, texts: Sequence[str], words: Sequence[Sequence[Word]]) -> list[NDArray[np.float32]]:
        return [np.ones(len(some), np.float32) for some in words]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    entries = [
        {
            "title": f"{town} {number}",
            "context": f"The old harbour of {town} was built by Ann Lee in the year {1800 + number}, and it "
            "was said that the ships which came there did not have to wait for very long at all in the bay. "
            f"After some time the keeper of it was {town} Mills, who was a friend of all fishermen there.",
            "questions": [
                {"question": f"Who built the harbour of {town}?", "answers": ["Ann Lee"]},
                {"question": "When was it built?", "answers": [str(1800 + number)]},
            ],
        }
        for number, town in enumerate(TOWNS)
    ]
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of everything that does not come from the data."""
    cases = [Case("plain", "It is said that the answer is kept. " * 12, (Question("What?", ("answer",)),))]
    monkeypatch.setattr(compression, "domains", lambda: {"prose": cases})
    monkeypatch.setattr(compression, "PROTECTED_TEXTS", 8)


def options(data: Path, **more: Any) -> Options:
    return Options(
        data=data,
        policies=[Policy.default()] * 2,
        counter=ScriptedCounter(),
        reader=CountingReader(),
        test_share=0.5,
        **more,
    )


@pytest.mark.usefixtures("few")
def test_the_whole_measurement_over_documents_held_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(data, questions=6, read=4)
    report = measure(given)
    assert json.loads(json.dumps(report)) is not None
    train, test = compression.divided(given)
    assert {one.document for one in train}.isdisjoint(report["documents"])
    assert {one.document for one in test} == set(report["documents"])
    assert report["questions"] == 6
    assert report["seeds"] == 2
    kept = report["kept"]["by_arm"]
    assert {RANDOM, SURPRISAL, OURS, ASKED} <= set(kept)
    assert len(report["kept"]["seeds"][OURS]["0.5"]) == 2
    assert kept[OURS]["0.7"]["value"] >= kept[OURS]["0.3"]["value"]
    assert report["ratios"][RANDOM]["0.5"]["max"] <= 0.02
    assert report["protected"]["share"] == 1.0
    assert report["reader"]["questions"] == 4
    assert 0 <= report["reader"]["by_arm"][OURS]["0.5"]["value"] <= 1
    assert report["bars"]["protected places intact"]["met"]
    show(report)
    assert "Likelihood recovered" in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_plots_are_files_and_one_page_that_needs_no_other(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.compression_plots import draw

    given = options(data, questions=4)
    page = draw(measure(given), compression.example(given), tmp_path / "plots")
    text = page.read_text()
    assert text.count("data:image/png;base64,") == len(list(page.parent.glob("*.png"))) == 5
    assert "http://" not in text
    assert "<mark" in text


def test_held_out_is_what_no_policy_was_trained_on(data: Path, tmp_path: Path) -> None:
    told = {"data": [{"documents": {"train": ["Harrow 0", "Tarn 3"], "test": []}}]}
    weights = tmp_path / "policy.safetensors"
    weights.with_suffix(".manifest.json").write_text(json.dumps(told))
    trained = compression.trained_on([weights, tmp_path / "elsewhere" / "policy.safetensors"])
    assert trained == {"Harrow 0", "Tarn 3"}
    train, test = compression.divided(options(data, trained_on=trained))
    assert {one.document for one in train} == trained
    assert len(test) == len(TOWNS) - 2
