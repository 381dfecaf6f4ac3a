"""The vector cache: the one door to Chroma. It can be lost at any time, and knows no text and no file.

One collection a space and user, holding row ids and vectors alone. A seal beside it names the database it was
filled from and each file as it was left, and is off while Chroma writes. So what another database left, a
filling cut short, or a file torn since, which Chroma may die of, is not believed: nothing is given to Chroma
twice that was not sealed in between.

Chroma begins an index by writing out memory as it found it: whatever this process had there before, deleted
vectors and other users' text included. Until it has a thousand changes to write, that is all its file holds.
So each call that may begin an index is alone, and what it wrote of such memory is erased before it returns.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.memory.spaces import PASSAGES, Space

Vectors = NDArray[np.float32]
FORMAT = 1
MARK = "filled-from"
BATCH = 2000
"""Vectors in one call to Chroma, below its own limit."""
BEGUN = ("data_level0.bin", "length.bin")
"""Files that Chroma begins with unset memory."""
WRITTEN = "index_metadata.pickle"
"""File without which Chroma believes none of the others."""


class IndexFailed(Exception):
    """Chroma could not be loaded, opened or used; search goes on without it."""


class VectorIndex:
    """Approximate nearest rows. Blocking; one thread writes, others may call `propose` meanwhile."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._alone = threading.RLock()
        self._sealed: str | None = None
        """The database that the seal names, while it is on."""

    def open(self, identity: str) -> bool:
        """Load Chroma (seconds) and its files. False if it starts empty and must be filled and sealed.

        Raises IndexFailed, after trying once with an empty directory.
        """
        whole = self._sealed_by() == {
            "identity": identity,
            "format": FORMAT,
            "files": _state(self._directory),
        }
        with _failures():
            self._unseal()
        if whole:
            try:
                self._open_client()
                self.seal(identity)
            except IndexFailed:
                whole = False
                _forget_failed_clients()
        if not whole:
            self.wipe()
        return whole

    def wipe(self) -> None:
        """Start again with an empty directory, unsealed. Raises IndexFailed."""
        self._sealed = None
        with self._writing():
            self.close()
            if self._directory.exists():
                shutil.rmtree(self._directory)
            self._open_client()

    def seal(self, identity: str) -> None:
        """Say that every vector of that database is in here or in its outbox."""
        temporary = self._mark.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            state = _state(self._directory)
            json.dump({"identity": identity, "format": FORMAT, "files": state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._mark)
        self._sealed = identity

    def distrust(self) -> None:
        """After a failure: let go of the files, whatever their state, and have `open` begin with none."""
        with suppress(OSError):
            self._unseal()
        with suppress(IndexFailed):
            self.close()
        with suppress(IndexFailed):
            _forget_failed_clients()

    def put(self, user: int, ids: Sequence[int], vectors: Vectors, space: Space = PASSAGES) -> None:
        """Add or overwrite vectors, shape (len(ids), dimensions). Raises IndexFailed."""
        collection = self._collection(f"{space.collection}{user}")
        for first in range(0, len(ids), BATCH):
            part = slice(first, first + BATCH)
            with self._writing():
                collection.upsert(ids=[str(chunk) for chunk in ids[part]], embeddings=vectors[part])

    def remove(self, user: int, ids: Sequence[int], space: Space = PASSAGES) -> None:
        """Take vectors out; unknown ids are no error. Raises IndexFailed."""
        collection = self._collection(f"{space.collection}{user}")
        for first in range(0, len(ids), BATCH):
            with self._writing():
                collection.delete(ids=[str(chunk) for chunk in ids[first : first + BATCH]])

    def ids(self, space: Space = PASSAGES) -> dict[int, set[int]]:
        """Every user's row ids, users without any left out. Raises IndexFailed."""
        with self._writing():
            held = {
                int(collection.name.removeprefix(space.collection)): {
                    int(chunk) for chunk in collection.get(include=[])["ids"]
                }
                for collection in self._client.list_collections()
                if collection.name.startswith(space.collection)
            }
        return {user: ids for user, ids in held.items() if ids}

    def propose(self, user: int, vector: Vectors, limit: int, space: Space = PASSAGES) -> list[int] | None:
        """Ids of about `limit` near rows, best first; None before `open` has succeeded."""
        if self._client is None:
            return None
        collection = self._collection(f"{space.collection}{user}")
        with _failures():
            found = collection.query(query_embeddings=[vector], n_results=limit, include=[])
        return [int(chunk) for chunk in found["ids"][0]]

    def close(self) -> None:
        """Let go of the files."""
        with self._alone:
            client, self._client = self._client, None
            self._collections = {}
        if client is not None:
            with self._writing():
                client.close()

    @property
    def _mark(self) -> Path:
        return self._directory / f"{MARK}.json"

    def _sealed_by(self) -> object:
        try:
            return json.loads(self._mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _open_client(self) -> None:
        with self._writing():
            import chromadb
            from chromadb.config import Settings

            self._directory.mkdir(parents=True, exist_ok=True)
            self._client = chromadb.PersistentClient(
                path=self._directory, settings=Settings(anonymized_telemetry=False)
            )

    def _collection(self, name: str) -> Any:
        known = self._collections.get(name)
        return self._opened(name) if known is None else known

    def _opened(self, name: str) -> Any:
        """Chroma reads its log, and may begin an index, at the first question: it is asked one here."""
        with self._writing():
            collection = self._client.get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            collection.count()
            self._collections[name] = collection
        return collection

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._alone, _failures():
            sealed = self._unseal()
            try:
                yield
            finally:
                _erase_begun(self._directory)
            if sealed is not None:
                self.seal(sealed)

    def _unseal(self) -> str | None:
        """Take the seal off; the database that it named."""
        identity, self._sealed = self._sealed, None
        self._mark.unlink(missing_ok=True)
        return identity


def _state(directory: Path) -> dict[str, list[int]]:
    """Length and time of every file, by name: whether one was changed is seen without reading it."""
    found = ((path, path.stat()) for path in sorted(directory.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(directory)): [state.st_size, state.st_mtime_ns]
        for path, state in found
        if not path.name.startswith(MARK)
    }


def _erase_begun(directory: Path) -> None:
    """Set to zero what Chroma has begun and not written, which it never reads. Time 0 says: done."""
    for path in (begun for name in BEGUN for begun in directory.glob(f"*/{name}")):
        state = path.stat()
        if state.st_mtime_ns and not path.with_name(WRITTEN).exists():
            with path.open("r+b") as file:
                file.write(bytes(state.st_size))
            os.utime(path, ns=(0, 0))


def _forget_failed_clients() -> None:
    """Chroma keeps what it half opened for the next client of that path, and never closes it."""
    with _failures():
        from chromadb.api.shared_system_client import SharedSystemClient

        SharedSystemClient.clear_system_cache()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        from chromadb.errors import ChromaError
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise IndexFailed(f"Chroma cannot be imported: {error}") from error
    try:
        yield
    except (ChromaError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise IndexFailed(f"Chroma failed: {type(error).__name__}: {error}") from error
