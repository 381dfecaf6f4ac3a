"""What a model directory holds, by checksum. Knows not where the files came from."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "manifest.json"
WEIGHTS = (".safetensors", ".onnx", ".gguf")
BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Sizes in bytes and sha256 of every file of a model directory, by its path in there."""

    alias: str
    source: str
    sizes: dict[str, int]
    sha256: dict[str, str]

    def weights_sha256(self) -> str:
        """The hash of the weights file; of several, the hash of what sha256sum prints for them."""
        weights = {name: self.sha256[name] for name in sorted(self.sha256) if name.endswith(WEIGHTS)}
        if len(weights) == 1:
            return next(iter(weights.values()))
        lines = "".join(f"{digest}  {name}\n" for name, digest in (weights or self.sha256).items())
        return hashlib.sha256(lines.encode()).hexdigest()

    def missing(self, directory: Path) -> list[str]:
        """Files that are gone or have another size: the cheap check."""
        return [name for name, size in self.sizes.items() if _size(directory / name) != size]

    def damaged(self, directory: Path) -> list[str]:
        """Files that are gone or have other content: reads every byte."""
        gone = self.missing(directory)
        return [
            name
            for name, digest in self.sha256.items()
            if name in gone or file_sha256(directory / name) != digest
        ]


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a model directory, or None where there is none that can be read."""
    try:
        content = json.loads((directory / NAME).read_text(encoding="utf-8"))
        return Manifest(**content)
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, TypeError):
        return None


def write_manifest(directory: Path, alias: str, source: str) -> Manifest:
    """Hash and sync every file of `directory`, then write the manifest as its last file."""
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    manifest = Manifest(
        alias=alias,
        source=source,
        sizes={name: (directory / name).stat().st_size for name in names},
        sha256={name: file_sha256(directory / name) for name in names},
    )
    for name in names:
        _sync(directory / name)
    path = directory / NAME
    path.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    _sync(path)
    _sync(directory)
    return manifest


def name_and_hash(directory: Path) -> tuple[str, str]:
    """What a model is called and the SHA-256 of its weights: empty for several files without a manifest."""
    manifest = read_manifest(directory)
    if manifest is not None:
        return manifest.alias, manifest.weights_sha256()
    files = sorted(directory.glob("*.safetensors"))
    return directory.name, file_sha256(files[0]) if len(files) == 1 else ""


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
