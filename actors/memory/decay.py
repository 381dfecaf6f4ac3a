"""How strong a memory still is: from its weight, its use and its age. Knows no row and no ranking."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DAY_S = 86_400.0


def strength(
    importance: ArrayLike,
    uses: ArrayLike,
    since: ArrayLike,
    now: float,
    half_life_days: float,
    pinned: ArrayLike = False,
) -> NDArray[np.float64]:
    """Between 0 and 1 for each memory; the arguments broadcast, so it serves one memory or a user's all.

    `since` (Unix seconds) is when it was last used, or else said. Without use, weight or pin it is halved
    every `half_life_days`; importance 1 makes that three times as long, and so do three uses. Pinned: 1.
    """
    age_days = np.maximum(now - np.asarray(since, dtype=np.float64), 0.0) / DAY_S
    slower = 1.0 + 2.0 * np.asarray(importance, dtype=np.float64) + np.log2(1.0 + np.asarray(uses))
    left = np.exp2(-age_days / (half_life_days * slower))
    return np.where(np.asarray(pinned, dtype=bool), 1.0, left)
