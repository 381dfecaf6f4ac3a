import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.engines import choose as module
from actors.engines.choose import available_gib, build, choose, model_directory, weights_gib
from actors.engines.scripted import ScriptedEngine
from actors.messages import NotFound, NotReady
from configs.schema import EngineSettings, Settings


def settings(**engine: Any) -> Settings:
    return Settings(engine=EngineSettings(**engine))


@pytest.fixture
def vllm_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux machine with vLLM's CPU build and plenty of memory."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(module, "vllm_is_for_cpu", lambda: True)
    monkeypatch.setattr(module, "available_gib", lambda: 16.0)


def test_a_set_kind_is_taken() -> None:
    assert choose(settings(kind="torch"), None).kind == "torch"


@pytest.mark.usefixtures("vllm_on_cpu")
def test_vllm_is_taken_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choose(settings(), None)
    assert (choice.kind, "16.0 GiB available" in choice.why) == ("vllm", True)
    monkeypatch.setattr(module, "available_gib", lambda: 2.0)
    choice = choose(settings(), None)
    assert (choice.kind, "does not fit" in choice.why) == ("torch", True)


@pytest.mark.usefixtures("vllm_on_cpu")
def test_a_gpu_build_needs_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "vllm_is_for_cpu", lambda: False)
    monkeypatch.setattr(module, "GPU_DEVICES", (str(tmp_path / "gpu"),))
    assert choose(settings(), None).kind == "torch"
    (tmp_path / "gpu").touch()
    assert choose(settings(), None).kind == "vllm"


@pytest.mark.usefixtures("vllm_on_cpu")
@pytest.mark.parametrize(
    ("engine", "why"),
    [
        ({"device": "mps"}, "mps"),
        ({"shards": 2}, "shards"),
        ({"kv_policy": "sinks"}, "kv_policy"),
        ({"quantize": "int8"}, "quantize"),
    ],
)
def test_what_vllm_cannot_do_goes_to_torch(engine: dict[str, Any], why: str) -> None:
    choice = choose(settings(**engine), None)
    assert (choice.kind, why in choice.why) == ("torch", True)


def test_vllm_is_not_asked_for_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"engine\.shards = 2 needs engine\.kind torch"):
        settings(kind="vllm", shards=2)


def test_without_vllm_it_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose(settings(), None).kind == "torch"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choose(settings(), None).why == "vLLM does not run on darwin"


def test_weights_are_measured(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * (1 << 20))
    assert weights_gib(tmp_path) == 1 / 1024
    assert weights_gib(None) == 0


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux only")
def test_memory_is_seen() -> None:
    assert available_gib() > 0


def test_a_path_is_a_model(tmp_path: Path) -> None:
    assert model_directory(settings(model=str(tmp_path))) == tmp_path


def test_an_alias_wins_over_a_directory_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("smollm2-135m", "of-mine"):
        (tmp_path / name).mkdir()
    nothing_pulled = settings(model="smollm2-135m").model_copy(update={"home": tmp_path / "home"})
    with pytest.raises(NotReady, match="pal models pull"):
        model_directory(nothing_pulled)
    assert model_directory(settings(model="./smollm2-135m")) == tmp_path / "smollm2-135m"
    assert model_directory(settings(model="of-mine")) == tmp_path / "of-mine"


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises((NotFound, NotReady)):
        model_directory(settings(model="no-such-model"))


async def test_build() -> None:
    _, engine = await build(choose(settings(kind="scripted"), None), settings(kind="scripted"), None)
    assert isinstance(engine, ScriptedEngine)
    with pytest.raises(NotReady):
        await build(choose(settings(kind="torch"), None), settings(), None)
