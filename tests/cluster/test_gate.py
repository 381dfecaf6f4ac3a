"""`pal gate` judges a scorecard that lies in a file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.gate_drawn import card
from cluster.__main__ import app
from cluster.context import FAILED, REFUSED, USAGE
from tune.scorecard import Scorecard, to_json

RUN = CliRunner()


@pytest.fixture(scope="module")
def good() -> Scorecard:
    return card(1)


def test_a_sound_card_is_accepted(good: Scorecard, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(to_json(good))
    found = RUN.invoke(app, ["gate", str(path)])
    assert found.exit_code == 0, found.output
    assert "perplexity of code" in found.stdout
    assert found.stdout.rstrip().endswith("accepted")


def test_a_damaged_one_is_refused_with_its_reason(good: Scorecard, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(to_json(replace(good, integrity=replace(good.integrity, base_found="c"))))
    found = RUN.invoke(app, ["gate", str(path), "--json"])
    assert found.exit_code == REFUSED
    verdict = json.loads(found.stdout)
    assert not verdict["accepted"]
    assert verdict["reasons"] == ["Base model: trained on c, to serve on bbbbbbbbbbbb."]


def test_thresholds_come_from_a_file(good: Scorecard, tmp_path: Path) -> None:
    path, strict, wrong = (tmp_path / name for name in ("card.json", "strict.yaml", "wrong.yaml"))
    path.write_text(to_json(good))
    strict.write_text("taught: {least: 0.999, items: 30}\n")
    wrong.write_text("tought: {least: 0.999, items: 30}\n")
    assert RUN.invoke(app, ["gate", str(path), "--thresholds", str(strict)]).exit_code == REFUSED
    found = RUN.invoke(app, ["gate", str(path), "--thresholds", str(wrong)])
    assert found.exit_code == USAGE
    assert "tought" in found.stderr


def test_what_is_no_scorecard_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text('{"candidate": 3}')
    found = RUN.invoke(app, ["gate", str(path)])
    assert found.exit_code == FAILED
    assert "not a scorecard: candidate" in found.stderr
