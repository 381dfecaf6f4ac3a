"""One request's compression: texts made shorter, and what that saved. Knows no conversation and no policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actors.compression.cost import Budget
from actors.compression.keepscores import nearest_tier
from actors.messages import Compressed, InvalidRequest, KeepScores, Passage
from configs.schema import CompressionSettings
from serve.background import attempted
from serve.metrics import Metrics
from serve.services import Services
from serve.wire import CompressionOptions

SHORTEN_S = 10.0
"""How long a request waits for its texts to be shortened; after that it is answered with whole ones."""
CHARACTERS_A_TOKEN = 3
"""Texts of fewer characters than this times `compression.least_tokens` are not worth being looked at."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that may be made shorter, with the keep-scores stored beside it."""

    text: str
    keep: KeepScores | None = None


@dataclass(frozen=True, slots=True)
class Short:
    """What a text became, and how many of the model's tokens it had and has; 0 where that was not counted."""

    text: str
    tokens_before: int = 0
    tokens_after: int = 0


class Shortening:
    """Makes texts shorter as a request asks, and counts those that came into its prompt.

    A compressor in trouble is not `available` from then on: texts stay as they are, and no request fails.
    """

    def __init__(self, services: Services, budget: Budget, question_aware: bool = False) -> None:
        self._services = services
        self._budget = budget
        self.available = True
        self._seen: list[Compressed] = []
        self.question_aware = question_aware
        self.tokens_before = 0
        self.tokens_after = 0

    @property
    def share(self) -> float:
        """The share of the tokens that is kept."""
        if self._budget != "auto":
            return self._budget
        return nearest_tier(self.settings.budget, self.settings.tiers)

    @property
    def leaves_history(self) -> bool:
        """Whether turns that the engine has read before stay as they are while they fit.

        Their keys and values are at hand; made shorter they would have to be read again.
        """
        return self._budget == "auto" and self._services.settings.engine.prefix_cache

    @property
    def settings(self) -> CompressionSettings:
        """How texts are made shorter."""
        return self._services.settings.compression

    def is_long(self, text: str) -> bool:
        """Whether shortening a text could be worth the while."""
        least = CHARACTERS_A_TOKEN * self.settings.least_tokens
        return least < len(text) <= self.settings.max_characters

    async def shorten(
        self,
        pieces: Sequence[Piece],
        budget: Budget | None = None,
        question: str | None = None,
        force: bool = False,
    ) -> list[Short]:
        """Each text at `budget` (unset: the request's). The same text always becomes the same one.

        Texts are left whole where shortening would not pay, unless `force`.
        """
        fit = [one for one in pieces if self._can_be_read(one)]
        found: dict[str, Compressed] = {}
        if fit and self.available:
            asked = question if self.question_aware else None
            shortened = self._services.compressor.shorten(
                [one.text for one in fit],
                [one.keep for one in fit],
                self._budget if budget is None else budget,
                question=asked,
                force=force,
            )
            made = await attempted(shortened, "shortening a prompt", SHORTEN_S)
            self.available = made is not None
            self._seen += made or []
            found = dict(zip((one.text for one in fit), made or (), strict=False))
        return [_short(one.text, found.get(one.text)) for one in pieces]

    async def shorten_passages(self, passages: Sequence[Passage], question: str) -> list[Short]:
        """The passages' texts, by the keep-scores that were stored beside them."""
        return await self.shorten([Piece(one.text, one.keep) for one in passages], question=question)

    async def gather_passages(
        self, passages: Sequence[Passage], question: str, whole: int = 0, most: int | None = None
    ) -> list[Short]:
        """What of the passages, best first, likeliest answers the question, in one room; empty where nothing.

        The room is the request's share of all, or what the first `whole` of them take, and `most` at most.
        """
        found: list[Compressed | None] = [None] * len(passages)
        if passages and self.available:
            gathered = self._services.compressor.gather(
                [one.text for one in passages],
                [one.keep for one in passages],
                question,
                self._budget,
                whole=whole,
                most=most,
            )
            made = await attempted(gathered, "shortening a prompt", SHORTEN_S)
            self.available = made is not None
            self._seen += made or []
            found = [*made] if made else found
        return [_short(one.text, part) for one, part in zip(passages, found, strict=True)]

    def count(self, shorts: Sequence[Short]) -> None:
        """These are in the prompt."""
        self.tokens_before += sum(one.tokens_before for one in shorts)
        self.tokens_after += sum(one.tokens_after for one in shorts)

    def measured(self, metrics: Metrics) -> None:
        """Tell the metrics of all that was looked at, once."""
        for one in self._seen:
            metrics.compressed(one)
        self._seen = []

    def report(self) -> Any:
        """What a reply says of it."""
        if not self.available:
            return "unavailable"
        return {
            "tokens_before": self.tokens_before,
            "tokens_after": self.tokens_after,
            "bypassed": self.tokens_after >= self.tokens_before,
        }

    def _can_be_read(self, piece: Piece) -> bool:
        return len(piece.text) <= self.settings.max_characters and bool(piece.text.strip())


def asked_for(
    services: Services, options: CompressionOptions | None, *, question_aware: bool = False
) -> Shortening | None:
    """The compression that a request asks for, if it does; `question_aware` holds where it does not say.

    Raises InvalidRequest where that cannot be had.
    """
    if options is None:
        return None
    if not services.settings.compression.enabled:
        raise InvalidRequest(
            "Compression is off on this server (compression.enabled).", "compression", "not_available"
        )
    aware = question_aware if options.question_aware is None else options.question_aware
    return Shortening(services, _budget(options.budget), aware)


def _budget(given: float | str) -> Budget:
    if given == "auto":
        return "auto"
    if isinstance(given, str) or not 0 < given <= 1:
        raise InvalidRequest(
            f"compression.budget is {given!r}: take a share of the tokens, above 0 and at most 1, or 'auto'.",
            "compression.budget",
            "invalid_value",
        )
    return given


def _short(text: str, found: Compressed | None) -> Short:
    return Short(text) if found is None else Short(found.text, found.tokens_before, found.tokens_after)
