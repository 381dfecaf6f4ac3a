import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cluster.__main__ import app


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def planned(model: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", "--set", f"model={model}", "--flops", "1e11", *arguments])


def test_a_plan_is_shown_and_printed_as_json(model: Path) -> None:
    shown = planned(model, "--memory", "8")
    assert shown.exit_code == 0, shown.output
    assert "weights" in shown.stdout
    assert "the longest that fits has" in shown.stdout
    told = json.loads(planned(model, "--memory", "8", "--length", "1024", "--json").stdout)
    assert (told["length"], told["fits"], told["parameters"]) == (1024, True, 134515008)
    assert sum(told["parts"].values()) == told["peak"] <= told["memory"] == 8 * 1024**3


def test_what_cannot_fit_is_refused_with_what_would(model: Path) -> None:
    refused = planned(model, "--memory", "2", "--set", "method=full", "--set", "checkpointing=false")
    assert refused.exit_code == 1
    assert "What would fit: checkpointing: true" in refused.stderr


def test_a_gpu_needs_to_be_told_of(model: Path) -> None:
    refused = planned(model, "--set", "device=cuda")
    assert refused.exit_code == 1
    assert "give --memory and --flops" in refused.stderr
