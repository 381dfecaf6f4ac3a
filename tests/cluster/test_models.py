import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cluster.__main__ import app
from cluster.context import FAILED, NOT_READY, USAGE

PAL = CliRunner()
HERE = {"kind": "causal_lm", "about": "Here.", "licence": "MIT", "bytes": 5, "context": 64, "parameters": 2}


@pytest.fixture(autouse=True)
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    registry = tmp_path / "models.yaml"
    registry.write_text(yaml.safe_dump({"here": HERE | {"source": {"path": "weights"}}}))
    monkeypatch.setenv("PAL_MODELS__REGISTRY", str(registry))
    monkeypatch.setenv("PAL_MODELS__OFFLINE", "true")


def _models(*arguments: str) -> Result:
    return PAL.invoke(app, ["models", *arguments])


def test_list_shows_every_alias_as_lines_or_table() -> None:
    rows = [json.loads(line) for line in _models("list", "--json").stdout.splitlines()]
    assert {"here", "smollm2-135m", "minilm-l6", "hash"} <= {row["alias"] for row in rows}
    assert "here" in _models("list").stdout


def test_info_is_one_object(tmp_path: Path) -> None:
    found = json.loads(_models("info", "here", "--json").stdout)
    assert found["alias"] == "here"
    assert found["path"] == str(tmp_path / "weights")
    assert found["source"] == f"path:{tmp_path / 'weights'}"
    assert {"sha256", "licence", "size", "context", "pulled", "files"} <= set(found)


def test_info_for_people_tells_the_licence() -> None:
    assert "Apache-2.0" in _models("info", "smollm2-135m").stdout


def test_verify_of_a_model_that_is_not_here_is_not_ready() -> None:
    result = _models("info", "minilm-l6", "--verify", "--json")
    assert result.exit_code == NOT_READY
    assert not json.loads(result.stdout)["pulled"]
    assert "pal models pull minilm-l6" in result.stderr


def test_pull_prints_the_directory_and_its_progress_apart(tmp_path: Path) -> None:
    result = _models("pull", "here", "hash", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["alias"] for line in result.stdout.splitlines()] == ["here", "hash"]


def test_pull_offline_is_not_ready_and_keeps_stdout_empty() -> None:
    result = _models("pull", "minilm-l6", "--json")
    assert result.exit_code == NOT_READY
    assert not result.stdout
    assert "models.offline" in result.stderr


def test_pull_without_names_takes_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAL_ENGINE__MODEL", "here")
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    rows = [json.loads(line) for line in _models("pull", "--json").stdout.splitlines()]
    assert [row["alias"] for row in rows] == ["here", "hash"]


def test_pull_skips_a_model_that_the_settings_name_by_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAL_ENGINE__MODEL", str(tmp_path / "weights"))
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    rows = [json.loads(line) for line in _models("pull", "--json").stdout.splitlines()]
    assert [row["alias"] for row in rows] == ["hash"]


@pytest.mark.parametrize("command", ["info", "pull", "rm"])
def test_an_unknown_alias_fails_with_a_hint(command: str) -> None:
    result = _models(command, "smollm2-135")
    assert result.exit_code == FAILED
    assert "did you mean smollm2-135m?" in result.stderr


def test_rm_never_touches_a_model_that_lies_elsewhere(tmp_path: Path) -> None:
    assert _models("rm", "here").exit_code == FAILED
    assert _models("rm", "minilm-l6").exit_code == NOT_READY
    assert (tmp_path / "weights").is_dir()


def test_a_missing_argument_is_a_usage_error() -> None:
    assert _models("info").exit_code == USAGE


def test_a_mistake_in_the_registry_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("here: {kind: chat}\n")
    result = _models("list")
    assert result.exit_code == FAILED
    assert "models.yaml:1: here.kind" in result.stderr
