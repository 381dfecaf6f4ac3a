"""What was shortened lately, so that it is not computed again. Knows no policy and no budget's meaning."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace

from actors.messages import Compressed

MOST_CHARACTERS = 4_000_000
"""Of all remembered results together; those that were asked for longest ago go first."""

_Key = tuple[bytes, float, bool]


class Known:
    """Results by text, share and force, in memory alone. Safe between threads."""

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._size = 0
        self._found: OrderedDict[_Key, Compressed] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, share: float, force: bool) -> Compressed | None:
        """The result, if it is still remembered; it took no time now."""
        key = _key(text, share, force)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
        return None if found is None else replace(found, seconds=0.0)

    def put(self, text: str, share: float, force: bool, found: Compressed) -> None:
        """Remember a result, and forget older ones where there are too many."""
        key = _key(text, share, force)
        with self._lock:
            before = self._found.pop(key, None)
            self._size += len(found.text) - (len(before.text) if before else 0)
            self._found[key] = found
            while self._size > self._most:
                _, oldest = self._found.popitem(last=False)
                self._size -= len(oldest.text)


def _key(text: str, share: float, force: bool) -> _Key:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), share, force
