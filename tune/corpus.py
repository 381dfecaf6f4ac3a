"""A source as token ids on disk, tokenised once, read through the page cache. Knows no batch and no torch."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest, PalError
from actors.models.template import render_lessons
from actors.models.tokenizer import ModelTokenizer, check_text
from actors.training.lessons import Chat
from configs.training import DataSource
from tune import documents, own, synthetic
from tune.documents import Document, Ids, Text

FORMAT = 1
"""Goes into every key: another way to tokenise or to store makes another corpus."""
MANIFEST = "manifest.json"
Watch = Callable[[str, int, int], None]
"""Told a source's name, and how many documents and tokens of it are tokenised."""


@dataclass(frozen=True)
class Corpus:
    """Documents one after another: document i is `tokens[starts[i]:starts[i + 1]]`."""

    name: str
    key: str
    """A checksum of all that decides its content."""
    tokens: NDArray[np.int32]
    learned: NDArray[np.bool_]
    starts: NDArray[np.int64]
    whole: bool
    """Whether some tokens are not to be learned: then a piece of a document alone means little."""

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True)
class Origin:
    """What a corpus depends on beside its source; `lengths` are those that made-up tasks have."""

    tokenizer: ModelTokenizer
    vocabulary: int
    """The model's: token ids are below it."""
    lengths: tuple[int, ...]
    seed: int
    home: Path
    partitions: int = 1


def open_corpus(source: DataSource, origin: Origin, cache: Path, watch: Watch | None = None) -> Corpus:
    """The source's tokens, from the cache or tokenised into it; nothing half done is ever found there.

    A user's own documents and memories are never cached: what is forgotten must not stay.
    Raises InvalidRequest naming file and line, NotReady for what is out of reach, PalError for a full disk.
    """
    name = name_of(source)
    if source.kind in ("documents", "episodes"):
        with TemporaryDirectory(prefix="pal-corpus-") as passing:
            _write(Path(passing), name, _own(source, origin), origin, watch)
            return _read(Path(passing), name, None)
    files = [] if source.kind == "synthetic" else documents.files_of(source)
    key = _key(source, origin, files)
    folder = cache / key
    with _locked(cache, key):
        if not folder.exists():
            draft = cache / f"{key}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            try:
                read = (
                    _made_up(source, origin) if source.kind == "synthetic" else documents.read(source, files)
                )
                _write(draft, name, read, origin, watch)
                draft.rename(folder)
            except OSError as error:
                raise PalError(f"{name} could not be tokenised into {cache}: {error}") from error
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return _read(folder, name, key)


def name_of(source: DataSource) -> str:
    """What messages call a source."""
    return f"{source.kind}:{source.path or source.name or source.user}"


def _key(source: DataSource, origin: Origin, files: list[Path]) -> str:
    told: dict[str, Any] = {
        "format": FORMAT,
        "kind": source.kind,
        "column": source.column,
        "tokenizer": origin.tokenizer.fingerprint,
        "vocabulary": origin.vocabulary,
        "files": documents.checksum(files),
    }
    if source.kind == "synthetic":
        told |= {"name": source.name, "count": source.count, "seed": origin.seed, "lengths": origin.lengths}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _own(source: DataSource, origin: Origin) -> list[Text]:
    read = own.documents if source.kind == "documents" else own.episodes
    found = read(origin.home, origin.partitions, str(source.user))
    if not found:
        raise InvalidRequest(f"there are no {source.kind} of user {source.user!r}")
    return found


def _made_up(source: DataSource, origin: Origin) -> Iterator[Chat]:
    """Tasks of all lengths in turn."""
    kind = next((kind for kind in synthetic.KINDS if kind == source.name), None)
    if kind is None:
        raise InvalidRequest(f"there is no task {source.name!r}; there are {', '.join(synthetic.KINDS)}")
    counts = [len(range(place, source.count, len(origin.lengths))) for place in range(len(origin.lengths))]
    for length, count in zip(origin.lengths, counts, strict=True):
        made = synthetic.tasks(kind, length, count, origin.seed, origin.tokenizer)
        for number, task in enumerate(made):
            yield Chat(f"{source.name} {number}", task.taught, (1,))


