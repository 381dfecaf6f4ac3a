"""Whether the versions that serve do harm: live signals, each with a band; who leaves one is taken back."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from actors.generator import Generator
from actors.lineage import Lineage
from actors.messages import NotFound, PalError
from actors.training.notice import Placed
from actors.training.versions import COMMON
from configs.schema import WatchSettings
from serve import probes
from serve.background import Background
from serve.bands import Band, widened
from serve.figures import Figures, ShadowFigures
from serve.looping import is_degenerate

BASE = ""
"""The base model among the versions."""
MOST = 1024
"""Versions of which figures are kept."""
PAIRED_EVERY = 4
"""Every so many probes it is compared how soon version and base model answer."""
SLACK_S = 0.05
"""A first token that comes later by less is not slow."""
Signal = Literal["errors", "degenerate", "thumbs_down", "drift", "slow"]
SIGNALS: tuple[Signal, ...] = ("errors", "degenerate", "thumbs_down", "drift", "slow")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How one generation went that was neither cut short nor at fault by its request."""

    tokens: Sequence[int] = ()
    spoke: bool = False
    """It has anything but blanks."""
    free: bool = True
    """The request let the model end and choose its words; else its answer is no sign of anything."""
    first_s: float = 0.0
    failed: bool = False


@dataclass(slots=True)
class Guard:
    """What is known of a version that serves, since it does."""

    version: Placed
    scope: str
    bands: dict[Signal, Band]
    scores: list[float] = field(default_factory=list)
    """Of the frozen texts, when it began to serve."""
    since_probe: int = 0
    leaving: bool = False


