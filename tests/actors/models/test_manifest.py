import hashlib
from pathlib import Path

from actors.models.manifest import NAME, file_sha256, read_manifest, write_manifest


def _model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "sub").mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "sub" / "config.json").write_text("{}")
    return directory


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    directory = _model(tmp_path)
    manifest = write_manifest(directory, "alias", "source")
    assert read_manifest(directory) == manifest
    assert set(manifest.sha256) == {"model.safetensors", "sub/config.json"}
    assert not manifest.damaged(directory)


def test_one_weights_file_gives_its_own_hash(tmp_path: Path) -> None:
    directory = _model(tmp_path)
    manifest = write_manifest(directory, "alias", "source")
    assert manifest.weights_sha256() == hashlib.sha256(b"weights").hexdigest()


def test_several_weights_files_give_the_hash_of_their_lines(tmp_path: Path) -> None:
    directory = _model(tmp_path)
    (directory / "b.safetensors").write_bytes(b"more")
    lines = f"{file_sha256(directory / 'b.safetensors')}  b.safetensors\n"
    lines += f"{file_sha256(directory / 'model.safetensors')}  model.safetensors\n"
    manifest = write_manifest(directory, "alias", "source")
    assert manifest.weights_sha256() == hashlib.sha256(lines.encode()).hexdigest()


def test_sizes_catch_a_cut_file_and_hashes_a_changed_one(tmp_path: Path) -> None:
    directory = _model(tmp_path)
    manifest = write_manifest(directory, "alias", "source")
    (directory / "model.safetensors").write_bytes(b"WEIGHTS")
    (directory / "sub" / "config.json").unlink()
    assert manifest.missing(directory) == ["sub/config.json"]
    assert manifest.damaged(directory) == ["model.safetensors", "sub/config.json"]


def test_no_manifest_and_a_broken_one_are_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "nowhere") is None
    (tmp_path / NAME).write_text("{")
    assert read_manifest(tmp_path) is None
    (tmp_path / NAME).write_text('{"other": 1}')
    assert read_manifest(tmp_path) is None
