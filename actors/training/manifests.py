"""Adapter directories: checked, hashed, copied whole or not at all. Knows no state of a version."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from actors.engines.adapter import CONFIG, WEIGHTS, check_context
from actors.memory.database import sync_names
from actors.messages import InvalidRequest, Json, NotFound, NotReady
from actors.models.manifest import NAME, file_sha256, name_and_hash
from actors.models.store import ModelStore
from actors.training.tensors import check_weights
from actors.training.versions import Version
from configs.schema import Settings

REFUSED = "adapter_refused"
"""Code of the error for an adapter whose content is not taken in."""
FILES = (CONFIG, WEIGHTS)
IGNORED = frozenset({"README.md"})
"""What PEFT leaves in a directory, and nobody needs."""
MOST_TEXT = 16 * 2**20
"""Largest configuration, and largest manifest, in bytes."""
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "base_model": str,
    "base_model_hash": (str, type(None)),
    "parent": (str, type(None)),
    "created_at": (int, float, str),
    "method": str,
    "events": list,
    "scores": dict,
    "files": dict,
}
"""What a manifest must say, and of which type."""


@dataclass(frozen=True, slots=True)
class Base:
    """The model that is served: its name, the SHA-256 of its weights, its directory. None: not known here."""

    name: str
    sha256: str | None
    path: Path | None


def base_of(settings: Settings) -> Base:
    """The model that these settings serve."""
    model = settings.engine.model
    try:
        path = ModelStore(settings).resolve(model)
        name, digest = name_and_hash(path)
    except (NotReady, NotFound):
        return Base(Path(model).name, None, None)
    return Base(name, digest or None, path)


def misfit(base: Base, name: str, sha256: str | None) -> str:
    """Why an adapter for that model is not for `base`; nothing where it is."""
    same = sha256 == base.sha256 if sha256 and base.sha256 else name == base.name
    if same:
        return ""
    return (
        f"the adapter is for another model: it is made for {name} {sha256 or ''}, and {base.name} is served"
    )


def read_manifest(folder: Path) -> dict[str, Json] | None:
    """What its manifest says, None where it has none. Raises InvalidRequest for one that cannot be read."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise refused(f"{NAME} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise refused(f"{NAME} holds no object")
    for key, kind in KEYS.items():
        if not isinstance(manifest.get(key, None if key == "base_model_hash" else ...), kind):
            raise refused(f"{NAME}: {key} is missing, or of the wrong type")
    if not all(isinstance(event, str) for event in manifest["events"]):
        raise refused(f"{NAME}: events must be ids")
    return {**manifest, "created_at": _unix(manifest["created_at"])}


def check_names(folder: Path, most_bytes: int) -> None:
    """Raises InvalidRequest where files are missing, too large, or others than an adapter has."""
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is no directory")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InvalidRequest(f"{folder} may not be read by this process")
    for entry in sorted(folder.iterdir()):
        if entry.name in IGNORED:
            continue
        if entry.name not in (*FILES, NAME):
            raise refused(
                f"{entry.name} is no part of an adapter: only {', '.join((*FILES, NAME))} are taken"
            )
        if entry.is_symlink() or not entry.is_file():
            raise refused(f"{entry.name} is no plain file")
        most = most_bytes if entry.name == WEIGHTS else MOST_TEXT
        if entry.stat().st_size > most:
            raise refused(f"{entry.name} is larger than {most // 2**20} MiB (adapters.max_mib)")
    for name in FILES:
        if not (folder / name).is_file():
            raise refused(f"{folder} is not an adapter: it has no {name}")


def copy(folder: Path, draft: Path) -> None:
    """Copy an adapter's files, of which all names were checked, into a new directory."""
    draft.mkdir(mode=0o700, parents=True)
    for name in (*FILES, NAME):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, draft / name)