def _write(folder: Path, name: str, read: Iterable[Document], origin: Origin, watch: Watch | None) -> None:
    """Tokenise documents into a folder. Raises InvalidRequest, also where there are none."""
    counted = tokens = 0
    whole = False
    with (
        _Column(folder / "tokens.npy", np.int32) as ids,
        _Column(folder / "learned.npy", np.bool_) as marks,
        _Column(folder / "starts.npy", np.int64) as starts,
    ):
        starts.add([0])
        for document in read:
            for part, learned, ends in _tokenised(document, origin.tokenizer):
                _check(document, part, origin.vocabulary)
                ids.add(part)
                marks.add(learned)
                tokens += len(part)
                whole = whole or not all(learned)
                if ends:
                    starts.add([tokens])
                    counted += 1
            if watch is not None:
                watch(name, counted, tokens)
    if not counted:
        raise InvalidRequest(f"{name} is empty: there is nothing to learn in it")
    told = {"name": name, "documents": counted, "tokens": tokens, "whole": whole}
    (folder / MANIFEST).write_text(json.dumps(told) + "\n")


def _check(document: Document, tokens: Sequence[int], vocabulary: int) -> None:
    wrong = [
        token for token in (min(tokens, default=0), max(tokens, default=0)) if not 0 <= token < vocabulary
    ]
    if wrong:
        raise InvalidRequest(
            f"{document.place}: token {wrong[0]} is outside the model's vocabulary of {vocabulary}"
        )


def _tokenised(
    document: Document, tokenizer: ModelTokenizer
) -> Iterator[tuple[Sequence[int], Sequence[bool], bool]]:
    """The parts of a text, the lessons of a chat: ids, which to learn, and whether a document ends there."""
    if isinstance(document, Ids):
        yield document.tokens, document.learned, True
        return
    try:
        if isinstance(document, Text):
            yield from _text(document, tokenizer)
        else:
            for ids, learned in render_lessons(tokenizer, document.prompt, document.taught):
                yield ids, learned, True
    except InvalidRequest as error:
        where = "" if error.message.startswith(document.place) else f"{document.place}: "
        raise InvalidRequest(f"{where}{error.message}") from error


def _text(document: Text, tokenizer: ModelTokenizer) -> Iterator[tuple[list[int], list[bool], bool]]:
    """A text between what opens and what ends a document; nothing of an empty one."""
    start = tokenizer.encode("", start=True)
    ids: list[int] = []
    for piece in document.pieces:
        check_text(piece, "text")
        ids = start + tokenizer.encode_plain(piece)
        start = []
        yield ids, [True] * len(ids), False
    if ids:
        end = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
        yield end, [True] * len(end), True


def _read(folder: Path, name: str, key: str | None) -> Corpus:
    """A corpus as it lies there; without a key it is read into memory, and its content is its key."""
    told = json.loads((folder / MANIFEST).read_text())
    mode: Any = "r" if key else None
    tokens, learned, starts = (
        np.load(folder / f"{column}.npy", mmap_mode=mode) for column in ("tokens", "learned", "starts")
    )
    if key is None:
        key = hashlib.sha256(tokens.tobytes() + starts.tobytes()).hexdigest()[:32]
    return Corpus(name, key, tokens, learned, starts, told["whole"])


@contextmanager
def _locked(cache: Path, key: str) -> Iterator[None]:
    """One process at a time makes a corpus; the others find it made."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{key}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Column:
    """An array on disk that grows; its header is true once it is closed."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._count = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "_Column":
        self._file = self._path.open("wb")
        self._head()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._head()
        self._file.close()

    def add(self, values: Sequence[int] | Sequence[bool]) -> None:
        """Append values."""
        assert self._file is not None
        self._file.write(np.asarray(values, self._dtype).tobytes())
        self._count += len(values)

    def _head(self) -> None:
        """The header, whose length does not depend on the count: numpy leaves room in it."""
        assert self._file is not None
        described = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._file, described)  # type: ignore[no-untyped-call]
