"""Numbers that were expensive, kept in a file of JSON lines from run to run. Knows not what they mean."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path


class Cache:
    """Lists of numbers by what they were computed from; without a path they last as long as the object."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, list[float]] = {}
        if path is not None and path.exists():
            with path.open() as lines:
                self._known = dict(map(json.loads, lines))

    def many(
        self,
        keys: Sequence[str],
        compute: Callable[[Sequence[int]], Sequence[Sequence[float]]],
        at_once: int = 8,
    ) -> list[list[float]]:
        """The numbers of each key; `compute` gives those of new positions, `at_once` at a time."""
        hashes = [sha256(key.encode()).hexdigest()[:24] for key in keys]
        new = iter([number for number, name in enumerate(hashes) if name not in self._known])
        while some := list(islice(new, at_once)):
            rows = [[round(float(value), 4) for value in row] for row in compute(some)]
            self._remember({hashes[number]: row for number, row in zip(some, rows, strict=True)})
        return [self._known[name] for name in hashes]

    def _remember(self, rows: dict[str, list[float]]) -> None:
        self._known |= rows
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in rows.items())
