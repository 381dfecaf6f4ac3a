"""What was read ahead of questions whose vectors are being computed. Knows no ranking and no SQL."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from weakref import ref

import numpy as np

from actors.memory.asking import Asked
from actors.memory.recollection import Ahead
from actors.memory.source import Columns, Source

MOST = 8
"""Questions that may wait for their vectors with what was read; more are read again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question as it was read, and what it says without its vector of the memories in these columns."""

    columns: ref[Columns]
    allowed: bytes
    questions: tuple[Asked, ...]
    ahead: Ahead

    @classmethod
    def of(cls, source: Source, questions: tuple[Asked, ...], ahead: Ahead) -> "Prepared":
        """For this source, as it is now."""
        return cls(ref(source.columns), _packed(source), questions, ahead)

    def fits(self, source: Source) -> bool:
        """Whether the source still has the same memories, and may answer with the same ones."""
        return self.columns() is source.columns and self.allowed == _packed(source)


class Waiting:
    """By question; each is taken once. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prepared: OrderedDict[object, Prepared] = OrderedDict()

    def put(self, question: object, prepared: Prepared) -> None:
        """Keep it until it is taken, or others have come."""
        with self._lock:
            self._prepared[question] = prepared
            while len(self._prepared) > MOST:
                self._prepared.popitem(last=False)

    def take(self, question: object) -> Prepared | None:
        """What was put last for this question, if it is still there."""
        with self._lock:
            return self._prepared.pop(question, None)

    def let_go(self) -> None:
        """Keep nothing: some memories were forgotten."""
        with self._lock:
            self._prepared.clear()


def _packed(source: Source) -> bytes:
    return np.packbits(source.allowed).tobytes()
