"""When to merge an adapter into the weights: while it alone serves everybody. Decides only."""

from collections.abc import Collection

PATIENCE_LIMIT = 64
"""How many times its first patience it may grow to."""


class Merging:
    """Merges after `patience` steps (0: never) for one adapter only; each unmerging doubles the patience."""

    def __init__(self, patience: int) -> None:
        self._first = self._patience = patience
        self._steps = 0
        self._last: str | None = None
        self.merged: str | None = None

    def step(self, adapters: Collection[str | None]) -> None:
        """A step was computed while requests of these adapters were there."""
        alone = next(iter(adapters)) if len(adapters) == 1 else None
        self._steps = self._steps + 1 if alone == self._last else 1
        self._last = alone

    def wanted(self, adapters: Collection[str | None]) -> str | None:
        """What should be merged now, given the adapters of all requests there are."""
        if self.merged is not None:
            return self.merged if all(one == self.merged for one in adapters) else None
        if not self._patience or self._last is None or self._steps < self._patience:
            return None
        return self._last if all(one == self._last for one in adapters) else None

    def became(self, merged: str | None) -> None:
        """The weights now hold this adapter, or none."""
        if merged is None and self.merged is not None:
            self._patience = min(2 * self._patience, PATIENCE_LIMIT * self._first)
        self.merged = merged
        self._steps = 0
