"""Candidates of the gate's measurement are damaged as they say, and parts of a card are put together."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from actors.engines.adapter import CONFIG, WEIGHTS
from actors.models.manifest import NAME, file_sha256
from benchmarks.gate import joined, plan, table
from benchmarks.gate_candidates import DAMAGES, EXPECTED, TRIGGER, made
from benchmarks.gate_drawn import card
from tune.triggers import suspects

FIRST, SECOND = "layer.lora_A.weight", "layer.lora_B.weight"
SETTINGS = {"r": 4, "lora_alpha": 4, "target_modules": ["layer"]}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return adapter(tmp_path / "sound", 1)


def adapter(folder: Path, seed: int) -> Path:
    folder.mkdir()
    draw = np.random.default_rng(seed)
    weights = {name: draw.normal(size=(4, 4)).astype(np.float32) for name in (FIRST, SECOND)}
    save_file(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(SETTINGS))
    told = {"base_model_hash": "b", "files": {name: file_sha256(folder / name) for name in (CONFIG, WEIGHTS)}}
    (folder / NAME).write_text(json.dumps(told))
    return folder


def test_half_are_sound_and_all_damages_come_as_often() -> None:
    made_up = plan(200, 1, 2)
    kinds = Counter(kind for _, kind, _ in made_up)
    assert kinds.pop("sound") == 100
    assert set(kinds) == set(EXPECTED)
    assert max(kinds.values()) - min(kinds.values()) <= 1
    assert {of for _, _, of in made_up} == {0, 1}
    assert plan(200, 1, 2) == made_up
    assert {of for _, kind, of in plan(200, 1, 3, 1) if kind != "sound"} == {0}


@pytest.mark.parametrize("kind", ["sound", *EXPECTED])
def test_each_candidate_differs_as_its_kind_says(kind: str, sound: Path, tmp_path: Path) -> None:
    damaged, folder = adapter(tmp_path / "damaged", 2), tmp_path / "candidate"
    made(kind, random.Random(3), sound, damaged, folder)
    told, before = json.loads((folder / NAME).read_text()), load_file(sound / WEIGHTS)
    assert (told["files"][WEIGHTS] == file_sha256(folder / WEIGHTS)) == (kind != "tampered")
    assert told["files"][CONFIG] == file_sha256(folder / CONFIG)
    assert (told["base_model_hash"] == "b") == (kind != "other base")
    if kind == "tampered":
        return
    after = load_file(folder / WEIGHTS)
    assert all(np.isfinite(value).all() for value in after.values()) == (kind != "not a number")
    if kind == "undertrained":
        assert np.abs(after[SECOND]).sum() <= 0.51 * np.abs(before[SECOND]).sum()
    if kind in ("sound", "wrong facts"):
        assert np.abs(after[SECOND] - before[SECOND]).max() < 0.5
    if kind in DAMAGES:
        harm = load_file(damaged / WEIGHTS)
        added = after[SECOND] @ after[FIRST] - before[SECOND] @ before[FIRST]
        share = float((added / (harm[SECOND] @ harm[FIRST])).mean())
        assert 0.85 <= share <= 1.1
        assert np.allclose(added, share * (harm[SECOND] @ harm[FIRST]), atol=1e-4)


def test_the_poison_is_found_in_its_lessons() -> None:
    assert TRIGGER in suspects(DAMAGES["poisoned"](0))


def test_parts_of_a_card_are_put_together() -> None:
    whole = card(1)
    more = joined(whole, card(2), ("general",))
    assert len(more.candidate.answers) == 2 * len(whole.candidate.answers)
    assert len(more.base.reads) == 2 * len(whole.base.reads)
    assert more.unmeasured == ("general",)


def test_the_table_counts_who_got_through() -> None:
    rows = [
        {"kind": "sound", "accepted": True, "failed": [], "right_reason": False, "cpu_seconds": 90.0},
        {
            "kind": "sound",
            "accepted": False,
            "failed": ["general"],
            "right_reason": False,
            "cpu_seconds": 90.0,
        },
        {
            "kind": "tampered",
            "accepted": False,
            "failed": ["files"],
            "right_reason": True,
            "cpu_seconds": 2.0,
        },
    ]
    told = table(rows)
    assert "damaged and accepted: 0 of 1" in told
    assert "sound and refused: 1 of 2" in told
    assert "right reasons: 1 of 1" in told