class Watch:
    """The versions that one replica serves."""

    def __init__(
        self,
        settings: WatchSettings,
        generator: Generator,
        lineage: Lineage | None,
        background: Background,
    ) -> None:
        self._settings = settings
        self._limit = float(settings.false_alarm_requests * len(SIGNALS))
        self._generator = generator
        self._lineage = lineage
        self._background = background
        self._guards: dict[str, Guard] = {}
        self._scores: dict[str, list[float]] = {}
        self._common = self._before = BASE
        """The common version that was seen last, and the one before it."""
        self.figures: dict[str, Figures] = {}
        self.shadows: dict[str, ShadowFigures] = {}
        self.rollbacks: dict[tuple[str, Signal], int] = {}
        self.personal: set[str] = set()
        """Versions of single users among those of which there are figures."""

    async def begun(self, version: Placed) -> None:
        """A version is about to serve: measure it as it is now. Raises what the generator raises."""
        if self._settings.enabled and self._settings.probe_every:
            self._scores[version.id] = await probes.scores(self._generator, version)
            if len(self._scores) > MOST:
                del self._scores[next(iter(self._scores))]

    def saw(self, version: Placed | None, scope: str, seen: Seen) -> None:
        """A generation ended that was answered by what serves; None: by the base model."""
        id = version.id if version else BASE
        figures = self._figures(id)
        if scope != COMMON:
            self.personal.add(id)
        degenerate = False
        if seen.failed:
            figures.failed += 1
        else:
            usual = self._figures(self._reference(id, scope)).usual(self._settings.reference)
            degenerate = seen.free and is_degenerate(seen.tokens, seen.spoke, usual)
            figures.answered(len(seen.tokens), seen.first_s, degenerate=degenerate)
        if version is None or not self._settings.enabled or self._lineage is None:
            return
        guard = self._guard(version, scope)
        self._count(guard, "errors", seen.failed)
        if not seen.failed and seen.free:
            self._count(guard, "degenerate", degenerate)
        guard.since_probe += 1
        if self._settings.probe_every and guard.since_probe >= self._settings.probe_every:
            guard.since_probe = 0
            self._background.attempt(self._probe(guard), f"probing adapter {version.id}")

    def rated(self, version: str | None, rating: int) -> None:
        """A user rated an answer of this version: above 0 is a thumb up, below a thumb down."""
        figures = self._figures(version or BASE)
        figures.thumbs_up += rating > 0
        figures.thumbs_down += rating < 0
        guard = self._guards.get(version or BASE)
        if guard is not None and rating:
            self._count(guard, "thumbs_down", rating < 0)

    def shadowed(self, version: str) -> ShadowFigures:
        """The figures of a version that is tried, to be added to."""
        return self.shadows.setdefault(version, ShadowFigures())

    def evidence(self) -> dict[str, dict[Signal, float]]:
        """How near each signal of each version that serves is to the end of its band, which is 1."""
        return {
            id: {signal: band.evidence for signal, band in guard.bands.items()}
            for id, guard in self._guards.items()
        }

    def as_json(self, version: str) -> dict[str, Any]:
        """What is known of a version in this replica."""
        found: dict[str, Any] = {}
        if version in self.figures:
            found |= self.figures[version].as_json()
        if version in self._guards:
            bands = self._guards[version].bands
            found["bands"] = {
                signal: {"tolerated": round(band.tolerated, 4), "evidence": round(band.evidence, 6)}
                for signal, band in bands.items()
            }
        if version in self.shadows:
            found["shadow"] = self.shadows[version].as_json()
        return found

    def stands(self, common: str, serving: Sequence[str]) -> None:
        """What serves has changed: these are guarded from now on, and no others."""
        if common != self._common:
            self._before, self._common = self._common, common
        for id in [id for id in self._guards if id not in serving]:
            del self._guards[id]

    # --- parts ---

    def _figures(self, id: str) -> Figures:
        if id not in self.figures:
            if len(self.figures) >= MOST:
                oldest = next(one for one in self.figures if one != BASE)
                self.figures.pop(oldest)
                self.personal.discard(oldest)
            self.figures[id] = Figures()
        return self.figures[id]

    def _reference(self, id: str, scope: str) -> str:
        """The version whose rates are usual for this one: the one before, unless that was taken back."""
        before = self._common if scope != COMMON else self._before
        return before if before != id and before not in self._taken_back() else BASE

    def _taken_back(self) -> set[str]:
        return {version for version, _ in self.rollbacks}

    def _guard(self, version: Placed, scope: str) -> Guard:
        if version.id not in self._guards:
            known = self._figures(version.id)
            if known.answers < self._settings.reference or version.id in self._taken_back():
                known = self._figures(self._reference(version.id, scope))
            self._guards[version.id] = Guard(version, scope, self._bands(known))
        return self._guards[version.id]

    def _bands(self, before: Figures) -> dict[Signal, Band]:
        settings = self._settings
        ended, rated = before.answers, before.thumbs_up + before.thumbs_down
        least = settings.reference
        tolerated: dict[Signal, float] = {
            "errors": widened(settings.errors, before.failed, before.failed + ended, least),
            "degenerate": widened(settings.degenerate, before.degenerate, ended, least),
            "thumbs_down": widened(settings.thumbs_down, before.thumbs_down, rated, least),
            "drift": settings.drifted,
            "slow": settings.slow,
        }
        return {signal: Band(rate, self._limit) for signal, rate in tolerated.items()}

    def _count(self, guard: Guard, signal: Signal, bad: bool) -> None:
        if guard.bands[signal].saw(bad) and not guard.leaving:
            guard.leaving = True
            self._background.attempt(
                self._take_back(guard, signal), f"taking adapter {guard.version.id} back"
            )

    async def _take_back(self, guard: Guard, signal: Signal) -> None:
        """Roll back, unless the base model fails as well."""
        try:
            if signal == "errors" and not await self._base_works():
                guard.bands[signal].begin_again()
                return
            reason = f"{signal}: {self._why(guard, signal)}"
            log.warning("adapter %s is taken back: %s", guard.version.id, reason)
            assert self._lineage is not None
            await self._lineage.rollback(guard.scope, reason, of=guard.version.id)
            key = (guard.version.id, signal)
            self.rollbacks[key] = self.rollbacks.get(key, 0) + 1
        finally:
            guard.leaving = False

    async def _base_works(self) -> bool:
        try:
            await probes.works(self._generator)
        except PalError as error:
            log.warning("the base model fails too: %s", error)
            return False
        return True

    def _why(self, guard: Guard, signal: Signal) -> str:
        figures = self._figures(guard.version.id)
        tolerated = f"tolerated are {guard.bands[signal].tolerated:.0%}"
        rated = figures.thumbs_up + figures.thumbs_down
        counted = {
            "errors": f"{figures.failed} of {figures.failed + figures.answers} generations failed",
            "degenerate": f"{figures.degenerate} of {figures.answers} answers were none",
            "thumbs_down": f"{figures.thumbs_down} of {rated} ratings were thumbs down",
            "drift": f"its scores of frozen texts changed within {figures.probes} probes",
            "slow": f"first tokens came later than the base model's in {figures.probes} probes",
        }
        return f"{counted[signal]}; {tolerated}"

    async def _probe(self, guard: Guard) -> None:
        """Measure a version as it is now against what it was, and against the base model."""
        figures = self._figures(guard.version.id)
        figures.probes += 1
        guard.scores = guard.scores or self._scores.get(guard.version.id, [])
        try:
            scores = await probes.scores(self._generator, guard.version)
            for now, before in zip(scores, guard.scores, strict=False):
                self._count(guard, "drift", abs(now - before) > self._settings.drift_nats)
            guard.scores = guard.scores or scores
            if figures.probes % PAIRED_EVERY == 0:
                for took, base in await probes.first_tokens(self._generator, guard.version):
                    slow = took > self._settings.slow_times * base + SLACK_S
                    self._count(guard, "slow", slow)
        except PalError as error:
            if is_fault(error):
                self._count(guard, "errors", True)


def is_fault(error: PalError) -> bool:
    """Whether an error of a generation may be its version's doing: not the request's, not a lack of room."""
    return error.status == 500 or isinstance(error, NotFound)
