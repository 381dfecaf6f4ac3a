"""Scores stored passages that have no keep-scores of the current policy. Knows no request."""

import asyncio
import logging
from itertools import groupby

from actors.messages import KeepScores, PalError
from serve.services import Services

READ = 1024
"""Passages found at once."""
BATCH = 16
"""Passages scored in one call."""
PAUSE_S = 0.02
"""Between two calls, for the requests."""

log = logging.getLogger(__name__)


async def score_missing(services: Services) -> None:
    """Give keep-scores to passages added without a compressor or under another policy; those that still have
    none are scored whenever they are read.
    """
    if not services.settings.compression.enabled:
        return
    try:
        await _score_all(services, await services.compressor.policy())
    except PalError as error:
        log.warning("passages still wait for their keep-scores: %s", error)


async def _score_all(services: Services, policy: str) -> None:
    """Ends too where the same passages are found again, so that it never spins."""
    before: list[tuple[str, int, str]] = []
    while (found := sorted(await services.keeper.unscored(policy, READ))) and found != before:
        before = found
        for user, rows in groupby(found, key=lambda row: row[0]):
            texts = [(chunk, text) for _, chunk, text in rows]
            for first in range(0, len(texts), BATCH):
                await _score(services, user, dict(texts[first : first + BATCH]), policy)
                await asyncio.sleep(PAUSE_S)


async def _score(services: Services, user: str, texts: dict[int, str], policy: str) -> None:
    """Texts longer than are ever compressed get no scores, and are not found again."""
    most = services.settings.compression.max_characters
    fit = [chunk for chunk, text in texts.items() if len(text) <= most]
    unfit = [chunk for chunk, text in texts.items() if len(text) > most]
    keep = await services.compressor.scores([texts[chunk] for chunk in fit])
    empty = [KeepScores(policy, b"") for _ in unfit]
    await services.keeper.put_scores(user, [*fit, *unfit], [*keep, *empty])