def check_content(draft: Path, manifest: Mapping[str, Json] | None, base: Base) -> dict[str, str]:
    """SHA-256 of the files by name, once all in them was checked. Raises InvalidRequest."""
    files = {name: file_sha256(draft / name) for name in FILES}
    if manifest is not None:
        for name, digest in manifest["files"].items():
            if name in IGNORED:
                continue
            if name not in files:
                raise refused(f"{NAME} names {name!r}, which is not there")
            if files[name] != digest:
                raise refused(f"{name} was changed: its SHA-256 is not the one that {NAME} says")
        missing = [name for name in files if name not in manifest["files"]]
        if missing:
            raise refused(f"{NAME} does not say the SHA-256 of {missing[0]}")
        reason = misfit(base, manifest["base_model"], manifest.get("base_model_hash"))
        if reason:
            raise refused(reason)
    try:
        check_context(manifest or {})
        check_weights(draft, base.path)
    except InvalidRequest as error:
        raise refused(error.message) from error
    return files


def check_scores(scores: Mapping[str, Json]) -> None:
    """Raises InvalidRequest for a score that is no finite number."""
    for name, value in scores.items():
        if not isinstance(value, int | float) or not -float("inf") < value < float("inf"):
            raise refused(f"the score {name[:80]!r} is no finite number: {value!r}")


def version_id(method: str, scope: str, parent: str | None, files: Mapping[str, str]) -> str:
    """A function of the weights, their configuration, parent and scope, after a readable beginning."""
    parts = json.dumps([files[WEIGHTS], files[CONFIG], parent, scope])
    name = re.sub(r"[^a-z0-9]+", "-", method.lower()).strip("-")[:24] or "adapter"
    return f"{name}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"


def manifest_of(version: Version) -> dict[str, Json]:
    """The manifest of a version's directory; the verdict is there where it has one."""
    return {
        "version": version.id,
        "scope": version.scope,
        "base_model": version.base_model,
        "base_model_hash": version.base_model_hash or None,
        "parent": version.parent,
        "created_at": version.created_at,
        "method": version.method,
        "events": list(version.events),
        "scores": dict(version.scores),
        "verdict": asdict(version.verdict) if version.verdict else {},
        "files": dict(version.files),
    }


def place(draft: Path, version: Version) -> None:
    """Make a draft the directory of its version; it is on disk, whole, when this returns.

    A whole directory that is there already stays: nothing is ever written into one again.
    """
    target = Path(version.path)
    if target.exists():
        if not changed(version):
            return
        shutil.rmtree(target)
    (draft / NAME).write_text(json.dumps(manifest_of(version), indent=1) + "\n", encoding="utf-8")
    for name in (*FILES, NAME):
        _sync(draft / name)
    sync_names(draft)
    draft.rename(target)
    sync_names(target.parent)


def changed(version: Version) -> str:
    """What of a version's files is gone or not as it was; nothing where all is well. Reads every byte."""
    return _changed(Path(version.path), version.files)


def export(path: Path, manifest: Mapping[str, Json], folder: Path) -> None:
    """Copy a version's directory, with a manifest that tells its verdict, into a directory that is new.

    Raises InvalidRequest, and NotFound where its files are not on this machine.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequest(f"{folder} is there already, and not empty")
    wrong = _changed(path, manifest["files"])
    if wrong:
        raise NotFound(f"{manifest['version']} cannot be exported: {wrong}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        copy(path, draft)
        kept = {name: manifest[name] for name in ("version", "scope", *KEYS, "verdict")}
        (draft / NAME).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        with suppress(FileNotFoundError):
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refused(message: str) -> InvalidRequest:
    """The error for an adapter whose content is not taken in."""
    return InvalidRequest(message, "adapter", REFUSED)


def _unix(moment: float | str) -> float:
    """Unix seconds of a moment told in them, or in ISO 8601."""
    try:
        return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)
    except ValueError as error:
        raise refused(f"{NAME}: created_at is no time: {moment!r}") from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _changed(folder: Path, files: Mapping[str, str]) -> str:
    for name, digest in files.items():
        if not (folder / name).is_file():
            return f"{folder / name} is gone"
        if file_sha256(folder / name) != digest:
            return f"{folder / name} was changed"
    return ""
